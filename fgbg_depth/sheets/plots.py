"""Plots of a set's statistics for its card: histograms, mask area, and where the cut-outs lie. Drawn by matplotlib from stats.json.

They stand on the white paper of the contact sheets with dark ink, so they are legible on a light page and on a dark one. The same
statistics give the same bytes: no settings of the user are taken over, and what matplotlib would write into the file (its version)
isn't, as the PNG is made like that of a contact sheet. matplotlib is imported when a plot is drawn, not before; with that, the plots
take 0.6 s of a run.
"""

import contextlib

import numpy as np

from .drawing import FAINT, INK, PAPER, SHEET_WIDTH_PX, encode_sheet, round_step

HISTOGRAMS, PLACEMENTS = "histograms.png", "placements.png"
DPI = 100
PANEL_HEIGHT_PX = 340
LEFT_PX, RIGHT_PX, BOTTOM_PX, TOP_PX = 70, 22, 62, 36  # around the panels
HEAT_SIZE_PX = (760, 620)
FONT_PT = 12  # 17 pixels, which a card 800 pixels wide shows at 12
CURVE_PT = 1.6
CHANNELS = (("R", "#cf222e"), ("G", "#1a7f37"), ("B", "#0969da"))  # each at least 4.5 : 1 against the paper
ONE = "#8250df"
AREA_PARTS = 100  # bins of the mask area: 1 % of the picture each
SPIKE = 1.5  # a first or last bin this much above all others is cut off, and its height is written down
ROOM = 1.08  # above the highest curve


def plot_titles(has_depth):
    """Names of the plots in `assets/` and what they show, in the order of the card."""
    depth = ", stored depth, metres where they are known" if has_depth else ""
    return {
        HISTOGRAMS: f"Histograms: the image's channels, mask area of the rows{depth}",
        PLACEMENTS: "Where the cut-outs lie: how often each part of the picture is covered",
    }


def draw_plots(stats, max_bytes):
    """All plots of a set.

    Args:
        stats: the entry "all" of stats.json.
        max_bytes: size from which a PNG gets a palette.

    Returns:
        {name: PNG bytes}.
    """
    with style():
        figures = {HISTOGRAMS: histogram_figure(stats), PLACEMENTS: heat_figure(stats["mask"]["placement_heatmap"])}
        return {name: encode_sheet(pixels_of(figure), max_bytes) for name, figure in figures.items()}


@contextlib.contextmanager
def style():
    """In this block figures look as the card has them, whatever the user's own settings are; afterwards those are back."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_settings())
        yield


def pixels_of(figure):
    """A drawn figure as (H, W, 3) uint8 RGB."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def _settings():
    ink, faint = _hex(INK), _hex(FAINT)
    return {
        "font.family": "DejaVu Sans",  # it comes with matplotlib
        "font.size": FONT_PT,
        "axes.titlesize": FONT_PT,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "legend.fontsize": FONT_PT - 1,
        "legend.frameon": False,
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.edgecolor": faint,
        "xtick.color": ink,
        "ytick.color": ink,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "grid.color": "#d1d9e0",
        "axes.axisbelow": True,
        "figure.facecolor": _hex(PAPER),
        "axes.facecolor": _hex(PAPER),
    }


def _hex(colour):
    return "#" + bytes(colour).hex()


def _figure(width_px, height_px):
    from matplotlib.figure import Figure

    return Figure(figsize=(width_px / DPI, height_px / DPI), dpi=DPI)


# --- histograms -----------------------------------------------------------------------------------------------


