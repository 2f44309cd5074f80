"""One loader for each way, written as its library's documentation shows it. All give shuffled batches:

    {"key": list of str, "image": (N, H, W, 3) or (N, 3, H, W) uint8, "mask", "depth": (N, H, W) or (N, 1, H, W) uint8}

Peers decode with OpenCV like our helpers, by the function below, so that what is compared is everything but the decoder; with
`decoder` "pillow" they take Pillow. Ways without helpers of ours decode as `datasets` does: with Pillow. Libraries are imported
inside, as this module runs in both environments.
"""

import io
import json
from pathlib import Path

import numpy as np
from bench_rows.kept import PICTURES, SPLIT

from .ways import BATCH_ROWS, SHUFFLE_BUFFER, WORKERS

SEED = 0


def decode_opencv(data, is_color):
    import cv2

    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB if is_color else cv2.IMREAD_UNCHANGED)


def decode_pillow(data, _):
    from PIL import Image

    return np.array(Image.open(io.BytesIO(data)))


class Reader:
    """A way to load.

    Args:
        folder: the layout's folder.
        decoder: "opencv" or "pillow".
    """

    libraries = ()

    def __init__(self, folder, decoder="opencv"):
        self.folder, self._decode = Path(folder), {"opencv": decode_opencv, "pillow": decode_pillow}[decoder]

    def prepare(self):
        """Import all that loading needs; not timed."""
        import importlib

        import cv2
        import torch.utils.data  # noqa: F401
        from PIL import Image

        cv2.setNumThreads(1)
        Image.init()
        for name in self.libraries:
            importlib.import_module(name)

    def loader(self):
        """An iterable of batches of one epoch."""
        raise NotImplementedError

    def sample(self, key, encoded):
        """A decoded sample, which torch's default_collate makes batches of."""
        return {"key": key, **{name: self._decode(encoded[name], name == "image") for name in PICTURES}}


class OurRows(Reader):
    """`fgbg_depth.training`, rows on disk."""

    libraries = ("datasets", "datasets.packaged_modules.parquet.parquet", "fgbg_depth.training.loader", "fgbg_depth.training.load_rows")
    streaming = False

    def loader(self):
        from fgbg_depth.training import Loader, open_rows

        words = {"streaming": True, "shuffle_seed": SEED} if self.streaming else {}
        rows = open_rows(self.folder, SPLIT, columns=["key", *PICTURES], **words)
        return Loader(rows, BATCH_ROWS, num_workers=WORKERS, seed=SEED)


class OurStream(OurRows):
    """`fgbg_depth.training`, a stream."""

    libraries = (*OurRows.libraries, "fgbg_depth.streaming", "torchdata.stateful_dataloader")
    streaming = True


class PlainRows(Reader):
    """`load_dataset` and a DataLoader, no more."""

    libraries = ("datasets", "datasets.packaged_modules.parquet.parquet")
    streaming = False

    def loader(self):
        import torch
        from datasets import load_dataset

        rows = load_dataset(str(self.folder), split=SPLIT, streaming=self.streaming).select_columns(["key", *PICTURES])
        if self.streaming:
            rows, words = rows.shuffle(SEED, buffer_size=SHUFFLE_BUFFER), {}
        else:
            words = {"shuffle": True}
        return torch.utils.data.DataLoader(rows, BATCH_ROWS, num_workers=WORKERS, collate_fn=_collate_pillow, **words)


class PlainStream(PlainRows):
    """`load_dataset(streaming=True)`."""

    streaming = True


def _collate_pillow(rows):
    from torch.utils.data import default_collate

    return default_collate([{name: np.array(value) if name in PICTURES else value for name, value in row.items()} for row in rows])


class Folders(Reader):
    """Loose files and a list of them."""

    def loader(self):
        import torch

        lines = (self.folder / "rows.jsonl").read_text().splitlines()
        rows = _Listed([json.loads(line) for line in lines], self)
        return torch.utils.data.DataLoader(rows, BATCH_ROWS, shuffle=True, num_workers=WORKERS)

    def encoded(self, file):
        return (self.folder / file).read_bytes()


class Zips(Folders):
    """A zip for each background; each worker opens the ones it meets, and keeps them open."""

    def __init__(self, folder, decoder="opencv"):
        super().__init__(folder, decoder)
        self._zips = {}

    def encoded(self, file):
        import zipfile

        archive, member = file
        if archive not in self._zips:
            self._zips[archive] = zipfile.ZipFile(self.folder / archive)
        return self._zips[archive].read(member)


class _Listed:
    """A map-style data set of listed files."""

    def __init__(self, rows, reader):
        self._rows, self._reader = rows, reader

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, index):
        row = self._rows[index]
        return self._reader.sample(row["key"], {name: self._reader.encoded(row[name]) for name in PICTURES})


class WebDatasetTars(Reader):
    """Tars, batches made in the workers."""

    libraries = ("webdataset",)

    def loader(self):
        import torch
        import webdataset

        tars = sorted(map(str, self.folder.glob("*.tar")))
        rows = webdataset.WebDataset(tars, shardshuffle=len(tars), seed=SEED).shuffle(SHUFFLE_BUFFER).map(self._of_tar)
        batches = rows.batched(BATCH_ROWS, collation_fn=torch.utils.data.default_collate)
        return webdataset.WebLoader(batches, batch_size=None, num_workers=WORKERS)

    def _of_tar(self, row):
        files = {name.partition(".")[0]: data for name, data in row.items() if not name.startswith("__")}
        return self.sample(json.loads(files["json"])["key"], files)


class MosaicShards(Reader):
    """MDS shards on the local disk."""

    def prepare(self):
        super().prepare()
        from bench_rows.mosaic import import_streaming

        self._streaming = import_streaming()

    def loader(self):
        import torch

        reader = self

        class Decoded(self._streaming.StreamingDataset):
            def __getitem__(self, index):
                row = super().__getitem__(index)
                return reader.sample(json.loads(row["json"])["key"], row)

        rows = Decoded(local=str(self.folder), shuffle=True, shuffle_seed=SEED, batch_size=BATCH_ROWS)
        return torch.utils.data.DataLoader(rows, BATCH_ROWS, num_workers=WORKERS)


class LitDataChunks(Reader):
    """LitData's chunks on the local disk."""

    libraries = ("litdata",)

    def prepare(self):
        import os

        os.environ["LITDATA_DISABLE_VERSION_CHECK"] = "1"  # it would ask the package index
        super().prepare()

    def loader(self):
        import litdata

        rows = litdata.StreamingDataset(str(self.folder), shuffle=True, seed=SEED, drop_last=False, transform=self._of_chunk)
        return litdata.StreamingDataLoader(rows, batch_size=BATCH_ROWS, num_workers=WORKERS)

    def _of_chunk(self, row, *_):
        return self.sample(json.loads(row["json"])["key"], row)
