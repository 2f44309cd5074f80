"""A repository on the Hub as it is now: its files with their hashes, its tags, and single small files. Everything here only reads."""

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path

from ..card.write import CARD_NAME
from ..errors import DataError, HubError, UsageError
from ..manifest import FORMAT, MANIFEST_NAME
from .patience import Patience, explained, is_absent
from .versions import latest_version, parse_version

MAX_SMALL_BYTES = 50_000_000  # a manifest of 100,000 files has 20 MB; what is larger isn't read into memory


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository: size [bytes], sha256 if it is in large-file storage, and its git id."""

    size: int
    sha256: str | None
    git_id: str

    def same_as(self, other):
        """True when another RemoteFile has the same content."""
        return self.size == other.size and (self.git_id == other.git_id or (self.sha256 is not None and self.sha256 == other.sha256))


@dataclass(frozen=True)
class Snapshot:
    """A repository at one moment.

    Attributes:
        exists: False for a repository that is still to be made.
        head: commit of main, or None.
        files: {path: RemoteFile} of main.
        tags: {name: commit}.
        private: whether only its owners see it.
    """

    exists: bool
    head: str | None = None
    files: dict = field(default_factory=dict)
    tags: dict = field(default_factory=dict)
    private: bool = False

    @property
    def latest(self):
        """The highest version among the tags, or None."""
        return latest_version(self.tags)

    @property
    def released(self):
        """Commit of the latest version, or None."""
        return None if self.latest is None else self.tags[str(self.latest)]


class Remote:
    """Reads one repository.

    Args:
        api: huggingface_hub.HfApi.
        repo_id: such as "user/set".
        repo_type: "dataset" or "model".
        patience: Patience.
    """

    def __init__(self, api, repo_id, repo_type="dataset", patience=None):
        self.api, self.repo_id, self.repo_type = api, repo_id, repo_type
        self.patience = patience or Patience()
        self._trees = {}

    @functools.cached_property
    def url(self):
        return f"{self.api.endpoint}/{'datasets/' if self.repo_type == 'dataset' else ''}{self.repo_id}"

    def snapshot(self):
        """The Snapshot of now."""
        info = self._ask("look the repository up", self.api.repo_info)
        if info is None:
            return Snapshot(False)
        return Snapshot(True, info.sha, self.tree(info.sha), self.tags(), bool(info.private))

    def head(self):
        """The commit that main is at."""
        info = self._ask("look the repository up", self.api.repo_info)
        if info is None:
            raise HubError(f"{self.url} is gone")
        return info.sha

    def tags(self):
        """{tag: commit}."""
        refs = self._must("list the tags", self.api.list_repo_refs)
        return {ref.name: ref.target_commit for ref in refs.tags}

    def tree(self, revision, is_new=False):
        """{path: RemoteFile} of a revision, asked only once.

        Args:
            revision: a commit; a branch may move on.
            is_new: it was made a moment ago.

        Raises:
            UsageError: there is no such repository or revision.
        """
        if revision not in self._trees:

            def listed():
                return list(self.api.list_repo_tree(self.repo_id, recursive=True, revision=revision, repo_type=self.repo_type))

            patience = self.patience.lagging() if is_new else self.patience.once_more()
            rows = self._found(revision, "list the files", listed, patience=patience)
            self._trees[revision] = {
                row.path: RemoteFile(row.size, row.lfs.sha256 if row.lfs else None, row.blob_id) for row in rows if hasattr(row, "blob_id")
            }
        return self._trees[revision]

    def commit_of(self, revision):
        """The commit of a tag, a branch or a commit id.

        Raises:
            UsageError: there is no such repository or revision.
        """
        return self._found(
            revision, "look the revision up", self.api.repo_info, self.repo_id, revision=revision, repo_type=self.repo_type
        ).sha

    def history(self, revision="main"):
        """Commits, the newest first, as huggingface_hub gives them."""
        return self._found(
            revision, "list the commits", self.api.list_repo_commits, self.repo_id, revision=revision, repo_type=self.repo_type
        )

    def read(self, path, commit):
        """The bytes of a small file at a commit, or None when it has none; taken from the client's cache if it is there."""
        facts = self.tree(commit).get(path)
        if facts is None:
            return None
        if facts.size > MAX_SMALL_BYTES:
            raise DataError(f"{path} of {self.repo_id} has {facts.size:,} bytes, expected at most {MAX_SMALL_BYTES:,}")
        return self.local_copy(path, commit).read_bytes()

    def local_copy(self, path, commit):
        """pathlib.Path of a file of a commit in the client's cache, downloaded if need be."""
        try:
            return Path(
                self.patience.once_more().ask(
                    f"download {path}", self.api.hf_hub_download, self.repo_id, path, revision=commit, repo_type=self.repo_type
                )
            )
        except Exception as error:
            if is_absent(error):
                raise explained(error, f"download {path}") from error
            raise

    def manifest(self, commit):
        """The manifest of a commit as a dict; None when it has none of ours."""
        data = self.read(MANIFEST_NAME, commit)
        try:
            manifest = json.loads(data) if data else None
        except ValueError:
            return None
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or not isinstance(manifest.get("files"), dict):
            return None
        return manifest

    def card(self, commit):
        """The text of the card of a commit, "" without one."""
        return (self.read(CARD_NAME, commit) or b"").decode("utf-8-sig", "replace")

    def _ask(self, what, function, **kwargs):
        """A look-up that gives None when there is no such repository."""
        from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

        try:
            return self.patience.ask(what, function, self.repo_id, repo_type=self.repo_type, **kwargs)
        except GatedRepoError as error:
            raise UsageError(f"{self.url} is gated: ask for access on its page first") from error
        except RepositoryNotFoundError:
            return None
        except HFValidationError as error:
            raise UsageError(f"{self.repo_id!r} is no repo id: {error}") from error

    def _must(self, what, function, **kwargs):
        found = self._ask(what, function, **kwargs)
        if found is None:
            raise UsageError(f"{self.url} isn't there, or this token may not see it")
        return found

    def _found(self, revision, what, function, /, *args, patience=None, **kwargs):
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

        try:
            return (patience or self.patience).ask(what, function, *args, **kwargs)
        except RevisionNotFoundError:
            raise UsageError(f"{self.url} has no revision {revision!r}; `fgbg-depth versions {self.repo_id}` lists the versions") from None
        except RepositoryNotFoundError:
            raise UsageError(f"{self.url} isn't there, or this token may not see it") from None


def versions_of(tags):
    """[(Version, commit)] of the tags that are versions, the highest first."""
    found = {parse_version(name): commit for name, commit in tags.items() if parse_version(name)}
    return sorted(found.items(), reverse=True)


def split_name(name):
    """("user/set", revision or None) of "user/set" or "user/set@revision".

    Raises:
        UsageError: it is neither.
    """
    repo_id, _, revision = str(name).partition("@")
    if repo_id.count("/") != 1 or repo_id.startswith((".", "/", "~")) or not all(repo_id.split("/")):
        raise UsageError(f"{name} is neither a folder nor a repo id such as user/set or user/set@v1.0.0")
    return repo_id, revision or None
