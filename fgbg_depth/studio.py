"""The studio: backgrounds and cut-outs ready at their final sizes, and the composites made from them.

Canvases of all backgrounds lie in one memory-mapped scratch file, which all workers share: each is resized once, and
a worker's own memory doesn't grow with the number of backgrounds. Cut-outs are kept up to a bound.
"""

from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np

from .composite import Canvas, blend, make_mask, tight_box
from .resize import fit_background, make_cutout

CANVAS_CACHE_BYTES = 192 << 20  # of fitted backgrounds where there is no scratch file: 250 of 224 x 224
CUTOUT_CACHE_BYTES = 192 << 20  # of resized cut-outs in a worker: 1,500 of 100 x 70
SOURCE_CACHE_BYTES = 96 << 20  # of decoded foregrounds, which drawn sizes need again and again


@dataclass(frozen=True, eq=False)
class Composite:
    """One row before it is encoded: (S, S, 3) uint8 RGB image, (S, S) uint8 mask, and the numbers that go with it."""

    image: np.ndarray
    mask: np.ndarray
    bbox: tuple
    mask_area: np.float32


class _Bounded:
    """A cache that drops what wasn't used for longest when its bytes pass a bound."""

    def __init__(self, limit_bytes, size_of):
        self._limit, self._size_of, self._bytes, self._items = limit_bytes, size_of, 0, OrderedDict()

    def get(self, key, make):
        if key in self._items:
            self._items.move_to_end(key)
            return self._items[key]
        value = self._items[key] = make()
        self._bytes += self._size_of(value)
        while self._bytes > self._limit and len(self._items) > 1:
            self._bytes -= self._size_of(self._items.popitem(last=False)[1])
        return value


class CutoutMaker:
    """Cut-outs of a set's foregrounds at any size, mirrored or not."""

    def __init__(self, foregrounds, reader):
        """Args: foregrounds: PlanAssets by position; reader: asset_tables.AssetReader of them."""
        self._foregrounds, self._reader = foregrounds, reader
        self._cutouts = _Bounded(CUTOUT_CACHE_BYTES, lambda cutout: cutout.nbytes)
        self._sources = _Bounded(SOURCE_CACHE_BYTES, lambda array: array.nbytes)

    def get(self, position, size, flipped=False):
        """The resize.Cutout of a foreground by its position, at (width, height)."""
        if flipped:
            return self._cutouts.get((position, size, True), lambda: self.get(position, size).mirrored())
        return self._cutouts.get((position, size, False), lambda: make_cutout(self._source(position), size))

    def _source(self, position):
        return self._sources.get(position, lambda: self._reader.pixels(self._foregrounds[position].id, alpha=True))

    def placed_alpha(self, position, size):
        """(height, width) uint8 alpha at a size: what plan.make_plan asks for."""
        return self.get(position, size).alpha8


def _canvas_type(side):
    """One record of the scratch file: the float canvas, and the same rounded."""
    return np.dtype([("exact", np.float32, (side, side, 3)), ("rounded", np.uint8, (side, side, 3))])


def write_canvases(path, recipe, backgrounds, reader, on_progress=None):
    """Fit all backgrounds and write them to a scratch file, in the order of their positions.

    Args:
        path: the scratch file.
        recipe: config.Recipe.
        backgrounds: PlanAssets by position.
        reader: asset_tables.AssetReader of them.
        on_progress: function (done, total), called after each.
    """
    with open(path, "wb") as file:
        for done, asset in enumerate(backgrounds, 1):
            canvas = canvas_of(reader.pixels(asset.id, alpha=False), recipe)
            record = np.zeros((), _canvas_type(recipe.image_size))
            record["exact"], record["rounded"] = canvas.exact, canvas.rounded
            file.write(record.tobytes())
            if on_progress:
                on_progress(done, len(backgrounds))


def canvas_of(rgb, recipe):
    """The composite.Canvas of a background, (H, W, 3) uint8 RGB, by the recipe's fit."""
    return Canvas.of(fit_background(rgb, recipe.image_size, recipe.background_fit))


class Canvases:
    """The canvases of a scratch file by position; they are read when they are used."""

    def __init__(self, path, recipe, count):
        self._records = np.memmap(path, _canvas_type(recipe.image_size), "r", shape=(count,))

    def __getitem__(self, position):
        record = self._records[position]
        return Canvas(record["exact"], record["rounded"])


class FittedCanvases:
    """Canvases that are made when they are asked for, without a scratch file; some are kept."""

    def __init__(self, recipe, backgrounds, reader):
        """Args: recipe; backgrounds: PlanAssets by position; reader: their pixels by id."""
        self._recipe, self._backgrounds, self._reader = recipe, backgrounds, reader
        self._canvases = _Bounded(CANVAS_CACHE_BYTES, lambda canvas: canvas.exact.nbytes + canvas.rounded.nbytes)

    def __getitem__(self, position):
        asset = self._backgrounds[position].id
        return self._canvases.get(asset, lambda: canvas_of(self._reader.pixels(asset, alpha=False), self._recipe))


class Studio:
    """Makes composites of planned rows."""

    def __init__(self, recipe, canvases, cutouts):
        """Args: recipe; canvases: composite.Canvas by background position, Canvases or FittedCanvases; cutouts: CutoutMaker."""
        self._recipe, self._canvases, self._cutouts = recipe, canvases, cutouts

    def composite(self, background, foreground, flipped, box):
        """The composite of one row.

        Args:
            background, foreground: positions in the plan.
            flipped: mirror the cut-out.
            box: placement box x, y, width, height [pixels].

        Returns:
            Composite.
        """
        recipe = self._recipe
        cutout = self._cutouts.get(int(foreground), (int(box[2]), int(box[3])), bool(flipped))
        image = blend(self._canvases[background], cutout, box)
        mask = make_mask(cutout, box, recipe.image_size, recipe.mask, recipe.mask_threshold)
        visible = inside_of(mask, recipe)
        area = np.float32(cv2.countNonZero(visible) / visible.size)
        return Composite(image, mask, tight_box(visible), area)


def inside_of(mask, recipe):
    """Which pixels are inside a mask: (S, S) uint8, not zero where mask >= the recipe's threshold."""
    return mask if recipe.mask == "binary" else (mask >= recipe.mask_threshold).view(np.uint8)
