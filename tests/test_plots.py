"""The plots of the card: they show the numbers of stats.json, can be read on light and dark pages, and come out the same."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from PIL import Image
from small_sets import NAMES, has_depth, small_set

from fgbg_depth.sheets import drawing, plots
from fgbg_depth.sheets.write import FOLDER_NAME, MAX_SHEET_BYTES, picture_names
from fgbg_depth.stats import METRE_PLOT_BINS_MM

TEXT_CONTRAST = 4.5  # WCAG 2.2, AA


def stats_of(name):
    return json.loads((small_set(name) / "stats.json").read_text())["all"]


def contrast(one, other):
    """Contrast of two colours (WCAG 2.2)."""
    linear = [np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) for c in (np.array(to_rgb(one)), np.array(to_rgb(other)))]
    low, high = sorted(float(c @ [0.2126, 0.7152, 0.0722]) for c in linear)
    return (high + 0.05) / (low + 0.05)


# --- in a set ---


@pytest.mark.parametrize("name", NAMES)
def test_the_card_shows_the_plots_of_the_set(name):
    folder = small_set(name)
    drawn = plots.draw_plots(stats_of(name), MAX_SHEET_BYTES)
    card = (folder / "README.md").read_text(encoding="utf-8")
    part = card.split("fgbg-depth:begin statistics")[1].split("fgbg-depth:end statistics")[0]
    assert list(drawn) == list(plots.plot_titles(has_depth(name))) and set(drawn) < set(picture_names(has_depth(name)))
    for file, text in plots.plot_titles(has_depth(name)).items():
        assert (folder / FOLDER_NAME / file).read_bytes() == drawn[file]  # the same bytes again
        assert f"![{text}](assets/{file})" in part
        assert len(drawn[file]) <= MAX_SHEET_BYTES


def test_settings_of_the_user_change_nothing(tmp_path):
    """A matplotlibrc of the user, and what the process set before, are left alone and have no say."""
    import matplotlib

    stats = stats_of("plain")
    expected = plots.draw_plots(stats, MAX_SHEET_BYTES)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "lines.linewidth": 9}):
        assert plots.draw_plots(stats, MAX_SHEET_BYTES) == expected
        assert matplotlib.rcParams["font.size"] == 30
    (tmp_path / "matplotlibrc").write_text("figure.facecolor: red\nfont.size: 3\n")
    code = (
        "import hashlib, json, sys; from fgbg_depth.sheets import plots\n"
        f"drawn = plots.draw_plots(json.load(open(sys.argv[1]))['all'], {MAX_SHEET_BYTES})\n"
        "sys.stdout.buffer.write(drawn[plots.HISTOGRAMS])"
    )
    done = subprocess.run([sys.executable, "-c", code, small_set("plain") / "stats.json"], cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout == expected[plots.HISTOGRAMS]


def test_matplotlib_waits_until_a_plot_is_drawn():
    code = "import sys, fgbg_depth.sheets.write, fgbg_depth.card.write; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


# --- what they show ---


def test_histograms_are_those_of_the_statistics():
    stats = stats_of("relative8")
    image, area, depth, metres = plots.histogram_figure(stats).axes
    for line, counts in zip(image.lines, stats["image"]["histogram"], strict=True):
        assert np.allclose(line.get_ydata(), 100 * np.array(counts) / stats["image"]["count"])
        assert np.allclose(line.get_xdata(), np.arange(256) / 255)
    heights = [bar.get_height() for bar in area.patches]
    counts = stats["mask"]["area"]["histogram"]
    assert np.allclose(heights, 100 * np.array(counts[: len(heights)]) / sum(counts)) and not any(counts[len(heights) :])
    assert [bar.get_x() for bar in area.patches] == list(range(len(heights)))
    assert np.allclose(depth.lines[0].get_ydata(), 100 * np.array(stats["depth"]["histogram"]) / stats["depth"]["count"])
    line = metres.lines[0]
    assert np.allclose(line.get_ydata(), 100 * np.array(stats["depth_m"]["histogram"]) / stats["depth_m"]["count"])
    assert np.allclose(np.diff(line.get_xdata()), METRE_PLOT_BINS_MM / 1000) and line.get_xdata()[0] == 0
    words = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in (image, area, depth, metres)]
    assert words[0] == [f"{c} {m:.3f}" for c, m in zip("RGB", stats["image"]["mean"], strict=True)]
    assert words[3] == [f"mean {stats['depth_m']['mean']:.2f} m"]
    for axes in (image, depth, metres):  # nothing goes beyond the panel unnoticed
        assert max(line.get_ydata().max() for line in axes.lines) <= axes.get_ylim()[1] or "at " in axes.get_xlabel()


@pytest.mark.parametrize(("name", "panels"), [("plain", 2), ("unscaled", 3), ("metric16", 3), ("relative8", 4)])
def test_there_are_panels_for_what_is_known(name, panels):
    axes = plots.histogram_figure(stats_of(name)).axes
    assert [one.axison for one in axes] == [True] * panels + [False] * (len(axes) - panels)


def test_the_heat_map_is_that_of_the_statistics():
    heat = np.array(stats_of("plain")["mask"]["placement_heatmap"])
    figure = plots.heat_figure(heat)
    axes = figure.axes[0]
    assert np.allclose(axes.images[0].get_array(), 100 * heat)
    sheet = plots.pixels_of(figure)
    cells = [axes.transData.transform((x, y)) for y in range(28) for x in range(28)]
    shown = np.array([sheet[sheet.shape[0] - 1 - round(y), round(x)] for x, y in cells], int)
    hottest, coldest = heat.argmax(), heat.argmin()
    assert shown[hottest].tolist() == [253, 231, 36] and heat.ravel()[coldest] == 0 and shown[coldest].tolist() == [68, 1, 84]
    assert (np.diff(shown[np.argsort(heat.ravel(), kind="stable"), 1]) >= 0).all()  # viridis grows in green all the way


@given(st.lists(st.lists(st.floats(0, 100), min_size=6, max_size=6), min_size=1, max_size=3))
def test_only_ends_that_stand_out_are_cut_off(parts):
    parts = [np.array(part) for part in parts]
    top, cut = plots.y_end(parts)
    inner = max(part[1:-1].max() for part in parts)
    assert top >= inner
    for end in (0, -1):
        height = max(part[end] for part in parts)
        assert (end in cut) == (inner > 0 and height > plots.SPIKE * inner)
        assert end in cut or height <= top


def test_a_cut_off_end_is_told():
    stats = stats_of("plain")
    stats["image"]["histogram"] = [[10_000, *[10] * 254, 10]] * 3
    image = plots.histogram_figure(stats).axes[0]
    assert "at 0: 80 / 80 / 80 %" in image.get_xlabel() and image.get_ylim()[1] < 1


# --- how they look ---


def test_they_stand_on_paper_and_have_enough_contrast():
    for data in plots.draw_plots(stats_of("relative8"), MAX_SHEET_BYTES).values():
        with Image.open(io.BytesIO(data)) as picture:
            sheet = np.asarray(picture.convert("RGB"))
            assert picture.mode in ("RGB", "P") and "Software" not in picture.info
        edges = np.concatenate([sheet[0], sheet[-1], sheet[:, 0], sheet[:, -1]])
        assert (edges == drawing.PAPER).all()  # nothing is cut off at the border
        assert sheet.shape[1] <= drawing.SHEET_WIDTH_PX
    paper = tuple(level / 255 for level in drawing.PAPER)
    for colour in (*(colour for _, colour in plots.CHANNELS), plots.ONE, plots._hex(drawing.INK)):
        assert contrast(colour, paper) >= TEXT_CONTRAST
    assert contrast(paper, "#0d1117") > 10  # the sheet itself on a dark page


def test_words_do_not_touch():
    """No legend, title or label of a panel lies over another, or over a number."""
    with plots.style():
        figure = plots.histogram_figure(stats_of("relative8"))
        plots.pixels_of(figure)
    words, numbers = [], []
    for axes in figure.axes:
        words += [axes._left_title, axes.xaxis.label, axes.yaxis.label, axes.get_legend()]
        numbers += [label for label in (*axes.get_xticklabels(), *axes.get_yticklabels()) if label.get_text()]
    for i, word in enumerate(words):
        box = word.get_window_extent()
        assert not [(word, other) for other in (*words[:i], *numbers) if box.overlaps(other.get_window_extent())]
