"""Reading: trees, facts of single paths, and files (small ones from here, large ones by a redirect to the cdn)."""

import base64
import urllib.parse

from . import git
from .repo import timestamp
from .routes_repos import pointer_bytes
from .routing import Router
from .wire import JSON_LIMIT_BYTES, HubError, Response, is_true, send_file

router = Router()


@router.route("GET", "{api}/tree/{revision}[/{path...}]")
def tree(hub, request):
    repo, revision = request.repo, request.args["revision"]
    oid = repo.resolve(revision)
    folder = request.args.get("path", "").strip("/")
    rows = _rows(repo.files(oid))
    if folder and rows.get(folder, {"type": "file"})["type"] == "file":
        raise HubError(404, f"{folder} does not exist on {revision!r}", "EntryNotFound", _commit_header(oid))
    below = f"{folder}/" if folder else ""
    recursive = request.flag("recursive")
    paths = [p for p in sorted(rows) if p.startswith(below) and (recursive or "/" not in p[len(below) :])]
    limit = min(int(request.param("limit", hub.options.page_size)), hub.options.page_size)
    after = base64.urlsafe_b64decode(request.param("cursor", "")).decode()
    page = [p for p in paths if p > after][:limit]
    headers = {}
    if page and page[-1] != paths[-1]:
        kept = {k: request.param(k) for k in ("recursive", "expand", "limit") if request.param(k) is not None}
        query = urllib.parse.urlencode({**kept, "cursor": base64.urlsafe_b64encode(page[-1].encode()).decode()})
        headers["Link"] = f'<{hub.endpoint}{request.path}?{query}>; rel="next"'
    last = _last_commits(repo, oid, page) if request.flag("expand") else {}
    return Response.json([{**rows[p], **last.get(p, {})} for p in page], headers=headers)


@router.route("POST", "{api}/paths-info/{revision}")
def paths_info(hub, request):
    oid = request.repo.resolve(request.args["revision"])
    paths, expand = _asked_paths(request)
    if len(paths) > hub.options.paths_info_limit:
        raise HubError(413, f"Too many paths: {len(paths)}, at most {hub.options.paths_info_limit}")
    rows = _rows(request.repo.files(oid))
    found = [p for p in (path.strip("/") for path in paths) if p in rows]
    last = _last_commits(request.repo, oid, found) if expand else {}
    return Response.json([{**rows[p], **last.get(p, {})} for p in found])


@router.route("GET HEAD", "{web}/resolve/{revision}/{path...}")
def resolve(hub, request):
    repo = request.repo
    if repo.state["gated"] and not (request.who and request.who.may_read_private(repo.repo_id)):
        raise HubError(403 if request.who else 401, f"Access to {repo.repo_id} is restricted", "GatedRepo")
    oid = repo.resolve(request.args["revision"])
    file = repo.files(oid).get(request.args["path"])
    if file is None:
        raise HubError(404, "Entry not found", "EntryNotFound", _commit_header(oid))
    headers = {**_commit_header(oid), "ETag": f'"{file.oid}"', "Accept-Ranges": "bytes"}
    if not file.sha256:
        return send_file(request, repo.content_path(file), file.size, headers)
    url = hub.signer.url(hub.cdn_endpoint, "get", f"/{repo.uid}/{file.sha256}")
    headers |= {"Location": url, "X-Linked-Size": str(file.size), "X-Linked-Etag": f'"{file.sha256}"'}
    return Response(302, {**headers, "Content-Type": "text/plain"}, f"Found. Redirecting to {url}".encode())


def _commit_header(oid):
    return {"X-Repo-Commit": oid}


def _rows(files):
    """{path: row} of all files and folders, as the Hub lists them."""
    rows = {folder: {"type": "directory", "oid": oid, "size": 0, "path": folder} for folder, oid in git.tree_ids(files).items() if folder}
    for path, file in files.items():
        rows[path] = {"type": "file", "oid": file.oid, "size": file.size, "path": path}
        if file.sha256:
            rows[path]["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": pointer_bytes(file)}
    return rows


def _last_commits(repo, oid, paths):
    """{path: {"lastCommit": ...}}: the newest commit that changed each path."""
    found, newer, newer_rows = {}, None, None
    for commit in repo.history(oid):
        rows = _rows(commit["files"])
        for path in paths:
            if path not in found and newer and rows.get(path) != newer_rows[path]:
                found[path] = newer
        newer, newer_rows = commit, rows
        if len(found) == len(paths):
            break
    last = {path: found.get(path, newer) for path in paths}
    return {p: {"lastCommit": {"id": c["id"], "title": c["title"], "date": timestamp(c["date"])}} for p, c in last.items()}


def _asked_paths(request):
    """The paths of a form or JSON body, and whether to tell their last commits."""
    if "json" in (request.headers.get("Content-Type") or ""):
        asked = request.json()
        return asked["paths"], is_true(asked.get("expand"))
    form = urllib.parse.parse_qs(request.body.read(JSON_LIMIT_BYTES).decode())
    return form.get("paths", []), is_true(form.get("expand", ["false"])[-1])
