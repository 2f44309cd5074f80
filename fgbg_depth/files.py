"""Files that appear whole or not at all, and the lock that keeps two runs out of one folder.

A file is written under a temporary name, flushed to the disk, and renamed; the folder's entry is flushed too. After
a kill at any moment there are whole files and temporary ones; the next run, which holds the lock, removes the latter.
"""

import contextlib
import errno
import hashlib
import os
import re
from pathlib import Path

from .errors import FolderError, StorageError, UsageError

TEMP_NAME = re.compile(r"\.(?P<name>.+)\.part-[0-9]+")  # only names of this form are ever removed
LOCK_NAME = ".lock"
HASH_BLOCK_BYTES = 1 << 20
_DISK_ERRORS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than this file system allows",
    errno.EROFS: "the file system is read-only",
    errno.EIO: "the disk reports an input/output error",
}


@contextlib.contextmanager
def whole_file(path):
    """Write a file that appears whole or not at all.

    Args:
        path: where it shall appear; missing folders are made.

    Yields:
        pathlib.Path of the temporary file. When the block ends well it is flushed to the disk and renamed to `path`;
        when it doesn't it is removed.

    Raises:
        StorageError: the disk is full or can't be written.
    """
    path = Path(path)
    temp = path.with_name(f".{path.name}.part-{os.getpid()}")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temp
            _flush(temp)
            os.replace(temp, path)
            _flush(path.parent)
        finally:
            temp.unlink(missing_ok=True)


@contextlib.contextmanager
def storage_errors(path):
    """Turn the operating system's words about the disk into one clear StorageError."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_ERRORS:
            raise StorageError(
                f"{path}: {_DISK_ERRORS[error.errno]}; finished files are kept. Make room and run the same command again"
            ) from error
        raise


def write_text(path, text):
    """Write UTF-8 text, whole or not at all; nothing is touched when the file holds it already."""
    write_bytes(path, text.encode())


def write_bytes(path, data):
    """Write bytes, whole or not at all; nothing is touched when the file holds them already."""
    path = Path(path)
    if path.is_file() and path.read_bytes() == data:
        return
    with whole_file(path) as temp:
        temp.write_bytes(data)


def sha256_of(path):
    """Hex sha256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def sweep(folder):
    """Remove the temporary files of runs that were killed. Only names that `whole_file` makes are touched."""
    for path in sorted(Path(folder).rglob(".*.part-*")):
        if TEMP_NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink()


@contextlib.contextmanager
def locked(folder):
    """Hold a folder alone; made if it is missing.

    The lock is the kernel's (flock): it ends with the process, however that ends, so no stale lock can stay.

    Raises:
        FolderError: another run holds it.
        UsageError: the path is a file, or can't be made.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, expected a folder (it may be missing); choose another --out")
    try:
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            handle = open(folder / LOCK_NAME, "a+b")  # noqa: SIM115 - closed below; closing it would drop the lock
    except OSError as error:
        raise UsageError(f"{folder} can't be made or written: {error.strerror}; choose another --out") from error
    with handle:
        if not _try_lock(handle):
            raise FolderError(f"{folder} is in use by another run; wait for it to end, or choose another --out")
        yield folder
        # Removed while it is still held: whoever opens the name after this makes a new file, and nobody waits for the old one.
        with contextlib.suppress(FileNotFoundError):
            (folder / LOCK_NAME).unlink()


def _try_lock(handle):
    if os.name == "nt":
        import msvcrt

        try:
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # The name may have been removed between open and flock: then the lock is on a file that nobody else sees.
    try:
        return os.path.samestat(os.fstat(handle.fileno()), os.stat(handle.name))
    except FileNotFoundError:
        return False


def _flush(path):
    if os.name == "nt" and Path(path).is_dir():
        return  # Windows can't open a folder; its renames are journalled
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
