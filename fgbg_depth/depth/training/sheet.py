"""A sheet of pictures over their depth maps, for people to look at."""

import cv2
import numpy as np

COLUMNS = 6
TEXT_SCALE = 0.45  # of OpenCV's plain font: readable at 224 pixels


def depth_colours(depth_m):
    """Colours for one map over its own range: near is red, far is dark blue; the range is written in the corner.

    Args:
        depth_m: (H, W) float [m].

    Returns:
        (H, W, 3) uint8 RGB.
    """
    near, far = float(depth_m.min()), float(depth_m.max())
    level = (far - depth_m) / max(far - near, 1e-6)
    colours = cv2.applyColorMap(np.rint(255 * level).astype(np.uint8), cv2.COLORMAP_TURBO)
    text = f"{near:.1f} to {far:.1f} m"
    cv2.putText(colours, text, (5, 15), cv2.FONT_HERSHEY_SIMPLEX, TEXT_SCALE, (255, 255, 255), 1, cv2.LINE_AA)
    return np.ascontiguousarray(colours[:, :, ::-1])


def sheet(images, depth_m):
    """Pictures with their maps below, COLUMNS in a row.

    Args:
        images: (N, H, W, 3) uint8 RGB.
        depth_m: (N, H, W) float [m].

    Returns:
        (rows * 2 * H, COLUMNS * W, 3) uint8 RGB, white where nothing is left to show.
    """
    count, height, width = images.shape[:3]
    rows = -(-count // COLUMNS)
    page = np.full((rows * 2 * height, COLUMNS * width, 3), 255, np.uint8)
    for i, (image, depth) in enumerate(zip(images, depth_m, strict=True)):
        top, left = i // COLUMNS * 2 * height, i % COLUMNS * width
        page[top : top + height, left : left + width] = image
        page[top + height : top + 2 * height, left : left + width] = depth_colours(depth)
    return page
