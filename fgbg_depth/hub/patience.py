"""Which failures of the Hub are tried again, how long, and what the others mean in plain words.

`huggingface_hub` retries uploads and listings by itself, but neither commits, tags, new repositories nor single look-ups. Those
go through `Patience.call`. A call is repeated only if doing it twice does no harm; a commit isn't such a call, see `upload`.
"""

import json
import re
import time
from dataclasses import dataclass, replace

from ..errors import ConflictError, FgbgDepthError, HubError, TokenError

WAITS_S = (1, 2, 4, 8, 16)  # half a minute in all: a hiccup passes, a real outage is told soon
MAX_WAIT_S = 300  # the Hub counts requests in windows of five minutes
TIMEOUT_S = 120  # of one read or write on a connection; the client has none of its own and would wait for ever
TRANSIENT = (408, 409, 425, 429, 500, 502, 503, 504)  # 409: another commit is being made right now
_HTTP_LIBRARIES = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")  # which one depends on the client's version
_BREAKS = ("TransportError", "RequestException", "HTTPError", "NetworkError", "StreamError")
_RATE_LIMIT = re.compile(r"r\s*=\s*0\s*;\s*t\s*=\s*(\d+)")
_state = {"timeout_s": None}


@dataclass(frozen=True)
class Patience:
    """How often and after how long a call is tried again.

    Attributes:
        waits_s: the pause before each further try [s]; their number bounds the tries.
        say: function (text) that is told of each pause, or None.
        sleep: function (seconds).
        lags: try again, too, when something isn't there.
    """

    waits_s: tuple = WAITS_S
    say: object = None
    sleep: object = time.sleep
    lags: bool = False

    def once_more(self):
        """For calls that the client itself has tried several times before it gives up: one further try, with fresh addresses."""
        return replace(self, waits_s=self.waits_s[:1])

    def lagging(self):
        """For what was just made: that it isn't there yet is a reason to wait, as the Hub's servers don't all learn of it at once."""
        return replace(self, lags=True)

    def call(self, what, function, *args, **kwargs):
        """Call something that may be repeated without harm.

        Args:
            what: in words, such as "list the files".
            function, args, kwargs: the call.

        Raises:
            HubError and its kinds: it failed for good.
        """
        try:
            return self.ask(what, function, *args, **kwargs)
        except Exception as error:
            if isinstance(error, FgbgDepthError):
                raise
            raise explained(error, what) from error

    def ask(self, what, function, *args, **kwargs):
        """As `call`, but errors of `huggingface_hub` that say that something isn't there come through as they are."""
        for number, wait_s in enumerate((*self.waits_s, None), 1):
            try:
                return function(*args, **kwargs)
            except Exception as error:
                absent = is_absent(error)
                if isinstance(error, FgbgDepthError) or (absent and not self.lags):
                    raise
                if wait_s is None or not (absent or is_transient(error)):
                    raise explained(error, what, tries=number) from error
                self.pause(what, error, wait_s)

    def pause(self, what, error, wait_s):
        """Wait before the next try, as long as the Hub asks for if it does."""
        wait_s = min(asked_wait_s(error) or wait_s, MAX_WAIT_S)
        if self.say:
            self.say(f"{what}: {short(error)}; trying again in {wait_s:g} s")
        self.sleep(wait_s)


def use_timeouts(timeout_s=TIMEOUT_S):
    """Give every request of the client in this process a timeout, unless it has one of its own.

    Without it a silent server would hold a command for ever: the client's connections have no timeout, and some of its calls
    even say so for each request.
    """
    if _state["timeout_s"] == timeout_s:
        return
    try:
        from huggingface_hub import set_client_factory
        from huggingface_hub.utils._http import default_client_factory
    except ImportError:
        return  # an older client has timeouts of its own

    def fill(request):
        limits = request.extensions.get("timeout") or {}
        request.extensions["timeout"] = {key: limits.get(key) or timeout_s for key in ("connect", "read", "write", "pool")}

    def factory():
        client = default_client_factory()
        hooks = client.event_hooks
        client.event_hooks = {**hooks, "request": [*hooks.get("request", ()), fill]}
        return client

    set_client_factory(factory)
    _state["timeout_s"] = timeout_s


def chain(error):
    """An error and those behind it, the nearest first."""
    seen = []
    while error is not None and error not in seen:
        seen.append(error)
        error = error.__cause__ or error.__context__
    return seen


