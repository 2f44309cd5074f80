"""Blend a cut-out over a background, and the mask that belongs to it. Pure functions of arrays.

out = background * (1 - alpha) + premultiplied colour, in float32, rounded once (Porter and Duff, "Compositing
digital images", SIGGRAPH 1984, operator "over"). The background is the float canvas, not its 8-bit copy, so the
result is within half a level of the exact one everywhere.
"""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, eq=False)
class Canvas:
    """A background made ready for many composites.

    Attributes:
        exact: (S, S, 3) float32 RGB, 0..255.
        rounded: (S, S, 3) uint8, `exact` rounded: what is seen where no cut-out lies.
    """

    exact: np.ndarray
    rounded: np.ndarray

    @classmethod
    def of(cls, exact):
        """A canvas from the output of `resize.fit_background`."""
        return cls(exact, np.rint(exact).astype(np.uint8))


def overlap(box_xywh, image_size):
    """The part of a placement box that lies on the canvas.

    Args:
        box_xywh: x, y, width, height [pixels]; x and y may be negative.
        image_size: side of the canvas [pixels].

    Returns:
        (rows on the canvas, columns on the canvas, rows of the cut-out, columns of the cut-out), four slices.
    """
    x, y, width, height = (int(v) for v in box_xywh)
    left, top = max(x, 0), max(y, 0)
    right, bottom = max(min(x + width, image_size), left), max(min(y + height, image_size), top)
    return slice(top, bottom), slice(left, right), slice(top - y, bottom - y), slice(left - x, right - x)


def blend(canvas, cutout, box_xywh):
    """Composite a cut-out over a background.

    Args:
        canvas: Canvas of side S.
        cutout: resize.Cutout whose size is the box's.
        box_xywh: where it goes; may leave the canvas.

    Returns:
        (S, S, 3) uint8 RGB, rounded half to even.
    """
    rows, columns, from_rows, from_columns = overlap(box_xywh, canvas.rounded.shape[0])
    out = canvas.rounded.copy()
    mixed = canvas.exact[rows, columns] * cutout.keep[from_rows, from_columns]
    mixed += cutout.colour[from_rows, from_columns]
    out[rows, columns] = np.rint(mixed, out=mixed)  # in 0..255 but for some 1e-5, as colour <= 255 alpha
    return out


def make_mask(cutout, box_xywh, image_size, kind, threshold):
    """The mask of a composite.

    Args:
        cutout, box_xywh: as for `blend`.
        image_size: side of the canvas S [pixels].
        kind: "binary": 255 where the placed 8-bit alpha >= threshold, else 0; "matte": that alpha itself.
        threshold: 1..255.

    Returns:
        (S, S) uint8.
    """
    rows, columns, from_rows, from_columns = overlap(box_xywh, image_size)
    mask = np.zeros((image_size, image_size), np.uint8)
    alpha8 = cutout.alpha8[from_rows, from_columns]
    mask[rows, columns] = alpha8 if kind == "matte" else (alpha8 >= threshold) * np.uint8(255)
    return mask


def tight_box(visible):
    """The smallest box around the set pixels (COCO's convention: x, y, width, height).

    Args:
        visible: (H, W) bool or uint8; what isn't zero is set.

    Returns:
        (x, y, width, height) ints [pixels]; zeros when nothing is set.
    """
    return cv2.boundingRect(visible.view(np.uint8))
