"""Refs: branches, tags, the list of commits, squashing."""

import re

from .repo import timestamp
from .routing import Router
from .wire import HubError, Response

router = Router()
_REF_NAME = re.compile(r"(?!refs/)(?![-./])(?!.*(?:\.\.|//|@\{|\.lock$|[/.]$))[^\s~^:?*\[\\\x00-\x1f\x7f]+")
_LETTERS_OF_A_COMMIT = re.compile(r"[0-9a-f]{40}")
COMMITS_PER_PAGE = 50


@router.route("GET", "{api}/refs")
def refs(hub, request):
    state = request.repo.state
    answer = {
        "branches": [_ref(name, f"refs/heads/{name}", oid) for name, oid in state["heads"].items()],
        "tags": [_ref(name, f"refs/tags/{name}", tag["commit"]) for name, tag in state["tags"].items()],
        "converts": [],
    }
    if request.flag("include_prs") or request.flag("include_prs[]"):
        answer["pullRequests"] = [_ref(f"refs/pr/{n}", f"refs/pr/{n}", oid) for n, oid in state["pulls"].items()]
    return Response.json(answer)


@router.route("POST", "{api}/tag/{revision}", needs="write")
def create_tag(hub, request):
    repo, asked = request.repo, request.json()
    name = _check_name(asked.get("tag"))
    with repo.lock:
        oid = repo.resolve(request.args["revision"])
        if name in repo.state["tags"]:
            raise HubError(409, f"Tag reference exists already: {name}")
        repo.save(tags={**repo.state["tags"], name: {"commit": oid, "message": asked.get("message") or ""}})
    return Response.json({"name": name, "targetCommit": oid})


@router.route("DELETE", "{api}/tag/{name}", needs="write")
def delete_tag(hub, request):
    return _delete(request.repo, "tags", request.args["name"])


@router.route("POST", "{api}/branch/{name}", needs="write")
def create_branch(hub, request):
    repo, asked = request.repo, request.json() or {}
    name = _check_name(request.args["name"])
    with repo.lock:
        if name in repo.state["heads"]:
            raise HubError(409, f"Reference already exists: refs/heads/{name}")
        oid = repo.resolve(asked.get("startingPoint") or "main")
        repo.save(heads={**repo.state["heads"], name: oid})
    return Response.json({"name": name, "targetCommit": oid})


@router.route("DELETE", "{api}/branch/{name}", needs="write")
def delete_branch(hub, request):
    if request.args["name"] == "main":
        raise HubError(400, "Cannot delete the main branch")
    return _delete(request.repo, "heads", request.args["name"])


@router.route("GET", "{api}/commits/{revision}")
def commits(hub, request):
    found = [_commit(commit) for commit in request.repo.history(request.args["revision"])]
    page = int(request.param("p", "0"))
    start = page * COMMITS_PER_PAGE
    headers = {"X-Total-Count": str(len(found))}
    if start + COMMITS_PER_PAGE < len(found):
        headers["Link"] = f'<{hub.endpoint}{request.path}?p={page + 1}>; rel="next"'
    return Response.json(found[start : start + COMMITS_PER_PAGE], headers=headers)


@router.route("POST", "{api}/super-squash/{revision}", needs="write")
def super_squash(hub, request):
    repo = request.repo
    with repo.commit_lock:
        refs, name = repo.branch(request.args["revision"])
        files = repo.files(request.args["revision"])
        repo.add_commit(refs, name, files, request.json().get("message") or "Super-squash", "", request.who.user)
    return Response.json({})


def _ref(name, ref, oid):
    return {"name": name, "ref": ref, "targetCommit": oid}


def _commit(commit):
    return {
        "id": commit["id"],
        "title": commit["title"],
        "message": commit["message"],
        "date": timestamp(commit["date"]),
        "authors": [{"user": commit["author"]}],
    }


def _check_name(name):
    if not isinstance(name, str) or not _REF_NAME.fullmatch(name) or _LETTERS_OF_A_COMMIT.fullmatch(name):
        raise HubError(400, f"Invalid reference name: {name!r}")
    return name


def _delete(repo, refs, name):
    with repo.lock:
        if name not in repo.state[refs]:
            raise HubError(404, f"Invalid rev id: {name}", "RevisionNotFound")
        repo.save(**{refs: {key: value for key, value in repo.state[refs].items() if key != name}})
    return Response.json({})
