"""A mask that was stored as JPEG becomes binary again. Pure functions of arrays.

JPEG rounds the frequencies of blocks of 8 x 8 pixels. Near an edge that leaves ripples: specks outside of the cut-out, holes inside it.
A ripple stays within the block of the edge that makes it, and is weaker than the edge. So a part is taken for a ripple only when all of
this holds: it is tiny, no pixel of it is clearly inside, and a larger part is in reach of one block. Whatever is larger, strong, or
lies alone stays as it was drawn.
"""

import cv2
import numpy as np

BLOCK_PX = 8  # of JPEG, for a picture without chroma
MAX_SPECK_PX = 8  # a row of one block: ripples are lines and dots
CLEAR_MARGIN = 16  # levels beyond the threshold from which a pixel counts as sure; 64 takes too many small parts that are real


def clean_mask(levels, threshold=128):
    """Cut a soft, noisy mask.

    Args:
        levels: (H, W) uint8, decoded.
        threshold: a pixel is inside where its level is at least this, 1..255.

    Returns:
        (H, W) uint8, 0 or 255.
    """
    inside = levels >= threshold
    inside &= ~_ripples(inside, levels < min(threshold + CLEAR_MARGIN, 255))
    inside |= _ripples(~inside, levels >= max(threshold - CLEAR_MARGIN, 1))
    return np.where(inside, 255, 0).astype(np.uint8)


def _ripples(part, weak):
    """Which pixels of `part` (H, W) bool are ripples: tiny pieces, weak throughout, with a larger piece of the same within a block."""
    count, labels, facts, _ = cv2.connectedComponentsWithStats(part.astype(np.uint8), connectivity=8)
    areas = facts[:, cv2.CC_STAT_AREA]
    small = np.flatnonzero(areas <= MAX_SPECK_PX)
    small = small[small > 0]  # 0 is what isn't part
    if not small.size:
        return np.zeros(part.shape, bool)
    strong = np.bincount(labels[~weak], minlength=count) > 0
    kept = np.ones(count, bool)
    kept[small], kept[0] = False, False
    near = cv2.dilate(kept[labels].astype(np.uint8), np.ones((2 * BLOCK_PX + 1,) * 2, np.uint8)) > 0
    reached = np.bincount(labels[near], minlength=count) > 0
    ripple = np.zeros(count, bool)
    ripple[small] = ~strong[small] & reached[small]
    return ripple[labels]
