"""How quick is making rows, against the original notebook's way and against the encoders alone?

    python scripts/bench_generate.py --backgrounds DIR --foregrounds DIR [--rows 2000] [--depth] [--json]

All ways run on the same pictures in the same run, in turn, several rounds; ratios are of the medians. The peer is the way in which the
2020 set was made, written anew: resize with OpenCV, blend each channel in float64 with numpy, write every composite and
mask as a loose JPEG by `cv2.imwrite`. It is given one process, as the notebook had; ours is shown with one and with all. Ours counts exact
statistics on the way; the notebook read all pictures twice afterwards, once for the mean and once for the deviation: shown apart.
"""

import argparse
import contextlib
import itertools
import json
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from fgbg_depth import codec
from fgbg_depth.asset_tables import PlannedReader
from fgbg_depth.config import Recipe
from fgbg_depth.generate import generate
from fgbg_depth.manifest import library_versions
from fgbg_depth.prepare import Options, prepare
from fgbg_depth.produce import Job, Made, ShardMaker, composites, one_thread, usable_cores
from fgbg_depth.progress import Quiet
from fgbg_depth.shards import find_tables, open_table
from fgbg_depth.studio import CutoutMaker, FittedCanvases, Studio

SAMPLES = Path(__file__).resolve().parents[1] / "fgbg_depth" / "samples"
ROUNDS = 3
NOTEBOOK_ROWS = 4000  # enough for a steady rate
SHARDS_PER_WORKER = 8  # at least, so that they end at nearly the same time
SHARE, SHARE_IN_TURN = "share of the time in which the network is at work, 1 process", "the same without overlap"
SHARE_ROWS, SHARE_SHARDS = 320, 3
BUSY = "the same of a whole `generate`"
PEERS = {"notebook, sources read once": False, "notebook, sources read for every picture": True}
WITH_STATISTICS = " + its two passes of statistics"


class Stopwatch(Quiet):
    """Keeps the seconds that each piece of work took."""

    def __init__(self):
        self.seconds = {}

    @contextlib.contextmanager
    def task(self, title, total, done=0, unit="files"):
        started = time.perf_counter()
        with super().task(title, total, done, unit) as task:
            yield task
        self.seconds[title] = time.perf_counter() - started


def notebook_way(folder, backgrounds, foregrounds, count, reread):
    """Make `count` composites and masks as a notebook does; returns rows per second.

    Args:
        folder: where the loose JPEGs go.
        backgrounds, foregrounds: paths.
        count: composites to make.
        reread: read and resize both sources for every composite, as a function of two paths does; else once for each cell.
    """
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    started, made = time.perf_counter(), 0
    for b, f, flip in itertools.product(range(len(backgrounds)), range(len(foregrounds)), (False, True)):
        for k in range(20):
            if made == count:
                return made / (time.perf_counter() - started)
            if k == 0 or reread:
                background = cv2.resize(cv2.imread(str(backgrounds[b])), (224, 224))
                cutout = cv2.imread(str(foregrounds[f]), cv2.IMREAD_UNCHANGED)
                cutout = cv2.resize(cutout[:, ::-1] if flip else cutout, (100, 70))
            x, y = int(rng.integers(1, 124)), int(rng.integers(1, 154))
            image, mask = background.copy(), np.zeros((224, 224), np.uint8)
            alpha = cutout[:, :, 3] / 255.0
            for c in range(3):
                below = image[y : y + 70, x : x + 100, c]
                image[y : y + 70, x : x + 100, c] = alpha * cutout[:, :, c] + (1 - alpha) * below
            mask[y : y + 70, x : x + 100] = alpha * 255
            cv2.imwrite(str(folder / "images" / f"{b}_{f}_{flip}_{k}.jpg"), image)
            cv2.imwrite(str(folder / "masks" / f"{b}_{f}_{flip}_{k}.jpg"), mask)
            made += 1
    return made / (time.perf_counter() - started)


