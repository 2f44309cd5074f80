"""Accounts and repositories: who am I, create, delete, move, settings, info, and the check of a card."""

import itertools
import re
import urllib.parse

from . import accounts, git
from .cards import check_card, metadata
from .repo import timestamp
from .routing import Router
from .wire import HubError, Response

router = Router()
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?")
_ALWAYS = ("_id", "id")  # keys of an info that `expand` doesn't remove


@router.route("GET", "/api/whoami-v2")
def whoami(hub, request):
    return Response.json(accounts.whoami(request.who))


@router.route("POST", "/api/validate-yaml")
def validate_yaml(hub, request):
    asked = request.json()
    errors, warnings = check_card(asked["content"], asked.get("repoType") or "model")
    answer = {"errors": [{"message": text} for text in errors], "warnings": [{"message": text} for text in warnings]}
    return Response.json(answer, 400 if errors else 200)


@router.route("GET", "/api/agent-harnesses")
def telemetry_names(hub, request):
    """A list that the client fetches for its user-agent if telemetry isn't off; nobody is on it."""
    return Response.json({"standardEnvVars": [], "harnesses": {}})


@router.route("POST", "/api/repos/create", needs="own")
def create(hub, request):
    asked = request.json()
    kind, repo_id = _named(request, asked)
    _check_namespace(request.who, repo_id, f"create a {kind[:-1]} under the namespace")
    private = asked.get("visibility") == "private" or bool(asked.get("private"))
    repo = hub.store.create(kind, repo_id, private, request.who.user)
    url = f"{hub.endpoint}/{'datasets/' if kind == 'datasets' else ''}{repo_id}"
    if repo is None:
        raise HubError(409, f"You already created this {kind[:-1]} repo: {repo_id}", extra={"url": url})
    return Response.json({"url": url, "name": repo_id, "id": repo.uid})


@router.route("DELETE", "/api/repos/delete", needs="own")
def delete(hub, request):
    hub.store.delete(_existing(hub, request, request.json()))
    return Response.json({})


@router.route("POST", "/api/repos/move", needs="own")
def move(hub, request):
    asked = request.json()
    kind = f"{asked['type']}s"
    repo = hub.store.find(kind, asked["fromRepo"])
    if repo is None:
        raise accounts.no_repo(request.who)
    accounts.check_write(request.who, repo)
    _check_namespace(request.who, asked["toRepo"], "move a repo to the namespace")
    if not hub.store.move(repo, asked["toRepo"]):
        raise HubError(409, f"A {asked['type']} {asked['toRepo']} already exists")
    return Response.json({})


@router.route("PUT", "{api}/settings", needs="write")
def settings(hub, request):
    asked, changes = request.json(), {}
    if "visibility" in asked or "private" in asked:
        changes["private"] = asked.get("visibility", "private" if asked.get("private") else "public") == "private"
    if "gated" in asked:
        changes["gated"] = asked["gated"]
    request.repo.save(**changes)
    return Response.json({"private": request.repo.private, "gated": request.repo.state["gated"]})


@router.route("GET", "{api}/auth-check")
def auth_check(hub, request):
    return Response.json({})


@router.route("GET", "{api}/auth-check/write", needs="write")
def auth_check_write(hub, request):
    return Response.json({})


@router.route("GET", "{api}[/revision/{revision}]")
def info(hub, request):
    repo = request.repo
    facts = _info(repo, request.args.get("revision", "main"), request.flag("blobs"))
    wanted = request.params("expand") + request.params("expand[]")
    return Response.json({k: v for k, v in facts.items() if not wanted or k in wanted or k in _ALWAYS})


@router.route("GET", "/api/{kind}")
def list_repos(hub, request):
    if request.args["kind"] not in ("datasets", "models"):
        raise HubError(404, f"Cannot GET {request.path}", headers={"X-No-Route": "1"})
    author, search = request.param("author"), (request.param("search") or "").lower()
    limit, start = int(request.param("limit", "1000")), int(request.param("cursor", "0"))
    repos = [
        repo
        for repo in hub.store.all()
        if repo.kind == request.args["kind"]
        and (author is None or repo.repo_id.startswith(f"{author}/"))
        and search in repo.repo_id.lower()
        and (not repo.private or (request.who and request.who.may_read_private(repo.repo_id)))
    ]
    page = [{k: v for k, v in _info(r, "main").items() if k not in ("siblings", "cardData")} for r in repos[start : start + limit]]
    headers = {}
    if start + limit < len(repos):
        kept = {k: request.param(k) for k in ("author", "search", "limit") if request.param(k) is not None}
        query = urllib.parse.urlencode({**kept, "cursor": start + limit})
        headers["Link"] = f'<{hub.endpoint}{request.path}?{query}>; rel="next"'
    return Response.json(page, headers=headers)


def _info(repo, revision, with_blobs=False):
    commit = repo.commit(repo.resolve(revision))
    files = commit["files"]
    card_file = files.get("README.md")
    card = metadata(repo.content_path(card_file).read_text(errors="replace")) if card_file else {}
    tags = card.get("tags") if isinstance(card.get("tags"), list) else []
    return {
        "_id": repo.uid,
        "id": repo.repo_id,
        "author": repo.repo_id.partition("/")[0],
        "sha": commit["id"],
        "lastModified": timestamp(commit["date"]),
        "createdAt": timestamp(repo.state["created"]),
        "private": repo.private,
        "gated": repo.state["gated"],
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [tag for tag in itertools.chain(tags, ["region:us"]) if isinstance(tag, str)],
        "siblings": [_sibling(path, file, with_blobs) for path, file in files.items()],
        "usedStorage": sum({file.etag: file.size for file in files.values()}.values()),
        **({"cardData": card} if card else {}),
    }


def _sibling(path, file, with_blobs):
    if not with_blobs:
        return {"rfilename": path}
    large = {"lfs": {"sha256": file.sha256, "size": file.size, "pointerSize": pointer_bytes(file)}} if file.sha256 else {}
    return {"rfilename": path, "size": file.size, "blobId": file.oid, **large}


def pointer_bytes(file):
    return len(git.lfs_pointer(file.sha256, file.size))


def _named(request, asked):
    """Kind and full name that a create or delete means; a bare name is the user's own."""
    if request.who is None:
        raise HubError(401, "Invalid username or password.")
    namespace = asked.get("organization") or request.who.user
    if not _NAME.fullmatch(asked.get("name") or ""):
        raise HubError(400, f"Invalid repo name: {asked.get('name')!r}")
    return f"{asked.get('type') or 'model'}s", f"{namespace}/{asked['name']}"


def _existing(hub, request, asked):
    repo = hub.store.find(*_named(request, asked))
    if repo is None:
        raise accounts.no_repo(request.who)
    accounts.check_write(request.who, repo)
    return repo


def _check_namespace(who, repo_id, what):
    if who is None:
        raise HubError(401, "Invalid username or password.")
    if not who.may_write(repo_id):
        raise HubError(403, f'You don\'t have the rights to {what} "{repo_id.partition("/")[0]}"')
