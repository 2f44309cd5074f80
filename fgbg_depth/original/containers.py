"""Files of a tree and members of its zips, found by name and read in place; nothing is ever unpacked to the disk.

A zip's directory is read once. A member is then read by its place in the file, at most as many bytes as the directory says, which are
bounded, so neither a bomb nor a lying header can fill the memory. Names only tell what a picture is; none is used as a path
to write to, and one that leads out of its folder is refused all the same.
"""

import os
import stat
import struct
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ..assets.walk import printable
from ..errors import CodecError, UsageError

MAX_FILE_BYTES = 64 << 20  # a picture of 4096 x 4096 pixels as PNG has at most 50 MB
MAX_TEXT_BYTES = 256 << 20  # of annotations.txt: 2 million rows
MAX_MEMBERS = 4_000_000  # of one zip; the whole set of 2020 has 1.2 million pictures
OPEN_ZIPS = 200  # files that a reader keeps open: one for each background of the set of 2020, and far from what a process may
SYSTEM_NAMES = ("__macosx", "thumbs.db", "desktop.ini")
STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature; lengths of name and extra field
_LOCAL_SIGNATURE = b"PK\3\4"


class Place(NamedTuple):
    """Where the bytes of a picture are.

    Attributes:
        size: bytes of the picture.
        offset: -1 for a file; else the place of the member's header in the zip.
        packed: bytes of the member in the zip.
        method: STORED or DEFLATED.
        crc: CRC-32 of the picture's bytes.
    """

    size: int
    offset: int = -1
    packed: int = 0
    method: int = STORED
    crc: int = 0


class Found(NamedTuple):
    """One file or member.

    Attributes:
        folder: the folder that holds it, from the top of the tree, "" for the top; of a member, the folder in its zip.
        name: its file name.
        zip: path of the zip from the top of the tree, or "".
        place: Place, or None where `problem` says why it can't be used.
        problem: words, or "".
    """

    folder: str
    name: str
    zip: str
    place: Place | None
    problem: str = ""

    @property
    def label(self):
        """How messages name it."""
        inside = f"{self.folder}/{self.name}" if self.folder else self.name
        return printable(f"{self.zip}:{inside}" if self.zip else inside)

    @property
    def folders(self):
        """Names of all folders around it; the zip's own name, without .zip, is one of them."""
        outer = PurePosixPath(self.zip[: -len(".zip")]).parts if self.zip else ()
        return (*outer, *PurePosixPath(self.folder).parts)


def find_all(tree):
    """Walk a tree, or one zip.

    Args:
        tree: a folder or a .zip.

    Yields:
        Found, in the order of their names; hidden files and what operating systems leave behind aren't.

    Raises:
        UsageError: it is neither, or can't be read.
    """
    tree = Path(tree)
    if tree.is_file() and tree.suffix.lower() == ".zip":
        yield from _members(tree, tree.name)
        return
    if not tree.is_dir():
        raise UsageError(f"{tree} is neither a folder nor a .zip; name the tree of a set of 2020")
    root = tree.resolve()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        inner = []
        for entry in sorted(_entries(tree / folder), key=lambda e: e.name):
            path = f"{folder}/{entry.name}" if folder else entry.name
            if _is_hidden(entry.name):
                continue
            problem = _link_problem(entry, root)
            if problem:
                yield Found(folder, entry.name, "", None, problem)
            elif entry.is_dir():
                inner.append(path)
            elif entry.name.lower().endswith(".zip"):
                yield from _members(tree / path, path)
            elif entry.is_file():
                yield _checked(Found(folder, entry.name, "", Place(entry.stat().st_size)))
        waiting += reversed(inner)


def _entries(folder):
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise UsageError(f"the folder {folder} can't be read: {error.strerror}") from error


def _is_hidden(name):
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def _link_problem(entry, root):
    if not entry.is_symlink():
        return ""
    try:
        target = Path(entry.path).resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: a loop, before Python 3.13
        return "a symlink that leads nowhere"
    if not target.is_relative_to(root):
        return "a symlink that leads out of the tree"
    return "a symlink to a folder; its pictures are found where they are" if target.is_dir() else ""


