"""Whose token it is and what it may do, asked before anything is sent. The token itself is never kept, printed or stored."""

from dataclasses import dataclass

from ..errors import HubError, TokenError
from .patience import explained, short, status_of, tokens_page

WRITE = "repo.write"  # what a fine-grained token needs for a namespace or a repository
READ_ROLES = ("read", "no_access")  # roles in an organisation that can't write


@dataclass(frozen=True)
class Account:
    """Who the token belongs to.

    Attributes:
        name: of the user.
        organisations: {name: role in it}.
        role: "write", "read", "fineGrained", or "" where the Hub doesn't tell.
        writable: names of users, organisations and repositories that a fine-grained token may write to.
    """

    name: str
    organisations: dict
    role: str = ""
    writable: frozenset = frozenset()

    def why_not_write(self, repo_id, as_pull_request=False):
        """Why this token can't write there, in words; "" when nothing is known against it."""
        namespace = repo_id.split("/")[0]
        if self.role == "read":
            return "it may only read"
        if self.role == "fineGrained" and not {namespace, repo_id} & self.writable and not as_pull_request:
            places = ", ".join(sorted(self.writable)) or "nowhere"
            return f"it has no write permission for {repo_id} (it may write to: {places})"
        if as_pull_request or namespace == self.name:
            return ""
        if namespace not in self.organisations:
            return f"{namespace} is neither {self.name} nor one of the organisations of {self.name}"
        if self.organisations[namespace] in READ_ROLES:
            return f"{self.name} may only read in {namespace}"
        return ""


def read_account(api, patience):
    """Ask the Hub whose token is in use.

    Args:
        api: huggingface_hub.HfApi.
        patience: Patience.

    Raises:
        TokenError: there is no token, or the Hub doesn't know it.
        HubError: the Hub can't be reached.
    """
    from huggingface_hub import get_token
    from huggingface_hub.errors import LocalTokenNotFoundError

    if not (api.token or get_token()) or api.token is False:
        raise TokenError(_no_token())

    def ask():
        try:
            return api.whoami()
        except LocalTokenNotFoundError:
            raise TokenError(_no_token()) from None
        except Exception as error:
            if status_of(error) in (401, 403):
                raise TokenError(
                    f"the Hub doesn't know this token ({short(error)}). Make a new one at {tokens_page()}, then run `hf auth login`, or "
                    f"put it into HF_TOKEN. Nothing was sent"
                ) from None
            if isinstance(error, UnicodeError) or "header value" in str(error).lower():  # the client's own words may show the token
                raise TokenError(f"the token holds letters that none has; copy it again from {tokens_page()}. Nothing was sent") from None
            raise

    told = patience.call("ask whose token this is", ask)
    try:
        return _account(told)
    except (KeyError, TypeError, AttributeError) as error:
        raise explained(HubError(f"an answer that can't be read: {error}"), "ask whose token this is") from error


def check_write(account, repo_id, as_pull_request=False):
    """Raise TokenError unless the token may write to a repository."""
    reason = account.why_not_write(repo_id, as_pull_request)
    if reason:
        raise TokenError(
            f"the token of {account.name} can't publish to {repo_id}: {reason}. Make one that can write at {tokens_page()}, or name "
            f"another --repo. Nothing was sent"
        )


def _account(told):
    access = (told.get("auth") or {}).get("accessToken") or {}
    scopes = (access.get("fineGrained") or {}).get("scoped") or []
    writable = frozenset(scope["entity"]["name"] for scope in scopes if WRITE in scope["permissions"] and scope["entity"].get("name"))
    organisations = {org["name"]: org.get("roleInOrg", "") for org in told.get("orgs") or []}
    return Account(told["name"], organisations, access.get("role", ""), writable)


def _no_token():
    return (
        f"there is no token for the Hub. Make one with write permission at {tokens_page()}, then run `hf auth login`, or put it into "
        f"HF_TOKEN. Nothing was sent"
    )
