"""How quick is depth, against the original way and against what the machine can do?

    make keras-env
    python scripts/bench_depth.py [--keras-python .venv-keras/bin/python] [--threads 2] [--rounds 5] [--json]

The networks are the real DenseDepth (42.8 million values, 224 x 224) with the reference weights of the tests, and the mini model. The peer
is the way of the 2020 set: tf-keras `predict`, one picture at a time, in a process of its own. All ways run in turn, in several rounds,
and so do the measurements of what the processor can do (matrix product, 3x3 convolution); rates are medians. Differences are against
fp32 torch with the plain network, in gray levels of maps that are stretched to their range, and in metres. With two threads and other
work on the machine torch's threads wait for each other and rates fall to a fifth: run it on an idle one.
"""

import argparse
import contextlib
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from bench_generate import processor_name
from PIL import Image
from torch import nn

from fgbg_depth.depth import DenseDepthForDepthEstimation, load_depth_estimator
from fgbg_depth.depth.convert import convert_keras_weights
from fgbg_depth.depth.engines import has_openvino
from fgbg_depth.depth.fast import speed_up
from fgbg_depth.depth.locate import MINI, embedded_folder
from fgbg_depth.depth.pretrained import load_pretrained
from fgbg_depth.manifest import library_versions

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "fgbg_depth" / "samples" / "bg"
SIZE_PX = 224
BATCH = 16
PEER = "tf-keras predict, one at a time"
PLAIN = "torch fp32, plain network"
DIRECT = "torch fp32, without Winograd"
ENGINES = {"torch fp32": ("torch", "fp32"), "torch bf16": ("torch", "bf16")}
OPENVINO = {"openvino fp32": ("openvino", "fp32"), "openvino bf16": ("openvino", "bf16")}
GEMM_SIDE = 2048
CONV_SHAPES = ((256, 56), (416, 28), (832, 14))  # channels and side of maps, like the decoder's; the quickest counts
REFERENCE_ROWS = 400_000  # the reference recipe's
# NVIDIA's data sheet of the H100 SXM: 989 TFLOP/s, dense bf16. Convolutions of a network reach a part of a peak; a third is a guess
# on the safe side, as the best way on this page's processor reaches more.
H100_TFLOPS, H100_SHARE = 989, 1 / 3
REAL, SMALL = "DenseDepth, 42.8 million values", MINI


def golden_weights(folder):
    """Write the reference weights as a Keras file and convert it; returns (file, folder)."""
    sys.path.insert(0, str(ROOT / "tests"))
    from densedepth import reference

    file = folder / "nyu.h5"
    if reference.write_h5(file, reference.model_config("nyu")) != reference.SEED0_SHA256:
        raise SystemExit("the reference weights differ from those of the tests: another random generator?")
    convert_keras_weights(file, folder / "nyu")
    return file, folder / "nyu"


def pictures(folder, count):
    """(count, 224, 224, 3) uint8 RGB, made from the pictures of a folder, repeated and mirrored."""
    paths = sorted(path for path in folder.iterdir() if path.suffix in (".jpg", ".png"))
    images = []
    for index in range(count):
        image = np.asarray(Image.open(paths[index % len(paths)]).convert("RGB").resize((SIZE_PX, SIZE_PX)))
        images.append(image[:, ::-1] if index // len(paths) % 2 else image)
    return np.stack(images)


class KerasPeer:
    """tf-keras in a process of its own."""

    def __init__(self, python, weights, images, threads, folder):
        np.save(folder / "pictures.npy", images.astype(np.float32) / np.float32(255))
        script = Path(__file__).with_name("bench_depth_keras.py")
        words = [python, script, weights, folder / "pictures.npy", threads, folder / "raw.npy"]
        self._process = subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()
        self.raw = np.load(folder / "raw.npy")

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the tf-keras process ended; its messages are above")
        return line

    def seconds(self, count):
        """(seconds on the clock, seconds of the processor) for so many pictures."""
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        return tuple(map(float, self._answer().split()))

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def peaks():
    """What the processor can do now: {name: GFLOP/s}."""
    found = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = torch.ones(GEMM_SIDE, GEMM_SIDE, dtype=dtype), torch.ones(GEMM_SIDE, GEMM_SIDE, dtype=dtype)
        found[f"{name} matrix product"] = _gflops(lambda a=a, b=b: a @ b, 2 * GEMM_SIDE**3)
        rates = []
        for channels, side in CONV_SHAPES:
            conv = nn.Conv2d(channels, channels, 3, padding=1).to(dtype=dtype, memory_format=torch.channels_last)
            x = torch.ones(8, channels, side, side, dtype=dtype).to(memory_format=torch.channels_last)
            rates.append(_gflops(lambda conv=conv, x=x: conv(x), 8 * 18 * channels**2 * side**2))
        found[f"{name} 3x3 convolution"] = max(rates)
    return found


def _gflops(work, flop, repeats=5):
    with torch.inference_mode():
        work()
        seconds = []
        for _ in range(repeats):
            started = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - started)
    return flop / statistics.median(seconds) / 1e9


