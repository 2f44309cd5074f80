"""annotations.txt: one line for each row of an exported tree, parted by tabs, with a header.

It holds what the names can't: ids, split, boxes, and the metres that a depth map was stretched from. A tree that has it is read
back to the same ids, flips, placements and splits. What the file of 2020 held isn't known; one with another header is passed over.
"""

from dataclasses import dataclass

import numpy as np

from ..config import SPLIT_NAMES
from .names import parse_stem

ANNOTATIONS_NAME = "annotations.txt"
BOX = ("x", "y", "width", "height")
COLUMNS = (
    *("name", "background", "foreground", "flipped", "placement", "split"),
    *(f"bbox_{part}" for part in BOX),
    *(f"placement_{part}" for part in BOX),
    *("depth_min_m", "depth_max_m"),
)
HEADER = "\t".join(COLUMNS)
MAX_LINE_CHARS = 2_000  # a line of ours has at most 400


def line_of(name, row):
    """One line, without its end.

    Args:
        name: the composite's file name.
        row: dict of the metadata columns and `split`; boxes and metres may be None.
    """
    values = [name, row["background"], row["foreground"], int(row["flipped"]), row["placement"], row["split"]]
    values += row["bbox"] or ("",) * 4
    values += row["placement_box"] or ("",) * 4
    values += ["" if row.get(c) is None else str(np.float32(row[c])) for c in ("depth_min_m", "depth_max_m")]
    return "\t".join(map(str, values))


@dataclass(frozen=True)
class Line:
    """What one line says of a row: its RowName, ids, split and placement box (None where it isn't told)."""

    name: object
    background: str
    foreground: str
    split: str
    box: tuple | None


def read_lines(lines):
    """Read the lines of an annotations.txt.

    Args:
        lines: iterable of str.

    Yields:
        (line number, Line or the reason why it can't be used). Only the first when the header isn't ours.
    """
    lines = iter(lines)
    if next(lines, "").rstrip("\r\n") != HEADER:
        yield 1, "isn't the header that this tool writes; the file is passed over, and the pictures' names tell what they can"
        return
    for number, text in enumerate(lines, 2):
        if text.strip():
            yield number, _line(text.rstrip("\r\n"))


def _line(text):
    cells = text.split("\t")
    if len(text) > MAX_LINE_CHARS or len(cells) != len(COLUMNS):
        return f"has {len(cells)} cells, expected {len(COLUMNS)}"
    values = dict(zip(COLUMNS, cells, strict=True))
    name = parse_stem(values["name"].rpartition(".")[0], (values["background"],))
    if name is None:
        return f"{values['name']!r} is no name of a composite"
    if [values["flipped"], values["placement"]] != [str(int(name.flipped)), str(name.placement)]:
        return f"says otherwise than the name {values['name']!r}"
    if values["split"] not in SPLIT_NAMES:
        return f"{values['split']!r} is no split; expected {', '.join(SPLIT_NAMES)}"
    return _with_box(name, values)


def _with_box(name, values):
    box = [values[f"placement_{part}"] for part in BOX]
    if not any(box):
        return Line(name, values["background"], values["foreground"], values["split"], None)
    try:
        numbers = tuple(int(np.int32(int(part))) for part in box)
    except (ValueError, OverflowError):
        return f"its placement box is {' '.join(box)!r}, expected four whole numbers"
    if min(numbers[2:]) < 1:
        return f"its placement box is {' '.join(box)!r}, without an area"
    return Line(name, values["background"], values["foreground"], values["split"], numbers)
