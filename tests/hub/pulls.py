"""Discussions and pull requests as they are kept in a repo's state; a pull request also has a git ref `refs/pr/N`."""

import hashlib
import json
import time

from .repo import timestamp
from .wire import HubError


def open_discussion(repo, title, text, user, pull=None, draft=False):
    """A new discussion, or a pull request.

    Args:
        pull: None, or {"base": commit id from which it starts, "target": branch}.

    Returns:
        (number as str, {"discussions": ...}): what to save in the repo's state.
    """
    number = len(repo.state["discussions"]) + 1
    discussion = {
        "num": number,
        "title": title,
        "author": user,
        "created": time.time(),
        "status": "draft" if draft else "open",
        "pull": pull,
        "events": [comment(user, text)],
    }
    return str(number), {"discussions": [*repo.state["discussions"], discussion]}


def find(repo, number):
    """A discussion of the state; HubError 404 if there is none."""
    for discussion in repo.state["discussions"]:
        if str(discussion["num"]) == number:
            return discussion
    raise HubError(404, f"Discussion {number} not found")


def changed(repo, number, **changes):
    """The list of discussions with one of them changed."""
    return [{**d, **changes} if str(d["num"]) == str(number) else d for d in repo.state["discussions"]]


def event(kind, user, data):
    facts = {"type": kind, "createdAt": timestamp(time.time()), "author": {"name": user}, "data": data}
    return {"id": hashlib.sha256(json.dumps([facts, time.monotonic_ns()]).encode()).hexdigest()[:24], **facts}


def comment(user, text):
    latest = {"raw": text, "html": text, "updatedAt": timestamp(time.time()), "author": {"name": user}}
    return event("comment", user, {"edited": False, "hidden": False, "latest": latest, "history": []})


def commit_events(repo, discussion):
    """One event for each commit of a pull request, oldest first."""
    events = []
    for commit in repo.history(f"refs/pr/{discussion['num']}"):
        if commit["id"] == discussion["pull"]["base"]:
            break
        facts = {"type": "commit", "createdAt": timestamp(commit["date"]), "author": {"name": commit["author"]}}
        events.insert(0, {"id": commit["id"][:24], **facts, "data": {"subject": commit["title"], "oid": commit["id"]}})
    return events


def merge_plan(repo, discussion):
    """What merging a pull request would do.

    Returns:
        (conflicts, files): paths that both sides changed, each in its own way; the merged tree {path: File}.
    """
    pull = discussion["pull"]
    base, ours = repo.commit(pull["base"])["files"], dict(repo.files(pull["target"]))
    theirs = repo.files(f"refs/pr/{discussion['num']}")
    conflicts = []
    for path in sorted(base.keys() | theirs.keys()):
        was, now, here = base.get(path), theirs.get(path), ours.get(path)
        if now in (was, here):
            continue
        if here != was:
            conflicts.append(path)
        elif now is None:
            del ours[path]
        else:
            ours[path] = now
    return conflicts, ours


def diff_heads(repo, discussion):
    """The first lines of a git diff, one for each changed file: what a client may want to show."""
    base = repo.commit(discussion["pull"]["base"])["files"]
    theirs = repo.files(f"refs/pr/{discussion['num']}")
    paths = sorted(p for p in base.keys() | theirs.keys() if base.get(p) != theirs.get(p))
    return "".join(f"diff --git a/{path} b/{path}\n" for path in paths)
