"""Write the rows of Parquet files in a peer's layout: `python -m loading_bench.pack LAYOUT OUT FILE...`, in the peers' environment.

Encoded pictures are copied byte for byte, so that every way has the same pixels to decode from the same bytes.
"""

import contextlib
import json
import sys
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
from streaming_bench.mosaic import import_streaming

from .ways import PICTURES

READ_ROWS = 100  # in memory at a time
TAR_ROWS = 500  # several tars for each worker, or one of them would be idle; about 14 MB
TREES = {"image": "fg_bg", "mask": "fg_bg_masks", "depth": "depth_maps"}  # the folders of the 2020 set


def rows_of(paths):
    """Yield (key, background, {picture: encoded bytes})."""
    for path in paths:
        for batch in pq.ParquetFile(path).iter_batches(READ_ROWS, columns=["key", "background", *PICTURES]):
            for row in batch.to_pylist():
                yield row["key"], row["background"], {name: row[name]["bytes"] for name in PICTURES}


def suffix(data):
    """File suffix of an encoded picture."""
    return "jpg" if data.startswith(b"\xff\xd8") else "png"


def _entries(rows):
    """Yield (key, background, number, {picture: name of its file}, pictures)."""
    for number, (key, background, pictures) in enumerate(rows):
        yield key, background, {name: f"{number:06d}.{suffix(data)}" for name, data in pictures.items()}, pictures


def write_folder(folder, rows):
    """TREE/BACKGROUND/NNNNNN.jpg, and a list of all rows."""
    lines = []
    for key, background, names, pictures in _entries(rows):
        files = {name: f"{TREES[name]}/{background}/{names[name]}" for name in PICTURES}
        for name, file in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(pictures[name])
        lines.append(json.dumps({"key": key, **files}))
    (folder / "rows.jsonl").write_text("\n".join(lines))


def write_zip(folder, rows):
    """TREE/BACKGROUND.zip with NNNNNN.jpg, and a list of all rows."""
    lines, zips = [], {}
    with contextlib.ExitStack() as stack:
        for key, background, names, pictures in _entries(rows):
            files = {name: [f"{TREES[name]}/{background}.zip", names[name]] for name in PICTURES}
            for name, (file, member) in files.items():
                if file not in zips:
                    (folder / file).parent.mkdir(parents=True, exist_ok=True)
                    zips[file] = stack.enter_context(zipfile.ZipFile(folder / file, "w", zipfile.ZIP_STORED))
                zips[file].writestr(member, pictures[name])
            lines.append(json.dumps({"key": key, **files}))
    (folder / "rows.jsonl").write_text("\n".join(lines))


def write_webdataset(folder, rows):
    """Tars with NNNNNN.image.jpg, NNNNNN.mask.png, NNNNNN.depth.png and NNNNNN.key."""
    import webdataset

    with webdataset.ShardWriter(f"{folder}/{'%05d'}.tar", maxcount=TAR_ROWS, verbose=0) as writer:
        for number, (key, _, pictures) in enumerate(rows):
            files = {f"{name}.{suffix(data)}": data for name, data in pictures.items()}
            writer.write({"__key__": f"{number:06d}", "key": key.encode(), **files})


def write_mds(folder, rows):
    """MDS shards, with the writer's own limit; pictures as bytes."""
    columns = {"key": "str", **dict.fromkeys(PICTURES, "bytes")}
    with import_streaming().MDSWriter(out=str(folder), columns=columns, progress_bar=False) as writer:
        for key, _, pictures in rows:
            writer.write({"key": key, **pictures})


def _same(item):
    return item


def write_litdata(folder, rows):
    """LitData's chunks, of the size that its documentation takes; pictures as bytes."""
    import litdata

    items = [{"key": key, **pictures} for key, _, pictures in rows]
    litdata.optimize(_same, items, str(folder), chunk_bytes="64MB", num_workers=1, verbose=False)


WRITERS = {
    "folder": write_folder,
    "zip": write_zip,
    "webdataset": write_webdataset,
    "mds": write_mds,
    "litdata": write_litdata,
}


def main(layout, folder, *paths):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    WRITERS[layout](folder, rows_of(paths))


if __name__ == "__main__":
    main(*sys.argv[1:])
