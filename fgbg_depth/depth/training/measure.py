"""Measuring a network: on rooms with exact depth, and on composites with a pasted person."""

from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from fgbg_depth.depth.training.metrics import depth_errors, mean_errors, person_scores
from fgbg_depth.depth.training.paste import contain_size, paste, resize_cutout
from fgbg_depth.errors import DataError, UsageError

BATCH = 16  # pictures for each forward pass
BOX_PX = (100, 70)  # (width, height) of the cut-out's box: the default recipe's
BACKGROUND_ENDINGS = (".jpg", ".jpeg", ".png")
JPEG_QUALITY = 90  # the default recipe's: depth is predicted from the decoded stored picture


def predict_m(model, images, bfloat16=False):
    """Depth at full size, resampled once, bilinear with corners aligned.

    Args:
        model: DenseDepthForDepthEstimation in eval mode.
        images: (N, H, W, 3) uint8 RGB.

    Returns:
        (N, H, W) float32 [m].
    """
    out = []
    with torch.inference_mode():
        for begin in range(0, len(images), BATCH):
            part = np.ascontiguousarray(images[begin : begin + BATCH])
            pixels = torch.from_numpy(part).permute(0, 3, 1, 2).float() / 255.0
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
                raw = model.raw(pixels.contiguous(memory_format=torch.channels_last))
            depth = model.metres(raw.float())
            out.append(F.interpolate(depth, size=images.shape[1:3], mode="bilinear", align_corners=True)[:, 0].numpy())
    return np.concatenate(out)


def measure_rooms(model, rooms, bfloat16=False):
    """Errors on rooms with exact depth.

    Returns:
        dict: `views`, `rooms` (ints), `plain` and `median_aligned` (dicts as `depth_errors` gives, averaged over views).
    """
    predicted = predict_m(model, rooms.images, bfloat16)
    true = rooms.depth_mm.astype(np.float32) / 1000.0
    return {
        "views": len(rooms),
        "rooms": len({name.split("_")[0] for name in rooms.names}),
        "plain": mean_errors([depth_errors(p, t) for p, t in zip(predicted, true, strict=True)]),
        "median_aligned": mean_errors([depth_errors(p, t, align_median=True) for p, t in zip(predicted, true, strict=True)]),
    }


def load_backgrounds(folder, side_px):
    """All pictures of a folder, stretched to a square by area, as the default recipe does.

    Returns:
        list of (name, (side_px, side_px, 3) uint8 RGB), by name.

    Raises:
        UsageError: no folder, or no picture in it.
        DataError: a picture can't be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give the folder with the backgrounds (JPEG or PNG files)")
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in BACKGROUND_ENDINGS)
    if not paths:
        raise UsageError(f"{folder}: no JPEG or PNG file in it; give the folder with the backgrounds")
    pictures = []
    for path in paths:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        if image is None:
            raise DataError(f"{path}: can't be read as a picture; replace or remove it")
        pictures.append((path.stem, cv2.resize(image, (side_px, side_px), interpolation=cv2.INTER_AREA)))
    return pictures


def measure_persons(model, backgrounds, cutouts, seed=0, bfloat16=False):
    """How often a pasted person comes out nearer than what is behind.

    Every cut-out is put once over every background, in the default recipe's box, mirrored in half of the cases, uniform
    over all places inside the picture, and stored as JPEG.

    Args:
        backgrounds: list of (name, (H, W, 3) uint8 RGB), all of one size.
        cutouts: list as `load_cutouts` returns.

    Returns:
        dict: `composites` (int), `before_wall`, `before_ring`, `both` (shares in [0, 1]), `median_ratio` (person's depth over
        the background's in the same pixels), `outline` (mean of `metrics.outline_iou`), `worst` (list of the five cut-outs
        with the lowest `before_wall`).
    """
    scores, names = [], []
    clean = predict_m(model, np.stack([image for _, image in backgrounds]), bfloat16)
    for b, (_, background) in enumerate(backgrounds):
        composites, masks = [], []
        for c, (name, rgba) in enumerate(cutouts):
            composite, mask = compose(background, rgba, np.random.default_rng([seed, b, c]))
            composites.append(composite)
            masks.append(mask)
            names.append(name)
        predicted = predict_m(model, np.stack(composites), bfloat16)
        scores += [person_scores(p, clean[b], m) for p, m in zip(predicted, masks, strict=True)]
    wall = np.array([s["before_wall"] for s in scores])
    ring = np.array([s["before_ring"] for s in scores])
    names = np.array(names)
    by_name = {str(name): float(wall[names == name].mean()) for name in np.unique(names)}
    return {
        "composites": len(scores),
        "before_wall": float(wall.mean()),
        "before_ring": float(ring.mean()),
        "both": float((wall & ring).mean()),
        "median_ratio": float(np.median([s["ratio"] for s in scores])),
        "outline": float(np.mean([s["outline"] for s in scores])),
        "worst": sorted(by_name.items(), key=lambda item: (item[1], item[0]))[:5],
    }


def compose(background, rgba, rng):
    """One composite as the default recipe makes it.

    Args:
        background: (H, W, 3) uint8 RGB. rgba: (h, w, 4) float32 premultiplied.

    Returns:
        (composite, mask): (H, W, 3) uint8 RGB, decoded from JPEG; (H, W) bool.
    """
    if rng.random() < 0.5:
        rgba = np.ascontiguousarray(rgba[:, ::-1])
    height_px, width_px = contain_size(rgba, *BOX_PX)
    small = resize_cutout(rgba, height_px, width_px)
    x_px = int(rng.integers(0, background.shape[1] - width_px + 1))
    y_px = int(rng.integers(0, background.shape[0] - height_px + 1))
    composite, mask = paste(background, small, x_px, y_px)
    _, packed = cv2.imencode(".jpg", composite[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return np.ascontiguousarray(cv2.imdecode(packed, cv2.IMREAD_COLOR)[:, :, ::-1]), mask
