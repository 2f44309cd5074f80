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

TEMP_FORM = ".{name}.fgbg-depth-{pid}"
TEMP_NAME = re.compile(r"\..+\.fgbg-depth-[0-9]+")  # only names of this form, which nobody else makes, are ever removed
LOCK_NAME = ".fgbg-depth.lock"
HASH_BLOCK_BYTES = 1 << 20
_DISK_ERRORS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than this file system allows",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "you may not write there",
    errno.EPERM: "you may not write there",
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
    temp = temp_path(path)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temp
            _flush(temp)
            temp.replace(path)
            _flush(path.parent)
        finally:
            temp.unlink(missing_ok=True)


def temp_path(path):
    """The temporary name beside a file, of this process alone; `sweep` removes what a killed process left."""
    path = Path(path)
    return path.with_name(TEMP_FORM.format(name=path.name, pid=os.getpid()))


@contextlib.contextmanager
def storage_errors(path):
    """Turn the operating system's words about the disk into one clear StorageError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        raise StorageError(
            f"{path}: {_DISK_ERRORS[error.errno]}. Finished files are kept: put that right and run the same command again to go on"
        ) from error


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
    """Remove the temporary files of killed processes. Only names that `temp_path` makes are touched."""
    for path in sorted(Path(folder).rglob(TEMP_FORM.format(name="*", pid="*"))):
        if TEMP_NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink()


@contextlib.contextmanager
def swept(folder):
    """No temporary files: of an earlier run that was killed, nor of a worker of this one."""
    sweep(folder)
    try:
        yield
    finally:
        sweep(folder)


@contextlib.contextmanager
def locked(folder):
    """Hold a folder alone. It is made if it is missing, and taken away again if nothing is in it at the end.

    The lock is the kernel's (flock): it ends with the process, however that ends, so no stale lock can stay.

    Raises:
        FolderError: another run holds it.
        UsageError: the path is a file, or can't be made.
    """
    folder = Path(folder)
    with storage_errors(folder):
        try:
            made = [path for path in (folder, *folder.parents) if not path.exists()]
            if not made and not folder.is_dir():
                raise UsageError(f"{folder} is a file, expected a folder (it may be missing); choose another --out")
            folder.mkdir(parents=True, exist_ok=True)
            handle = open(folder / LOCK_NAME, "a+b")  # noqa: SIM115 - closed below; closing it would drop the lock
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise
            raise UsageError(f"{folder} can't be made or written: {error.strerror}; choose another --out") from error
    with handle:
        if not _try_lock(handle):
            raise FolderError(f"{folder} is in use by another run; wait for it to end, or choose another --out")
        try:
            yield folder
        finally:
            # Removed while it is still held: whoever opens the name after this makes a new file, and nobody waits for the old one.
            (folder / LOCK_NAME).unlink(missing_ok=True)
            for path in made:
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()


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
        return os.path.samestat(os.fstat(handle.fileno()), Path(handle.name).stat())
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
