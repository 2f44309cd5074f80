"""Who may do what: users, their organisations, and tokens that write, only read, or write to some places only."""

from dataclasses import dataclass

from .wire import HubError

OWNER_TOKEN = "token-alice-write"  # alice: everything in her namespace, and in the organisation `studio`
READ_TOKEN = "token-alice-read"  # alice, reading only
FINE_WRITE_TOKEN = "token-alice-fine-write"  # alice, fine-grained: reads and writes her own repos, nothing in `studio`
FINE_READ_TOKEN = "token-alice-fine-read"  # alice, fine-grained: reads her own repos
OTHER_TOKEN = "token-bob-write"  # bob: his own namespace; in `studio` he may only read
WRONG_TOKEN = "token-of-nobody"  # not known to the hub


@dataclass(frozen=True)
class Token:
    """`role` is "write", "read" or "fineGrained"; `scopes` are (kind, name, permissions) of a fine-grained one."""

    user: str
    role: str
    scopes: tuple = ()


ORGANISATIONS = {"alice": {"studio": "write"}, "bob": {"studio": "read"}}
TOKENS = {
    OWNER_TOKEN: Token("alice", "write"),
    READ_TOKEN: Token("alice", "read"),
    FINE_WRITE_TOKEN: Token("alice", "fineGrained", (("user", "alice", ("repo.content.read", "repo.write")),)),
    FINE_READ_TOKEN: Token("alice", "fineGrained", (("user", "alice", ("repo.content.read",)),)),
    OTHER_TOKEN: Token("bob", "write"),
}
DENIED = "Authorization error."  # what the Hub says to a token that may not write


@dataclass(frozen=True)
class Identity:
    """Who sends a request, by a known token."""

    user: str
    token: Token

    def may_write(self, repo_id):
        return self._may(repo_id, "repo.write", ("write", "admin"), self.token.role == "write")

    def may_read_private(self, repo_id):
        return self._may(repo_id, "repo.content.read", ("read", "write", "admin"), True)

    def may_discuss(self):
        """Open a pull request on what it can read."""
        return self.token.role == "write"

    def _may(self, repo_id, permission, org_roles, by_role):
        if self.token.role == "check":
            return True
        namespace = repo_id.partition("/")[0]
        own = namespace == self.user or ORGANISATIONS[self.user].get(namespace) in org_roles
        if self.token.role != "fineGrained":
            return own and by_role
        return own and any(name in (namespace, repo_id) and permission in given for _, name, given in self.token.scopes)


CHECKER = Identity("checker", Token("checker", "check"))  # the emulator's own self-check


def identify(authorization):
    """Who a request comes from.

    Args:
        authorization: value of the header, or None.

    Returns:
        Identity, or None for nobody.

    Raises:
        HubError: 401, the token isn't known.
    """
    if authorization is None:
        return None
    scheme, _, value = authorization.partition(" ")
    token = TOKENS.get(value) if scheme == "Bearer" else None
    if token is None:
        raise HubError(401, "Invalid credentials in Authorization header")
    return Identity(token.user, token)


def no_repo(who):
    """The Hub's answer for a repo that is not there, or that this user may not know of."""
    if who is None:
        return HubError(401, "Invalid username or password.", "RepoNotFound")
    return HubError(404, "Repository not found", "RepoNotFound")


def check_read(who, repo):
    """Raises HubError if this user may not know of a private repo."""
    if repo.private and not (who and who.may_read_private(repo.repo_id)):
        raise no_repo(who)


def check_write(who, repo):
    """Raises HubError unless this user may write here."""
    check_read(who, repo)
    if who is None:
        raise HubError(401, "Invalid username or password.")
    if not who.may_write(repo.repo_id):
        raise HubError(403, DENIED)


def check_propose(who, repo):
    """Raises HubError unless this user may open a pull request here: anyone with a token that writes, on what they can read."""
    check_read(who, repo)
    if who is None:
        raise HubError(401, "Invalid username or password.")
    if not (who.may_discuss() or who.may_write(repo.repo_id)):
        raise HubError(403, DENIED)


def whoami(who):
    """Answer of /api/whoami-v2."""
    if who is None:
        raise HubError(401, "Invalid username or password.")
    access = {"displayName": f"{who.user}'s", "role": who.token.role}
    if who.token.role == "fineGrained":
        scoped = [{"entity": {"type": kind, "name": name}, "permissions": list(given)} for kind, name, given in who.token.scopes]
        access["fineGrained"] = {"canReadGatedRepos": False, "global": [], "scoped": scoped}
    orgs = [{"type": "org", "name": name, "roleInOrg": role} for name, role in ORGANISATIONS[who.user].items()]
    return {
        "type": "user",
        "id": f"{who.user:0<24}",
        "name": who.user,
        "fullname": who.user.title(),
        "isPro": False,
        "orgs": orgs,
        "auth": {"type": "access_token", "accessToken": access},
    }
