"""Which rows a tree gives: a composite with its mask, and its depth map where the set has depth."""

import io
from dataclasses import dataclass

import numpy as np

from ..config import SPLIT_NAMES
from ..errors import CodecError
from .annotations import read_lines
from .listing import ROW, row_order
from .names import FLIP

TRAIN = 0  # position in SPLIT_NAMES
_WHAT = {"mask": "mask", "depth": "depth map"}


@dataclass(frozen=True, eq=False)
class Matched:
    """Rows of a tree, sorted by names; all arrays have one length.

    Attributes:
        pictures: {"image", "mask", and "depth" where there is depth: array of PICTURE}.
        split: int8, position in SPLIT_NAMES.
        box: (N, 4) int32 placement boxes; one without a width isn't known.
        ids: {"background", "foreground": {number of the name: id}} that annotations.txt tells.
        annotated: number of rows that it tells of.
    """

    pictures: dict
    split: np.ndarray
    box: np.ndarray
    ids: dict
    annotated: int

    def __len__(self):
        return len(self.split)

    def part(self, chosen):
        """Some of the rows, by a mask or by positions."""
        pictures = {role: array[chosen] for role, array in self.pictures.items()}
        return Matched(pictures, self.split[chosen], self.box[chosen], self.ids, self.annotated)


def match(listing, with_depth, reader):
    """Bring composites, masks and depth maps together; what is left over goes to the listing's problems.

    Args:
        listing: listing.Listing.
        with_depth: False leaves depth maps out; True takes rows that have one, if any has.
        reader: containers.Reader, for annotations.txt.

    Returns:
        Matched.
    """
    roles = ["image", "mask"] + (["depth"] if with_depth and len(listing.pictures["depth"]) else [])
    _settle_flips(listing, roles)
    arrays = {role: listing.pictures[role] for role in roles}
    codes = dict(zip(roles, _codes([arrays[role] for role in roles]), strict=True))
    whole = codes["image"]
    for role in roles[1:]:
        whole = np.intersect1d(whole, codes[role], assume_unique=True)
        _miss(listing, role, arrays["image"], np.isin(codes["image"], codes[role], assume_unique=True))
        _strange(listing, role, arrays[role], np.isin(codes[role], codes["image"], assume_unique=True))
    pictures = {role: arrays[role][np.searchsorted(codes[role], whole)] for role in roles}
    return _annotated(listing, pictures, reader)


def _codes(arrays):
    """One number for each row, the same in all arrays, in the order of the rows."""
    joined = np.concatenate([array[list(ROW)] for array in arrays])
    code = np.zeros(len(joined), np.int64)
    for name in ROW:
        _, dense = np.unique(joined[name], return_inverse=True)
        code = code * (int(dense.max(initial=0)) + 1) + dense
    return np.split(code, np.cumsum([len(array) for array in arrays])[:-1])


def _settle_flips(listing, roles):
    """A cut-out that is itself called `flip_x`, where there is no `x`, isn't a mirrored one."""
    known = listing.assets["foreground"]
    for number, text in enumerate(list(listing.foregrounds.texts)):
        if text in known or FLIP + text not in known:
            continue
        other = listing.foregrounds.number(FLIP + text)
        for role in roles:
            pictures = listing.pictures[role]
            mine = (pictures["foreground"] == number) & pictures["flipped"]
            pictures["foreground"][mine], pictures["flipped"][mine] = other, False
            listing.pictures[role] = pictures[row_order(pictures)]


def _miss(listing, role, images, has):
    """Name the composites that lack a mask or a depth map; a background that lacks all of them in one line."""
    lacking = images[~has]
    for number in np.unique(lacking["background"]).tolist():
        mine = lacking[lacking["background"] == number]
        total = int(np.count_nonzero(images["background"] == number))
        if len(mine) == total > 1:
            name = f"background {listing.backgrounds.texts[number]}, {total:,} composites"
            listing.problems.add(name, f"there is no {_WHAT[role]} for any of them")
            continue
        for picture in mine:
            listing.problems.add(listing.label_of(picture), f"there is no {_WHAT[role]} of this name")


def _strange(listing, role, pictures, has):
    for picture in pictures[~has]:
        listing.problems.add(listing.label_of(picture), "there is no composite of this name")


def _annotated(listing, pictures, reader):
    """Add what annotations.txt tells of the rows."""
    images = pictures["image"]
    split, box = np.full(len(images), -1, np.int8), np.zeros((len(images), 4), np.int32)
    ids = {"background": {}, "foreground": {}}
    found = listing.texts.get("annotations")
    if found:
        _apply(listing, images, split, box, ids, _lines(found, reader))
    annotated = int(np.count_nonzero(split >= 0))
    _fill_splits(images, split)
    return Matched(pictures, split, box, ids, annotated)


def _lines(found, reader):
    try:
        text = reader.read(found.folder, found.name, found.zip, found.place).decode("utf-8-sig")
    except (CodecError, UnicodeDecodeError) as error:
        yield 1, f"can't be read: {error}"
        return
    yield from read_lines(io.StringIO(text))


def _apply(listing, images, split, box, ids, lines):
    label, unused = listing.texts["annotations"].label, 0
    position = {values: i for i, values in enumerate(zip(*(images[name].tolist() for name in ROW), strict=True))}
    for number, line in lines:
        if isinstance(line, str):
            listing.problems.add(f"{label}, line {number}", line)
            continue
        mine = listing.backgrounds.get(line.name.background), listing.foregrounds.get(line.name.foreground)
        at = position.get((*mine, line.name.flipped, line.name.placement))
        if at is None:
            unused += 1
            continue
        split[at] = SPLIT_NAMES.index(line.split)
        box[at] = line.box or 0
        ids["background"][mine[0]], ids["foreground"][mine[1]] = line.background, line.foreground
    if unused:
        listing.problems.add(f"{label}, {unused:,} lines", "they name rows that aren't there")


def _fill_splits(images, split):
    """Rows without a line go to their background's split, so that no background gets into a second one."""
    for number in np.unique(images["background"][split < 0]).tolist():
        mine = images["background"] == number
        told = np.unique(split[mine & (split >= 0)])
        split[mine & (split < 0)] = told[0] if told.size == 1 else TRAIN


