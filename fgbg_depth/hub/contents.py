"""The files of a set on disk, as they are published: those that its manifest lists, the manifest, croissant.json, sheets and card.

Nothing else in the folder is ever sent, whatever lies there.
"""

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

from ..card.write import CARD_NAME
from ..croissant import CROISSANT_NAME
from ..errors import DataError
from ..files import HASH_BLOCK_BYTES, sha256_of
from ..manifest import MANIFEST_NAME, read_manifest

SHEETS = "assets/*.png"


@dataclass(frozen=True)
class LocalFile:
    """A file to publish.

    Attributes:
        path: in the repository.
        size: [bytes].
        sha256: of its content, hex.
        source: pathlib.Path, or its bytes.
    """

    path: str
    size: int
    sha256: str
    source: object

    @functools.cached_property
    def git_id(self):
        """The id that git gives to this content; files outside of large-file storage are known by it."""
        digest = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        if isinstance(self.source, bytes):
            digest.update(self.source)
            return digest.hexdigest()
        with open(self.source, "rb") as file:
            while block := file.read(HASH_BLOCK_BYTES):
                digest.update(block)
        return digest.hexdigest()

    def same_as(self, remote):
        """True when a remote.RemoteFile has the same content."""
        if self.size != remote.size:
            return False
        return self.sha256 == remote.sha256 if remote.sha256 else self.git_id == remote.git_id


def from_bytes(path, data):
    """A LocalFile that was made in memory."""
    return LocalFile(path, len(data), hashlib.sha256(data).hexdigest(), data)


def from_path(path, source):
    """A LocalFile of a file on disk, hashed now."""
    return LocalFile(path, source.stat().st_size, sha256_of(source), source)


def read_contents(folder):
    """(manifest, {path: LocalFile}) of a finished set; the card is among the files.

    Raises:
        DataError: the set is unfinished, or a file is missing or has another size than the manifest says.
    """
    folder = Path(folder)
    manifest, files = read_manifest(folder), {}
    for path, facts in manifest["files"].items():
        if ".." in path.split("/") or path.startswith("/") or "\\" in path:
            raise DataError(f"{folder / MANIFEST_NAME}: its entry {path!r} is malformed")
        source = folder / path
        if not source.is_file():
            raise DataError(f"{source} is missing, and {MANIFEST_NAME} lists it; run `fgbg-depth verify {folder}` to see what is wrong")
        if source.stat().st_size != facts["bytes"]:
            raise DataError(
                f"{source} has {source.stat().st_size:,} bytes, {MANIFEST_NAME} says {facts['bytes']:,}; run `fgbg-depth verify {folder}`"
            )
        files[path] = LocalFile(path, facts["bytes"], facts["sha256"], source)
    for name in (CARD_NAME, CROISSANT_NAME):
        if not (folder / name).is_file():
            raise DataError(f"{folder / name} is missing; `fgbg-depth card {folder}` makes it")
    for source in (folder / MANIFEST_NAME, folder / CROISSANT_NAME, folder / CARD_NAME, *sorted(folder.glob(SHEETS))):
        path = source.relative_to(folder).as_posix()
        files[path] = from_path(path, source)
    return manifest, files


def check_hashes(files, on_bytes=None):
    """Compare the files with the hashes that the manifest gives.

    Args:
        files: iterable of LocalFile.
        on_bytes: function (bytes read so far), called after each file.

    Raises:
        DataError: the first files that differ are named.
    """
    wrong, done = [], 0
    for file in files:
        if sha256_of(file.source) != file.sha256:
            wrong.append(str(file.source))
        done += file.size
        if on_bytes:
            on_bytes(done)
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise DataError(f"{', '.join(wrong[:3])}{more}: the bytes aren't those that {MANIFEST_NAME} lists; nothing was sent")
