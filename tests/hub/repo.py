"""One repository on disk: blobs named by their hash, a JSON file per commit, and one state file with refs and settings.

A new state appears by rename, so a server killed at any moment is found again with the last whole state. (No fsync: it is the
process that gets killed here, not the machine.)
"""

import datetime
import functools
import hashlib
import json
import re
import threading
import time
from pathlib import Path
from typing import NamedTuple

from . import git
from .patterns import DEFAULT_ATTRIBUTES, is_large
from .wire import FileSlice, HubError

REGULAR_LIMIT_BYTES = 10 * 2**20  # larger files go to large file storage, whatever .gitattributes says
SHORT_ID = 5  # letters of a commit id that are enough, as the client's own check has it
_COMMIT = re.compile(rf"[0-9a-f]{{{SHORT_ID},40}}")


class File(NamedTuple):
    """A file of a tree: git blob id, size of the content [bytes], and the sha256 of the content if it is a large one."""

    oid: str
    size: int
    sha256: str | None = None

    @property
    def etag(self):
        return self.sha256 or self.oid


class Repo:
    """A repository. `lock` guards the state, `commit_lock` is held while a commit is made: a second one is refused."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.lock, self.commit_lock = threading.RLock(), threading.RLock()
        self.state = json.loads((self.folder / "state.json").read_text())

    @classmethod
    def create(cls, folder, repo_id, kind, private, author):
        """A new repository with the first commit that the Hub makes: .gitattributes."""
        for name in ("commits", "blobs", "large", "incoming"):
            (folder / name).mkdir(parents=True)
        state = {"repo_id": repo_id, "kind": kind, "private": private, "gated": False, "created": time.time()}
        write_json(folder / "state.json", {**state, "heads": {}, "tags": {}, "pulls": {}, "discussions": []})
        repo = cls(folder)
        files = {".gitattributes": repo.store_regular(DEFAULT_ATTRIBUTES.encode())}
        repo.add_commit("heads", "main", files, "initial commit", "", author)
        return repo

    uid = property(lambda self: self.folder.name)
    repo_id = property(lambda self: self.state["repo_id"])
    kind = property(lambda self: self.state["kind"])  # "datasets" or "models"
    private = property(lambda self: self.state["private"])

    def save(self, **changes):
        with self.lock:
            self.state.update(changes)
            write_json(self.folder / "state.json", self.state)

    # Blobs.

    def store_regular(self, data):
        oid = git.blob_id(data)
        path = self.folder / "blobs" / oid
        if not path.exists():
            temporary = path.with_name(f".{oid}.{threading.get_ident()}")
            temporary.write_bytes(data)
            temporary.replace(path)
        return File(oid, len(data))

    def large_file(self, sha256):
        """The File of an uploaded large object, or None."""
        path = self.large_path(sha256)
        if not path.is_file():
            return None
        size = path.stat().st_size
        return File(git.blob_id(git.lfs_pointer(sha256, size)), size, sha256)

    def large_path(self, sha256):
        return self.folder / "large" / sha256

    def store_large(self, pieces, sha256, size_bytes):
        """Take in a large object.

        Raises:
            HubError: 400, its bytes aren't those that were announced; nothing is kept.
        """
        temporary = self.folder / "incoming" / f"{sha256}.{threading.get_ident()}"
        digest, count = hashlib.sha256(), 0
        try:
            with temporary.open("wb") as file:
                for piece in pieces:
                    digest.update(piece)
                    count += len(piece)
                    file.write(piece)
            if count != size_bytes:
                raise HubError(400, f"EntityTooSmall or EntityTooLarge: {count} bytes came, {size_bytes} were announced")
            if digest.hexdigest() != sha256:
                raise HubError(400, f"BadDigest: the content's sha256 is {digest.hexdigest()}, {sha256} was announced")
            temporary.replace(self.large_path(sha256))
        finally:
            temporary.unlink(missing_ok=True)

    def content_path(self, file):
        return self.large_path(file.sha256) if file.sha256 else self.folder / "blobs" / file.oid

    # Commits and refs.

    def add_commit(self, refs, name, files, title, message, author, parents=(), changes=None):
        """Write a commit and point a ref at it, together with other changes of the state: all of it or nothing.

        Args:
            refs, name: "heads" and a branch, or "pulls" and a number.
            files: {path: File}.
            changes: function from the new commit's id to further keys of the state, set in the same write.

        Returns:
            The commit's id.
        """
        seconds = time.time()
        root = git.tree_ids(files)[""]
        oid = git.commit_id(root, parents, author, int(seconds), f"{title}\n\n{message}")
        commit = {"id": oid, "tree": root, "parents": list(parents), "title": title, "message": message, "author": author}
        write_json(
            self.folder / "commits" / f"{oid}.json",
            {**commit, "date": seconds, "files": {path: files[path] for path in sorted(files)}},
        )
        with self.lock:
            self.save(**{refs: {**self.state[refs], name: oid}}, **(changes(oid) if changes else {}))
        return oid

    def commit(self, oid):
        """A commit as a dict; its "files" is {path: File}, not to be changed."""
        return read_commit(self.folder / "commits" / f"{oid}.json")

    def files(self, revision="main"):
        return self.commit(self.resolve(revision))["files"]

    def history(self, revision="main"):
        """Commits from newest to oldest, along first parents."""
        oid = self.resolve(revision)
        while oid:
            commit = self.commit(oid)
            yield commit
            oid = next(iter(commit["parents"]), None)

    def find(self, revision):
        """The commit id of a branch, tag, refs/..., full or short commit id; None if there is no such."""
        state = self.state
        named = {
            **{f"refs/pr/{n}": oid for n, oid in state["pulls"].items()},
            **{f"refs/tags/{name}": tag["commit"] for name, tag in state["tags"].items()},
            **{f"refs/heads/{name}": oid for name, oid in state["heads"].items()},
            **{name: tag["commit"] for name, tag in state["tags"].items()},
            **state["heads"],
        }
        if revision in named:
            return named[revision]
        if not _COMMIT.fullmatch(revision):
            return None
        found = [p.stem for p in (self.folder / "commits").glob(f"{revision}*.json")]
        return found[0] if len(found) == 1 else None

    def resolve(self, revision):
        """As `find`, but raises HubError 404 RevisionNotFound."""
        oid = self.find(revision)
        if oid is None:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return oid

    def branch(self, revision):
        """Where a commit may go: ("heads", name) or ("pulls", number); HubError 404 for tags and commits."""
        name = revision.removeprefix("refs/heads/")
        if name in self.state["heads"]:
            return "heads", name
        number = revision.removeprefix("refs/pr/")
        if number != revision and number in self.state["pulls"]:
            return "pulls", number
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    # For tests: look at a repo and write to it without a client.

    @property
    def tags(self):
        """{tag: commit id}."""
        return {name: tag["commit"] for name, tag in self.state["tags"].items()}

    def head(self, branch="main"):
        return self.state["heads"][branch]

    def read(self, path, revision="main"):
        """Content of a file as bytes."""
        return self.content_path(self.files(revision)[path]).read_bytes()

    def titles(self, revision="main"):
        """Titles of the commits, newest first."""
        return [commit["title"] for commit in self.history(revision)]

    def write(self, changes, title="a change from elsewhere", author="alice", branch="main"):
        """Make a commit as somebody else would.

        Args:
            changes: {path: bytes, the pathlib.Path of a local file, or None to delete}.

        Returns:
            The commit's id.
        """
        with self.commit_lock:
            files = dict(self.files(branch))
            for path, content in changes.items():
                if content is None:
                    del files[path]
                else:
                    files[path] = self._store(path, content, branch)
            return self.add_commit("heads", branch, files, title, "", author, (self.head(branch),))

    def write_folder(self, folder, title="a folder from elsewhere", **kwargs):
        """Make a commit that adds all files of a local folder, hidden ones left out; see `write`."""
        paths = sorted(path for path in Path(folder).rglob("[!.]*") if path.is_file())
        return self.write({path.relative_to(folder).as_posix(): path for path in paths}, title, **kwargs)

    def tag(self, name, revision="main"):
        """Add a tag, as somebody else would."""
        with self.lock:
            self.save(tags={**self.state["tags"], name: {"commit": self.resolve(revision), "message": ""}})

    def _store(self, path, content, branch):
        """Keep bytes or a local file as the File that a push would make of it."""
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        if not self.is_large(path, size, branch):
            return self.store_regular(content if isinstance(content, bytes) else content.read_bytes())
        digest = hashlib.sha256()
        for piece in _pieces(content, size):
            digest.update(piece)
        self.store_large(_pieces(content, size), digest.hexdigest(), size)
        return self.large_file(digest.hexdigest())

    def is_large(self, path, size_bytes, revision="main"):
        """Whether a file of this name and size goes to large file storage."""
        file = self.files(revision).get(".gitattributes")
        attributes = self.content_path(file).read_text() if file else ""
        return size_bytes > 0 and (size_bytes > REGULAR_LIMIT_BYTES or is_large(attributes, path))


@functools.lru_cache(maxsize=64)  # of trees with some thousand files each
def read_commit(path):
    commit = json.loads(path.read_text())
    return {**commit, "files": {name: File(*facts) for name, facts in commit["files"].items()}}


def _pieces(content, size_bytes):
    return [content] if isinstance(content, bytes) else FileSlice(content, 0, size_bytes).pieces()


def write_json(path, value):
    temporary = path.with_name(f".{path.name}.{threading.get_ident()}")
    temporary.write_text(json.dumps(value, indent=1))
    temporary.replace(path)


def timestamp(seconds):
    """As the Hub writes times: 2026-01-02T03:04:05.000Z."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
