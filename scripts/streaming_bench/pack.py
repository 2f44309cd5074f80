"""Write the rows of Parquet files as WebDataset and as MDS, each by its own writer with its own defaults.

    python -m streaming_bench.pack OUT FILE...

Runs in the peers' environment. Encoded pictures are copied byte for byte, so every layout holds the same pictures.
"""

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq

from .mosaic import import_streaming
from .ways import PICTURES

READ_ROWS = 100  # in memory at a time


def rows_of(paths):
    """The rows of some Parquet files, as (scalars, {picture: encoded bytes})."""
    for path in paths:
        for batch in pq.ParquetFile(path).iter_batches(READ_ROWS):
            for row in batch.to_pylist():
                yield {k: v for k, v in row.items() if k not in PICTURES}, {name: row[name]["bytes"] for name in PICTURES}


def write_webdataset(folder, rows):
    """Tar files with NAME.image.jpg, NAME.mask.png, NAME.depth.png and NAME.json."""
    import webdataset

    with webdataset.ShardWriter(f"{folder}/{'%05d'}.tar", verbose=0) as writer:
        for number, (scalars, pictures) in enumerate(rows):
            files = {f"{name}.{suffix(data)}": data for name, data in pictures.items()}
            writer.write({"__key__": f"{number:08d}", **files, "json": json.dumps(scalars).encode()})


def write_mds(folder, rows):
    """MDS shards; pictures as bytes, so that a reader may leave them undecoded."""
    columns = {"json": "str", **dict.fromkeys(PICTURES, "bytes")}
    with import_streaming().MDSWriter(out=str(folder), columns=columns, progress_bar=False) as writer:
        for scalars, pictures in rows:
            writer.write({"json": json.dumps(scalars), **pictures})


def suffix(data):
    """File suffix of an encoded picture."""
    return "jpg" if data.startswith(b"\xff\xd8") else "png"


WRITERS = {"webdataset": write_webdataset, "mds": write_mds}


def main(layout, folder, *paths):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    WRITERS[layout](folder, rows_of(paths))


if __name__ == "__main__":
    main(*sys.argv[1:])
