"""Faults on demand: which request they strike (method, path, how many later, how often) and what happens to it.

    hub.faults.add(status(503), method="POST", path="/commit/", count=2)
    hub.faults.add(drop_request(after_bytes=1000), method="PUT", port="cdn")
    hub.faults.add(lose_response(), path="/commit/")           # applied, but the answer never arrives
    hub.faults.add(status_after(504), path="/commit/")         # applied, but the answer says otherwise
    hub.faults.add(call(lambda request: ...), after=4)         # let something happen at the fifth request
    hub.faults.add(drop_request(1000, call=lambda request: os.kill(pid, signal.SIGKILL)), method="PUT")
    hub.faults.watch(lambda request: ...)                      # look on at every request, whatever strikes it

An action has two hooks: `before` the request is served (it may answer, wait, or drop the connection) and `after` it (it may
change or lose the answer). An exception in a function that a test gives, such as a failed assert, makes `hub.check()` and the
end of the `with HubServer` block fail.
"""

import re
import shlex
import threading
from dataclasses import dataclass, field

from .wire import Dropped, HubError


class Action:
    """Does nothing; the functions below make the useful ones."""

    def __init__(self, name, before=None, after=None):
        self.name, self._before, self._after = name, before, after

    def before(self, request, stopping):
        """Gives a Response to send instead of the route's, or None; `stopping` is an Event that ends all waits."""
        return self._before(request, stopping) if self._before else None

    def after(self, response):
        return self._after(response) if self._after else response


def status(code, message="", headers=None, error_code=None):
    """Answer with a status; the request's body is read first, nothing is applied."""
    return Action(f"status {code}", lambda *_: HubError(code, message, error_code, headers).response())


def rate_limit(retry_after_s=0):
    """429 with `Retry-After` and both RateLimit headers; the client waits one second more than asked."""
    headers = {
        "Retry-After": str(retry_after_s),
        "RateLimit": f'"api";r=0;t={retry_after_s}',
        "RateLimit-Policy": '"fixed window";"api";q=500;w=300',
    }
    return status(429, "We had to rate limit you, please slow down.", headers)


def drop():
    """Read the request and close without an answer; nothing is applied."""

    def before(request, stopping):
        request.body.drain()
        raise Dropped

    return Action("drop", before)


def drop_request(after_bytes, call=None):
    """Reset the connection after so many bytes of the request's body; nothing is applied.

    Args:
        call: function(request) to be called just before, for instance to kill the client in the middle of what it sends.
    """

    def before(request, stopping):
        request.body.read(after_bytes)
        if call:
            call(request)
        raise Dropped(reset=True)

    return Action(f"drop request after {after_bytes} B", before)


def drop_response(after_bytes):
    """Apply the request, send the head and so many bytes of the answer's body, close."""

    def after(response):
        response.cut_at_bytes = after_bytes
        return response

    return Action(f"drop response after {after_bytes} B", after=after)


def lose_response():
    """Apply the request and close without an answer."""

    def after(response):
        raise Dropped

    return Action("lose response", after=after)


def status_after(code, message="", headers=None):
    """Apply the request, then answer with another status than it deserves, as a gateway that lost patience does."""
    return Action(f"status {code} after", after=lambda _: HubError(code, message, None, headers).response())


def hang(seconds):
    """Read the request, say nothing for so long, then close; nothing is applied."""

    def before(request, stopping):
        request.body.drain()
        stopping.wait(seconds)
        raise Dropped

    return Action(f"hang {seconds} s", before)


def delay(seconds):
    """Wait, then serve as usual."""

    def before(request, stopping):
        stopping.wait(seconds)

    return Action(f"delay {seconds} s", before)


def call(function, name="call"):
    """Call function(request) when the request has arrived, then serve as usual: a second writer, a kill, a check."""

    def before(request, stopping):
        function(request)

    return Action(name, before)


