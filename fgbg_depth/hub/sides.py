"""The two sides of a comparison: a set in a folder, or a version on the Hub. Of the latter only the metadata tables are downloaded."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, UsageError
from ..manifest import MANIFEST_NAME, read_manifest
from .remote import Remote, split_name


@dataclass(frozen=True)
class Side:
    """One side.

    Attributes:
        name: as people wrote it.
        manifest: dict.
        folder: pathlib.Path of a set on disk, or None.
        remote, commit: where the files are otherwise.
    """

    name: str
    manifest: dict
    folder: Path | None = None
    remote: Remote | None = None
    commit: str | None = None

    @property
    def is_local(self):
        """True when the pictures are at hand."""
        return self.folder is not None

    def path(self, file):
        """pathlib.Path of a file, downloaded if need be.

        Raises:
            DataError: it isn't there.
        """
        if self.folder is None:
            if file not in self.remote.tree(self.commit):
                raise DataError(f"{self.name}: {file} is missing, and {MANIFEST_NAME} lists it")
            return self.remote.local_copy(file, self.commit)
        if not (self.folder / file).is_file():
            raise DataError(f"{self.folder / file} is missing, and {MANIFEST_NAME} lists it")
        return self.folder / file

    def tables(self, config):
        """{file: facts} of one config, sorted."""
        return {name: facts for name, facts in sorted(self.manifest["files"].items()) if facts.get("config") == config}


def open_side(name, api, patience):
    """A Side from a folder, or from "user/set" or "user/set@revision".

    Raises:
        UsageError: it is neither, or there is no such revision.
        DataError: it holds no set.
    """
    if Path(name).is_dir():
        return Side(str(name), read_manifest(name), folder=Path(name))
    if Path(name).exists():
        raise UsageError(f"{name} is a file, expected the folder of a set or a repo id such as user/set@v1.0.0")
    repo_id, revision = split_name(name)
    remote = Remote(api, repo_id, patience=patience)
    commit = remote.commit_of(revision or "main")
    manifest = remote.manifest(commit)
    if manifest is None:
        raise DataError(f"{name} has no {MANIFEST_NAME} that can be read: it holds no set of this kind")
    return Side(str(name), manifest, remote=remote, commit=commit)
