"""Writing: preupload, large file storage (batch, complete, verify), commit."""

import hashlib
import math

from . import accounts, commits, xet
from .cards import check_card
from .patterns import is_ignored
from .pulls import open_discussion
from .routing import Router
from .wire import HubError, Response

router = Router()
_SHA256_LETTERS = 64


def _is_proposal(request):
    """Whether a write goes to a pull request, which readers may make, and not to a branch."""
    return request.flag("create_pr") or request.args.get("revision", "").startswith("refs/pr/")


def _check_right(request):
    (accounts.check_propose if _is_proposal(request) else accounts.check_write)(request.who, request.repo)


@router.route("POST", "{api}/preupload/{revision}", needs="own")
def preupload(hub, request):
    _check_right(request)
    repo, revision, asked = request.repo, request.args["revision"], request.json()
    files, answers = repo.files(revision), []
    for wanted in asked["files"]:
        path, known = wanted["path"], files.get(wanted["path"])
        mode = "lfs" if repo.is_large(path, wanted["size"], revision) else "regular"
        ignored = is_ignored(asked.get("gitIgnore") or "", path)
        answer = {"path": path, "uploadMode": mode, "shouldIgnore": ignored}
        answers.append({**answer, "oid": known.etag} if known else answer)
    return Response.json({"files": answers, "commitOid": repo.resolve(revision)})


@router.route("POST", "{git}/info/lfs/objects/batch", needs="own")
def batch(hub, request):
    repo, asked = request.repo, request.json()
    reference = (asked.get("ref") or {}).get("name")
    # Without a ref the objects are meant for a pull request.
    if reference is None or reference.startswith("refs/pr/"):
        accounts.check_propose(request.who, repo)
    else:
        accounts.check_write(request.who, repo)
        repo.resolve(reference)
    if asked.get("operation") != "upload" or asked.get("hash_algo", "sha256") != "sha256":
        raise HubError(400, "only uploads with sha256 are served here")
    transfers = asked.get("transfers") or ["basic"]
    objects = [_upload(hub, repo, o["oid"], o["size"], transfers) for o in asked["objects"]]
    several = any("chunk_size" in o.get("actions", {}).get("upload", {}).get("header", {}) for o in objects)
    answer = {"transfer": "multipart" if several else "basic", "objects": objects}
    return Response.json(answer, headers={"Content-Type": "application/vnd.git-lfs+json"})


def _upload(hub, repo, oid, size, transfers):
    """How one object is to be sent, if at all."""
    if len(oid) != _SHA256_LETTERS or not isinstance(size, int) or size < 0:
        return {"oid": oid, "size": size, "error": {"code": 422, "message": "the oid isn't a sha256, or the size isn't one"}}
    if oid in hub.refused:
        return {"oid": oid, "size": size, "error": {"code": 422, "message": hub.refused[oid]}}
    stored = repo.large_file(oid)
    if stored and stored.size != size:
        message = f"the stored object has {stored.size} bytes, not {size}"
        return {"oid": oid, "size": size, "error": {"code": 422, "message": message}}
    if stored:
        return {"oid": oid, "size": size}
    verify = {"href": f"{hub.endpoint}/{_prefix(repo)}{repo.repo_id}.git/info/lfs/objects/verify"}
    chunk = hub.options.part_bytes
    if "multipart" not in transfers or size <= chunk:
        upload = {"href": hub.signer.url(hub.cdn_endpoint, "put", f"/{repo.uid}/{oid}", size=size)}
        return {"oid": oid, "size": size, "actions": {"upload": upload, "verify": verify}}
    made = hub.next_upload()
    upload_id = hashlib.sha256(f"{repo.uid}/{oid}/{made}".encode()).hexdigest()[:24]
    header = {"chunk_size": str(chunk)}
    for number in range(1, math.ceil(size / chunk) + 1):
        length = min(chunk, size - chunk * (number - 1))
        header[str(number)] = hub.signer.url(
            hub.cdn_endpoint, "part", f"/{repo.uid}/{oid}", uploadId=upload_id, partNumber=number, size=length
        )
    complete = hub.signer.url(
        hub.endpoint, "complete", "/api/complete_multipart", uploadId=upload_id, uid=repo.uid, oid=oid, size=size, parts=len(header) - 1
    )
    return {"oid": oid, "size": size, "actions": {"upload": {"href": complete, "header": header}, "verify": verify}}


