"""Write the rows of Parquet files in a peer's layout, by its own writer, in the peers' environment.

    python -m bench_rows.pack LAYOUT OUT [--scalars NAME ...] [--tar-rows N] --files FILE...

Encoded pictures are copied byte for byte, so that every way has the same pixels to decode from the same bytes. The scalars of a row are
stored as JSON beside them.
"""

import argparse
import contextlib
import json
import zipfile
from pathlib import Path

import pyarrow.parquet as pq

from .kept import PICTURES
from .mosaic import import_streaming

READ_ROWS = 100  # in memory at a time
TREES = {"image": "fg_bg", "mask": "fg_bg_masks", "depth": "depth_maps"}  # the folders of the 2020 set


def rows_of(paths, scalars=None):
    """The rows of some Parquet files, as (scalars, {picture: encoded bytes}).

    Args:
        paths: the files.
        scalars: names of the columns to take beside the pictures; None takes all.
    """
    columns = [*scalars, *PICTURES] if scalars else None
    for path in paths:
        for batch in pq.ParquetFile(path).iter_batches(READ_ROWS, columns=columns):
            for row in batch.to_pylist():
                yield {k: v for k, v in row.items() if k not in PICTURES}, {name: row[name]["bytes"] for name in PICTURES}


def suffix(data):
    """File suffix of an encoded picture."""
    return "jpg" if data.startswith(b"\xff\xd8") else "png"


def write_webdataset(folder, rows, tar_rows=None):
    """Tars with N.image.jpg, N.mask.png, N.depth.png and N.json; with `tar_rows` in each, or as many as the writer takes of itself."""
    import webdataset

    limit = {"maxcount": tar_rows} if tar_rows else {}
    with webdataset.ShardWriter(f"{folder}/{'%05d'}.tar", verbose=0, **limit) as writer:
        for number, (scalars, pictures) in enumerate(rows):
            files = {f"{name}.{suffix(data)}": data for name, data in pictures.items()}
            writer.write({"__key__": f"{number:08d}", **files, "json": json.dumps(scalars).encode()})


def write_mds(folder, rows):
    """MDS shards, with the writer's own limit; pictures as bytes, so that a reader may leave them undecoded."""
    columns = {"json": "str", **dict.fromkeys(PICTURES, "bytes")}
    with import_streaming().MDSWriter(out=str(folder), columns=columns, progress_bar=False) as writer:
        for scalars, pictures in rows:
            writer.write({"json": json.dumps(scalars), **pictures})


def write_litdata(folder, rows):
    """LitData's chunks, of the size that its documentation takes; pictures as bytes."""
    import litdata

    items = [{"json": json.dumps(scalars), **pictures} for scalars, pictures in rows]
    litdata.optimize(_same, items, str(folder), chunk_bytes="64MB", num_workers=1, verbose=False)


def _same(item):
    return item


def write_folder(folder, rows):
    """TREE/BACKGROUND/NNNNNN.jpg, and a list of all rows. The scalars have to hold `key` and `background`."""
    lines = []
    for scalars, names, pictures in _named(rows):
        files = {name: f"{TREES[name]}/{scalars['background']}/{names[name]}" for name in PICTURES}
        for name, file in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(pictures[name])
        lines.append(json.dumps({"key": scalars["key"], **files}))
    (folder / "rows.jsonl").write_text("\n".join(lines))


def write_zip(folder, rows):
    """TREE/BACKGROUND.zip with NNNNNN.jpg, and a list of all rows. The scalars have to hold `key` and `background`."""
    lines, zips = [], {}
    with contextlib.ExitStack() as stack:
        for scalars, names, pictures in _named(rows):
            files = {name: [f"{TREES[name]}/{scalars['background']}.zip", names[name]] for name in PICTURES}
            for name, (file, member) in files.items():
                if file not in zips:
                    (folder / file).parent.mkdir(parents=True, exist_ok=True)
                    zips[file] = stack.enter_context(zipfile.ZipFile(folder / file, "w", zipfile.ZIP_STORED))
                zips[file].writestr(member, pictures[name])
            lines.append(json.dumps({"key": scalars["key"], **files}))
    (folder / "rows.jsonl").write_text("\n".join(lines))


def _named(rows):
    """Yield (scalars, {picture: name of its file}, pictures)."""
    for number, (scalars, pictures) in enumerate(rows):
        yield scalars, {name: f"{number:06d}.{suffix(data)}" for name, data in pictures.items()}, pictures


WRITERS = {
    "webdataset": write_webdataset,
    "mds": write_mds,
    "litdata": write_litdata,
    "folder": write_folder,
    "zip": write_zip,
}


def pack(layout, folder, files, scalars=None, tar_rows=None):
    """Write the rows of Parquet files in a layout.

    Args:
        layout: name in WRITERS.
        folder: is made if it isn't there.
        files: paths of the Parquet files.
        scalars: columns to take beside the pictures; None takes all.
        tar_rows: limit of a tar, for `webdataset`; None takes the writer's own.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    limit = {"tar_rows": tar_rows} if layout == "webdataset" else {}
    WRITERS[layout](folder, rows_of(files, scalars), **limit)


def main():
    parser = argparse.ArgumentParser(description="Write the rows of Parquet files in another layout.")
    parser.add_argument("layout", choices=list(WRITERS))
    parser.add_argument("folder")
    parser.add_argument("--scalars", nargs="*", help="columns to take beside the pictures (default: all)")
    parser.add_argument("--tar-rows", type=int)
    parser.add_argument("--files", nargs="+", required=True)
    args = parser.parse_args()
    pack(args.layout, args.folder, args.files, args.scalars, args.tar_rows)


if __name__ == "__main__":
    main()
