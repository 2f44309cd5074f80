"""Count the statistics anew from all stored pixels, and compare them with what the set says."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import codec, schema
from ..config import SPLIT_NAMES
from ..errors import DataError
from ..folders import as_folder
from ..pool import run_pool
from ..produce import millimetres_of, usable_cores
from ..progress import Quiet
from ..shards import find_tables, footer_of, open_table
from ..stats import Tally, stats_json
from ..studio import inside_of

RANGES = tuple(schema.RANGE_COLUMNS)
# What of a Tally each column decides; the range columns move only the metres.
PARTS = {
    "image": ("image", "image_inside"),
    "mask": ("mask", "heat", "area"),
    "depth": ("depth", "depth_inside"),
    "depth_min_m": ("metres", "metres_inside"),
}


def tally_differences(one, other):
    """Names of the columns in which two tallies differ.

    "depth_min_m" stands for the metres, where the stored levels are equal; "rows" for the number or size of the rows.
    """
    one, other = Tally().merge(one), Tally().merge(other)  # settled copies

    def numbers(tally, part):
        value = getattr(tally, part)
        return np.stack(value.items()) if part in Tally.SPARSE else value

    if (one.rows, one.size, one.full_scale) != (other.rows, other.size, other.full_scale):
        return ["rows"]
    differ = [c for c, parts in PARTS.items() if any(not np.array_equal(numbers(one, p), numbers(other, p)) for p in parts)]
    if "depth" in differ and "depth_min_m" in differ:
        differ.remove("depth_min_m")  # other levels move the metres too
    return differ


@dataclass(frozen=True)
class CountTask:
    """Counts data files from their decoded pixels."""

    folder: Path
    recipe: object
    relative: bool

    def open(self):
        return self._count

    def _count(self, name, say):
        """Returns: (split, text of the Tally)."""
        columns = ["image", "mask", *(("depth", *RANGES) if self.recipe.has_depth else ())]
        tally = Tally()
        with open_table(self.folder / name) as table:
            footer = footer_of(table, name)
            row = 0
            for group in range(table.num_row_groups):
                for values in _rows(table, group, columns, name):
                    try:
                        self._add(tally, values)
                    except (codec.CodecError, ValueError) as error:
                        raise DataError(f"{name}, row {row}: {error}; `fgbg-depth verify {self.folder}` tells more") from error
                    row += 1
                say(table.metadata.row_group(group).num_rows)
        return footer.split, tally.to_text()

    def _add(self, tally, values):
        image, mask = codec.decode_rgb(values["image"]["bytes"]), codec.decode_gray(values["mask"]["bytes"])
        levels = codec.decode_gray(values["depth"]["bytes"]) if self.recipe.has_depth else None
        tally.add(image, mask, inside_of(mask, self.recipe), levels, millimetres_of(values, levels, self.relative))


def _rows(table, group, columns, name):
    try:
        return table.read_row_group(group, columns=columns).to_pylist()
    except Exception as error:  # damaged pages may raise anything
        raise DataError(f"{name}, row group {group} can't be read: {error}; run `fgbg-depth verify` to find the rows") from error


def recount(folder, recipe, relative, num_workers=None, progress=None):
    """Count all pixels of a set.

    Args:
        folder: the set's folder.
        recipe: its config.Recipe.
        relative: True when its depth has no metres.
        num_workers: processes; None takes one for each processor.
        progress: progress.Quiet or a subclass.

    Returns:
        {split: Tally} in the usual order of the splits.

    Raises:
        DataError: a file or picture can't be read; it is named.
    """
    folder = as_folder(folder)
    names = [path.relative_to(folder).as_posix() for path in find_tables(folder, "default")]
    tallies, done = {}, [0]
    with (progress or Quiet()).task("count all pixels", None, unit="rows") as bar:

        def on_rows(count):
            done[0] += count
            bar.update(done[0])

        def on_result(_, result):
            split, tally = result[0], Tally.from_text(result[1])
            tallies[split] = tallies[split].merge(tally) if split in tallies else tally

        run_pool(CountTask(folder, recipe, relative), names, num_workers or usable_cores(), on_result, on_rows)
    return {split: tallies[split] for split in SPLIT_NAMES if split in tallies}


def compare_statistics(text, tallies):
    """Compare stats.json with counted tallies.

    Args:
        text: content of stats.json.
        tallies: {split: Tally}.

    Returns:
        list of (split, column, words) where they differ; split and column are "" where the file as a whole is wrong.
    """
    expected_text = stats_json(tallies)
    if text == expected_text:
        return []
    try:
        found = json.loads(text)
    except ValueError as error:
        return [("", "", f"not valid JSON: {error}")]
    expected = json.loads(expected_text)
    if not isinstance(found, dict):
        return [("", "", "not a table of splits")]
    differ = []
    for split in sorted(set(found) | set(expected)):
        if split not in found or split not in expected or not isinstance(found[split], dict):
            differ.append((split, "", "is missing" if split not in found else "isn't a split of the data"))
            continue
        for column in sorted(set(found[split]) | set(expected[split])):
            where = _first_difference(found[split].get(column), expected[split].get(column))
            if where:
                differ.append((split, column, where))
    return differ or [("", "", "the same numbers, but written otherwise than this package does")]


def _first_difference(found, expected, path=""):
    """Words on the first place in which two JSON values differ, "" when they are equal."""
    if type(found) is type(expected) and isinstance(found, dict) and found.keys() == expected.keys():
        return next(filter(None, (_first_difference(found[k], expected[k], f"{path}.{k}".strip(".")) for k in expected)), "")
    if type(found) is type(expected) and isinstance(found, list) and len(found) == len(expected):
        pairs = enumerate(zip(found, expected, strict=True))
        return next(filter(None, (_first_difference(a, b, f"{path}[{i}]") for i, (a, b) in pairs)), "")
    if found == expected:
        return ""
    return f"{path or 'it'} is {_brief(found)}, counted {_brief(expected)}"


def _brief(value):
    text = "missing" if value is None else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
