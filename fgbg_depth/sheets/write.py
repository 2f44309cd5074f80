"""The pictures of the card, made from the set's own files: contact sheets, and the plots of `plots.py`.

Backgrounds and cut-outs come from the asset tables; composites, masks and depth maps are of the same rows in the same order, so that the
sheets can be compared. Files are bounded in size, work is bounded whatever the number of rows, and the same set gives the same bytes.
"""

import json
import math
from dataclasses import dataclass

import numpy as np

from ..asset_tables import AssetReader, read_entries
from ..config import SPLIT_NAMES
from ..errors import DataError
from ..files import write_bytes
from ..folders import as_folder
from .drawing import (
    GAP_PX,
    LABEL_PX,
    SHEET_WIDTH_PX,
    depth_colours,
    encode_sheet,
    fill_tile,
    fit_tile,
    grid,
    legend,
    metre_ticks,
    on_checkerboard,
    paper,
    round_step,
    stack,
    text_line,
)
from .plots import draw_plots, plot_titles
from .rows import pick_rows, read_pictures

FOLDER_NAME = "assets"
MAX_SHEET_BYTES = 400_000  # seven sheets are quickly loaded with the card, and cost a set next to nothing
MAX_DEMO_BYTES = 1_000_000
GRID_HEIGHT_PX = 420  # of a grid of small tiles: with the width, 0.45 megapixels, for which a palette keeps to the bound
MIN_COLUMNS, MAX_COLUMNS = 4, 17  # 17 columns of 58 px show 102 assets
ROWS_SHOWN, ROW_COLUMNS = 16, 8
SAMPLES_SHOWN = 6
DEMO_SAMPLES = 12
SAMPLE_TILES = 6  # in a line: two rows with depth, three without
NEAR_QUANTILE, FAR_QUANTILE = "0.01", "0.99"  # the depth scale holds nearly all pixels, and no outlier stretches it
MIN_SPAN_M = 0.01  # of the depth scale, for a set of constant maps
ASSET_ASPECT = 0.75  # height / width of a background's tile: most photos are 4:3 or wider


def sheet_titles(has_depth):
    """Names of the sheets in `assets/` and what they show, in the order of the card."""
    titles = {
        "samples.png": "Rows of every split",
        "backgrounds.png": "Backgrounds",
        "foregrounds.png": "Cut-outs (the checkerboard shows through where they are transparent)",
        "composites.png": "Composites",
        "masks.png": "Masks of the same rows",
    }
    if has_depth:
        titles["depth.png"] = "Depth of the same rows"
    return titles


def picture_names(has_depth):
    """Names of all files in `assets/`: contact sheets and plots."""
    return (*sheet_titles(has_depth), *plot_titles(has_depth))


def write_sheets(folder):
    """Make all contact sheets and plots of a set in `folder`/assets; equal ones are left alone.

    Args:
        folder: the set's folder, with its tables, shards and stats.json.

    Raises:
        DataError: a table or a picture can't be read.
    """
    folder = as_folder(folder)
    stats = _read_stats(folder)
    sheets = {
        "backgrounds.png": _asset_sheet(folder, "background"),
        "foregrounds.png": _asset_sheet(folder, "foreground"),
        "samples.png": _samples(folder, SAMPLES_SHOWN, stats),
        **_row_sheets(folder, stats),
    }
    for name in sheet_titles("depth.png" in sheets):
        write_bytes(folder / FOLDER_NAME / name, encode_sheet(sheets[name], MAX_SHEET_BYTES))
    for name, data in draw_plots(stats["all"], MAX_SHEET_BYTES).items():
        write_bytes(folder / FOLDER_NAME / name, data)


def demo_sheet(folder, path):
    """One contact sheet of a set: image, mask and depth side by side, for rows of every split.

    Args:
        folder: the set's folder.
        path: the PNG to write.
    """
    folder = as_folder(folder)
    write_bytes(path, encode_sheet(_samples(folder, DEMO_SAMPLES, _read_stats(folder)), MAX_DEMO_BYTES))


def _read_stats(folder):
    path = folder / "stats.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read: {error}; run `fgbg-depth generate` again to make it anew") from error


# --- assets ---------------------------------------------------------------------------------------------------


