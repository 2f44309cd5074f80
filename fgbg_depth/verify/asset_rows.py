"""The asset tables: each source picture decodes, has the size and mask that its row says, and belongs to one split alone."""

import hashlib
import re
from collections import Counter

import numpy as np

from .. import codec, schema
from ..asset_tables import KINDS
from ..assets.ids import safe_id
from ..assets.pictures import decode_picture
from ..errors import AssetError, CodecError
from ..plan import KEY_SEPARATOR
from ..schema import ALL_SPLITS
from ..shards import Footer, open_table
from .basis import row_number
from .findings import Findings
from .tables import check_hash, group_starts, open_checked, read_group

_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_asset_table(basis, kind, name, batch):
    """Check an asset table but for its pictures.

    Returns:
        (list of Finding, hash_good as `tables.check_hash` says).
    """
    found = Findings()
    hash_good = check_hash(basis, name, found)
    dropped = basis.dropped.count(kind, batch)
    count = sum(1 for entry in basis.entries.get(kind, ()) if entry.plan.batch == batch) + (dropped or 0)
    expected = Footer(f"{kind}s", batch, "", 0, 0, count, basis.digest, basis.lists.get(batch, ""), dropped=dropped)
    opened = open_checked(basis, name, f"{kind}s", expected if basis.lists else None, None, found)
    if opened:
        with opened[0] as table:
            names = [n for n in schema.asset_columns(kind) if n not in ("image", "mask")]
            for group, first in enumerate(group_starts(table)[:-1]):
                values = read_group(table, name, group, first, names, found)
                _check_texts(values, name, first, batch, found)
    return found.listed(), hash_good


def _check_texts(values, name, first, batch, found):
    """Checks of single values; a null is never right."""
    for column, listed in values.items():
        for i, value in enumerate(listed):
            words = "is null" if value is None else _text_problem(column, value, batch)
            if words:
                found.add(name, words, first + i, column)


def _text_problem(column, value, batch):
    if column == "sha256" and not _SHA256.fullmatch(value):
        return f"is {value[:80]!r}, expected 64 hex digits"
    if column == "id" and (safe_id(value) != value or KEY_SEPARATOR in value):
        return f"{value!r} is no valid id"
    if column == "batch" and value != batch:
        return f"is {value}, the table is that of batch {batch}"
    return ""


def check_asset_pictures(basis, kind, name, group):
    """Decode the pictures of one row group of an asset table; returns a list of Finding."""
    found, columns = Findings(), ["id", "width", "height", "image", *(["mask"] if kind == "foreground" else [])]
    opened = open_checked(basis, name, f"{kind}s", None, None, Findings())  # what is wrong with it is said once, with the table
    if opened is None:
        return []
    with opened[0] as table:
        first = group_starts(table)[group]
        values = read_group(table, name, group, first, columns, found)
        for i in range(table.metadata.row_group(group).num_rows):
            row = {column: listed[i] for column, listed in values.items()}
            for column, words in _picture_problems(row, kind, basis.recipe):
                found.add(name, words, first + i, column)
    return found.listed()


def _picture_problems(row, kind, recipe):
    """List of (column, words) for one asset; columns that couldn't be read are absent."""
    if "image" not in row:
        return []
    if not row["image"]:
        return [("image", "has no picture")]
    try:
        pixels = decode_picture(row["image"], alpha=kind == "foreground")
    except AssetError as error:
        return [("image", str(error))]
    height, width = pixels.shape[:2]
    problems = []
    for column, value in (("width", width), ("height", height)):
        if row.get(column, value) != value:
            problems.append((column, f"is {row[column]}, the stored picture has {value}"))
    if kind == "foreground" and "mask" in row:
        problems += _mask_problems(row["mask"], pixels[..., 3], recipe)
    return problems


def _mask_problems(data, alpha, recipe):
    try:
        mask = codec.decode_gray(data)
    except CodecError as error:
        return [("mask", str(error))]
    expected = np.where(alpha >= recipe.mask_threshold, 255, 0)
    if mask.shape != expected.shape:
        return [("mask", f"is {mask.shape[1]} x {mask.shape[0]} px, the picture {alpha.shape[1]} x {alpha.shape[0]}")]
    differ = int(np.count_nonzero(mask != expected))
    return [("mask", f"{differ:,} pixels aren't 255 exactly where alpha >= {recipe.mask_threshold}")] if differ else []


def changed_pictures(basis, kind, name):
    """Rows of an asset table whose stored picture isn't the source file, byte for byte.

    Most pictures are stored as they came, so in a damaged table these few are the ones to look at.
    """
    rows = []
    with open_table(basis.folder / name) as table:
        for group, first in enumerate(group_starts(table)[:-1]):
            values = read_group(table, name, group, first, ["sha256", "image"], Findings())
            pairs = zip(values.get("sha256", ()), values.get("image", ()), strict=False)
            rows += [first + i for i, (sha256, data) in enumerate(pairs) if data and hashlib.sha256(data).hexdigest() != sha256]
    return rows


def check_uniqueness(basis, found):
    """Ids and source hashes are unique among all assets of a kind."""
    for kind in KINDS:
        entries = basis.entries.get(kind, ())
        for column in ("id", "sha256"):
            counts = Counter(getattr(entry.plan, column) for entry in entries)
            for entry in entries:
                value = getattr(entry.plan, column)
                if counts[value] > 1:
                    found.add(entry_file(entry, kind), f"{value!r} is there {counts[value]} times", row_number(entries, entry), column)


def check_sharing(basis, used, found):
    """No asset is in two splits that must not share it, as the rows and as the tables say.

    Args:
        basis: Basis.
        used: {kind: {asset id: set of splits in which data rows use it}}.
        found: Findings.
    """
    held = {"background": basis.recipe.hold_out != "none", "foreground": basis.recipe.hold_out == "both"}
    for kind in KINDS:
        if not held[kind]:
            continue
        entries = basis.entries.get(kind, ())
        by_id = {entry.plan.id: entry for entry in entries}
        for asset_id, splits in sorted(used[kind].items()):
            if len(splits) > 1:
                entry = by_id.get(asset_id)
                file = entry_file(entry, kind) if entry else f"{kind}s"
                row = row_number(entries, entry) if entry else None
                found.add(file, f"asset {asset_id!r} is used in {' and '.join(sorted(splits))}, which must not share {kind}s", row, "split")
        _check_groups(kind, entries, found)


def _check_groups(kind, entries, found):
    first_of = {}
    for entry in entries:
        first = first_of.setdefault(entry.plan.group, entry)
        if first.plan.split != entry.plan.split and ALL_SPLITS not in (first.plan.split, entry.plan.split):
            apart = f"{entry.plan.id!r} is in {entry.plan.split}, {first.plan.id!r} in {first.plan.split}"
            words = f"group {entry.plan.group!r} is torn apart: {apart}"
            found.add(entry_file(entry, kind), words, row_number(entries, entry), "group")


def entry_file(entry, kind):
    """The file of an entry, below the set's folder."""
    return f"{kind}s/{entry.table.name}"
