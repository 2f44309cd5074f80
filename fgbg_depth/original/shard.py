"""One data file of an imported set: its rows read from the tree, counted, written.

What can't be used is left out; the footer names it.
"""

import dataclasses
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import schema
from ..errors import CodecError
from ..plan import FIRST_BATCH, KEY_SEPARATOR
from ..shards import Footer, write_table
from ..stats import Tally
from .assets import KINDS, read_files
from .containers import Reader
from .problems import Problems
from .reading import RowError, read_row

SAID_ROWS = 100  # progress is told after so many
FILES_TOLD = 100  # left-out files that a footer names, so that it stays small


@dataclass(frozen=True, eq=False)
class ImportTask:
    """All that a worker needs; sent once when it starts. See workers.Task.

    Attributes:
        tree, folder: paths.
        listing: listing.Listing without its problems.
        matched: matching.Matched, rows in the order of the files.
        starts: {split: position of its first row}.
        ids: {kind: {number of the name: id}}.
        recipe, recipe_digest, list_digest: what each file is bound to.
        digits: digits of k in the keys.
        versions: library -> version.
    """

    tree: Path
    folder: Path
    listing: object
    matched: object
    starts: dict
    ids: dict
    recipe: object
    recipe_digest: str
    list_digest: str
    digits: int
    versions: dict

    @classmethod
    def of(cls, tree, folder, work, versions):
        """The task of an import; `work` is what importing.py has found out."""
        starts, at = {}, 0
        for shard in work.shards:
            starts.setdefault(shard.split, at - shard.start)
            at += len(shard)
        digits = max(2, len(str(work.recipe.placements - 1)))
        bound = work.digest, work.lists[FIRST_BATCH]
        listing = dataclasses.replace(work.listing, problems=Problems(), assets={}, texts={})
        return cls(tree, folder, listing, work.matched, starts, work.ids, work.recipe, *bound, digits, versions)

    def open(self):
        """Returns: function (shard, say) that makes one data file, says how many rows it went through, and returns how many it has."""

        def work(shard, say):
            with Reader(self.tree) as reader:
                return _ShardWriter(self, reader, shard, say).write()

        return work


class _ShardWriter:
    def __init__(self, task, reader, shard, say):
        self._task, self._reader, self._shard, self._say = task, reader, shard, say
        self._tally, self._rows, self._left_out = Tally(), 0, []

    def write(self):
        task, columns = self._task, schema.data_columns(self._task.recipe.has_depth)
        rows = self._read()

        def groups():
            while group := list(itertools.islice(rows, task.recipe.rows_per_group)):
                yield {name: [row[name] for row in group] for name in columns}

        write_table(task.folder / self._shard.name, columns, groups(), self._footer)
        return self._rows

    def _footer(self):
        shard, task = self._shard, self._task
        extra = None
        if self._left_out:
            more = len(self._left_out) - FILES_TOLD
            extra = {"unread": {"files": self._left_out[:FILES_TOLD], **({"more": more} if more > 0 else {})}}
        numbers = "default", shard.batch, shard.split, shard.index, 0, self._rows
        return Footer(*numbers, task.recipe_digest, task.list_digest, self._tally.to_text(), task.versions, extra)

    def _read(self):
        task, shard = self._task, self._shard
        first, roles = task.starts[shard.split], tuple(task.matched.pictures)
        for i in range(shard.start, shard.stop):
            row = self._row(first + i, roles)
            if row:
                self._rows += 1
                yield row
            if (i + 1 - shard.start) % SAID_ROWS == 0 or i + 1 == shard.stop:
                self._say((i - shard.start) % SAID_ROWS + 1)

    def _row(self, at, roles):
        """The row as a dict, or None when one of its pictures can't be used."""
        listing, matched = self._task.listing, self._task.matched
        data = {}
        try:
            for role in roles:
                try:
                    data |= read_files(listing, matched, at, self._reader, (role,))
                except CodecError as error:
                    raise RowError(role, str(error)) from error
            pictures = read_row(data, self._task.recipe)
        except RowError as error:
            self._left_out.append([listing.label_of(matched.pictures[error.role][at]), str(error)])
            return None
        self._tally.add(pictures.pixels, pictures.inside, pictures.inside, pictures.levels, None, pictures.bbox)
        return self._columns(at, pictures)

    def _columns(self, at, pictures):
        image, box = self._task.matched.pictures["image"][at], self._task.matched.box[at].tolist()
        ids = [self._task.ids[kind][int(image[kind])] for kind in KINDS]
        flip, k = "flip" if image["flipped"] else "plain", int(image["placement"])
        area = np.float32(np.count_nonzero(pictures.inside) / pictures.inside.size)
        row = {
            "key": KEY_SEPARATOR.join((*ids, flip, f"{k:0{self._task.digits}d}")),
            "background": ids[0],
            "foreground": ids[1],
            "flipped": bool(image["flipped"]),
            "placement": k,
            "bbox": pictures.bbox,
            "placement_box": box if box[2] else None,
            "mask_area": float(area),
            "image": pictures.image,
            "mask": pictures.mask,
        }
        return row | ({"depth": pictures.depth, "depth_min_m": None, "depth_max_m": None} if pictures.depth else {})
