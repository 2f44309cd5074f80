"""What is made when all shards are there: metadata tables, statistics, recipe, contact sheets, manifest, card.

All of it is computed from the files of the set, so it can be made again at any time and comes out the same.
"""

import dataclasses

from . import schema
from .config import RECIPE_NAME, SPLIT_NAMES, recipe_to_toml
from .errors import DataError
from .files import write_text
from .manifest import MANIFEST_NAME, build_manifest, library_versions, manifest_text
from .shards import METADATA_GROUP_ROWS, Footer, find_tables, footer_of, left_out_entry, open_table, own_footer, read_columns, write_table
from .stats import Tally, stats_json


def finish_set(prepared, progress, card_start=({}, ""), versions=None):
    """Make everything but the data shards.

    Args:
        prepared: prepare.Prepared.
        progress: progress.Quiet or a subclass.
        card_start: what the card begins with where there is none, see card.write.write_card.
        versions: of the libraries that made the rows, {name: version}; None takes those that are installed here.

    Returns:
        the manifest.
    """
    folder = prepared.folder
    write_metadata_tables(prepared)
    write_text(folder / "stats.json", stats_json(split_tallies(folder)))
    write_text(folder / RECIPE_NAME, recipe_to_toml(prepared.recipe, prepared.weights))
    from .card.write import write_card
    from .croissant import write_croissant
    from .sheets.write import write_sheets

    with progress.task("contact sheets", None):
        write_sheets(folder)
    facts = {
        "recipe_digest": prepared.digest,
        "asset_lists": {str(batch): digest for batch, digest in prepared.work.lists.items()},
        "depth": _depth_facts(prepared.depth),
        "libraries": versions or library_versions(prepared.recipe.has_depth),
        "cells_left_out": {str(batch): cells for batch, cells in prepared.plan.left_out.items()},
    }
    if left_out := rows_left_out(folder) if prepared.recipe.has_depth else {}:
        facts["rows_left_out"] = {name: len(keys) for name, keys in left_out.items()}
    with progress.task("hash the files", None) as task:
        manifest = build_manifest(folder, facts, task.update)
    write_text(folder / MANIFEST_NAME, manifest_text(manifest))
    write_croissant(folder)
    write_card(folder, card_start)
    return manifest


def _depth_facts(depth):
    """Facts on the depth model without the reason for its engine, which differs where `auto` chose what is later asked for."""
    return depth and {name: value for name, value in depth.items() if name != "engine_reason"}


def rows_left_out(folder):
    """{data file: keys of its planned rows that have no depth and were left out}, of those files that lack some."""
    found = {path.relative_to(folder).as_posix(): own_footer(path).left_out for path in find_tables(folder, "default")}
    return {name: keys for name, keys in found.items() if keys}


def left_out_keys(folder, manifest):
    """Keys of all rows that a finished set lacks for their depth, in the order of its files."""
    names = sorted(manifest.get("rows_left_out", ()))
    return tuple(key for name in names for key in own_footer(folder / name).left_out)


def metadata_path(folder, batch, split):
    """Where the metadata table of one (batch, split) lies."""
    return folder / "metadata" / split / f"b{batch:03d}.parquet"


def strange_tables(folder, plan):
    """Data files and metadata tables that the plan doesn't know; paths in the folder."""
    expected = {folder / shard.name for shard in plan.shards()} | {metadata_path(folder, *key) for key in plan.rows}
    return [path for config in ("default", "metadata") for path in find_tables(folder, config) if path not in expected]


def write_metadata_tables(prepared):
    """Copy the columns without pictures into files of their own, one for each (batch, split)."""
    columns = schema.metadata_columns(prepared.recipe.has_depth)
    for (batch, split), rows in prepared.plan.rows.items():
        path = metadata_path(prepared.folder, batch, split)
        footer = Footer("metadata", batch, split, 0, 0, len(rows), prepared.digest, prepared.work.lists[batch])
        if path.is_file() and own_footer(path).same_work(footer):
            continue
        shards = [prepared.folder / shard.name for shard in prepared.plan.shards({batch}) if shard.split == split]
        left_out = [key for shard in shards for key in own_footer(shard).left_out] if prepared.recipe.has_depth else []
        footer = dataclasses.replace(footer, extra=left_out_entry(left_out))
        write_table(path, columns, metadata_groups(shards, columns), lambda footer=footer: footer)


def metadata_groups(paths, columns):
    """Row groups of a metadata table, read from its data files: dicts {column: list of values}."""
    waiting, count = {name: [] for name in columns}, 0
    for path in paths:
        table = read_columns(path, columns)
        for name in columns:
            waiting[name] += table.column(name).to_pylist()
        count += table.num_rows
        while count >= METADATA_GROUP_ROWS:
            yield {name: values[:METADATA_GROUP_ROWS] for name, values in waiting.items()}
            waiting = {name: values[METADATA_GROUP_ROWS:] for name, values in waiting.items()}
            count -= METADATA_GROUP_ROWS
    if count:
        yield waiting


def split_tallies(folder):
    """Merge the partial statistics of all data files, without opening a picture.

    Returns:
        {split: Tally} in the usual order of the splits.
    """
    tallies = {}
    for path in find_tables(folder, "default"):
        with open_table(path) as table:
            footer = footer_of(table, path)
            tally = read_tally(footer, path)
            if tally.rows != table.metadata.num_rows:
                raise DataError(f"{path}: the footer's statistics are of {tally.rows} rows, the file has {table.metadata.num_rows}")
        tallies[footer.split] = tallies[footer.split].merge(tally) if footer.split in tallies else tally
    return {split: tallies[split] for split in SPLIT_NAMES if split in tallies}


def read_tally(footer, path):
    """The Tally in a Footer; DataError when it can't be read."""
    try:
        return Tally.from_text(footer.tally)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
