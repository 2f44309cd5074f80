"""One measurement in a process of its own: `python -m streaming_bench.read JOB`, with a job in JSON; prints JSON and is gone.

Seconds begin when the libraries are imported, and so count opening: lists of files, footers, indices.
"""

import contextlib
import json
import os
import sys
import time
import zlib
from pathlib import Path

from bench_rows.kept import PICTURES

from . import readers
from .ways import BATCH_ROWS, WAYS, Way

CHECK_EVERY = 32  # one row in so many has its pixels checked; checking all would cost a tenth of the decoding
DATALOADER_WORKERS = 2


class Tally:
    """What was read, whatever its order: rows, their keys and, of some, their pixels."""

    def __init__(self):
        self.rows = self.keys = self.pixels = 0

    def add(self, key, pictures=None):
        """Count a row.

        Args:
            key: of the row.
            pictures: {name: bytes of the decoded pixels, or a function that gives them}.
        """
        crc = zlib.crc32(key.encode())
        self.rows += 1
        self.keys ^= crc
        if pictures and crc % CHECK_EVERY == 0:
            for name in PICTURES:
                self.pixels ^= zlib.crc32(pictures[name](), crc)


def read_samples(reader, tally, limit):
    for key, pictures in reader.samples():
        tally.add(key, {name: picture.tobytes for name, picture in pictures.items()})
        if tally.rows == limit:
            break


def read_metadata(reader, tally, _):
    for row in reader.metadata():
        tally.add(row["key"])


def read_workers(reader, tally, _):
    """A full pass by a DataLoader: batches of tensors (N, H, W, C) or (N, H, W) that its workers decode and stack."""
    from torch.utils.data import DataLoader

    loader = DataLoader(reader.rows(), BATCH_ROWS, num_workers=DATALOADER_WORKERS, collate_fn=Collate(reader))
    for batch in loader:
        for i, key in enumerate(batch["key"]):
            tally.add(key, {name: batch[name][i].numpy().tobytes for name in PICTURES})


class Collate:
    """Rows to a batch of uint8 tensors."""

    def __init__(self, reader):
        self.reader = reader

    def __call__(self, rows):
        import numpy as np
        import torch

        samples = [self.reader.sample(row) for row in rows]
        stacks = {name: torch.from_numpy(np.stack([pictures[name] for _, pictures in samples])) for name in PICTURES}
        return {"key": [key for key, _ in samples], **stacks}


READS = {
    "first": (read_samples, 1),
    "batch": (read_samples, BATCH_ROWS),
    "pass": (read_samples, None),
    "metadata": (read_metadata, None),
    "workers": (read_workers, None),
}


def peak_bytes():
    """Peak memory of this process. Not from getrusage, which begins with the peak of the process that started this one."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


def main(text):
    job = json.loads(text)
    way = Way(**job["way"]) if isinstance(job["way"], dict) else WAYS[job["way"]]
    reader = getattr(readers, way.reader)(way, job["facts"])
    read, limit = READS[job["measure"]]
    tally = Tally()
    with contextlib.redirect_stdout(sys.stderr):  # libraries talk
        reader.prepare()
        before, started, cpu = peak_bytes(), time.perf_counter(), time.process_time()
        read(reader, tally, limit)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    result = {"seconds": seconds, "cpu_s": cpu, "peak_bytes": peak_bytes(), "imported_bytes": before, **vars(tally)}
    print(json.dumps(result), flush=True)
    # At once: what a library still has under way is neither waited for nor charged.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
