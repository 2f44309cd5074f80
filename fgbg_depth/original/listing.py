"""All pictures of a tree as small arrays: which row each belongs to, and where its bytes are.

A set of 400,000 rows has 1.2 million pictures. Their names follow from numbers, so only numbers are kept: some 40 bytes for each.
"""

from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from .annotations import ANNOTATIONS_NAME
from .containers import Place, find_all
from .names import CUTOUT_MASKS, ROLE_OF, ROW_ROLES, RowName, parse_stem
from .problems import Problems

SUFFIXES = (".jpg", ".jpeg", ".png")  # of composites, masks and depth maps
PASSED_OVER = (".txt", ".csv", ".json", ".md", ".html", "")  # words about the pictures
SOURCES_NAME = "sources.csv"
PICTURE = np.dtype(
    [
        *(("background", np.int32), ("foreground", np.int32), ("flipped", np.bool_), ("placement", np.int32), ("digits", np.int8)),
        *(("suffix", np.int16), ("holder", np.int32)),
        *(("size", np.int64), ("offset", np.int64), ("packed", np.int64), ("method", np.int8), ("crc", np.uint32)),
    ]
)
ROW = ("background", "foreground", "flipped", "placement")  # what makes a row
FILES_PER_WORD = 1_000  # how often `on_file` is called
_CHUNK = 65_536  # pictures that are gathered before they become an array


class Names:
    """Texts and their numbers, in the order in which they came."""

    def __init__(self):
        self.texts, self._numbers = [], {}

    def number(self, text):
        """The number of a text; a new one gets the next."""
        if text not in self._numbers:
            self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return self._numbers[text]

    def get(self, text):
        """The number of a text, or None."""
        return self._numbers.get(text)


class _Pictures:
    """Grows an array of PICTURE."""

    def __init__(self):
        self._chunks, self._waiting = [], []

    def add(self, values):
        self._waiting.append(values)
        if len(self._waiting) == _CHUNK:
            self._settle()

    def _settle(self):
        self._chunks.append(np.array(self._waiting, PICTURE))
        self._waiting = []

    def array(self):
        self._settle()
        return np.concatenate(self._chunks)


@dataclass(eq=False)
class Listing:
    """What a tree holds.

    Attributes:
        backgrounds, foregrounds: Names, as the pictures of rows have them.
        suffixes: Names.
        holders: Names of (zip, folder).
        pictures: {"image", "mask", "depth": array of PICTURE, one for each row, sorted by row}.
        assets: {"background", "foreground": {name: Found}}.
        texts: {"annotations": Found or absent; "background", "foreground": Found of a SOURCES.csv or absent}.
        problems: Problems.
    """

    backgrounds: Names = field(default_factory=Names)
    foregrounds: Names = field(default_factory=Names)
    suffixes: Names = field(default_factory=Names)
    holders: Names = field(default_factory=Names)
    pictures: dict = field(default_factory=dict)
    assets: dict = field(default_factory=lambda: {"background": {}, "foreground": {}})
    texts: dict = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)

    def file_of(self, picture):
        """(folder, name, zip, Place) of one entry of `pictures`, as Reader.read takes them."""
        zip_name, folder = self.holders.texts[picture["holder"]]
        name = self.name_of(picture).stem + self.suffixes.texts[picture["suffix"]]
        place = Place(*(int(picture[part]) for part in ("size", "offset", "packed", "method", "crc")))
        return folder, name, zip_name, place

    def name_of(self, picture):
        """The RowName of one entry of `pictures`."""
        texts = self.backgrounds.texts[picture["background"]], self.foregrounds.texts[picture["foreground"]]
        return RowName(*texts, bool(picture["flipped"]), int(picture["placement"]), int(picture["digits"]))

    def label_of(self, picture):
        """How messages name the file of one entry of `pictures`."""
        folder, name, zip_name, _ = self.file_of(picture)
        return f"{zip_name}:{folder}/{name}" if zip_name else f"{folder}/{name}"


def list_tree(tree, on_file=None):
    """Find all pictures of a tree; none is opened.

    Args:
        tree: a folder or a .zip.
        on_file: function (number of files so far), called now and then, and at the end.

    Returns:
        Listing.

    Raises:
        UsageError: the tree can't be read.
    """
    listing, grown = Listing(), {role: _Pictures() for role in ROW_ROLES}
    count = 0
    for count, found in enumerate(find_all(tree), 1):
        _take(listing, grown, found)
        if on_file and count % FILES_PER_WORD == 0:
            on_file(count)
    if on_file:
        on_file(count)
    for role in ROW_ROLES:
        listing.pictures[role] = _once(listing, grown[role].array())
    return listing


def row_order(pictures):
    """The order of an array of PICTURE by row."""
    return np.lexsort([pictures[name] for name in reversed(ROW)])


def _take(listing, grown, found):
    if found.problem:
        listing.problems.add(found.label, found.problem)
        return
    folders = found.folders
    lower = [folder.lower() for folder in folders]
    role = next((ROLE_OF[folder] for folder in reversed(lower) if folder in ROLE_OF), None)
    path = PurePosixPath(found.name)
    suffix = path.suffix.lower()
    if CUTOUT_MASKS in lower:
        return
    if suffix in PASSED_OVER:
        _take_text(listing, found, role)
    elif role is None:
        listing.problems.add(found.label, "lies in none of the folders " + ", ".join(ROLE_OF))
    elif role in ROW_ROLES:
        _take_picture(listing, grown[role], found, folders)
    elif path.stem in listing.assets[role]:
        listing.problems.add(found.label, f"is there twice; {listing.assets[role][path.stem].label} is taken")
    else:
        listing.assets[role][path.stem] = found


def _take_text(listing, found, role):
    name = found.name.lower()
    key = "annotations" if name == ANNOTATIONS_NAME else role if name == SOURCES_NAME and role not in ROW_ROLES else None
    if key:
        listing.texts.setdefault(key, found)


def _take_picture(listing, grown, found, folders):
    path = PurePosixPath(found.name)
    name = parse_stem(path.stem, folders) if path.suffix.lower() in SUFFIXES else None
    if name is None:
        listing.problems.add(found.label, "its name is not <background>__<cut-out>_<k>.jpg")
        return
    numbers = listing.backgrounds.number(name.background), listing.foregrounds.number(name.foreground)
    where = listing.suffixes.number(path.suffix), listing.holders.number((found.zip, found.folder))
    grown.add((*numbers, name.flipped, name.placement, name.digits, *where, *found.place))


def _once(listing, pictures):
    """Sorted by row, each row once; what is there again is a problem."""
    pictures = pictures[row_order(pictures)]
    again = np.zeros(len(pictures), bool)
    if len(pictures) > 1:
        again[1:] = np.logical_and.reduce([pictures[name][1:] == pictures[name][:-1] for name in ROW])
    for at in np.flatnonzero(again).tolist():
        listing.problems.add(listing.label_of(pictures[at]), "is there twice; the first one is taken")
    return pictures[~again]
