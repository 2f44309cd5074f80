"""Files that appear whole or not at all, and the lock that keeps two runs out of one folder.

A file is written under a temporary name, flushed to the disk, and renamed; the folder's entry is flushed too. After
a kill at any moment there are whole files and temporary ones; the next run, which holds the lock, removes the latter.

In S3 a file is written on this machine and then sent, and the storage makes it appear when all of it is there. So nothing has to be
removed, and there is no lock: two runs of the same recipe and pictures write equal objects, and asset tables are never replaced.
"""

import contextlib
import errno
import hashlib
import itertools
import os
import re
import shutil
import time
from pathlib import Path

from .errors import FolderError, StorageError, UsageError
from .folders import as_folder, is_remote
from .s3 import check_folder, upload
from .scratch import scratch_folder

TEMP_FORM = ".{name}.fgbg-depth-{writer}"
TEMP_NAME = re.compile(r"\.(.+)\.fgbg-depth-[0-9]+")  # only names of this form, which nobody else makes, are ever removed
LOCK_NAME = ".fgbg-depth.lock"
SHARED_LOCK_WAIT_S = 5  # whoever leaves a shared lock last holds it alone for a moment
LOCK_POLL_S = 0.02
HASH_BLOCK_BYTES = 1 << 20
COPY_BLOCK_BYTES = 8 << 20  # of one request
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
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
def whole_file(path, only_new=False):
    """Write a file that appears whole or not at all.

    Args:
        path: where it shall appear, local or in S3; missing folders are made.
        only_new: in S3, where no lock keeps other runs out: leave what is there alone.

    Yields:
        pathlib.Path of the temporary file, on this machine. When the block ends well it is flushed to the disk and renamed to `path`,
        or sent; when it doesn't it is removed.

    Raises:
        FileExistsError: with `only_new`, the object is there already.
        StorageError: the disk is full or can't be written; or S3 can't.
    """
    path = as_folder(path)
    temp = temp_path(path)
    if is_remote(path):
        try:
            with storage_errors(temp):
                yield temp
            upload(temp, path, only_new)
        finally:
            temp.unlink(missing_ok=True)
        return
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
    """The temporary name beside a file, of this process alone; `sweep` removes what a killed process left.

    Machines that share the folder have equal process ids, so a random number goes with it. For a path in S3 it is in a scratch folder of
    this process.
    """
    path, pid = as_folder(path), os.getpid()
    if is_remote(path):
        return scratch_folder() / f"{next(_numbers)}-{path.name}"
    if pid not in _writers:
        _writers[pid] = f"{pid}{int.from_bytes(os.urandom(5)):013d}"
    return path.with_name(TEMP_FORM.format(name=path.name, writer=_writers[pid]))


_writers = {}  # process id -> its number; a forked process has one of its own
_numbers = itertools.count()  # of scratch files


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
    path = as_folder(path)
    if path.is_file() and path.read_bytes() == data:
        return
    with whole_file(path) as temp:
        temp.write_bytes(data)


def sha256_of(path):
    """Hex sha256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with as_folder(path).open("rb") as file:
        while block := file.read(COPY_BLOCK_BYTES if is_remote(path) else HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def size_and_sha256(path):
    """(bytes, hex sha256) of a file. An object in S3 isn't read again when the digest was sent with its bytes."""
    if not is_remote(path):
        return path.stat().st_size, sha256_of(path)
    facts = path.head()
    return facts.st_size, facts.sha256 or sha256_of(path)


def local_copy(path):
    """A file on this machine with the bytes of `path`: itself, or a scratch copy that this process fetches once."""
    if not is_remote(path):
        return path
    wanted = path, path.stat().etag
    if wanted not in _copies:
        copy = temp_path(path)
        with storage_errors(copy), path.open() as source, open(copy, "wb") as file:
            shutil.copyfileobj(source, file, COPY_BLOCK_BYTES)
        _copies[wanted] = copy
    return _copies[wanted]


_copies = {}  # (path, etag) -> scratch file


def sweep(folder, only=None):
    """Remove the temporary files of killed processes. Only names that `temp_path` makes are touched.

    Args:
        folder: where to look, in all that is below it too.
        only: paths; temporary files of others stay. None removes those of all.
    """
    if is_remote(as_folder(folder)):
        return  # they are on this machine, see scratch
    for path in sorted(Path(folder).rglob(TEMP_FORM.format(name="*", writer="*"))):
        named = TEMP_NAME.fullmatch(path.name)
        if not named or (only is not None and path.with_name(named[1]) not in only):
            continue
        if path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def swept(folder, only=None):
    """No temporary files: of an earlier run that was killed, nor of a worker of this one. Arguments: see `sweep`."""
    sweep(folder, only)
    try:
        yield
    finally:
        sweep(folder, only)


@contextlib.contextmanager
def locked(folder, shared=False):
    """Hold a folder alone. It is made if it is missing, and taken away again if nothing is in it at the end.

    The lock is the kernel's (flock): it ends with the process, however that ends, so no stale lock can stay. In S3 there is none.

    Args:
        folder: the folder, local or in S3.
        shared: hold it together with others that do the same; whoever wants it alone is kept out.

    Raises:
        FolderError: another run holds it.
        UsageError: the path is a file, or can't be made.
        StorageError: the bucket can't be listed.
    """
    folder = as_folder(folder)
    if is_remote(folder):
        check_folder(folder)
        yield folder
        return
    with storage_errors(folder):
        try:
            made = [path for path in (folder, *folder.parents) if not path.exists()]
            if not made and not folder.is_dir():
                raise UsageError(f"{folder} is a file, expected a folder (it may be missing); choose another --out")
            folder.mkdir(parents=True, exist_ok=True)
            handle = _open_lock(folder / LOCK_NAME, shared)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise
            raise UsageError(f"{folder} can't be made or written: {error.strerror}; choose another --out") from error
    if handle is None:
        raise FolderError(f"{folder} is in use by another run; wait for it to end, or choose another --out")
    with handle:
        try:
            yield folder
        finally:
            # Removed while it is held alone: whoever opens the name after this makes a new file, and nobody waits for the old one.
            if not shared or _try_lock(handle):
                (folder / LOCK_NAME).unlink(missing_ok=True)
            for path in made:
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()


def _open_lock(path, shared):
    """The open and locked file, or None: somebody else holds it."""
    until = time.monotonic() + (SHARED_LOCK_WAIT_S if shared else 0)
    while True:
        handle = open(path, "a+b")  # noqa: SIM115 - closing it drops the lock
        try:
            if _try_lock(handle, shared):
                return handle
        except BaseException:
            handle.close()
            raise
        handle.close()
        if time.monotonic() >= until:
            return None
        time.sleep(LOCK_POLL_S)


def _try_lock(handle, shared=False):
    if os.name == "nt":
        if shared:
            raise UsageError("several runs in one folder need locks that can be shared, which this system doesn't have")
        import msvcrt

        try:
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise UsageError(
            f"{Path(handle.name).parent}: its file system has no locks ({error.strerror}); mount it with them (Lustre: `-o flock`, NFS: "
            f"version 4), or choose another --out"
        ) from error
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
