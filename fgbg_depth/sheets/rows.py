"""Which rows a contact sheet shows, and their pictures.

A set may have hundreds of thousands of rows, so only a few row groups are ever opened: rows lie in random order on disk, and
the first groups of a split are as good a sample as any. Among them, rows are taken so that backgrounds and cut-outs repeat
as little as they can.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from .. import codec, schema
from ..config import SPLIT_NAMES
from ..errors import CodecError, DataError
from ..shards import find_tables, open_table

CANDIDATE_ROWS = 400  # rows of a split that are looked at, without their pictures
CANDIDATE_FILES = 4  # spread over the files of a split: an appended batch is seen too


@dataclass(frozen=True)
class RowPlace:
    """A row and where it is.

    Attributes:
        split, key, background, foreground, flipped: its columns.
        table, row_group, row: the Parquet file, its row group, and the row in it.
    """

    split: str
    key: str
    background: str
    foreground: str
    flipped: bool
    table: object
    row_group: int
    row: int


@dataclass(frozen=True, eq=False)
class RowPictures:
    """A row's decoded pictures.

    Attributes:
        place: RowPlace.
        image: (S, S, 3) uint8 RGB.
        mask: (S, S) uint8.
        depth: (S, S) float32, metres if `is_metric`, else 0 to 1 of the map's own range; None without depth.
        is_metric: whether metres are known.
    """

    place: RowPlace
    image: np.ndarray
    mask: np.ndarray
    depth: np.ndarray | None = None
    is_metric: bool = False


def pick_rows(folder, count, each_split=False):
    """Choose rows in which backgrounds and cut-outs repeat as little as they can.

    Args:
        folder: the set's folder; its data files are there.
        count: number of rows wanted; fewer come from a smaller set.
        each_split: give every split the same part; else splits don't count.

    Returns:
        list of RowPlace.

    Raises:
        DataError: a data file can't be read.
    """
    files = {split: [] for split in SPLIT_NAMES}
    for path in find_tables(folder, "default"):
        files[path.parent.name].append(path)
    waiting = [_candidates(split, _spread(paths, CANDIDATE_FILES)) for split, paths in files.items() if paths]
    if not each_split:
        waiting = [[place for places in waiting for place in places]]
    chosen, used = [], Counter()
    while len(chosen) < count and any(waiting):
        for places in [places for places in waiting if places][: count - len(chosen)]:
            place = min(places, key=lambda p: _wear(used, p))  # of equals the first on disk
            places.remove(place)
            used.update((("b", place.background), ("f", place.foreground), ("flip", place.flipped)))
            chosen.append(place)
    return chosen


def _wear(used, place):
    return (used["b", place.background] + used["f", place.foreground], used["flip", place.flipped])


def _spread(items, count):
    """At most `count` items, evenly spaced, the first one among them."""
    if len(items) <= count:
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]


def _candidates(split, paths):
    places = []
    for path in paths:
        before = len(places)
        with open_table(path) as file:
            for group in range(file.num_row_groups):
                columns = ["key", "background", "foreground", "flipped"]
                for row, values in enumerate(file.read_row_group(group, columns=columns).to_pylist()):
                    places.append(RowPlace(split, **values, table=path, row_group=group, row=row))
                if len(places) - before >= CANDIDATE_ROWS // len(paths):
                    break
    return places


def read_pictures(places):
    """Read and decode the pictures of some rows; one row group is held at a time.

    Args:
        places: RowPlace list.

    Yields:
        RowPictures, those of one row group together.

    Raises:
        DataError: a picture can't be decoded; file and row are named.
    """
    groups = {}
    for place in places:
        groups.setdefault((place.table, place.row_group), []).append(place)
    for (path, group), members in groups.items():
        with open_table(path) as file:
            has_depth = "depth" in file.schema_arrow.names
            columns = list({**schema.RANGE_COLUMNS, "image": 0, "mask": 0, "depth": 0} if has_depth else ("image", "mask"))
            table = file.read_row_group(group, columns=columns)
        for place in members:
            yield _decoded(place, table.slice(place.row, 1).to_pylist()[0], has_depth)


def _decoded(place, row, has_depth):
    try:
        image, mask = codec.decode_rgb(row["image"]["bytes"]), codec.decode_gray(row["mask"]["bytes"])
        if not has_depth:
            return RowPictures(place, image, mask)
        levels, low, high = codec.decode_gray(row["depth"]["bytes"]), row["depth_min_m"], row["depth_max_m"]
    except (CodecError, TypeError) as error:
        raise DataError(f"{place.table}: row {place.key}: {error}") from error
    if low is None or high is None:
        return RowPictures(place, image, mask, levels.astype(np.float32) / np.iinfo(levels.dtype).max)
    return RowPictures(place, image, mask, codec.depth_to_metres(levels, low, high), is_metric=True)
