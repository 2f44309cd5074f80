"""Several runs that make one set together: which shards are whose, and the locks that keep them apart.

Part I of N makes the shards I, N + I, 2 N + I, ... of the plan, so it is the same whatever is finished already. All parts hold the
folder's lock together; a run that wants the folder alone is kept out, and keeps them out. Each part holds a lock of its own too,
and parts of another N are refused while they would meet: no shard is ever made by two runs at once.

The locks are the kernel's. On a folder that machines share, its file system has to pass them on between machines. In S3 there are none:
parts that meet write equal objects, and the asset tables of whoever comes first stay.
"""

import contextlib
import re
import time
from dataclasses import dataclass

from .errors import FolderError, UsageError
from .files import LOCK_POLL_S, TEMP_FORM, _try_lock, locked, storage_errors, swept
from .folders import is_remote

# Lock files have the form of temporary files: whoever holds the folder alone sweeps them. Until then they tell which parts began.
PART_LOCK = TEMP_FORM.format(name="part-{number}-of-{count}", writer=0)
PART_LOCK_NAME = re.compile(r"\.part-([0-9]+)-of-([0-9]+)\.fgbg-depth-0")
TABLES_LOCK = TEMP_FORM.format(name="tables", writer=0)
_TEXT = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


@dataclass(frozen=True)
class Part:
    """Part `number`, counted from 1, of `count`."""

    number: int
    count: int

    def __str__(self):
        return f"{self.number}/{self.count}"

    @property
    def words(self):
        """As it stands in a sentence."""
        return f"part {self.number} of {self.count}"

    def of(self, shards):
        """This part of a plan's shards, a list."""
        return shards[self.number - 1 :: self.count]


def parse_part(text):
    """The Part that "I/N" names.

    Raises:
        UsageError: it isn't of that form, or I isn't in 1..N.
    """
    found = _TEXT.fullmatch(text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"--shards is {text!r}, expected I/N with I from 1 to N, such as 1/8 for the first of eight parts")
    return Part(int(found[1]), int(found[2]))


@contextlib.contextmanager
def locked_part(folder, part):
    """Hold one part of a folder; other parts may be made at the same time.

    Args:
        folder: the set's folder; it is made if it is missing.
        part: Part.

    Yields:
        the folder.

    Raises:
        FolderError: a run holds the folder alone, or this part, or parts of another number are being made.
        UsageError: see files.locked.
    """
    with locked(folder, shared=True) as folder, storage_errors(folder):
        if is_remote(folder):
            yield folder
            return
        path = folder / PART_LOCK.format(number=part.number, count=part.count)
        with open(path, "a+b") as handle:
            if not _try_lock(handle):
                raise FolderError(f"{part.words} of {folder} is being made by another run; wait for it to end, or make another part")
            for other in parts_begun(folder):
                if other.count != part.count and _is_held(folder / PART_LOCK.format(number=other.number, count=other.count)):
                    raise FolderError(
                        f"{other.words} of {folder} is being made, and this is {part.words}: parts of different numbers have shards in "
                        f"common. Use --shards I/{other.count}, or wait for it to end"
                    )
            yield folder


def parts_begun(folder):
    """The Parts that were begun since somebody last held the folder alone, by their lock files."""
    found = (PART_LOCK_NAME.fullmatch(path.name) for path in folder.iterdir())
    return sorted((Part(int(match[1]), int(match[2])) for match in found if match), key=lambda part: (part.count, part.number))


def _is_held(path):
    with contextlib.suppress(FileNotFoundError), open(path, "r+b") as handle:
        return not _try_lock(handle)
    return False


@contextlib.contextmanager
def tables_alone(folder, paths):
    """Hold the asset tables of a folder: one part writes them, others wait and find them there.

    Args:
        folder: the set's folder.
        paths: the tables; what a killed writer left of them is removed.
    """
    if is_remote(folder):
        yield
        return
    with open(folder / TABLES_LOCK, "a+b") as handle:
        while not _try_lock(handle):
            time.sleep(LOCK_POLL_S)
        with swept(folder, frozenset(paths)):
            yield