def histogram_figure(stats):
    """Panels with the histograms of a set, two in a line.

    Args:
        stats: one split's entry of stats.json, or that of all.

    Returns:
        matplotlib.figure.Figure.
    """
    panels = [_image_panel, _area_panel]
    panels += [_depth_panel] if "histogram" in stats.get("depth", ()) else []
    panels += [_metres_panel] if "histogram" in stats.get("depth_m", ()) else []
    lines = -(-len(panels) // 2)
    figure = _figure(SHEET_WIDTH_PX, lines * PANEL_HEIGHT_PX)
    figure.subplots_adjust(  # by hand: matplotlib's own layout takes as long as the drawing
        left=LEFT_PX / SHEET_WIDTH_PX, right=1 - RIGHT_PX / SHEET_WIDTH_PX, wspace=0.16,
        bottom=BOTTOM_PX / (lines * PANEL_HEIGHT_PX), top=1 - TOP_PX / (lines * PANEL_HEIGHT_PX), hspace=0.4,
    )  # fmt: skip
    for axes, draw in zip(figure.subplots(lines, 2).flat, [*panels, *[_no_panel] * (2 * lines - len(panels))], strict=True):
        draw(axes, stats)
    return figure


def _no_panel(axes, stats):
    axes.set_axis_off()


def _image_panel(axes, stats):
    levels = np.linspace(0, 1, len(stats["image"]["histogram"][0]))
    means = stats["image"]["mean"]
    curves = [
        (f"{name} {mean:.3f}", colour, counts)
        for (name, colour), mean, counts in zip(CHANNELS, means, stats["image"]["histogram"], strict=True)
    ]
    _curves(axes, levels, curves, "Image, with means", "value, 0 to 1")


def _depth_panel(axes, stats):
    counts = stats["depth"]["histogram"]
    curves = [(f"mean {stats['depth']['mean']:.3f}", ONE, counts)]
    _curves(axes, np.linspace(0, 1, len(counts)), curves, "Depth as it is stored", "0 near, 1 far, of each map")


def _metres_panel(axes, stats):
    depth = stats["depth_m"]
    metres = np.arange(len(depth["histogram"])) * depth["histogram_bin_m"]
    curves = [(f"mean {depth['mean']:.2f} m", ONE, depth["histogram"])]
    _curves(axes, metres, curves, "Depth", f"metres, in steps of {100 * depth['histogram_bin_m']:g} cm")


def _curves(axes, values, curves, title, what):
    """Curves over one axis, in percent of all pixels."""
    parts = [100 * np.asarray(counts) / max(1, sum(counts)) for _, _, counts in curves]
    top, cut = y_end(parts)
    for (name, colour, _), part in zip(curves, parts, strict=True):
        axes.plot(values, part, color=colour, label=name, linewidth=CURVE_PT)
        if len(curves) == 1:
            axes.fill_between(values, part, color=colour, alpha=0.15, linewidth=0)
    _finish(axes, title, f"{what}{_cut_words(curves, parts, cut, values)}", "% of pixels", (values[0], values[-1]), top)
    _legend(axes, len(curves))


def _legend(axes, columns):
    """Above the panel, to the right of its title, where no curve is."""
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, borderpad=0.2, ncols=columns, handlelength=1, columnspacing=1,
        handletextpad=0.4,
    )  # fmt: skip


def y_end(parts):
    """How high the axis goes, and which bins are cut off for it.

    Args:
        parts: heights of the bins of each curve.

    Returns:
        (top, indices of the ends that are cut off: some of 0 and -1).
    """
    inner = max((float(part[1:-1].max()) for part in parts if len(part) > 2), default=0.0)
    ends = {i: max(float(part[i]) for part in parts) for i in (0, -1)}
    cut = [i for i, height in ends.items() if inner and height > SPIKE * inner]
    return ROOM * max(inner, *(height for i, height in ends.items() if i not in cut), 1e-9), cut


def _cut_words(curves, parts, cut, values):
    """The heights that are cut off, in words."""
    told = []
    for i in cut:
        heights = " / ".join(f"{part[i]:.2g}" for part in parts)
        told.append(f"at {values[i]:g}: {heights} %")
    return f"  ({'; '.join(told)})" if told else ""


def _area_panel(axes, stats):
    area = stats["mask"]["area"]
    counts = np.asarray(area["histogram"])
    part = 100 * counts / max(1, counts.sum())
    last = int(np.flatnonzero(counts)[-1]) + 1 if counts.any() else AREA_PARTS
    axes.bar(np.arange(last) + 0.5, part[:last], width=1, color=ONE, alpha=0.75, label=f"mean {100 * area['mean']:.2g} %")
    _finish(axes, "Mask area", "% of the picture", "% of rows", (0, last), ROOM * max(part.max(), 1e-9))
    _legend(axes, 1)


def _finish(axes, title, x_words, y_words, x_range, top):
    axes.set_title(title)
    axes.set_xlabel(x_words)
    axes.set_ylabel(y_words)
    step = round_step(max(x_range[1] - x_range[0], 1e-9)) * 2
    axes.set_xticks(np.arange(np.ceil(x_range[0] / step - 1e-9), np.floor(x_range[1] / step + 1e-9) + 1) * step)
    axes.set_xlim(*x_range)
    axes.set_ylim(0, top)


# --- where the cut-outs lie -----------------------------------------------------------------------------------


def heat_figure(heat):
    """How often each part of the picture is covered, in colours.

    Args:
        heat: (28, 28) parts of all rows, 0 to 1.

    Returns:
        matplotlib.figure.Figure; its first axes hold the map in percent.
    """
    percent = 100 * np.asarray(heat, np.float64)
    figure = _figure(*HEAT_SIZE_PX)
    figure.subplots_adjust(left=0.1, right=0.98, bottom=0.07, top=0.93)
    axes = figure.subplots()
    image = axes.imshow(percent, cmap="viridis", vmin=0, vmax=percent.max() or 1, interpolation="nearest")
    axes.set_title("Where the cut-outs lie")
    axes.grid(False)
    side = percent.shape[0]
    axes.set_xticks([-0.5, side / 2 - 0.5, side - 0.5], ["left", "", "right"])
    axes.set_yticks([-0.5, side / 2 - 0.5, side - 0.5], ["top", "", "bottom"])
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.9)
    bar.outline.set_visible(False)
    bar.set_label("% of rows")
    return figure
