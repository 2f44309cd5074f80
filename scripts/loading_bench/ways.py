"""What is compared: each way is a layout on disk and the code that reads it."""

from dataclasses import dataclass

BATCH_ROWS = 32
WORKERS = 2
SHUFFLE_BUFFER = 1000  # rows, where a library shuffles by a buffer: what the documentation of WebDataset and of datasets takes


@dataclass(frozen=True)
class Way:
    """One way to load.

    Attributes:
        name: short, for the command line.
        title: for tables.
        layout: what lies on disk.
        reader: class in `readers`.
        peer: runs in the environment with the peers' libraries.
        helpers: with `fgbg_depth.training`.
        stores: what lies on disk, in words.
        shuffles: how rows come into another order, in words.
    """

    name: str
    title: str
    layout: str
    reader: str
    peer: bool = False
    helpers: bool = False
    stores: str = ""
    shuffles: str = ""


_ARROW, _PARQUET = "our Parquet, copied to `datasets`' Arrow cache", "our Parquet"
WAYS = {
    way.name: way
    for way in (
        Way("helpers", "ours, `open_rows` + `Loader`", "ours", "OurRows", helpers=True, stores=_ARROW, shuffles="all rows"),
        Way(
            "helpers-stream", "ours, `open_rows(streaming=True)` + `Loader`", "ours", "OurStream", helpers=True,
            stores=_PARQUET, shuffles="row groups",
        ),
        Way("plain", "ours, `load_dataset`", "ours", "PlainRows", stores=_ARROW, shuffles="all rows"),
        Way(
            "plain-stream", "ours, `load_dataset(streaming=True)`", "ours", "PlainStream",
            stores=_PARQUET, shuffles="files, buffer of 1,000",
        ),
        Way(
            "folder", "folders, as in 2020", "folder", "Folders", peer=True,
            stores="a file for each picture, a folder for each background", shuffles="all rows",
        ),
        Way(
            "zip", "zips, as in 2020", "zip", "Zips", peer=True,
            stores="three zips for each background, not compressed again", shuffles="all rows",
        ),
        Way(
            "webdataset", "WebDataset", "webdataset", "WebDatasetTars", peer=True,
            stores="tars of 500 rows", shuffles="tars, buffer of 1,000",
        ),
        Way("mds", "mosaicml-streaming", "mds", "MosaicShards", peer=True, stores="MDS shards of 64 MiB", shuffles="py1e, its default"),
        Way("litdata", "LitData", "litdata", "LitDataChunks", peer=True, stores="chunks of 64 MB", shuffles="chunks and rows in them"),
    )
}  # fmt: skip
