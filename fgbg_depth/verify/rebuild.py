"""Make rows anew from the set's own asset tables, and compare them with the stored ones.

Hashes and statistics can be rewritten to fit; this can't, short of changing the assets too. The mask has to be equal pixel
for pixel. So has the composite, where the libraries are those that wrote the file; other builds of an encoder may differ by
some levels. Depth is predicted anew from the stored picture, where the model is at hand: its last bits hang on the kind of
processor, so one level and a ten-thousandth of the range's values are let pass.
"""

from dataclasses import dataclass

import numpy as np

from .. import codec, schema
from ..asset_tables import AssetReader
from ..errors import AssetError, CodecError, DataError, DepthModelError
from ..manifest import PICTURE_LIBRARIES, library_versions
from ..studio import FittedCanvases, Studio
from .findings import Findings
from .tables import group_starts, read_group

OTHER_BUILD_LEVELS = 12  # JPEG coefficients that fall on the other side of a rounding move a pixel by so much at quality 90
DEPTH_LEVELS = 1  # a value on the border of two levels may fall on either side
DEPTH_JPEG_LEVELS = 12  # a level's difference before the JPEG may grow in it
RANGE_TOLERANCE = 1e-4  # relative to the range's larger end


@dataclass(frozen=True)
class Made:
    """One row made anew: its columns, without depth; image and mask are encoded bytes, `mask_px` and `image_px` pixels."""

    values: dict
    image_px: np.ndarray
    mask_px: np.ndarray


class Maker:
    """Makes planned rows from the set's own asset tables."""

    def __init__(self, basis):
        self._basis = basis
        canvases = FittedCanvases(basis.recipe, basis.plan.backgrounds, AssetReader(basis.entries["background"]))
        self._studio = Studio(basis.recipe, canvases, basis.cutouts())

    def make(self, shard, row):
        """Make a row of a data file.

        Args:
            shard: plan.ShardPlan.
            row: its number in the file.

        Returns:
            Made, or None when one of its assets can't be decoded (which is found with the asset tables).
        """
        held = self._basis.held(shard)
        return self.make_planned(shard, held[row]) if row < len(held) else None

    def make_planned(self, shard, i):
        """As `make`; `i` is the row's number in its (batch, split)."""
        recipe, rows = self._basis.recipe, self._basis.plan.rows[shard.batch, shard.split]
        try:
            made = self._studio.composite(rows.background[i], rows.foreground[i], rows.flipped[i], rows.box[i])
        except (AssetError, CodecError, DataError, OSError):
            return None
        values = {
            "bbox": list(made.bbox),
            "mask_area": float(made.mask_area),
            "image": codec.encode_image(made.image, recipe.image_format, recipe.image_quality),
            "mask": codec.encode_mask(made.mask),
        }
        return Made(values, made.image, made.mask)


def same_libraries(versions):
    """True when the installed libraries that make pictures are those in a footer's `versions`."""
    installed = library_versions(False)
    return all((versions or {}).get(name) == installed.get(name) for name in PICTURE_LIBRARIES)


def compare_image(stored, made, exact):
    """Words on a stored composite that isn't the one made anew, or "".

    Args:
        stored: encoded bytes of the row.
        made: Made.
        exact: True when the libraries are the same.
    """
    if stored == made.values["image"]:
        return ""
    try:
        found, expected = codec.decode_rgb(stored), codec.decode_rgb(made.values["image"])
    except CodecError as error:
        return str(error)
    return _difference(found, expected, 0 if exact else OTHER_BUILD_LEVELS, "the composite made anew")


def compare_mask(stored, made):
    """Words on a stored mask that isn't the one made anew, or ""."""
    if stored == made.values["mask"]:
        return ""
    try:
        return _difference(codec.decode_gray(stored), made.mask_px, 0, "the mask made anew")
    except CodecError as error:
        return str(error)


