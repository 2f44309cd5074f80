"""How well masks come back from JPEG: the cleaning of an import, a bare threshold, and the true mask.

    python scripts/compare_masks.py [FOLDER_OF_CUTOUTS]

puts each cut-out's soft alpha on a canvas as the set of 2020 did (100 x 70 pixels on 224 x 224), stores it as JPEG, and compares what comes
back with alpha >= 128 of the mask that was stored. Far pixels are those that are more than one pixel off the true border.
"""

import argparse
import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from fgbg_depth.keyed import counter_hash, key64
from fgbg_depth.original.masks import clean_mask
from fgbg_depth.samples import sample_folder

SIDE_PX, BOX, PLACES, THRESHOLD = 224, (100, 70), 6, 128
QUALITIES = (30, 50, 95)  # 30 is what 2020 had, 95 what an export writes


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=sample_folder("foreground"), help="PNGs with alpha (default: the samples)")
    files = sorted(parser.parse_args().folder.glob("*.png"))
    masks = [soft_mask(path, place) for path in files for place in range(PLACES)]
    print(f"{len(masks)} masks of {len(files)} cut-outs; wrong pixels of all masks together\n")
    print("| JPEG quality | Mask | Pixels inside | Wrong, threshold | Wrong, cleaned | Far, threshold | Far, cleaned |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for quality in QUALITIES:
        for kind in ("soft", "binary"):
            drawn = masks if kind == "soft" else [np.where(mask >= THRESHOLD, 255, 0).astype(np.uint8) for mask in masks]
            counts = sum((compared(mask, quality) for mask in drawn), np.zeros(5, np.int64))
            print(f"| {quality} | {kind} | {' | '.join(f'{count:,}' for count in counts)} |")


def soft_mask(path, place):
    """(224, 224) uint8: a cut-out's alpha at a place that its name and a number decide."""
    alpha = Image.open(path).convert("RGBA").resize(BOX).getchannel("A")
    x, y = (int(counter_hash(key64(path.name), 2 * place + i)) % (SIDE_PX - BOX[i]) for i in range(2))
    canvas = Image.new("L", (SIDE_PX, SIDE_PX))
    canvas.paste(alpha, (x, y))
    return np.asarray(canvas)


def compared(mask, quality):
    """(5,) int64: pixels inside; wrong by the threshold, and cleaned; far by the threshold, and cleaned."""
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "JPEG", quality=quality)
    levels, true = np.asarray(Image.open(file)), mask >= THRESHOLD
    around = np.ones((3, 3), np.uint8)
    grown, shrunk = cv2.dilate(true.view(np.uint8), around) > 0, cv2.erode(true.view(np.uint8), around) > 0
    ways = levels >= THRESHOLD, clean_mask(levels, THRESHOLD) > 0
    wrong = [np.count_nonzero(way != true) for way in ways]
    far = [np.count_nonzero(way & ~grown) + np.count_nonzero(~way & shrunk) for way in ways]
    return np.array([np.count_nonzero(true), *wrong, *far])


if __name__ == "__main__":
    main()
