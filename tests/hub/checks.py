"""What must hold in a hub at every moment, whatever was struck by a fault."""

import hashlib
import http.client
import urllib.parse

from . import git
from .listener import CHECK_HEADER
from .repo import read_commit

_known_good = set()  # (path, size, time of change) of blobs that were hashed before


def find_problems(hub):
    """A list of str, empty if all is well.

    - Every blob hashes to its name, every commit and tree to its id, and has all its files and parents.
    - Every ref points at a commit.
    - HEAD and GET of every file on every branch and tag agree with the tree: commit, ETag, size, content.
    - No token came to the cdn port.
    """
    found = [f"a token was sent to the cdn: {entry}" for entry in hub.log.auth_on_cdn()]
    for repo in hub.store.all():
        problems = [*_blobs(repo), *_commits(repo), *_refs(repo)]
        found += [f"{repo.kind}/{repo.repo_id}: {p}" for p in problems or _served(hub, repo)]
    return found


def _blobs(repo):
    for path in sorted((repo.folder / "large").iterdir()):
        if _hash_file(path, hashlib.sha256()) != path.name:
            yield f"large object {path.name} has other content"
    for path in sorted((repo.folder / "blobs").glob("[!.]*")):
        if _hash_file(path, hashlib.sha1(b"blob %d\0" % path.stat().st_size)) != path.name:
            yield f"blob {path.name} has other content"


def _hash_file(path, digest):
    facts = path.stat()
    known = (path, facts.st_size, facts.st_mtime_ns)
    if known in _known_good:
        return path.name
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    if digest.hexdigest() == path.name:
        _known_good.add(known)
    return digest.hexdigest()


def _commits(repo):
    for path in sorted((repo.folder / "commits").glob("[!.]*.json")):
        commit = read_commit.__wrapped__(path)  # from the disk, not from memory
        oid = commit["id"]
        tree = git.tree_ids(commit["files"])[""]
        text = f"{commit['title']}\n\n{commit['message']}"
        if tree != commit["tree"] or oid != path.stem:
            yield f"commit {path.stem} doesn't name its tree"
        if git.commit_id(tree, commit["parents"], commit["author"], int(commit["date"]), text) != oid:
            yield f"commit {oid} doesn't hash to its id"
        yield from (f"commit {oid}: parent {p} is missing" for p in commit["parents"] if repo.find(p) != p)
        for name, file in commit["files"].items():
            content = repo.content_path(file)
            if not content.is_file() or content.stat().st_size != file.size:
                yield f"commit {oid}: {name} is missing or has another size"
            elif file.sha256 and git.blob_id(git.lfs_pointer(file.sha256, file.size)) != file.oid:
                yield f"commit {oid}: {name} has another pointer"


def _refs(repo):
    if "main" not in repo.state["heads"]:
        yield "there is no main"
    refs = {**repo.state["heads"], **repo.tags, **repo.state["pulls"]}
    yield from (f"ref {name} points at {oid}, which is no commit" for name, oid in refs.items() if repo.find(oid) != oid)


def _served(hub, repo):
    """Ask for every file of every branch and tag over HTTP; content that was right once isn't read again."""
    prefix = "/datasets/" if repo.kind == "datasets" else "/"
    commits = {*repo.state["heads"].values(), *repo.tags.values()}
    wanted = {(name, file): oid for oid in sorted(commits) for name, file in repo.files(oid).items()}
    ports = {url: http.client.HTTPConnection(url.removeprefix("http://"), timeout=60) for url in (hub.endpoint, hub.cdn_endpoint)}
    try:
        for (name, file), oid in sorted(wanted.items()):
            url = f"{hub.endpoint}{prefix}{repo.repo_id}/resolve/{oid}/{urllib.parse.quote(name)}"
            yield from (f"{name} at {oid}: {p}" for p in _serve_file(hub, ports, url, repo.content_path(file), file, oid))
    finally:
        for port in ports.values():
            port.close()


def _serve_file(hub, ports, url, path, file, oid):
    read_before = (url, path, path.stat().st_mtime_ns) in _known_good
    for method in ("HEAD",) if read_before else ("HEAD", "GET"):
        status, headers, digest = _ask(hub, ports, method, url, hashlib.sha1(b"blob %d\0" % file.size))
        etag = headers.get("X-Linked-Etag" if file.sha256 else "ETag")
        size = headers.get("X-Linked-Size" if file.sha256 else "Content-Length")
        expected = (302 if file.sha256 else 200, oid, f'"{file.etag}"', str(file.size))
        if (status, headers.get("X-Repo-Commit"), etag, size) != expected:
            yield f"{method} gives {(status, headers.get('X-Repo-Commit'), etag, size)}, expected {expected}"
            return
    if read_before:
        return
    if file.sha256:
        _, _, digest = _ask(hub, ports, "GET", headers["Location"], hashlib.sha256())
    if digest == file.etag:
        _known_good.add((url, path, path.stat().st_mtime_ns))
    else:
        yield f"its content hashes to {digest}, expected {file.etag}"


def _ask(hub, ports, method, url, digest):
    """One request of the check itself: status, headers, and the hash of the body."""
    parts = urllib.parse.urlsplit(url)
    port = ports[f"{parts.scheme}://{parts.netloc}"]
    port.request(method, f"{parts.path}?{parts.query}", headers={CHECK_HEADER: hub.check_key})
    answer = port.getresponse()
    while piece := answer.read(1 << 20):
        digest.update(piece)
    return answer.status, answer.headers, digest.hexdigest()