def call_after(function, name="call after"):
    """Serve the request, then call function(response) before the answer leaves."""

    def after(response):
        function(response)
        return response

    return Action(name, after=after)


@dataclass
class Fault:
    """One rule. `seen` counts the requests that matched, `fired` those that were struck."""

    action: Action
    method: str | None = None
    path: str | None = None  # regular expression, searched in path and query as they came
    port: str | None = None  # "hub" or "cdn"
    after: int = 0  # let so many matching requests pass first
    count: int | None = 1  # strike so many; None: all
    seen: int = 0
    fired: int = 0
    struck: list = field(default_factory=list)  # "METHOD target" of each struck request

    def matches(self, request):
        return (
            (self.method is None or request.method == self.method)
            and (self.port is None or request.port == self.port)
            and (self.path is None or re.search(self.path, request.target) is not None)
        )


class Faults:
    """The rules in force. Of several that are due, the oldest strikes and the others wait for the next request."""

    def __init__(self):
        self._rules, self._watchers, self._lock = [], [], threading.Lock()

    def watch(self, function):
        """Call function(request) at every request before anything else happens to it; several may be served at once."""
        with self._lock:
            self._watchers.append(function)

    def tell(self, request):
        """Let the watchers look; the listener calls it."""
        for function in list(self._watchers):
            function(request)

    def add(self, action, method=None, path=None, port=None, after=0, count=1):
        """Add a rule; see `Fault` for the arguments.

        Returns:
            Fault: its counters tell whether it struck.
        """
        rule = Fault(action, method, path, port, after, count)
        with self._lock:
            self._rules.append(rule)
        return rule

    def remove(self, rule):
        with self._lock:
            self._rules.remove(rule)

    def clear(self):
        """Drop all rules and watchers."""
        with self._lock:
            self._rules.clear()
            self._watchers.clear()

    def pick(self, request):
        """The action that strikes this request, or None; counts it for every rule that matches."""
        chosen = None
        with self._lock:
            for rule in self._rules:
                if not rule.matches(request):
                    continue
                rule.seen += 1
                due = rule.seen > rule.after and (rule.count is None or rule.fired < rule.count)
                if due and chosen is None:
                    chosen = rule
            if chosen:
                chosen.fired += 1
                chosen.struck.append(f"{request.method} {request.target}")
        return chosen.action if chosen else None


_KINDS = {
    "drop": lambda arg: drop(),
    "drop-request": lambda arg: drop_request(int(arg)),
    "drop-response": lambda arg: drop_response(int(arg)),
    "lose-response": lambda arg: lose_response(),
    "status-after": lambda arg: status_after(int(arg)),
    "hang": lambda arg: hang(float(arg)),
    "delay": lambda arg: delay(float(arg)),
    "rate-limit": lambda arg: rate_limit(int(arg or 0)),
}


def parse(text):
    """A rule from the command line, such as "503 method=POST path=/commit/ count=2" or "drop-request:1000 port=cdn".

    Returns:
        dict: keyword arguments for `Faults.add`.

    Raises:
        ValueError: it can't be read.
    """
    words = shlex.split(text)
    kind, _, arg = (words or [""])[0].partition(":")
    if kind.isdigit():
        action = status(int(kind), "a fault that was asked for")
    elif kind in _KINDS:
        action = _KINDS[kind](arg)
    else:
        raise ValueError(f"fault {text!r}: {kind!r} is neither a status nor one of {', '.join(sorted(_KINDS))}")
    rule = dict(word.split("=", 1) for word in words[1:] if "=" in word)
    wrong = [w for w in words[1:] if "=" not in w] + [k for k in rule if k not in ("method", "path", "port", "after", "count")]
    if wrong:
        raise ValueError(f"fault {text!r}: {wrong[0]!r} isn't one of method=, path=, port=, after=, count=")
    for key in {"after", "count"} & rule.keys():
        rule[key] = None if rule[key] == "all" else int(rule[key])
    return {"action": action, **rule}
