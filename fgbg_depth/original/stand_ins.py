"""Source pictures that a tree lacks, recovered from its composites.

A set here holds its source pictures; many a tree has none, or not all. A background then is the median of some composites, each without
what its mask covers; a cut-out is what the mask covers of one composite. Both are what the composites show, at their size, and say so in
their `source`.
"""

import numpy as np

from ..assets.pictures import encode_png

BACKGROUND_ROWS = 9  # composites for one background: odd, and enough for cut-outs of a third of the canvas
SOURCE = "recovered from the composites: the tree has no usable picture of it"


def background_of(rows):
    """A background from composites of it.

    Args:
        rows: list of reading.RowPictures, at least one.

    Returns:
        PNG bytes, RGB.
    """
    pixels = np.stack([row.pixels for row in rows]).astype(np.float32)
    covered = np.stack([row.inside > 0 for row in rows])
    hidden = covered.all(axis=0)  # under a cut-out everywhere: the median of what is seen there
    pixels[covered & ~hidden] = np.nan
    return encode_png(np.rint(np.nanmedian(pixels, axis=0)).astype(np.uint8))


def foreground_of(row, flipped):
    """A cut-out from one composite.

    Args:
        row: reading.RowPictures.
        flipped: the composite has it mirrored.

    Returns:
        PNG bytes, RGBA.
    """
    x, y, width, height = row.bbox
    part = slice(y, y + height), slice(x, x + width)
    rgba = np.dstack([row.pixels[part], row.inside[part]])
    return encode_png(np.ascontiguousarray(rgba[:, ::-1] if flipped else rgba))
