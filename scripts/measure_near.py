"""How far copies of pictures are from them, and how near other pictures come, by the hash that finds near-duplicates.

    python scripts/measure_near.py FOLDER [FOLDER ...]

Prints a table of bits that differ: median, 95 % and most for each kind of copy, and the nearest pairs among the pictures themselves.
"""

import argparse
import io
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from fgbg_depth.assets.near import BITS, MAX_DISTANCE, fingerprint, near_pairs
from fgbg_depth.assets.pictures import decode_pixels
from fgbg_depth.assets.walk import find_files

NEAREST = 10  # pairs that are listed


def resized(pixels, factor):
    height, width = pixels.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def brightened(pixels, factor):
    out = pixels.copy()
    out[..., :3] = np.clip(pixels[..., :3].astype(float) * factor, 0, 255)
    return out


def cropped(pixels, part):
    down, right = (round(side * part / 2) for side in pixels.shape[:2])
    return pixels[down : pixels.shape[0] - down, right : pixels.shape[1] - right]


def recompressed(pixels, quality):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out))


COPIES = {
    "half the size": lambda pixels: resized(pixels, 1 / 2),
    "a third of the size": lambda pixels: resized(pixels, 1 / 3),
    "twice the size": lambda pixels: resized(pixels, 2),
    "brighter by 20 %": lambda pixels: brightened(pixels, 1.2),
    "darker by 20 %": lambda pixels: brightened(pixels, 0.8),
    "mirrored": lambda pixels: pixels[:, ::-1],
    "JPEG of quality 20": lambda pixels: recompressed(pixels, 20),
    "2 % cropped": lambda pixels: cropped(pixels, 0.02),
    "5 % cropped": lambda pixels: cropped(pixels, 0.05),
    "10 % cropped": lambda pixels: cropped(pixels, 0.10),
}


def measure(folder):
    """Print the table of one folder."""
    files, _, _ = find_files(folder)
    pictures = {file: decode_pixels((folder / file).read_bytes()) for file in files}
    started = time.perf_counter()
    prints = {file: fingerprint(pixels) for file, pixels in pictures.items()}
    each_ms = (time.perf_counter() - started) / len(prints) * 1000
    print(f"{folder}: {len(prints)} pictures, {each_ms:.1f} ms for the hash of one")
    print(f"{'copy':<22}{'median':>8}{'95 %':>8}{'most':>8}   found at {MAX_DISTANCE} of {BITS} bits")
    for name, copy in COPIES.items():
        distances = []
        for file, pixels in pictures.items():
            if prints[file] is None or (name.startswith("JPEG") and pixels.shape[2] == 4):
                continue
            pair = near_pairs([prints[file], fingerprint(np.ascontiguousarray(copy(pixels)))], max_distance=BITS)[0][0]
            distances.append(pair.distance)
        if distances:
            middle, high = np.percentile(distances, [50, 95])
            found = sum(distance <= MAX_DISTANCE for distance in distances)
            print(f"{name:<22}{middle:8.0f}{high:8.0f}{max(distances):8}   {found} of {len(distances)}")
    names = list(prints)
    print("nearest pairs among the pictures:")
    for pair in near_pairs(list(prints.values()), max_distance=BITS)[0][:NEAREST]:
        print(f"{pair.distance:6}  {names[pair.first]}  {names[pair.second]}{'  mirrored' if pair.mirrored else ''}")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", metavar="FOLDER", nargs="+", type=Path)
    for folder in parser.parse_args(argv).folders:
        measure(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