def two_passes(folder):
    """Mean and deviation of the pictures and masks as a notebook computes them; returns its seconds."""
    started = time.perf_counter()
    for paths in (sorted((folder / "images").iterdir()), sorted((folder / "masks").iterdir())):
        pixels = 224 * 224 * len(paths)
        mean = sum((cv2.imread(str(path)) / 255.0).sum(axis=(0, 1)) for path in paths) / pixels
        square = sum(((cv2.imread(str(path)) / 255.0 - mean) ** 2).sum(axis=(0, 1)) for path in paths) / pixels
        np.sqrt(square)
    return time.perf_counter() - started


def pipeline(folder, recipe, options):
    """Run `generate`; returns (rows, seconds of making rows, seconds in all, share in which the network was busy or None)."""
    watch, started = Stopwatch(), time.perf_counter()
    result = generate(folder, recipe, options, watch)
    return result.rows, watch.seconds["make rows"], time.perf_counter() - started, result.depth_busy


def stored_rows(folder, count):
    """Up to `count` (image, mask, depth or None) triples of decoded pictures of a set."""
    triples = []
    for path in find_tables(folder, "default"):
        with open_table(path) as table:
            for row in table.read().to_pylist():
                depth = codec.decode_gray(row["depth"]["bytes"]) if "depth" in row else None
                triples.append((codec.decode_rgb(row["image"]["bytes"]), codec.decode_gray(row["mask"]["bytes"]), depth))
                if len(triples) == count:
                    return triples
    return triples


def codecs_alone(triples, recipe):
    """Encode and decode what the pipeline encodes and decodes, and nothing else; returns rows per second."""
    started = time.perf_counter()
    for image, mask, _ in triples:
        codec.redecode_rgb(codec.encode_image(image, recipe.image_format, recipe.image_quality))
        codec.encode_mask(mask)
    return len(triples) / (time.perf_counter() - started)


def network_alone(triples, recipe):
    """Run the depth network on pictures that lie in memory, in one thread; returns pictures per second."""
    from fgbg_depth import load_depth_estimator

    estimator = load_depth_estimator(recipe.depth_model, batch_size=recipe.depth_batch, num_threads=1)
    images = np.stack([image for image, _, _ in triples[: 16 * recipe.depth_batch]])
    estimator.predict(images[: recipe.depth_batch])
    started = time.perf_counter()
    estimator.predict(images)
    return len(images) / (time.perf_counter() - started)


def network_shares(backgrounds, foregrounds, recipe, temp):
    """Share of the time of some shards in which the network is at work, in one process: (with overlap, without)."""
    recipe = recipe.replace(first_shard_rows=SHARE_ROWS, rows_per_shard=SHARE_ROWS)
    prepared = prepare(temp / "share", recipe, Options(backgrounds, foregrounds))
    work, plan = prepared.work, prepared.plan
    readers = {kind: PlannedReader(work.entries[kind], work.newcomers[kind], recipe) for kind in work.entries}
    canvases = FittedCanvases(recipe, plan.backgrounds, readers["background"])
    studio = Studio(recipe, canvases, CutoutMaker(plan.foregrounds, readers["foreground"]))
    job, shards, shares = Job(prepared.folder, prepared.recipe, prepared.digest, work.lists, {}), plan.shards()[:SHARE_SHARDS], []
    for overlapped in (False, False, True):  # the first time everything is fitted and the network warms up
        reports = []
        maker = ShardMaker(job, composites(job, plan, studio), prepared.loaded.predict, overlapped)
        maker.make(shards, on_shard=lambda _, report, reports=reports: reports.append(report))
        shares.append(Made.of(reports).depth_busy)
    return shares[2], shares[1]


