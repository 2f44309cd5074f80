"""Which files of an asset folder are to be looked at.

Everything that isn't hidden, a list of sources or a text about the pictures has to be a picture. Symlinks are
followed only to files inside the folder, so that a folder means the same wherever it is copied.
"""

import os
from pathlib import Path

from ..errors import UsageError
from .sources import SOURCES_NAME

_TEXT_SUFFIXES = (".txt", ".md", ".rst", ".html")  # words about the pictures
_TEXT_NAMES = ("readme", "license", "licence", "licenses", "licences", "copying", "notice", "credits")
_SYSTEM_NAMES = ("thumbs.db", "desktop.ini", "__macosx")  # what Windows and macOS leave behind


def find_files(folder):
    """Find what lies in a folder and its sub-folders, without opening a file.

    Returns:
        (files, tables, problems): sorted posix paths of what should be pictures, sorted posix paths of
        SOURCES.csv files, and {path: reason} of what can't be used. Hidden files and texts are in none of
        them.

    Raises:
        UsageError: the folder itself can't be read.
    """
    root = folder.resolve()
    files, tables, problems = [], [], {}
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        try:
            entries = list(os.scandir(folder / prefix))
        except OSError as error:
            if not prefix:
                raise UsageError(f"the folder {folder} can't be read: {error.strerror}") from error
            problems[prefix] = f"the folder can't be read: {error.strerror}"
            continue
        for entry in entries:
            file = f"{prefix}{entry.name}"
            reason = _link_problem(entry, root) if entry.is_symlink() else ""
            if entry.name.startswith(".") or entry.name.lower() in _SYSTEM_NAMES:
                continue
            if reason:
                problems[file] = reason
            elif _is_text(entry.name) and not entry.is_dir():
                continue
            elif not _is_utf8(entry.name):
                problems[file] = "its name isn't valid UTF-8; rename it"
            elif entry.is_dir():
                waiting.append(f"{file}/")
            elif not entry.is_file():
                problems[file] = "neither a file nor a folder"
            elif entry.name.lower() == SOURCES_NAME.lower():
                tables.append(file)
            else:
                files.append(file)
    return sorted(files), sorted(tables), problems


def _link_problem(entry, root):
    try:
        target = Path(entry.path).resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: a loop, before Python 3.13
        return "a symlink that leads nowhere"
    if not target.is_relative_to(root):
        return "a symlink that leads out of the folder; copy the picture"
    return "a symlink to a folder; its pictures are found where they are" if target.is_dir() else ""


def _is_text(name):
    path = Path(name.lower())
    return path.suffix in _TEXT_SUFFIXES or path.name in _TEXT_NAMES


def _is_utf8(name):
    return printable(name) == name


def printable(name):
    """A file name as it can be shown and stored: bytes that aren't UTF-8 become escapes such as \\udcff."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
