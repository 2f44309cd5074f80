"""Drawing of contact sheets: tiles, grids, labels, colours for depth, legends, and the PNG at the end.

Pure functions on (H, W, 3) uint8 RGB arrays. The font is Pillow's own, so that no system font decides; there is no clock and
no chance here, so equal arrays give equal bytes.
"""

import io
import math

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

SHEET_WIDTH_PX = 1100  # the Hub shows cards about 800 px wide; a little more stays sharp
GAP_PX = 6
PAPER = (255, 255, 255)
INK = (36, 41, 47)
FAINT = (110, 118, 129)
CHECKS = (255, 205)  # gray levels of the checkerboard behind cut-outs
CHECK_PX = 8
FONT_PX = 13
LABEL_PX = 20  # height of a line of text
LEGEND_BAR_PX = 14
PALETTE_COLOURS = 256
PALETTE_STEP_PX = 3  # every third pixel of every third line is enough to choose colours by, in a ninth of the time
DEPTH_COLOURS = cv2.COLORMAP_TURBO  # many hues: small steps of depth show, also on a thumbnail


def fit_tile(rgb, width, height):
    """A picture made to fit into a tile, whole, on paper.

    Args:
        rgb: (H, W, 3) uint8.
        width, height: of the tile [pixels].

    Returns:
        (height, width, 3) uint8.
    """
    scale = min(width / rgb.shape[1], height / rgb.shape[0])
    size = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    small = cv2.resize(np.ascontiguousarray(rgb), size, interpolation=_method(scale))
    tile = np.full((height, width, 3), PAPER, np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = small
    return tile


def _method(scale):
    """How to resample: averages when smaller, whole pixels when much larger, so that they can be seen."""
    return cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST if scale >= 2 else cv2.INTER_LINEAR


def fill_tile(rgb, width, height):
    """A picture made to fill a tile; what stands over at two sides is cut off.

    Args, Returns: as `fit_tile`.
    """
    scale = max(width / rgb.shape[1], height / rgb.shape[0])
    cut_width = min(rgb.shape[1], max(1, round(width / scale)))
    cut_height = min(rgb.shape[0], max(1, round(height / scale)))
    top, left = (rgb.shape[0] - cut_height) // 2, (rgb.shape[1] - cut_width) // 2
    cut = np.ascontiguousarray(rgb[top : top + cut_height, left : left + cut_width])
    return cv2.resize(cut, (width, height), interpolation=_method(scale))


def on_checkerboard(rgba, width, height):
    """A cut-out on a checkerboard, so that its alpha shows.

    Args:
        rgba: (H, W, 4) uint8, straight alpha.
        width, height: of the tile [pixels].

    Returns:
        (height, width, 3) uint8.
    """
    scale = min(width / rgba.shape[1], height / rgba.shape[0])
    size = max(1, round(rgba.shape[1] * scale)), max(1, round(rgba.shape[0] * scale))
    alpha = rgba[..., 3:].astype(np.float32) / 255
    premultiplied = np.concatenate([rgba[..., :3] * alpha, alpha], axis=2).astype(np.float32)
    small = cv2.resize(premultiplied, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    y, x = np.mgrid[:height, :width] // CHECK_PX
    tile = np.where((x + y) % 2, *CHECKS)[..., None].repeat(3, 2).astype(np.float32)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    part = tile[top : top + size[1], left : left + size[0]]
    part[:] = small[..., :3] + part * (1 - small[..., 3:])
    return np.rint(tile).clip(0, 255).astype(np.uint8)


def grid(tiles, columns):
    """Tiles of one size, in rows, with gaps of paper between and around them: (H, W, 3) uint8."""
    height, width = tiles[0].shape[:2]
    lines = -(-len(tiles) // columns)
    sheet = paper(lines * (height + GAP_PX) + GAP_PX, columns * (width + GAP_PX) + GAP_PX)
    for i, tile in enumerate(tiles):
        top = GAP_PX + (i // columns) * (height + GAP_PX)
        left = GAP_PX + (i % columns) * (width + GAP_PX)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def paper(height, width):
    """An empty sheet."""
    return np.full((height, width, 3), PAPER, np.uint8)


def stack(sheets):
    """Sheets one below the other, on the width of the widest."""
    width = max(sheet.shape[1] for sheet in sheets)
    padded = [np.pad(s, ((0, 0), (0, width - s.shape[1]), (0, 0)), constant_values=255) for s in sheets]
    return np.concatenate(padded)


def text_line(text, width, colour=INK, right=""):
    """A line of text, shortened in the middle if it is too long; `right` stands at the other end."""
    line = Image.new("RGB", (width, LABEL_PX), PAPER)
    draw, font = ImageDraw.Draw(line), ImageFont.load_default(FONT_PX)
    room = width - (draw.textlength(right, font=font) + 3 * GAP_PX if right else 2)
    draw.text((1, 2), _shortened(text, lambda part: draw.textlength(part, font=font) <= room), fill=colour, font=font)
    if right:
        draw.text((width - 1, 2), right, fill=FAINT, font=font, anchor="ra")
    return np.asarray(line)


def _shortened(text, fits):
    text = "".join(c if " " <= c <= "~" else "?" for c in text)  # what the font surely has
    if fits(text):
        return text
    for keep in range(len(text) - 1, 0, -1):
        half = keep // 2
        shorter = text[: keep - half] + "..." + text[len(text) - half :]
        if fits(shorter):
            return shorter
    return ""


def depth_colours(part):
    """Colours of depth.

    Args:
        part: (H, W) float, 0 at the near end of the scale and 1 at its far end; values outside are clipped.

    Returns:
        (H, W, 3) uint8 RGB: near is red, far is blue.
    """
    levels = np.rint((1 - np.clip(part, 0, 1)) * 255).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(levels, DEPTH_COLOURS), cv2.COLOR_BGR2RGB)


def legend(width, ticks, colours, title=""):
    """A bar of colours with words below it.

    Args:
        width: of the sheet [pixels].
        ticks: list of (part, text), part in [0, 1] along the bar.
        colours: function (1, N) float in [0, 1] -> (1, N, 3) uint8.
        title: text over the bar, "" for none.

    Returns:
        (H, width, 3) uint8.
    """
    inner = width - 2 * GAP_PX
    bar = np.repeat(colours(np.linspace(0, 1, inner)[None]), LEGEND_BAR_PX, axis=0)
    words = Image.new("RGB", (width, LABEL_PX), PAPER)
    draw, font = ImageDraw.Draw(words), ImageFont.load_default(FONT_PX)
    for part, text in ticks:
        anchor = "la" if part == 0 else "ra" if part == 1 else "ma"
        draw.text((GAP_PX + part * (inner - 1), 2), text, fill=INK, font=font, anchor=anchor)
    framed = paper(LEGEND_BAR_PX, width)
    framed[:, GAP_PX : GAP_PX + inner] = bar
    return stack(([text_line(title, width)] if title else []) + [paper(GAP_PX // 2, width), framed, np.asarray(words)])


def round_step(span):
    """A round step (1, 2 or 5 times a power of ten) that goes into `span` 4 to 10 times."""
    step = 10.0 ** math.floor(math.log10(span)) / 10
    return next(step * factor for factor in (1, 2, 5, 10, 20, 50) if span / (step * factor) <= 10)


def metre_ticks(near_m, far_m):
    """Ticks of a depth scale: (part, text) at round numbers of metres, both ends included where they are round."""
    step = round_step(far_m - near_m)
    first, last = math.ceil(near_m / step - 1e-6), math.floor(far_m / step + 1e-6)
    numbers = [i * step for i in range(first, last + 1)]
    texts = [f"{number:.6g}" for number in numbers]
    texts[-1] += " m"
    return [(min(1.0, max(0.0, (n - near_m) / (far_m - near_m))), t) for n, t in zip(numbers, texts, strict=True)]


def encode_sheet(rgb, max_bytes):
    """A sheet as PNG: in true colour where that is small enough, else with a palette of its own, which is half as large.

    Paper and ink are always in the palette, so that white stays white.

    Args:
        rgb: (H, W, 3) uint8.
        max_bytes: size from which the palette is used.
    """
    picture = Image.fromarray(rgb)
    exact = _png(picture)
    if len(exact) <= max_bytes:
        return exact
    sample = Image.fromarray(np.ascontiguousarray(rgb[::PALETTE_STEP_PX, ::PALETTE_STEP_PX]))
    adapted = sample.quantize(PALETTE_COLOURS - 2, method=Image.Quantize.MEDIANCUT, kmeans=1)
    palette = Image.new("P", (1, 1))
    palette.putpalette([*PAPER, *INK, *adapted.getpalette()])
    mapped = picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    # Pillow looks colours up in steps of 4 levels: what is exactly paper or ink has to be put right.
    for index, colour in enumerate((PAPER, INK)):
        exactly = (rgb == colour).all(axis=2)
        mapped.paste(index, mask=Image.fromarray(exactly))
    return _png(mapped)


def _png(picture):
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=6)  # within 2 % of the smallest, in a fifth of the time
    return out.getvalue()
