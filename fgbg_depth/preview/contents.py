"""What a preview shows of a set, read from a folder or from the Hub.

Of a set on the Hub these are downloaded: the manifest, stats.json, recipe.toml, the texts of the asset tables, and some row groups.
Nothing is kept on disk.
"""

import json
import re
import tomllib
from collections import Counter
from pathlib import Path

from .. import schema
from ..asset_tables import KINDS
from ..config import RECIPE_NAME, SPLIT_NAMES, Recipe
from ..errors import DataError
from ..progress import Quiet, size
from ..sheets.drawing import metre_ticks
from ..sheets.write import DepthScale
from ..streaming.catalog import cut_into_units, open_files, read_listed, tables_of
from ..streaming.tables import Tables
from .pictures import page_pictures
from .sample import Candidate, Unit, choose_rows, choose_units

STATS_NAME = "stats.json"
MAX_ASSETS = 400  # sources of one kind that are listed, as on the card; the licences are counted over all of them
CHOICE_COLUMNS = ("key", "background", "foreground", "flipped")
SOURCE_COLUMNS = ("id", "split", "licence", "author", "source", "url")
HEAT_DIGITS = 5  # of the parts in the heat map
LINK = re.compile(r"https?://[^\s<>\"'`\\]+", re.IGNORECASE)
BATCH = re.compile(r"b\d+")


def read_contents(place, num_rows, seed=0, revision=None, max_picture_bytes=None, progress=None):
    """Read all that the page needs.

    Args:
        place: a set's folder, or a repo id on the Hub.
        num_rows: how many rows to show; fewer come from a smaller set.
        seed: decides which ones.
        revision: of the repo: a tag, a branch or a commit.
        max_picture_bytes: bound on the pictures as they stand in the page; the last chosen rows are left out for it. None: no bound.
        progress: progress.Quiet or a subclass.

    Returns:
        dict of plain values, ready for JSON.

    Raises:
        UsageError: no such set or revision.
        DataError: it is no set of this package, or a damaged one.
        HubError: the Hub can't be reached.
    """
    progress = progress or Quiet()
    files, manifest = open_files(place, revision)
    tables = Tables(files)
    recipe = _toml(read_listed(files, manifest, RECIPE_NAME), files.name)
    stats = _stats(read_listed(files, manifest, STATS_NAME), files.name)
    data = {split: found for split, found in tables_of(manifest, "default", files.name).items() if split in SPLIT_NAMES}
    if not any(file.rows for found in data.values() for file in found):
        raise DataError(f"{files.name} has no rows; is it a finished set?")
    rows, shown = _rows(tables, data, recipe, (num_rows, seed, max_picture_bytes), progress)
    assets = {kind: _assets(tables, manifest, kind) for kind in KINDS}
    depth = manifest.get("depth") if isinstance(manifest.get("depth"), dict) else None
    try:
        return {
            **_place(place, files, revision),
            "facts": _facts(data, assets, recipe, depth),
            "rowsInSet": {split: sum(file.rows for file in found) for split, found in data.items()},
            "rows": rows,
            "chosen": shown,
            "scale": _scale(stats),
            "stats": {split: _reduced(columns) for split, columns in stats.items()},
            "assets": {kind: [_source(row) for row in found[:MAX_ASSETS]] for kind, found in assets.items()},
            "assetCounts": {kind: len(found) for kind, found in assets.items()},
            "licences": _licences(assets),
        }
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        words = f"{STATS_NAME}, {RECIPE_NAME} or the manifest of {files.name} isn't as this version writes it: {error!r}"
        raise DataError(words) from error


# --- rows -----------------------------------------------------------------------------------------------------


def _rows(tables, data, recipe, wish, progress):
    """(rows for the page, split by split, how many were chosen before the bound on bytes)."""
    num_rows, seed, max_picture_bytes = wish
    files = {file.path: file for found in data.values() for file in found}
    units = choose_units(_units(data, recipe), num_rows, seed)
    candidates = []
    with progress.task("choose the rows", len(units), unit="row groups") as task:
        for done, unit in enumerate(units, 1):
            columns = _read(tables, files[unit.path], unit, CHOICE_COLUMNS)
            candidates += [Candidate(unit.split, **values, unit=unit, row=number) for number, values in columns]
            task.update(done)
    chosen = choose_rows(candidates, num_rows, seed)
    wanted = {}
    for rank, candidate in enumerate(chosen):
        wanted.setdefault(candidate.unit, {})[candidate.row] = rank
    read = {}
    with progress.task("read the pictures", len(wanted), unit="row groups") as task:
        for done, (unit, ranks) in enumerate(wanted.items(), 1):
            file = files[unit.path]
            has_depth = "depth" in tables.footer(file).schema.to_arrow_schema().names
            for number, row in _read(tables, file, unit, schema.data_columns(has_depth)):
                if number in ranks:
                    read[ranks[number]] = {"split": unit.split, **row, **page_pictures(row, f"{file.path} of {tables.files.name}")}
            task.update(done)
    rows = _within([read[rank] for rank in sorted(read)], max_picture_bytes)
    return sorted(rows, key=lambda row: SPLIT_NAMES.index(row["split"])), len(chosen)


