"""One reader per way. All give the same: (key, {name: decoded PIL picture}) of each row, and the scalars of each row.

`prepare` imports, and isn't timed; everything after it is. Each reader is used as its library's documentation says, with
the library's defaults. This module runs in both environments, so libraries are imported inside.
"""

import io
import json
import os

from bench_rows.kept import PICTURES, SPLIT
from bench_rows.mosaic import import_streaming

from .ways import BATCH_ROWS


def decode(data):
    """A picture from its encoded bytes, as `datasets` does it."""
    from PIL import Image

    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


class Reader:
    """How a way is read.

    Args:
        way: ways.Way.
        facts: {"endpoint": URL of the Hub, "files": paths in the repository, "scalars": columns that are no pictures,
            "cache": an empty folder}.
    """

    libraries = ()

    def __init__(self, way, facts):
        self.way, self.facts = way, facts

    def prepare(self):
        """Import what the way needs; pictures' decoders too."""
        import importlib

        import torch.utils.data  # noqa: F401 - each of the libraries takes it where it is, so none is charged for it
        from PIL import Image

        Image.init()
        for name in self.libraries:
            importlib.import_module(name)

    def samples(self):
        """Yield (key, {name: PIL picture})."""
        for row in self.rows():
            yield self.sample(row)

    def rows(self):
        """A data set that a DataLoader takes; its items go through `sample`."""
        raise NotImplementedError

    def sample(self, row):
        return row["key"], {name: row[name] for name in PICTURES}

    def metadata(self):
        """Yield the scalars of each row as a dict, with as few bytes as the way allows."""
        raise NotImplementedError


class PlainDatasets(Reader):
    """`datasets.load_dataset(REPO, streaming=True)`, nothing else."""

    libraries = ("datasets", "datasets.packaged_modules.parquet.parquet", "huggingface_hub")

    def rows(self):
        from datasets import load_dataset

        return load_dataset(self.way.repo, split=SPLIT, streaming=True)

    def metadata(self):
        from datasets import load_dataset

        if self.way.layout == "default":
            return load_dataset(self.way.repo, split=SPLIT, streaming=True, columns=self.facts["scalars"])
        return load_dataset(self.way.repo, "metadata", split=SPLIT, streaming=True)


class OurStream(Reader):
    """`fgbg_depth.stream`."""

    libraries = ("datasets", "datasets.packaged_modules.parquet.parquet", "huggingface_hub", "fgbg_depth")

    def prepare(self):
        super().prepare()
        from fgbg_depth import stream  # noqa: F401 - its module is imported at its first use

    def rows(self):
        from fgbg_depth import stream

        return stream(self.way.repo, split=SPLIT)

    def metadata(self):
        from fgbg_depth import stream

        return stream(self.way.repo, split=SPLIT, config="metadata")


class WebDatasetTar(Reader):
    """`webdataset.WebDataset(URLS)`: tar files as a stream."""

    libraries = ("webdataset",)

    def _open(self, **words):
        import webdataset

        urls = [f"{self.facts['endpoint']}/datasets/{self.way.repo}/resolve/main/{name}" for name in self.facts["files"]]
        # One tar serves one worker only; without empty_check=False the other one ends the epoch with an error.
        return webdataset.WebDataset(urls, shardshuffle=False, empty_check=False, **words)

    def rows(self):
        return self._open().map(_decode_tar_row)

    def sample(self, row):
        return row

    def metadata(self):
        return map(_json_of, self._open(select_files=lambda name: name.endswith(".json")))


def _json_of(row):
    return json.loads(row["json"])


def _decode_tar_row(row):
    files = {name.partition(".")[0]: data for name, data in row.items() if not name.startswith("__")}
    return json.loads(files["json"])["key"], {name: decode(files[name]) for name in PICTURES}


class MosaicShards(Reader):
    """`streaming.StreamingDataset(remote="hf://...", local=...)`."""

    libraries = ("huggingface_hub",)

    def prepare(self):
        super().prepare()
        import_streaming()

    def rows(self):
        streaming = import_streaming()
        remote, local = f"hf://datasets/{self.way.repo}/", f"{self.facts['cache']}/mds"
        return streaming.StreamingDataset(remote=remote, local=local, shuffle=False, batch_size=BATCH_ROWS)

    def sample(self, row):
        return json.loads(row["json"])["key"], {name: decode(row[name]) for name in PICTURES}

    def metadata(self):
        return map(_json_of, self.rows())


class LitDataParquet(Reader):
    """`litdata.StreamingDataset("hf://...")`: whole Parquet files, downloaded and then read."""

    libraries = ("litdata", "pyarrow.parquet", "polars", "huggingface_hub")

    def prepare(self):
        os.environ["LITDATA_DISABLE_VERSION_CHECK"] = "1"  # it would ask the package index
        super().prepare()

    def _open(self, folder):
        import litdata

        cache = f"{self.facts['cache']}/litdata"
        return litdata.StreamingDataset(f"hf://datasets/{self.way.repo}/{folder}", cache_dir=cache)

    def rows(self):
        return self._open(f"data/{SPLIT}")

    def sample(self, row):
        return row["key"], {name: decode(row[name]["bytes"]) for name in PICTURES}

    def metadata(self):
        return self._open(f"metadata/{SPLIT}")
