"""Discussions and pull requests: open, list, show, comment, rename, close, merge."""

from . import pulls
from .repo import timestamp
from .routing import Router
from .wire import HubError, Response

router = Router()
PER_PAGE = 10
MIN_TITLE, MAX_TITLE = 3, 200  # letters


@router.route("POST", "{api}/discussions", needs="propose")
def create(hub, request):
    repo, asked = request.repo, request.json()
    title = asked.get("title", "").strip()
    if not MIN_TITLE <= len(title) <= MAX_TITLE:
        raise HubError(400, f"title must have {MIN_TITLE} to {MAX_TITLE} letters")
    is_pull = bool(asked.get("pullRequest"))
    with repo.lock:
        head = repo.head()
        pull = {"base": head, "target": "main"} if is_pull else None
        number, changes = pulls.open_discussion(repo, title, asked.get("description", ""), request.who.user, pull, draft=is_pull)
        if is_pull:
            changes["pulls"] = {**repo.state["pulls"], number: head}
        repo.save(**changes)
    return Response.json({"num": int(number), "pullRequest": is_pull})


@router.route("GET", "{api}/discussions")
def index(hub, request):
    found = [d for d in reversed(request.repo.state["discussions"]) if _wanted(d, request)]
    start = int(request.param("p", "0")) * PER_PAGE
    page = [_summary(request.repo, d) for d in found[start : start + PER_PAGE]]
    return Response.json({"discussions": page, "count": len(found), "start": start})


@router.route("GET", "{api}/discussions/{number}")
def details(hub, request):
    repo = request.repo
    found = pulls.find(repo, request.args["number"])
    answer = {**_summary(repo, found), "events": found["events"]}
    if found["pull"]:
        conflicts = pulls.merge_plan(repo, found)[0] if found["status"] in ("open", "draft") else []
        answer["events"] = sorted(found["events"] + pulls.commit_events(repo, found), key=lambda e: e["createdAt"])
        answer["changes"] = {"base": found["pull"]["target"], "mergeCommitId": found["pull"].get("merged")}
        answer |= {"filesWithConflicts": conflicts, "diff": pulls.diff_heads(repo, found)}
    return Response.json(answer)


@router.route("POST", "{api}/discussions/{number}/comment", needs="propose")
def comment(hub, request):
    event = pulls.comment(request.who.user, request.json()["comment"])
    _add_event(request, event)
    return Response.json({"newMessage": event})


@router.route("POST", "{api}/discussions/{number}/title", needs="propose")
def rename(hub, request):
    title = request.json()["title"]
    found = pulls.find(request.repo, request.args["number"])
    event = pulls.event("title-change", request.who.user, {"from": found["title"], "to": title})
    _add_event(request, event, title=title)
    return Response.json({"newTitle": event})


@router.route("POST", "{api}/discussions/{number}/status", needs="propose")
def change_status(hub, request):
    status = request.json()["status"]
    found = pulls.find(request.repo, request.args["number"])
    if status not in ("open", "closed") or found["status"] == "merged":
        raise HubError(400, f"the status can't become {status!r}")
    event = pulls.event("status-change", request.who.user, {"status": status})
    _add_event(request, event, status=status)
    return Response.json({"newStatus": event})


@router.route("POST", "{api}/discussions/{number}/merge", needs="write")
def merge(hub, request):
    """Bring the changes of a pull request to its branch as one commit; refused where both changed a file."""
    repo, user, number = request.repo, request.who.user, request.args["number"]
    if not repo.commit_lock.acquire(blocking=False):
        raise HubError(409, "Another commit operation is in progress for this repository. Please try again later.")
    try:
        found = pulls.find(repo, number)
        if not found["pull"] or found["status"] in ("merged", "closed"):
            raise HubError(400, f"discussion {number} can't be merged, it is {found['status']}")
        conflicts, files = pulls.merge_plan(repo, found)
        if conflicts:
            raise HubError(409, f"There are conflicts with the target branch: {', '.join(conflicts)}")
        target = found["pull"]["target"]
        events = [*found["events"], pulls.event("status-change", user, {"status": "merged"})]

        def merged(oid):
            pull = {**found["pull"], "merged": oid}
            return {"discussions": pulls.changed(repo, number, status="merged", pull=pull, events=events)}

        title = f"{found['title']} (#{number})"
        oid = repo.add_commit("heads", target, files, title, "", user, (repo.head(target),), merged)
    finally:
        repo.commit_lock.release()
    return Response.json({"mergeCommitId": oid})


def _summary(repo, discussion):
    return {
        "num": discussion["num"],
        "title": discussion["title"],
        "author": {"name": discussion["author"]},
        "createdAt": timestamp(discussion["created"]),
        "status": discussion["status"],
        "repo": {"name": repo.repo_id, "type": repo.kind.removesuffix("s")},
        "isPullRequest": discussion["pull"] is not None,
    }


def _wanted(discussion, request):
    """Whether a discussion passes the filters of a listing; "all" and nothing mean any."""
    kind = "pull_request" if discussion["pull"] else "discussion"
    state = "open" if discussion["status"] in ("open", "draft") else "closed"
    author = request.param("author")
    return (
        request.param("type", "all") in ("all", kind)
        and request.param("status", "all") in ("all", state)
        and author in (None, discussion["author"])
    )


def _add_event(request, event, **changes):
    repo, number = request.repo, request.args["number"]
    with repo.lock:
        events = [*pulls.find(repo, number)["events"], event]
        repo.save(discussions=pulls.changed(repo, number, events=events, **changes))