def status_of(error):
    """HTTP status behind an error, or None."""
    for one in chain(error):
        response = getattr(one, "response", None)
        if response is not None and getattr(response, "status_code", None):
            return response.status_code
    return None


def is_absent(error):
    """True for errors that say that a repository, a revision or a file isn't there, or isn't to be seen."""
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError
    from huggingface_hub.utils import EntryNotFoundError

    absent = (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError)
    return isinstance(error, absent) and not isinstance(error, LocalEntryNotFoundError)


def is_break(error):
    """True when a connection broke, could not be made, or was silent for too long: nobody knows what the server did."""
    return status_of(error) is None and any(_is_break(one) for one in chain(error))


def _is_break(error):
    if isinstance(error, ConnectionError | TimeoutError | json.JSONDecodeError):
        return type(error).__name__ != "OfflineModeIsEnabled"
    if isinstance(error, RuntimeError) and "client has been closed" in str(error):
        return True  # one thread of the client met a refused connection and closed the client of all
    kinds = type(error).__mro__
    return any(kind.__module__.split(".")[0] in _HTTP_LIBRARIES and kind.__name__ in _BREAKS for kind in kinds)


def is_transient(error):
    """True when the same call may well succeed a little later."""
    return status_of(error) in TRANSIENT or is_break(error)


def asked_wait_s(error):
    """Seconds that the Hub asks to wait, by Retry-After or RateLimit; None when it doesn't."""
    for one in chain(error):
        headers = getattr(getattr(one, "response", None), "headers", None) or {}
        after = headers.get("Retry-After", "")
        if after.strip().isdigit():
            return int(after)
        limit = _RATE_LIMIT.search(headers.get("RateLimit", ""))
        if limit:
            return int(limit[1])
    return None


def short(error):
    """An error in one line, without a token."""
    status = status_of(error)
    words = " ".join(str(chain(error)[-1] if status is None else error).split())
    text = f"{status}: {words}" if status and str(status) not in words else words or type(error).__name__
    return scrubbed(text if len(text) <= 300 else text[:297] + "...")


def scrubbed(text):
    """A text in which no token and no signature of an upload address can be read."""
    text = re.sub(r"hf_\w{6,}", "hf_...", text)
    text = re.sub(r"(Bearer\s+)[^\s'\"]+", r"\1...", text)
    text = re.sub(r"(https?://[^\s'\"?]+)\?[^\s'\"]+", r"\1?...", text)
    try:
        from huggingface_hub import get_token

        token = get_token()
    except (ImportError, OSError, ValueError):
        token = None
    return text.replace(token, "...") if token else text


def explained(error, what, tries=1):
    """The error of ours that says what happened and what to do."""
    status, words = status_of(error), short(error)
    if type(error).__name__ == "OfflineModeIsEnabled" or "OfflineModeIsEnabled" in words:
        return HubError(f"{what}: HF_HUB_OFFLINE is set, so the Hub can't be reached; unset it")
    if status == 401:
        return TokenError(f"{what}: the Hub doesn't know this token ({words}). Make a new one at {tokens_page()} and run `hf auth login`")
    if status == 403:
        return TokenError(f"{what}: this token may not do that ({words}). Use one with write permission, from {tokens_page()}")
    if status == 409:
        return ConflictError(f"{what}: the Hub is busy with another change of this repository ({words}). Run the same command again later")
    if status == 412:
        return ConflictError(f"{what}: somebody else changed the repository meanwhile. Run the same command again")
    if status == 413:
        return HubError(
            f"{what}: too much for one commit ({words}). The Hub takes 25,000 large files and 1 GB of small ones: make the set with "
            f"a higher `rows_per_shard`. Nothing was published"
        )
    if status == 429:
        return HubError(
            f"{what}: the Hub limits how often it is asked ({words}). What was sent is kept: run the same command again in some minutes"
        )
    again = "What was sent is kept: run the same command again to go on"
    if is_break(error):
        return HubError(f"{what}: no answer from the Hub after {tries} tries ({words}). {again}")
    if status is not None and status >= 500:
        return HubError(f"{what}: the Hub has a problem of its own, after {tries} tries ({words}). {again}")
    return HubError(f"{what}: {words}")


def tokens_page():
    """Where tokens are made."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/settings/tokens"