@router.route("POST", "/api/complete_multipart")
def complete_multipart(hub, request):
    """Put the parts together; asked a second time for what is stored, it says yes again."""
    fields = hub.signer.check(request, "complete")
    repo = hub.store.by_uid(fields["uid"])
    if repo is None:
        raise HubError(404, "NoSuchBucket: the repository is gone")
    asked = request.json()
    if asked.get("oid") != fields["oid"]:
        raise HubError(400, f"this upload is of {fields['oid']}, not of {asked.get('oid')}")
    if repo.large_file(fields["oid"]):
        return Response.json({"success": True})
    folder = repo.folder / "incoming" / fields["uploadId"]
    numbers = [part["partNumber"] for part in asked["parts"]]
    if numbers != list(range(1, int(fields["parts"]) + 1)):
        raise HubError(400, f"InvalidPart: parts 1 to {fields['parts']} were expected, {numbers} came")
    for part in asked["parts"]:
        path = folder / f"{part['partNumber']}"
        etag = folder / f"{part['partNumber']}.etag"
        if not path.is_file() or etag.read_text() != part["etag"]:
            raise HubError(400, f"InvalidPart: part {part['partNumber']} never arrived, or its ETag is another")
    repo.store_large(_read_parts(folder, len(numbers)), fields["oid"], int(fields["size"]))
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    return Response.json({"success": True})


def _read_parts(folder, count):
    for number in range(1, count + 1):
        with (folder / f"{number}").open("rb") as file:
            while piece := file.read(1 << 20):
                yield piece


@router.route("POST", "{git}/info/lfs/objects/verify", needs="own")
def verify(hub, request):
    accounts.check_propose(request.who, request.repo)
    asked = request.json()
    stored = request.repo.large_file(asked["oid"])
    if stored is None:
        raise HubError(404, f"Object {asked['oid']} was never uploaded")
    if stored.size != asked["size"]:
        raise HubError(400, f"Object {asked['oid']} has {stored.size} bytes, not {asked['size']}")
    return Response.json({"message": "ok"})


@router.route("POST", "{api}/commit/{revision}", needs="own")
def commit(hub, request):
    _check_right(request)
    repo, options = request.repo, hub.options
    if (request.body.length or 0) > options.commit_limit_bytes:
        raise HubError(413, f"request entity too large: {request.body.length} bytes, at most {options.commit_limit_bytes}")
    plan = commits.parse(request.body.lines())
    if plan.large_count > options.commit_limit_files:
        raise HubError(413, f"too many LFS files in one commit: {plan.large_count}, at most {options.commit_limit_files}")
    if not repo.commit_lock.acquire(blocking=False):
        raise HubError(409, "Another commit operation is in progress for this repository. Please try again later.")
    try:
        return Response.json(_commit(hub, request, plan))
    finally:
        repo.commit_lock.release()


def _commit(hub, request, plan):
    repo, revision, user = request.repo, request.args["revision"], request.who.user
    refs, name = repo.branch(revision)
    head = repo.state[refs][name]
    if request.flag("create_pr"):
        # A pull request starts at the given parent, wherever the branch is by now.
        head = repo.resolve(plan.parent) if plan.parent else head
    elif plan.parent is not None and not (len(plan.parent) >= 5 and head.startswith(plan.parent)):
        raise HubError(412, "A commit has happened since. Please refresh and try again.")
    files = commits.apply(plan, repo.files(head), repo.store_regular, lambda oid: xet.take(hub, repo, oid))
    _check_readme(repo, files, repo.files(head))
    answer = {"success": True, "hookOutput": ""}
    if request.flag("create_pr"):
        if refs != "heads":
            raise HubError(400, f"a pull request can't go to {revision}, which is none of the branches")
        with repo.lock:
            number, changes = open_discussion(repo, plan.title, plan.message, user, {"base": head, "target": name})
            oid = repo.add_commit("pulls", number, files, plan.title, plan.message, user, (head,), lambda _: changes)
        answer["pullRequestUrl"] = f"{hub.endpoint}/{_prefix(repo)}{repo.repo_id}/discussions/{number}"
    else:
        oid = repo.add_commit(refs, name, files, plan.title, plan.message, user, (head,))
    return {**answer, "commitOid": oid, "commitUrl": f"{hub.endpoint}/{_prefix(repo)}{repo.repo_id}/commit/{oid}"}


def _check_readme(repo, files, before):
    """A README.md that a commit brings must hold good YAML."""
    card = files.get("README.md")
    if card is None or card == before.get("README.md"):
        return
    text = repo.content_path(card).read_text(errors="replace")
    errors, _ = check_card(text, repo.kind.removesuffix("s"))
    if errors:
        raise HubError(400, "Your push was rejected due to an issue with the metadata of README.md:\n" + "\n".join(errors))


def _prefix(repo):
    """What stands before the name of a repo in the addresses of the web: nothing for a model."""
    return "datasets/" if repo.kind == "datasets" else ""