def _units(data, recipe):
    per_group = recipe.get("rows_per_group")
    if not isinstance(per_group, int) or per_group < 1:
        per_group = Recipe().rows_per_group
    for split, found in data.items():
        for index, start, stop in cut_into_units([file.rows for file in found], per_group).tolist():
            file = found[index]
            batch = BATCH.match(file.path.rsplit("/", 1)[-1])
            yield Unit(split, batch[0] if batch else "", file.path, start, stop, (stop - start) * file.size / file.rows)


def _read(tables, file, unit, columns):
    """[(number in the file, {column: value})] of a unit."""
    missing = set(columns) - set(tables.footer(file).schema.to_arrow_schema().names)
    if missing:
        raise DataError(f"{file.path} of {tables.files.name} has no column {sorted(missing)[0]!r}")
    loaded = tables.fetch(file, [(unit.start, unit.stop)], list(columns))
    return list(enumerate(loaded.rows(unit.start, unit.stop), unit.start))


def _within(rows, max_picture_bytes):
    """The first rows whose pictures together keep to the bound; one at least."""
    total = 0
    for count, row in enumerate(rows):
        total += sum(len(row[name]) for name in ("image", "mask", "depth") if name in row)
        if max_picture_bytes is not None and total > max_picture_bytes and count:
            return rows[:count]
    return rows


# --- sources --------------------------------------------------------------------------------------------------


def _assets(tables, manifest, kind):
    """The texts of all assets of one kind; the pictures aren't read."""
    found = []
    for files in tables_of(manifest, f"{kind}s", tables.files.name).values():
        for file in files:
            unit = Unit("", "", file.path, 0, file.rows, 0)
            found += [row for _, row in _read(tables, file, unit, SOURCE_COLUMNS)]
    return found


def _source(row):
    """One asset for the page; "url" is there only when it is a plain http address."""
    texts = {name: str(row[name] or "") for name in SOURCE_COLUMNS if name != "url"}
    return texts | {"url": safe_link(row["url"] or row["source"])}


def safe_link(text):
    """A text if it is a plain http or https address, else ""."""
    text = str(text or "").strip()
    return text if LINK.fullmatch(text) else ""


def _licences(assets):
    """[licence, kind, pictures] over all assets."""
    count = Counter((str(row["licence"] or "").strip(), kind) for kind, rows in assets.items() for row in rows)
    return [[licence, kind, number] for (licence, kind), number in sorted(count.items())]


# --- facts and statistics -------------------------------------------------------------------------------------


def _place(place, files, revision):
    """Name of the set, and where it is from: neither depends on where a folder lies."""
    if files.revision is None:
        return {"name": Path(place).resolve().name, "revision": "", "commit": ""}
    return {"name": str(place), "revision": revision or "main", "commit": files.revision}


def _facts(data, assets, recipe, depth):
    """What stands at the top: pairs of a word and a text."""
    rows = {split: sum(file.rows for file in found) for split, found in data.items()}
    parts = ", ".join(f"{count:,} {split}" for split, count in rows.items())
    side = recipe["image_size"]
    facts = [
        ("Rows", f"{sum(rows.values()):,}" + (f" ({parts})" if len(rows) > 1 else f", all {next(iter(rows))}")),
        ("Pictures", f"{len(assets['background']):,} backgrounds, {len(assets['foreground']):,} cut-outs"),
        ("Size", f"{side} x {side} pixels; {size(sum(file.size for found in data.values() for file in found))} of data"),
        ("Held out", {"background": "backgrounds", "both": "backgrounds and cut-outs", "none": "nothing"}[recipe["hold_out"]]),
    ]
    if depth is None:
        return [*facts, ("Depth", "none")]
    kind = "metres" if depth["kind"] == "metric" else "relative: no metres are known"
    return [*facts, ("Depth", f"{depth['name']}, {kind}, stored as {recipe['depth_encoding']}")]


def _scale(stats):
    """The colour scale in metres that suits all rows, with its ticks; None for relative depth and without depth."""
    scale = DepthScale.of(stats)
    if scale.near_m is None:
        return None
    return {"nearM": scale.near_m, "farM": scale.far_m, "ticks": metre_ticks(scale.near_m, scale.far_m)}


def _reduced(columns):
    """The statistics of one split without what the page doesn't show."""
    kept = {name: _moments(values) for name, values in columns.items() if name in ("image", "mask", "depth", "depth_m")}
    mask = columns["mask"]
    kept["mask"]["heat"] = [[round(part, HEAT_DIGITS) for part in line] for line in mask["placement_heatmap"]]
    del kept["mask"]["histogram"]  # two levels, as the mean tells
    kept["area"] = _moments(mask["area"])
    if "depth_m" in kept and "histogram" in kept["depth_m"]:
        kept["depth_m"]["binM"] = columns["depth_m"]["histogram_bin_m"]
    return kept


def _moments(values):
    kept = {name: values[name] for name in ("mean", "std", "min", "max", "count", "quantiles", "histogram") if name in values}
    return kept | {side: values[side]["mean"] for side in ("inside", "outside") if side in values}


def _toml(data, name):
    try:
        return tomllib.loads(data.decode("utf-8"))
    except ValueError as error:
        raise DataError(f"{RECIPE_NAME} of {name} can't be read: {error}") from error


def _stats(data, name):
    try:
        table = json.loads(data)
    except ValueError as error:
        raise DataError(f"{STATS_NAME} of {name} can't be read: {error}") from error
    if not isinstance(table, dict) or "all" not in table:
        raise DataError(f"{STATS_NAME} of {name} holds no statistics of all splits")
    return table
