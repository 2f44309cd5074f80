"""What a commit's ndjson says, and the tree that comes out of it: all or nothing."""

import base64
import binascii
import json
from dataclasses import dataclass, field

from .repo import REGULAR_LIMIT_BYTES
from .wire import HubError

_KEYS = ("header", "file", "lfsFile", "deletedFile", "deletedFolder")
_FORBIDDEN = {"", ".", "..", ".git"}  # no part of a path may be one of them


@dataclass
class Plan:
    """A commit as asked for; `operations` are (key, path, value) in order, values of files already decoded."""

    title: str = ""
    message: str = ""
    parent: str | None = None
    operations: list = field(default_factory=list)
    large_count: int = 0


def parse(lines):
    """Read the lines of a commit.

    Args:
        lines: iterable of bytes; the first one is the header.

    Raises:
        HubError: 400, a line can't be read.
    """
    plan = None
    for number, line in enumerate(filter(bytes.strip, lines), 1):
        try:
            item = json.loads(line)
            key, value = item["key"], item["value"]
            if key not in _KEYS or (key == "header") != (plan is None):
                raise ValueError(f"unexpected key {key!r}")
            if key == "header":
                plan = Plan(value["summary"], value.get("description") or "", value.get("parentCommit"))
                if not plan.title.strip():
                    raise ValueError("the summary is empty")
            else:
                plan.operations.append((key, _check_path(value["path"], key), _content(key, value)))
                plan.large_count += key == "lfsFile"
        except (ValueError, KeyError, TypeError) as error:
            raise HubError(400, f"line {number} of the commit can't be read: {type(error).__name__}: {error}") from error
    if plan is None:
        raise HubError(400, "the commit has no header")
    return plan


def apply(plan, files, store_regular, large_file):
    """The tree after a commit.

    Args:
        plan: what `parse` gave.
        files: {path: File} before; it stays as it is.
        store_regular: bytes -> File.
        large_file: sha256 -> File of an uploaded object, or None.

    Raises:
        HubError: 400 or 404, an operation isn't possible.
    """
    files = dict(files)
    for key, path, value in plan.operations:
        if key == "file":
            files[path] = store_regular(value)
        elif key == "lfsFile":
            files[path] = _large(path, value, large_file)
        else:
            gone = [p for p in files if p == path] if key == "deletedFile" else [p for p in files if p.startswith(f"{path}/")]
            if not gone:
                raise HubError(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
            for name in gone:
                del files[name]
    _check_no_clash(files)
    return files


def _large(path, value, large_file):
    found = large_file(value["oid"])
    if found is None:
        raise HubError(400, f"LFS pointer pointed to a file that does not exist: {path} ({value['oid']})")
    # A copy on the server names no size.
    if value.get("size") not in (None, found.size):
        raise HubError(400, f"LFS pointer of {path} says {value['size']} bytes, the object has {found.size}")
    return found


def _content(key, value):
    if key == "lfsFile":
        if value["algo"] != "sha256":
            raise ValueError(f"algo {value['algo']!r} isn't sha256")
        return value
    if key != "file":
        return None
    encoding = value.get("encoding", "utf-8")
    if encoding not in ("base64", "utf-8"):
        raise ValueError(f"encoding {encoding!r}")
    try:
        data = base64.b64decode(value["content"], validate=True) if encoding == "base64" else value["content"].encode()
    except binascii.Error as error:
        raise ValueError(f"content isn't base64: {error}") from error
    if len(data) > REGULAR_LIMIT_BYTES:
        raise ValueError(f"{value['path']} has {len(data)} bytes; above {REGULAR_LIMIT_BYTES} a file must be a large one")
    return data


def _check_path(path, key):
    path = path.removesuffix("/") if key == "deletedFolder" else path
    if _FORBIDDEN & set(path.split("/")):
        raise ValueError(f"{path!r} isn't a path for a repository")
    return path


def _check_no_clash(files):
    """No name may be a file and a folder."""
    for path in files:
        parts = path.split("/")
        for n in range(1, len(parts)):
            if "/".join(parts[:n]) in files:
                raise HubError(400, f"{'/'.join(parts[:n])} would be a file and a folder")