def plain_flop(model):
    """Operations of the plain network for one picture, 2 for each multiply-add of its convolutions."""
    total = []
    hooks = [
        module.register_forward_hook(lambda m, _, out: total.append(2 * m.weight.numel() * out.shape[2] * out.shape[3]))
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.inference_mode():
        model.raw(torch.zeros(1, 3, SIZE_PX, SIZE_PX))
    for hook in hooks:
        hook.remove()
    return sum(total)


def estimators(folder, threads):
    """{way: (estimator, operations left for one picture)} for one set of weights, the plain network first."""
    model = load_pretrained(folder, model_class=DenseDepthForDepthEstimation)
    flop = plain_flop(model)
    arguments = {"input_size": (SIZE_PX, SIZE_PX), "batch_size": BATCH, "num_threads": threads}
    ways = {}
    direct = speed_up(model, (SIZE_PX, SIZE_PX), winograd=False)
    plain = model.to(memory_format=torch.channels_last)
    for way, network, work in ((PLAIN, plain, flop), (DIRECT, direct, direct.flop)):
        estimator = load_depth_estimator(folder, **arguments)
        estimator._network.run = lambda values, raw=network.raw: _run(raw, values)
        ways[way] = estimator, work
    for way, (engine, precision) in {**ENGINES, **(OPENVINO if has_openvino() else {})}.items():
        work = flop
        if engine == "torch":
            work = speed_up(model, (SIZE_PX, SIZE_PX), torch.bfloat16 if precision == "bf16" else torch.float32).flop
        ways[way] = load_depth_estimator(folder, engine=engine, precision=precision, **arguments), work
    return ways


def _run(raw, values):
    with torch.inference_mode():
        return raw(torch.from_numpy(values).to(memory_format=torch.channels_last))[:, 0].numpy()


def differences(found, expected):
    """Mean and largest difference of maps: gray levels of maps stretched to their own range, and metres."""

    def levels(depth):
        low = depth.min(axis=(1, 2), keepdims=True)
        return (depth - low) / (depth.max(axis=(1, 2), keepdims=True) - low) * 255

    gray, metres = np.abs(levels(found) - levels(expected)), np.abs(found - expected)
    return {"levels_mean": gray.mean(), "levels_max": gray.max(), "metres_mean": metres.mean(), "metres_max": metres.max()}


def bench(keras_python, threads, rounds, images_folder):
    """The report as a dict; see `main` for what is printed of it."""
    torch.set_num_threads(threads)
    images = pictures(images_folder, BATCH)
    report = {"rates": {}, "cpu_rates": {}, "peaks": {}, "differences": {}, "gflop": {}}
    with tempfile.TemporaryDirectory() as temp, contextlib.ExitStack() as stack:
        temp = Path(temp)
        file, folder = golden_weights(temp)
        ways = {(REAL, way): value for way, value in estimators(folder, threads).items()}
        ways |= {(SMALL, way): value for way, value in estimators(embedded_folder(), threads).items()}
        peer = None
        if keras_python is not None:
            peer = KerasPeer(keras_python, file, images, threads, temp)
            stack.callback(peer.close)
        for (network, way), (estimator, flop) in ways.items():
            depth = estimator.predict(images)
            if way == PLAIN:
                expected = depth
                if peer is not None and network == REAL:
                    raw = estimator._network.run((images.astype(np.float32) / np.float32(255)).transpose(0, 3, 1, 2))
                    report["raw_against_keras"] = float(np.max(np.abs(raw / peer.raw - 1)))
            report["differences"][f"{network}: {way}"] = {k: float(v) for k, v in differences(depth, expected).items()}
            report["gflop"][f"{network}: {way}"] = flop / 1e9
        for number in range(rounds):
            for name, value in peaks().items():
                report["peaks"].setdefault(name, []).append(value)
            if peer is not None:
                seconds, spent = peer.seconds(BATCH)
                _note(report, f"{REAL}: {PEER}", BATCH / seconds, BATCH / spent)
            for (network, way), (estimator, _) in ways.items():
                repeats = 1 if network == REAL else 4
                started, spent = time.perf_counter(), time.process_time()
                for _ in range(repeats):
                    estimator.predict(images)
                count = repeats * BATCH
                _note(report, f"{network}: {way}", count / (time.perf_counter() - started), count / (time.process_time() - spent))
            print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    return report


def _note(report, way, rate, cpu_rate):
    report["rates"].setdefault(way, []).append(rate)
    report["cpu_rates"].setdefault(way, []).append(cpu_rate)


def summary(report):
    """Medians, ratios to the peer and shares of the limit: {way: dict}."""
    rates = {way: statistics.median(values) for way, values in report["rates"].items()}
    limits = {name: statistics.median(values) for name, values in report["peaks"].items()}
    peer, rows = rates.get(f"{REAL}: {PEER}"), {}
    for way, rate in rates.items():
        network, _, name = way.partition(": ")
        row = rows[way] = {"rate": rate, "cpu_rate": statistics.median(report["cpu_rates"][way])}
        if peer is not None and network == REAL:
            row["ratio"] = rate / peer
        if name != PEER:
            row |= {"gflop": report["gflop"][way], **report["differences"][way]}
            peak = limits["bf16 3x3 convolution" if "bf16" in name else "fp32 3x3 convolution"]
            row["share_of_limit"] = rate * row["gflop"] / peak
            # What the shortcuts leave without Winograd's: the limit for a convolution as it is written.
            row["share_of_direct_limit"] = rate * report["gflop"][f"{network}: {DIRECT}"] / peak
    return rows


def print_report(report, rows):
    print(", ".join(f"{k} {v}" for k, v in {**report["machine"], **report["libraries"]}.items()))
    print("\n| the processor, GFLOP/s | median | lowest | highest |\n|---|---|---|---|")
    for name, values in report["peaks"].items():
        print(f"| {name} | {statistics.median(values):,.0f} | {min(values):,.0f} | {max(values):,.0f} |")
    for network in (REAL, SMALL):
        print(f"\n{network}, {SIZE_PX} x {SIZE_PX}, {report['machine']['threads']} threads, batches of {BATCH}\n")
        print("| way | images/s | per second of the processor | times the peer | GFLOP left | share of the limit | of the direct limit |")
        print("|---|---|---|---|---|---|---|")
        mine = {way.partition(": ")[2]: row for way, row in rows.items() if way.startswith(network)}
        for name, row in mine.items():
            cells = [f"{row['rate']:.1f}", f"{row['cpu_rate']:.1f}", _cell(row, "ratio"), _cell(row, "gflop")]
            print(f"| {name} | {' | '.join([*cells, _cell(row, 'share_of_limit'), _cell(row, 'share_of_direct_limit')])} |")
        print("\n| difference from torch fp32, plain | gray levels, mean | largest | metres, mean | largest |\n|---|---|---|---|---|")
        for name, row in mine.items():
            if "levels_mean" in row and name != PLAIN:
                names = ("levels_mean", "levels_max", "metres_mean", "metres_max")
                print(f"| {name} | {' | '.join(f'{row[key]:.2g}' for key in names)} |")
    print_reference(rows)
    if "raw_against_keras" in report:
        print(f"\nRaw output of the plain network against tf-keras: at most {report['raw_against_keras']:.1e} apart, relative.")


def print_reference(rows):
    """How long the network takes for the reference set: here, from the rates, and on a GPU, from the operations."""
    print(f"\n{REFERENCE_ROWS:,} rows, the network alone, computed from the rates above\n")
    print("| network | way | hours here |\n|---|---|---|")
    for way, row in rows.items():
        network, _, name = way.partition(": ")
        print(f"| {network} | {name} | {REFERENCE_ROWS / row['rate'] / 3600:.2f} |")
    gflop = rows[f"{REAL}: {PLAIN}"]["gflop"]
    seconds = REFERENCE_ROWS * gflop / 1000 / H100_TFLOPS
    print(f"\nOne H100, computed, not measured: {gflop:.1f} GFLOP a picture are {REFERENCE_ROWS * gflop / 1e6:.1f} PFLOP for all.")
    print(f"At its stated peak of {H100_TFLOPS} TFLOP/s that is {seconds:.0f} s, at a third of it {seconds / H100_SHARE:.0f} s.")
    print("All else takes longer then: see the rates without depth of bench_generate.py.")


def _cell(row, name):
    return f"{row[name]:.2f}" if name in row else ""


def main():
    parser = argparse.ArgumentParser(description="Depth maps per second, against tf-keras and against the processor's limits.")
    parser.add_argument("--keras-python", type=Path, default=ROOT / ".venv-keras" / "bin" / "python", metavar="PYTHON",
                        help="interpreter of an environment with tensorflow and tf-keras (default: .venv-keras/bin/python)")  # fmt: skip
    parser.add_argument("--without-peer", action="store_true", help="leave tf-keras out")
    parser.add_argument("--images", type=Path, default=SAMPLES, metavar="DIR", help="pictures to predict (default: those of the package)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not args.without_peer and not args.keras_python.is_file():
        parser.error(f"{args.keras_python}: no such interpreter. Make it with: python -m venv .venv-bench && "
                     ".venv-bench/bin/pip install tensorflow tf-keras, name one by --keras-python, or use --without-peer")  # fmt: skip
    report = bench(None if args.without_peer else args.keras_python, args.threads, args.rounds, args.images)
    report["machine"] = {"processor": processor_name(), "threads": args.threads, "python": platform.python_version()}
    report["libraries"] = library_versions(True)
    rows = summary(report)
    if args.json:
        print(json.dumps({**report, "summary": rows}, indent=1))
    else:
        print_report(report, rows)


if __name__ == "__main__":
    main()
