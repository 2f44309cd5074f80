"""Measure a depth model: errors on rooms with exact depth that training never saw, and how pasted persons come out.

    python scripts/eval_depth.py --model densedepth-mini --rooms rooms/train
    python scripts/eval_depth.py --model DIR --rooms rooms/train --foregrounds assets/fg --backgrounds assets/bg --json

These are the figures of the model card. Progress goes to stderr, results to stdout.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from fgbg_depth.depth import DenseDepthForDepthEstimation
from fgbg_depth.depth.training.factors import factor_figures
from fgbg_depth.depth.training.measure import compose, load_backgrounds, measure_persons, measure_rooms, predict_m
from fgbg_depth.depth.training.metrics import ERROR_NAMES
from fgbg_depth.depth.training.mini import EMBEDDED_NAME, embedded_folder
from fgbg_depth.depth.training.paste import load_cutouts
from fgbg_depth.depth.training.rooms import SIDE_PX, load_rooms
from fgbg_depth.depth.training.sheet import sheet
from fgbg_depth.errors import FgbgDepthError, UsageError


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=EMBEDDED_NAME, help=f"{EMBEDDED_NAME} or a folder written by save_pretrained")
    parser.add_argument("--rooms", required=True, help="folder of NNNNN_V.jpg and NNNNN_V.png (16-bit millimetres)")
    parser.add_argument("--split", default="test", choices=("test", "watch", "train"), help="which rooms (default: held out)")
    parser.add_argument("--foregrounds", help="folder of RGBA cut-outs; the held-out ones are pasted")
    parser.add_argument("--backgrounds", help="folder of background pictures to paste them on")
    parser.add_argument("--lenses", help="JSON of {view: field of view in degrees}: what it explains of the error in metres")
    parser.add_argument("--picture", help="also write a PNG with one composite on each background over its depth map")
    parser.add_argument("--seed", type=int, default=0, help="of the places where cut-outs are pasted")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    return parser.parse_args(argv)


def run(args):
    if bool(args.foregrounds) != bool(args.backgrounds):
        raise UsageError("--foregrounds and --backgrounds go together: cut-outs of one are pasted on pictures of the other")
    if args.picture and not args.foregrounds:
        raise UsageError("--picture shows composites; give --foregrounds and --backgrounds too")
    torch.set_num_threads(args.threads)
    folder = embedded_folder() if args.model == EMBEDDED_NAME else Path(args.model)
    if not (folder / "config.json").is_file():
        raise UsageError(f"--model {args.model}: {folder} has no config.json; give {EMBEDDED_NAME} or a folder with a model")
    model = DenseDepthForDepthEstimation.from_pretrained(folder).eval()
    rooms = load_rooms(args.rooms, args.split)
    begin_s = time.monotonic()
    results = {"model": args.model, "split": args.split, "rooms": measure_rooms(model, rooms)}
    print(f"{len(rooms)} views measured in {time.monotonic() - begin_s:.1f} s", file=sys.stderr)
    if args.lenses:
        true_m = rooms.depth_mm.astype(np.float32) / 1000.0
        results["factors"] = factor_figures(rooms.names, predict_m(model, rooms.images), true_m, read_lenses(args.lenses))
    if args.foregrounds:
        backgrounds = load_backgrounds(args.backgrounds, SIDE_PX)
        cutouts = load_cutouts(args.foregrounds, held_out=True)
        print(f"{len(cutouts)} held-out cut-outs on {len(backgrounds)} backgrounds", file=sys.stderr)
        results["persons"] = measure_persons(model, backgrounds, cutouts, args.seed)
        if args.picture:
            write_picture(model, backgrounds, cutouts, args)
    print(json.dumps(results, indent=2) if args.json else table(results))


def read_lenses(path):
    """{view: degrees} of a JSON file."""
    try:
        lenses = json.loads(Path(path).read_text(encoding="utf-8"))
        return {name: float(degrees) for name, degrees in lenses.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(f'--lenses {path}: {error}; expected JSON such as {{"00017_0": 62.5}}, in degrees') from error


def write_picture(model, backgrounds, cutouts, args):
    """One composite on each background over its depth map, as a PNG."""
    images = [
        compose(image, cutouts[b % len(cutouts)][1], np.random.default_rng([args.seed, b]))[0] for b, (_, image) in enumerate(backgrounds)
    ]
    page = sheet(np.stack(images), predict_m(model, np.stack(images)))
    if not cv2.imwrite(args.picture, page[:, :, ::-1]):
        raise UsageError(f"--picture {args.picture}: can't be written; is it a .png in a folder that exists?")


def table(results):
    """The results as text that fits the model card."""
    rooms = results["rooms"]
    lines = [f"{rooms['views']} views of {rooms['rooms']} rooms ({results['split']})", ""]
    lines += ["| | " + " | ".join(ERROR_NAMES) + " |", "| --- |" + " --- |" * len(ERROR_NAMES)]
    for name, label in (("plain", "metres"), ("median_aligned", "median-aligned")):
        lines.append(f"| {label} | " + " | ".join(f"{rooms[name][e]:.3f}" for e in ERROR_NAMES) + " |")
    if "factors" in results:
        f = results["factors"]
        lines += ["", f"deviation of the views' log factor: {f['deviation']:.3f}"]
        lines += [f"its correlation with log tan(field of view / 2): {f['correlation']:.2f}; variance explained: {f['explained']:.2f}"]
        lines += ["", "| delta1 with what known | |", "| --- | --- |"]
        labels = {"metres": "nothing", "lens": "the lens", "room": "the room", "lens_and_room": "both", "view": "the view's own factor"}
        lines += [f"| {label} | {f[name]:.3f} |" for name, label in labels.items()]
    if "persons" in results:
        p = results["persons"]
        lines += ["", f"{p['composites']} composites with a held-out cut-out", ""]
        lines += ["| pasted person is nearer than | share |", "| --- | --- |"]
        lines += [f"| the background predicted at the same pixels | {p['before_wall']:.3f} |"]
        lines += [f"| the composite's own prediction around it | {p['before_ring']:.3f} |", f"| both | {p['both']:.3f} |"]
        lines += ["", f"median of person / background depth: {p['median_ratio']:.3f}"]
        lines += [f"what came nearer against the cut-out's shape, intersection over union: {p['outline']:.3f}"]
        lines += ["lowest shares (background at the same pixels): " + ", ".join(f"{n} {v:.2f}" for n, v in p["worst"])]
    return "\n".join(lines)


def main(argv=None):
    try:
        run(parse(argv))
    except FgbgDepthError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