def _asset_sheet(folder, kind):
    entries, _ = read_entries(folder, kind)
    aspect = ASSET_ASPECT if kind == "background" else 1.0
    columns, width, count = _grid_of(len(entries), aspect)
    height = round(width * aspect)
    entries = [entries[i * len(entries) // count] for i in range(count)]
    reader = AssetReader(entries)
    if kind == "background":
        tiles = [fill_tile(reader.pixels(e.plan.id, alpha=False), width, height) for e in entries]
    else:
        tiles = [on_checkerboard(reader.pixels(e.plan.id, alpha=True), width, height) for e in entries]
    return grid(tiles, columns)


def _grid_of(number, aspect):
    """(columns, width of a tile, tiles shown): the largest tiles at which all fit into the bound; else a sample of them."""
    for columns in range(MIN_COLUMNS, MAX_COLUMNS + 1):
        width = (SHEET_WIDTH_PX - GAP_PX) // columns - GAP_PX
        lines = max(1, (GRID_HEIGHT_PX - GAP_PX) // (round(width * aspect) + GAP_PX))
        if lines * columns >= number:
            break
    return min(columns, number), width, min(number, lines * columns)


# --- rows -----------------------------------------------------------------------------------------------------


def _row_sheets(folder, stats):
    side = (SHEET_WIDTH_PX - GAP_PX) // ROW_COLUMNS - GAP_PX
    places = pick_rows(folder, ROWS_SHOWN)
    scale = DepthScale.of(stats)
    tiles = {row.place.key: _tiles(row, side, scale) for row in read_pictures(places)}
    columns = min(ROW_COLUMNS, len(places))
    names = ("composites.png", "masks.png", "depth.png")[: len(tiles[places[0].key])]
    sheets = {name: grid([tiles[place.key][i] for place in places], columns) for i, name in enumerate(names)}
    if "depth.png" in sheets:
        sheets["depth.png"] = stack([sheets["depth.png"], scale.legend(sheets["depth.png"].shape[1])])
    return sheets


def _tiles(row, side, scale):
    """Tiles of a row: image, mask and, if there is one, depth in colours."""
    tiles = [fit_tile(row.image, side, side), fit_tile(row.mask[..., None].repeat(3, 2), side, side)]
    if row.depth is not None:
        tiles.append(fit_tile(depth_colours(scale.part(row)), side, side))
    return tiles


def _samples(folder, count, stats):
    """Rows as lines of image, mask and depth, with split and key above them."""
    places = pick_rows(folder, count, each_split=True)
    places.sort(key=lambda place: SPLIT_NAMES.index(place.split))
    scale = DepthScale.of(stats)
    kinds = 3 if "depth" in stats["all"] else 2
    columns = min(SAMPLE_TILES // kinds, len(places))
    side = (SHEET_WIDTH_PX - GAP_PX * (SAMPLE_TILES + columns)) // SAMPLE_TILES
    tiles = {row.place.key: _tiles(row, side, scale) for row in read_pictures(places)}
    blocks = [_labelled(grid(tiles[place.key], kinds)[GAP_PX:], place) for place in places]
    lines = [_side_by_side(blocks[i : i + columns], columns) for i in range(0, len(blocks), columns)]
    foot = [scale.legend(lines[0].shape[1])] if kinds == 3 else []
    return stack([*lines, *foot])


def _labelled(line, place):
    label = paper(LABEL_PX, line.shape[1])
    label[:, GAP_PX:-GAP_PX] = text_line(place.key, line.shape[1] - 2 * GAP_PX, right=place.split)
    return np.concatenate([label, line])


def _side_by_side(blocks, columns):
    blank = [paper(*blocks[0].shape[:2])] * (columns - len(blocks))
    return np.concatenate([*blocks, *blank], axis=1)


# --- scales ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DepthScale:
    """How depth becomes colour: one scale in metres for all maps, or each map's own range (near_m = far_m = None)."""

    near_m: float | None = None
    far_m: float | None = None

    @classmethod
    def of(cls, stats):
        """The scale that suits a set: round metres around nearly all of its pixels."""
        metres = stats["all"].get("depth_m")
        if metres is None or metres["quantiles"] is None:
            return cls()
        near, far = metres["quantiles"][NEAR_QUANTILE], metres["quantiles"][FAR_QUANTILE]
        step = round_step(max(far - near, MIN_SPAN_M))
        near = math.floor(near / step) * step
        return cls(near, max(math.ceil(far / step) * step, near + step))

    def part(self, row):
        """(H, W) float of a RowPictures' depth: 0 at the near end, 1 at the far end."""
        if self.near_m is None or not row.is_metric:
            return row.depth
        return (row.depth - self.near_m) / (self.far_m - self.near_m)

    def legend(self, width):
        """The legend as (H, width, 3) uint8."""
        if self.near_m is None:
            return legend(width, [(0, "near"), (0.5, "each map has its own scale"), (1, "far")], depth_colours)
        return legend(width, metre_ticks(self.near_m, self.far_m), depth_colours)