def compare_depth(row, depth, recipe, relative):
    """Compare a stored depth map and its range with one predicted anew.

    Args:
        row: {"depth": encoded bytes, "depth_min_m", "depth_max_m"}.
        depth: (S, S) float32, the network's map of the stored picture.
        recipe: config.Recipe.
        relative: True when there are no metres.

    Returns:
        list of (column, words).
    """
    try:
        levels, low, high = codec.quantise_depth(depth, recipe.depth_encoding)
        stored = codec.decode_gray(row["depth"])
    except CodecError as error:
        return [("depth", str(error))]
    problems, tolerance = [], DEPTH_LEVELS
    if recipe.depth_encoding == "relative8_jpeg":
        levels, tolerance = codec.decode_gray(codec.encode_gray(levels, recipe.depth_encoding)), DEPTH_JPEG_LEVELS
    words = _difference(stored, levels, tolerance, "the depth predicted anew")
    if words:
        problems.append(("depth", words))
    if not relative:
        allowed = RANGE_TOLERANCE * max(abs(float(low)), abs(float(high)))
        for column, value in (("depth_min_m", low), ("depth_max_m", high)):
            if row[column] is None or not abs(row[column] - float(value)) <= allowed:
                problems.append((column, f"is {row[column]!r}, predicted anew {float(value)!r}"))
    return problems


def _difference(found, expected, tolerance, what):
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return f"is {found.dtype} {found.shape}, {what} is {expected.dtype} {expected.shape}"
    off = np.abs(found.astype(np.int32) - expected.astype(np.int32))
    if off.max() <= tolerance:
        return ""
    spots = np.argwhere((off if off.ndim == 2 else off.max(axis=2)) > tolerance)
    y, x = spots[0].tolist()
    return f"{len(spots):,} pixels differ from {what}, by up to {int(off.max())} levels, the first at x {x}, y {y}"


def rebuild_rows(basis, maker, predictor, shard, numbers, table, versions, found):
    """Compare some rows of a data file with rows made anew.

    Args:
        basis: Basis.
        maker: Maker.
        predictor: model.Predictor.
        shard: plan.ShardPlan.
        numbers: row numbers in the file, ascending.
        table: the opened file.
        versions: of the libraries that wrote it, from its footer.
        found: Findings.

    Returns:
        ({row number: True when image and mask agree}, number of rows whose depth was predicted).
    """
    recipe, exact = basis.recipe, same_libraries(versions)
    waiting, agrees, predicted = [], {}, 0
    for number, row in stored_rows(table, shard.name, numbers, recipe.has_depth):
        made = maker.make(shard, number)
        if made is None or not row.get("image") or not row.get("mask"):
            continue  # found with the asset, or with the row
        problems = row_differences(row, made, exact)
        agrees[number] = not problems
        for column, words in problems:
            found.add(shard.name, words, number, column)
        if predictor.at_hand and all(row.get(name) is not None for name in _depth_columns(basis)):
            waiting.append((number, row))
        if len(waiting) == recipe.depth_batch:
            predicted += _predict_rows(basis, predictor, shard.name, waiting, found)
            waiting = []
    predicted += _predict_rows(basis, predictor, shard.name, waiting, found)
    return agrees, predicted


def _depth_columns(basis):
    return ("depth",) if basis.relative else ("depth", *schema.RANGE_COLUMNS)


def row_differences(row, made, exact):
    """Compare a stored row's image and mask with the row made anew; list of (column, words)."""
    problems = [("image", compare_image(row["image"], made, exact)), ("mask", compare_mask(row["mask"], made))]
    more = "" if exact else "; other library versions wrote it, so single pixels at the border may differ"
    return [(column, words + (more if column == "mask" else "")) for column, words in problems if words]


def stored_rows(table, name, numbers, has_depth):
    """Yield (row number, {column: value}) of some rows of an open data file, in order.

    Columns that can't be read are left out; they are found by the row checks.
    """
    columns = ["image", "mask", *(("depth", *schema.RANGE_COLUMNS) if has_depth else ())]
    starts, wanted = group_starts(table), sorted(set(numbers))
    for group, first in enumerate(starts[:-1]):
        mine = [number for number in wanted if first <= number < starts[group + 1]]
        values = read_group(table, name, group, first, columns, Findings()) if mine else {}
        for number in mine:
            yield number, {column: listed[number - first] for column, listed in values.items()}


def _predict_rows(basis, predictor, name, waiting, found):
    images, rows = [], []
    for number, row in waiting:
        try:
            images.append(codec.decode_rgb(row["image"]))
            rows.append((number, row))
        except CodecError:
            continue  # found with the row
    if not images:
        return 0
    try:
        maps = predictor.predict(images)
    except DepthModelError as error:
        found.add(name, f"depth can't be predicted anew: {error}", rows[0][0], "depth")
        return 0
    for (number, row), depth in zip(rows, maps, strict=True):
        for column, words in compare_depth(row, depth, basis.recipe, basis.relative):
            found.add(name, words, number, column)
    return len(rows)
