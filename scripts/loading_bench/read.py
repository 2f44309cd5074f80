"""One epoch in a process of its own: `python -m loading_bench.read JOB`, a job in JSON; prints JSON and is gone.

Samples per second are counted between the first batch and the last one; what comes before, opening and the start of the workers, is told
as the seconds to the first batch.
"""

import contextlib
import json
import os
import sys
import time
import zlib

from bench_rows.kept import PICTURES

from . import readers
from .memory import Sampler
from .ways import WAYS

CHECK_EVERY = 32  # one row in so many has its pixels checked; checking all would take time from the workers


def count(tally, batch):
    """Add a batch to what was read, whatever its order: rows, their keys and, of some, their pixels."""
    for place, key in enumerate(batch["key"]):
        crc = zlib.crc32(key.encode())
        tally["rows"] += 1
        tally["keys"] ^= crc
        if crc % CHECK_EVERY == 0:
            for name in PICTURES:
                pixels = batch[name][place]
                if pixels.ndim == 3:  # one of ours is (3, H, W) or (1, H, W)
                    pixels = pixels.permute(1, 2, 0) if pixels.shape[0] in (1, 3) else pixels
                tally["pixels"] ^= zlib.crc32(pixels.contiguous().numpy().tobytes(), crc)


def main(text):
    job = json.loads(text)
    reader = getattr(readers, WAYS[job["way"]].reader)(job["folder"], job["decoder"])
    tally = {"rows": 0, "keys": 0, "pixels": 0}
    with contextlib.redirect_stdout(sys.stderr):  # libraries talk
        reader.prepare()
        with Sampler() if job["memory"] else contextlib.nullcontext() as memory:
            started = time.perf_counter()
            batches = iter(reader.loader())
            count(tally, next(batches))
            first_s, first_rows, started = time.perf_counter() - started, tally["rows"], time.perf_counter()
            for batch in batches:
                count(tally, batch)
            seconds = time.perf_counter() - started
    result = {**tally, "first_s": first_s, "rows_per_s": (tally["rows"] - first_rows) / seconds}
    if memory:
        result["peak_bytes"] = memory.peak_bytes
    print(json.dumps(result), flush=True)
    os._exit(0)  # at once: what a library still has to tidy up is neither waited for nor charged


if __name__ == "__main__":
    main(sys.argv[1])
