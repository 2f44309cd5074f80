"""What is compared: each way is a layout in a repository and the library that reads it."""

from dataclasses import dataclass

OWNER = "alice"  # may write on the local Hub
BATCH_ROWS = 32
MEASURES = ("first", "batch", "pass", "metadata", "workers")


@dataclass(frozen=True)
class Way:
    """One way to read the rows.

    Attributes:
        name: short, for the command line.
        title: for tables.
        layout: name of the repository that holds the rows so.
        reader: class in `readers`.
        peer: runs in the environment with the peers' libraries.
        note: what a reader of the tables has to know of it.
    """

    name: str
    title: str
    layout: str
    reader: str
    peer: bool = False
    note: str = ""

    @property
    def repo(self):
        return f"{OWNER}/{self.layout}"


WAYS = {
    way.name: way
    for way in (
        Way("ours", "ours, `load_dataset`", "ours", "PlainDatasets"),
        Way("stream", "ours, `fgbg_depth.stream`", "ours", "OurStream"),
        Way("default", "`push_to_hub` default, `load_dataset`", "default", "PlainDatasets"),
        Way(
            "webdataset", "WebDataset", "webdataset", "WebDatasetTar", True,
            "one tar, as ShardWriter's own limits (3 GB, 100,000 rows) make it; read by its http handler, which runs curl",
        ),
        Way(
            "mds", "mosaicml-streaming (MDS)", "mds", "MosaicShards", True,
            "shards of 64 MiB, as MDSWriter makes them; read by its remote hf://, which downloads whole shards before it reads",
        ),
        Way(
            "litdata", "LitData, on our Parquet files", "ours", "LitDataParquet", True,
            "over hf:// LitData reads only Parquet (it refuses any item_loader but ParquetLoader there); its own chunks need S3, GCS, "
            "Azure or a local folder, so they can't be read from a Hub. It downloads whole files before it reads",
        ),
    )
}  # fmt: skip
