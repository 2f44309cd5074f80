"""The data files of a set written with other options of the Parquet writer, and how many bytes their chunks would save."""

import shutil

import pyarrow.parquet as pq

from fgbg_depth import shards

from .chunking import new_bytes

LAYOUTS = {  # title: (rows in a group, None for those of the recipe; pages cut by content)
    "as they are": (None, False),
    "pages cut by content": (None, True),
    "groups of 300 rows": (300, False),
    "groups of 1,000 rows": (1000, False),
}
REWRITES = {  # title: (new set, row left out of each file)
    "10 % more backgrounds, `generate --append`": ("appended", None),
    "another depth model, `annotate`": ("annotated", None),
    "10 % more backgrounds, all made anew": ("anew", None),
    "the second row of each file left out": ("base", 1),
}


def column_bytes(folder):
    """{column: bytes on disk} of the config `default`."""
    found = {}
    for path in shards.find_tables(folder, "default"):
        with shards.open_table(path) as file:
            for group in range(file.metadata.num_row_groups):
                row_group = file.metadata.row_group(group)
                for number in range(row_group.num_columns):
                    chunk = row_group.column(number)
                    name = chunk.path_in_schema.split(".")[0]
                    found[name] = found.get(name, 0) + chunk.total_compressed_size
    return found


def write_again(folder, target, rows_per_group, by_content, skip=None):
    """Write the data files of a set with other options of the writer; returns their paths.

    Args:
        folder: the set.
        target: an empty folder.
        rows_per_group: of the new files.
        by_content: let pyarrow end pages where the content says so (`use_content_defined_chunking`).
        skip: index of a row to leave out of each file, or None.
    """
    target.mkdir(parents=True)
    written = []
    for number, path in enumerate(shards.find_tables(folder, "default")):
        with shards.open_table(path) as file:
            table = file.read()
        kept = {name: text for name, text in table.schema.metadata.items() if name.decode() != shards.FOOTER_KEY}
        table = table.replace_schema_metadata(kept)  # pyarrow would write the statistics twice
        if skip is not None:
            table = table.filter([row != skip for row in range(len(table))])
        options = shards.writer_options(dict(zip(table.schema.names, table.schema.types, strict=True)))  # those of a set's own writer
        written.append(target / f"{number:04}.parquet")
        pq.write_table(table, written[-1], row_group_size=rows_per_group, use_content_defined_chunking=by_content, **options)
    return written


def bench_layouts(folders, recipe, home):
    """Estimated bytes for the data files alone, written in other ways.

    Args:
        folders: {name: folder} of the sets.
        recipe: theirs.
        home: a folder that isn't there yet.

    Returns:
        {title of the rewrite: {title of the layout: bytes}}.
    """
    found = {title: {} for title in REWRITES}
    for layout, (rows_per_group, by_content) in LAYOUTS.items():
        rows = rows_per_group or recipe.rows_per_group
        old = write_again(folders["base"], home / "old", rows, by_content)
        for title, (name, skip) in REWRITES.items():
            new = write_again(folders[name], home / "new", rows, by_content, skip)
            found[title][layout] = new_bytes(old, new)
            shutil.rmtree(home / "new")
        shutil.rmtree(home / "old")
    return found


def num_rows(folder):
    """Rows of the config `default`."""
    return sum(pq.read_metadata(path).num_rows for path in shards.find_tables(folder, "default"))


def data_bytes(folder):
    """Bytes of the files of the config `default`."""
    return sum(path.stat().st_size for path in shards.find_tables(folder, "default"))
