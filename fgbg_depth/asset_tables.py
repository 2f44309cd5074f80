"""The tables `backgrounds` and `foregrounds`: the source pictures inside the set, and the batch's asset list.

They are written before any row is made, and rows are made from them, not from the folders that the pictures came
from. So any row can be composited anew from the published set alone, and an appended batch doesn't need the old files.
"""

import contextlib
import dataclasses
import hashlib
import json
from dataclasses import dataclass

import numpy as np

from . import schema
from .assets.pictures import decode_picture, encode_png
from .assets.scan import asset_bytes, read_asset
from .errors import DataError
from .files import local_copy
from .folders import as_folder
from .plan import PlanAsset
from .shards import find_tables, footer_of, open_table, write_table

GROUP_BYTES = 8 << 20  # a row group of pictures is closed at this size: random access without a huge footer
GROUP_ROWS = 100
KINDS = ("background", "foreground")


@dataclass(frozen=True)
class Entry:
    """One row of an asset table without its pictures, and where the row is.

    Attributes:
        plan: plan.PlanAsset.
        file, licence, author, source, url: as in assets.Asset.
        table, row_group, row: the Parquet file, its row group, and the row in it.
    """

    plan: PlanAsset
    file: str
    licence: str
    author: str
    source: str
    url: str
    table: object = None
    row_group: int = 0
    row: int = 0


def list_digest(recipe_digest, backgrounds, foregrounds):
    """sha256 of a batch's asset list: what each of its shards is bound to.

    Args:
        recipe_digest: of the recipe.
        backgrounds, foregrounds: PlanAssets with batch and split.
    """
    lists = [[[a.id, a.sha256, a.group, a.split, a.batch] for a in sorted(side, key=lambda a: a.id)] for side in (backgrounds, foregrounds)]
    return hashlib.sha256(json.dumps([recipe_digest, *lists], separators=(",", ":")).encode()).hexdigest()


def table_path(folder, kind, batch):
    """Where a batch's table of one kind lies."""
    return as_folder(folder) / f"{kind}s" / f"b{batch:03d}.parquet"


def write_asset_table(folder, kind, entries, assets, recipe, footer):
    """Write one batch's table.

    Args:
        folder: the set's folder.
        kind: "background" or "foreground".
        entries: Entry of each asset, ordered by id.
        assets: {id: assets.Asset}, to read the pictures from.
        recipe: config.Recipe (key colour and mask threshold).
        footer: Footer.
    """
    write_asset_pictures(folder, kind, entries, lambda e: asset_bytes(assets[e.plan.id], **_reading(e.plan, recipe)), recipe, footer)


def write_asset_pictures(folder, kind, entries, picture, recipe, footer):
    """Write one batch's table, wherever its pictures come from; `picture` is a function (Entry) -> the bytes that are stored."""
    columns = schema.asset_columns(kind)

    def groups():
        rows, size = [], 0
        for entry in entries:
            rows.append(_row(kind, entry, picture(entry), recipe))
            size += len(rows[-1]["image"])
            if size >= GROUP_BYTES or len(rows) == GROUP_ROWS:
                yield _columns(rows, columns)
                rows, size = [], 0
        if rows:
            yield _columns(rows, columns)

    # In S3 another run may have written it meanwhile: whoever comes first decides what the set is, and the other one reads that.
    with contextlib.suppress(FileExistsError):
        write_table(table_path(folder, kind, footer.batch), columns, groups(), lambda: footer, only_new=True)


def _columns(rows, columns):
    return {name: [row[name] for row in rows] for name in columns}


def _pixels(plan):
    """The bound on pixels at which a picture is read again: the size that was checked, whatever --max-pixels is now."""
    return plan.width * plan.height


def _reading(plan, recipe):
    return {"key_color": recipe.key_color or None, "max_pixels": _pixels(plan)}


def _row(kind, entry, data, recipe):
    plan = entry.plan
    row = {name: getattr(plan, name) for name in ("id", "sha256", "width", "height", "split", "group", "batch")}
    row |= {name: getattr(entry, name) for name in ("file", "licence", "author", "source", "url")}
    row["image"] = data
    if kind == "foreground":
        alpha = decode_picture(data, alpha=True, max_pixels=_pixels(plan))[..., 3]
        row["mask"] = encode_png(np.where(alpha >= recipe.mask_threshold, 255, 0).astype(np.uint8))
    return row


def read_entries(folder, kind):
    """All assets of one kind that a set holds.

    Returns:
        (entries, footers): list of Entry ordered by (batch, id), and {batch: Footer}.

    Raises:
        DataError: a table can't be read.
    """
    names = [n for n in schema.asset_columns(kind) if n not in ("image", "mask")]
    entries, footers = [], {}
    for path in find_tables(folder, f"{kind}s"):
        with open_table(path) as file:
            footer = footer_of(file, path)
            if path != table_path(folder, kind, footer.batch):
                raise DataError(f"{path} says that it is batch {footer.batch} of {footer.config}: not its place, move it away")
            footers[footer.batch] = footer
            for group in range(file.num_row_groups):
                for row, values in enumerate(file.read_row_group(group, columns=names).to_pylist()):
                    plan = PlanAsset(*(values[n] for n in ("id", "sha256", "group", "width", "height", "batch", "split")))
                    texts = (values[n] for n in ("file", "licence", "author", "source", "url"))
                    entries.append(Entry(plan, *texts, path, group, row))
    return entries, footers


class AssetReader:
    """Pictures of an asset table by id, read as they are asked for; one row group is kept."""

    def __init__(self, entries):
        self._entries = {entry.plan.id: entry for entry in entries}
        self._loaded = (None, None)

    def stored_bytes(self, asset_id):
        """The stored picture of an asset, encoded."""
        entry = self._entries[asset_id]
        where = (entry.table, entry.row_group)
        if self._loaded[0] != where:
            with open_table(local_copy(entry.table)) as file:
                self._loaded = (where, file.read_row_group(entry.row_group, columns=["image"]).column("image"))
        data = self._loaded[1][entry.row].as_py()["bytes"]
        if not data:
            raise DataError(f"{entry.table}: row group {entry.row_group}, row {entry.row}: asset {asset_id!r} has no picture")
        return data

    def pixels(self, asset_id, alpha):
        """(H, W, 3) or (H, W, 4) uint8 of an asset."""
        plan = self._entries[asset_id].plan
        return decode_picture(self.stored_bytes(asset_id), alpha=alpha, max_pixels=_pixels(plan))


def at_hand(entries):
    """The same entries with tables on this machine: processes that they are sent to needn't fetch those from S3 again."""
    return [dataclasses.replace(entry, table=local_copy(entry.table)) for entry in entries]


class PlannedReader:
    """Pictures of a set that is only planned: of newcomers from their folder, of old assets from the tables."""

    def __init__(self, entries, newcomers, recipe):
        """Args: entries: Entry list; newcomers: {id: assets.Asset}; recipe: config.Recipe."""
        self._entries, self._newcomers, self._recipe = {e.plan.id: e for e in entries}, newcomers, recipe
        self._old = AssetReader([entry for entry in entries if entry.table is not None])

    def pixels(self, asset_id, alpha):
        """(H, W, 3) or (H, W, 4) uint8 of an asset."""
        if asset_id not in self._newcomers:
            return self._old.pixels(asset_id, alpha=alpha)
        return read_asset(self._newcomers[asset_id], **_reading(self._entries[asset_id].plan, self._recipe))
