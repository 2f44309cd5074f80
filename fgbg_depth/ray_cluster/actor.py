"""What lives on the nodes of a Ray cluster: an actor that works on one item at a time, and a call of a function.

Errors come back as values, which keep type and message: Ray would wrap exceptions.
"""

import os
import socket
import traceback

from .. import __version__
from ..errors import DepthModelError, FolderError
from ..manifest import library_versions
from ..produce import one_thread
from ..scratch import drop_scratch


class Actor:
    """A worker on some node."""

    def __init__(self):
        self._work, self._at = None, (None, 0)

    def open(self, task, versions, needed):
        """Load what items are worked on with; returns ("ready", node, process id)."""
        try:
            check_node(versions, needed)
            self._threads = one_thread()
            self._threads.__enter__()  # for the life of this process
            self._work = task.open()
        except Exception as error:
            return _told(error)
        return "ready", socket.gethostname(), os.getpid()

    def work(self, item):
        """Returns ("done", result, rows counted)."""
        self._at = (item, 0)
        try:
            result = self._work(item, self._say)
        except Exception as error:
            return _told(error)
        return "done", result, self._at[1]

    def _say(self, count):
        item, said = self._at
        self._at = (item, said + count)

    def said(self):
        """(item under way, rows counted so far); answered while `work` goes on."""
        return self._at

    def leave(self, at_work):
        """Make ready for the end. In the middle of work the process ends at once: what it left half-written is the caller's to sweep."""
        drop_scratch()
        if at_work:
            os._exit(0)


def call_there(versions, function, arguments):
    """Call a function; returns ("done", what it gives)."""
    try:
        check_node(versions, ())
        with one_thread():
            return "done", function(*arguments)
    except Exception as error:
        return _told(error)


def _told(error):
    """An exception as a message between processes, with the node's name."""
    return "error", type(error).__name__, f"{error} (on node {socket.gethostname()})", traceback.format_exc()


def versions_here():
    """What has to be the same on all nodes: versions of this package and of the libraries that decide bytes."""
    return {"fgbg_depth": __version__, **library_versions(has_depth=True)}


def check_node(versions, needed):
    """Refuse a node with other versions, or one that doesn't see some files.

    Args:
        versions: `versions_here` of the machine where the run was started.
        needed: paths.
    """
    ours = versions_here()
    differ = [
        f"{name} {ours.get(name, 'none')} there, {versions.get(name, 'none')} where the run was started"
        for name in sorted({*ours, *versions})
        if ours.get(name) != versions.get(name)
    ]
    if differ:
        raise DepthModelError(f"a node of the Ray cluster has other libraries, and bytes may depend on them: {'; '.join(differ)}")
    for path in needed:
        if not path.is_file():
            raise FolderError(
                f"a node of the Ray cluster doesn't see {path}: the set's folder has to be in S3, or on a file system that all nodes "
                f"share, under the same path"
            )
