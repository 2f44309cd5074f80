"""A folder for scratch files of this process, where a set doesn't lie on this machine.

It is in the system's folder for temporary files (TMPDIR), and goes away with the process. One whose process was killed is removed by
the next that needs one: each is bound to a locked file, and the kernel drops a dead process's locks.
"""

import atexit
import contextlib
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "fgbg-depth-"
LOCK_SUFFIX = ".lock"
_own = {}  # process id -> (folder, open lock file); a forked process makes one of its own


def scratch_folder():
    """The folder of this process; it is made when it is first asked for."""
    pid = os.getpid()
    if pid not in _own:
        parent = Path(tempfile.gettempdir())
        _sweep(parent)
        _own[pid] = _make(parent)
        atexit.register(_remove, pid)
    return _own[pid][0]


def _make(parent):
    while True:
        handle = tempfile.NamedTemporaryFile(dir=parent, prefix=PREFIX, suffix=LOCK_SUFFIX, delete=False)  # noqa: SIM115 - held open
        if os.name == "nt" or _lock(handle):
            folder = Path(handle.name.removesuffix(LOCK_SUFFIX))
            folder.mkdir(mode=0o700)
            return folder, handle
        handle.close()  # another process swept it between the two lines


def drop_scratch():
    """Remove the folder of this process, if it has one: before an end that skips what `atexit` would do."""
    if os.getpid() in _own:
        _remove(os.getpid())


def _remove(pid):
    if pid == os.getpid() and pid in _own:
        folder, handle = _own.pop(pid)
        shutil.rmtree(folder, ignore_errors=True)
        Path(handle.name).unlink(missing_ok=True)
        handle.close()


def _sweep(parent):
    """Remove the folders of dead processes: those whose lock can be had."""
    for path in sorted(parent.glob(f"{PREFIX}*{LOCK_SUFFIX}")):
        with contextlib.suppress(OSError), open(path, "r+b") as handle:  # another user's, or gone meanwhile
            if _lock(handle):
                shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                path.unlink()


def _lock(handle):
    if os.name == "nt":
        return False  # nothing is swept there
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(handle.fileno()), Path(handle.name).stat())
    except (BlockingIOError, FileNotFoundError):
        return False