def _checked(found):
    bound = MAX_TEXT_BYTES if found.name.lower().endswith(".txt") else MAX_FILE_BYTES
    if max(found.place.size, found.place.packed) > bound:
        return found._replace(place=None, problem=f"has {found.place.size:,} bytes, more than the bound of {bound:,}")
    return found


def _members(path, name):
    """All members of a zip, in the order of their names."""
    where = PurePosixPath(name)
    broken = Found("" if where.parent == PurePosixPath(".") else str(where.parent), where.name, "", None)
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, struct.error) as error:
        yield broken._replace(problem=f"not a zip that can be read: {error}")
        return
    if len(infos) > MAX_MEMBERS:
        yield broken._replace(problem=f"has {len(infos):,} members, more than the bound of {MAX_MEMBERS:,}")
        return
    for info in sorted(infos, key=lambda i: (i.filename, i.header_offset)):
        if not info.is_dir():
            yield from _member(info, name)


def _member(info, zip_name):
    parts = info.filename.split("/")
    if any(_is_hidden(part) and part not in ("..", ".") for part in parts):
        return
    found = Found("/".join(parts[:-1]), parts[-1], zip_name, None)
    if ".." in parts or "." in parts or "" in parts or "\\" in info.filename or ":" in parts[0] or "\0" in info.filename:
        yield found._replace(problem="its name leads out of the folder; such names are never followed")
    elif stat.S_ISLNK(info.external_attr >> 16):
        yield found._replace(problem="a symlink in a zip; such are never followed")
    elif info.flag_bits & 1:
        yield found._replace(problem="is encrypted")
    elif info.compress_type not in (STORED, DEFLATED):
        yield found._replace(problem=f"is packed by method {info.compress_type}; pack it anew, plain or deflated")
    else:
        place = Place(info.file_size, info.header_offset, info.compress_size, info.compress_type, info.CRC)
        yield _checked(found._replace(place=place))


class Reader:
    """Reads pictures by their places; some zips are kept open."""

    def __init__(self, tree):
        """Args: tree: the folder or .zip that `find_all` walked."""
        tree = Path(tree)
        self._root = tree if tree.is_dir() else tree.parent
        self._open = OrderedDict()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close the zips that are open."""
        while self._open:
            self._open.popitem()[1].close()

    def read(self, folder, name, zip_name, place):
        """The bytes of a picture.

        Args:
            folder, name, zip_name, place: as in Found.

        Raises:
            CodecError: they can't be read, or aren't those that were found; the words don't name the file.
        """
        try:
            if place.offset < 0:
                with open(self._root / folder / name, "rb") as file:
                    data = file.read(place.size + 1)
            else:
                data = self._member(zip_name, place)
        except OSError as error:
            raise CodecError(f"can't be read: {error.strerror or error}") from error
        if len(data) != place.size:
            raise CodecError(f"has {'more' if len(data) > place.size else 'fewer'} bytes than the {place.size:,} that it was found with")
        return data

    def _member(self, zip_name, place):
        file = self._zip(zip_name)
        file.seek(place.offset)
        head = file.read(_LOCAL_HEADER.size)
        if len(head) < _LOCAL_HEADER.size or head[:4] != _LOCAL_SIGNATURE:
            raise CodecError("isn't where the zip's directory says")
        _, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(head)
        file.seek(name_bytes + extra_bytes, os.SEEK_CUR)
        data = file.read(place.packed)
        if place.method == DEFLATED:
            try:
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, place.size + 1)
            except zlib.error as error:
                raise CodecError(f"can't be unpacked: {error}") from error
        if len(data) == place.size and zlib.crc32(data) != place.crc:
            raise CodecError("its bytes don't agree with the checksum in the zip")
        return data

    def _zip(self, name):
        if name not in self._open:
            if len(self._open) >= OPEN_ZIPS:
                self._open.popitem(last=False)[1].close()
            self._open[name] = open(self._root / name, "rb")  # noqa: SIM115 - closed by `close`
        self._open.move_to_end(name)
        return self._open[name]