def bench(backgrounds, foregrounds, recipe, num_rows, rounds):
    """All ways in turn; returns {way: [rows per second, one for each round]}."""
    bgs, fgs = (sorted(p for p in folder.iterdir() if p.suffix in (".jpg", ".png")) for folder in (backgrounds, foregrounds))
    cores, rates = usable_cores(), {}
    per_worker = max(recipe.rows_per_group, num_rows // (SHARDS_PER_WORKER * cores))  # short runs too keep every worker busy
    recipe = recipe.replace(
        placements=max(1, num_rows // (len(bgs) * len(fgs) * 2)), rows_per_shard=min(recipe.rows_per_shard, per_worker)
    )
    for round_number in range(rounds):
        with tempfile.TemporaryDirectory() as temp:
            temp = Path(temp)
            for workers in sorted({1, cores}):
                rows, making, whole, busy = pipeline(temp / f"set{workers}", recipe, Options(backgrounds, foregrounds, num_workers=workers))
                rates.setdefault(f"pipeline, {workers} process{'es' * (workers > 1)}", []).append(rows / making)
                rates.setdefault(f"pipeline, {workers} process{'es' * (workers > 1)}, start and finish included", []).append(rows / whole)
                if busy is not None:
                    rates.setdefault(f"{BUSY}, {workers} process{'es' * (workers > 1)}", []).append(busy)
            with one_thread():
                triples = stored_rows(temp / "set1", 1000)
                rates.setdefault("encodes and decodes alone", []).append(codecs_alone(triples, recipe))
                if recipe.has_depth:
                    rates.setdefault("network alone, 1 thread", []).append(network_alone(triples, recipe))
                    for name, share in zip((SHARE, SHARE_IN_TURN), network_shares(backgrounds, foregrounds, recipe, temp), strict=True):
                        rates.setdefault(name, []).append(share)
                else:
                    for way, reread in PEERS.items():
                        loose, count = temp / way.replace(" ", "-"), min(rows, NOTEBOOK_ROWS)
                        rate = notebook_way(loose, bgs, fgs, count, reread)
                        rates.setdefault(way, []).append(rate)
                        rates.setdefault(way + WITH_STATISTICS, []).append(1 / (1 / rate + two_passes(loose) / count))
        print(f"round {round_number + 1} of {rounds} done", file=sys.stderr)
    return rates


def ratios(rates, cores):
    """The ratios that the targets speak of, of the medians."""
    median = {way: statistics.median(values) for way, values in rates.items()}
    one = median["pipeline, 1 process"]
    found = {}
    if not any(way in median for way in PEERS):
        return _depth_ratios(median, one)
    found["pipeline (1 process) / encodes and decodes alone"] = one / median["encodes and decodes alone"]
    for way in (name + more for more in ("", WITH_STATISTICS) for name in PEERS):
        found[f"pipeline (1 process) / {way}"] = one / median[way]
        if cores > 1:
            found[f"pipeline ({cores} processes) / {way}"] = median[f"pipeline, {cores} processes"] / median[way]
    return found


def _depth_ratios(median, one):
    return {
        "pipeline (1 process) / network alone (1 thread)": one / median["network alone, 1 thread"],
        SHARE: median[SHARE],
        SHARE_IN_TURN: median[SHARE_IN_TURN],
        **{name: value for name, value in median.items() if name.startswith(BUSY)},
    }


def main():
    parser = argparse.ArgumentParser(description="Rows per second, against the notebook's way and the encoders alone.")
    parser.add_argument("--backgrounds", type=Path, default=SAMPLES / "bg")
    parser.add_argument("--foregrounds", type=Path, default=SAMPLES / "fg")
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--depth", action="store_true", help="with densedepth-mini, against the network alone")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    recipe = Recipe(depth_model="densedepth-mini" if args.depth else "none")
    rates = bench(args.backgrounds, args.foregrounds, recipe, args.rows, args.rounds)
    found = ratios(rates, usable_cores())
    machine = {"processor": processor_name(), "cores": usable_cores(), "python": platform.python_version()}
    report = {"machine": machine, "libraries": library_versions(args.depth), "rows_per_s": rates, "ratios": found}
    if args.json:
        print(json.dumps(report, indent=1))
        return
    print(", ".join(f"{k} {v}" for k, v in {**machine, **report["libraries"]}.items()))
    print("\n| way | rows/s (median) | lowest | highest |\n|---|---|---|---|")
    for way, values in rates.items():
        if way in (SHARE, SHARE_IN_TURN) or way.startswith(BUSY):
            continue
        print(f"| {way} | {statistics.median(values):,.0f} | {min(values):,.0f} | {max(values):,.0f} |")
    print("\n| ratio | |\n|---|---|")
    for name, value in found.items():
        print(f"| {name} | {value:.3f} |" if value < 1 else f"| {name} | {value:.2f} |")


def processor_name():
    """The processor as the system names it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
