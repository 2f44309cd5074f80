"""The preview in a real browser: what it shows, filters, keys, metres under the pointer, a phone, the dark; and it asks for nothing."""

import json

import numpy as np
import pytest
from browsing import Browser
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from small_sets import IMAGE_SIZE_PX, small_set
from test_preview import stored_rows

from fgbg_depth import codec
from fgbg_depth.preview.contents import read_contents
from fgbg_depth.preview.page import render_page

ALL_ROWS = 1000
EVIL = '</script><img src="http://127.0.0.1:9/x" onerror="window.broken=1"><script>window.broken=1</script>'
PAGE = """const page = JSON.parse(document.getElementById("data").textContent);"""
SHOWN = """return [...document.querySelectorAll("article")].filter((a) => !a.hidden).map((a) => a.querySelector("h3").firstChild.data);"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Function (name of a small set) -> its page, with all of its rows."""
    folder, contents = tmp_path_factory.mktemp("pages"), {}

    def page(name, change=None, as_name=None):
        path = folder / f"{as_name or name}.html"
        if not path.exists():
            contents[path] = read_contents(small_set(name), ALL_ROWS)
            if change:
                change(contents[path])
            path.write_text(render_page(contents[path]), encoding="utf-8")
        return path

    return page


@pytest.fixture(autouse=True)
def quiet(browser):
    """A page neither logs anything nor asks for anything, whatever the test did with it."""
    browser.look()
    yield
    assert browser.logged() == []
    asked = browser.requests()
    assert asked and all(url.startswith("file:///") and url.endswith(".html") for url in asked), asked


def opened(browser, path):
    browser.open(path)
    browser.wait("""return document.querySelector("#list article figcaption");""")


def choose(browser, field, value):
    Select(browser.driver.find_element("css selector", f"#filters [name={field}]")).select_by_value(value)


def middle_of(browser, row, tile, x, y):
    """Where pixel (x, y) of a tile of a row lies in the window."""
    return browser.run(
        f"""const tile = document.querySelectorAll("#list article")[arguments[0]].querySelectorAll(".tile")[arguments[1]];
        tile.scrollIntoView({{ block: "center", behavior: "instant" }});
        const box = tile.getBoundingClientRect();
        const at = (start, size, pixel) => start + (pixel + 0.5) * size / {IMAGE_SIZE_PX};
        return [at(box.left, box.width, arguments[2]), at(box.top, box.height, arguments[3])];""",
        row, tile, x, y,
    )  # fmt: skip


def probe_of(browser, row, begin):
    """The words below a row, as soon as they begin so."""
    return browser.wait(
        """const text = document.querySelectorAll("#list article")[arguments[0]].querySelector(".probe").textContent;
        return text.startsWith(arguments[1]) && text;""",
        row, begin,
    )  # fmt: skip


# --- what is there ---


def test_it_shows_rows_statistics_and_sources(browser, pages):
    opened(browser, pages("relative8"))
    rows = stored_rows(small_set("relative8"))
    assert sorted(browser.run(SHOWN)) == sorted(f"{row['foreground']} over {row['background']}" for row in rows.values())
    kinds = browser.run("""return [...document.querySelector("article").querySelectorAll("figcaption")].map((c) => c.textContent);""")
    assert [kind.split(",")[0] for kind in kinds] == ["Image", "Mask", "Depth", "Overlay"]
    assert browser.run("""return document.getElementById("count").textContent;""") == "12 rows shown, all there are."
    stats = json.loads((small_set("relative8") / "stats.json").read_text())
    table = browser.run("""return [...document.querySelectorAll("#table tbody tr")].map((r) => [...r.cells].map((c) => c.textContent));""")
    red = next(line for line in table if line[:2] == ["test", "image R"])
    assert red[2:5] == [f"{stats['test']['image'][name][0]:.4f}" for name in ("mean", "std", "min")]
    metres = next(line for line in table if line[:2] == ["all", "depth [m]"])
    assert metres[2] == f"{stats['all']['depth_m']['mean']:.4f}" and metres[9] == f"{stats['all']['depth_m']['inside']['mean']:.4f}"
    assert len(table) == 4 * 7
    charts = browser.run("""return [...document.querySelectorAll("#charts h3")].map((h) => h.textContent);""")
    assert charts == ["Image", "Mask area", "Where the cut-outs lie", "Depth as it is stored", "Depth in metres"]
    sources = browser.run("""return document.getElementById("sources").textContent;""")
    assert "CC0-1.0" in sources and "mh_03_walk" in sources and "Greg Zaal" in sources


def test_every_control_has_a_name(browser, pages):
    opened(browser, pages("relative8"))
    tree = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = ("button", "combobox", "link", "image", "img", "article", "dialog", "region", "form", "heading", "canvas")
    names = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node["ignored"]]
    named = [(role, name) for role, name in names if role in roles]
    assert len([role for role, _ in named if role == "combobox"]) == 6 and len([r for r, _ in named if r == "article"]) == 12
    assert [(role, name) for role, name in named if not name.strip()] == []
    assert browser.run("""return document.documentElement.lang;""") == "en"


def test_a_set_without_depth_shows_three_pictures_and_no_scale(browser, pages):
    opened(browser, pages("plain"))
    assert browser.run("""return document.querySelector("article").querySelectorAll(".tile").length;""") == 3
    assert browser.run("""return ["legend", "scale-choice"].map((id) => document.getElementById(id).hidden);""") == [True, True]
    browser.point(*middle_of(browser, 0, 1, 0, 0))
    assert probe_of(browser, 0, "x 0, y 0: ") in ("x 0, y 0: background", "x 0, y 0: in the cut-out")
    charts = browser.run("""return [...document.querySelectorAll("#charts h3")].map((h) => h.textContent);""")
    assert charts == ["Image", "Mask area", "Where the cut-outs lie"]


# --- filters and keys ---


def test_filters_change_what_is_shown(browser, pages):
    opened(browser, pages("plain"))
    rows = stored_rows(small_set("plain")).values()
    background = sorted({row["background"] for row in rows})[1]
    choose(browser, "background", background)
    wanted = [f"{row['foreground']} over {background}" for row in rows if row["background"] == background]
    assert sorted(browser.run(SHOWN)) == sorted(wanted) and 0 < len(wanted) < len(rows)
    choose(browser, "flipped", "true")
    wanted = [f"{row['foreground']} over {background}" for row in rows if row["background"] == background and row["flipped"]]
    assert sorted(browser.run(SHOWN)) == sorted(wanted) != []
    assert browser.run("""return document.getElementById("count").textContent;""").startswith(f"{len(wanted)} of {len(rows)} rows shown")
    choose(browser, "foreground", "photo_hopper")
    assert set(browser.run(SHOWN)) == {f"photo_hopper over {background}"}
    split = browser.run("""return document.querySelector("article:not([hidden]) .said").textContent.split(",")[0];""")
    choose(browser, "split", next(name for name in ("train", "validation", "test") if name != split))
    assert browser.run(SHOWN) == [] and not browser.run("""return document.getElementById("none").hidden;""")
    browser.driver.find_element("id", "none-reset").click()
    browser.wait("""return document.querySelectorAll("article:not([hidden])").length === arguments[0];""", len(rows))
    assert browser.run("""return document.getElementById("none").hidden;""")


def test_the_arrow_keys_go_from_row_to_row(browser, pages):
    opened(browser, pages("plain"))
    choose(browser, "flipped", "false")
    shown = browser.run(SHOWN)
    here = """return [document.activeElement.querySelector("h3")?.firstChild.data, document.activeElement.querySelector("h3")?.id];"""
    browser.run("""document.querySelector("#filters button").focus();""")
    browser.press(Keys.TAB)
    first = browser.run(here)
    assert first[0] == shown[0]
    browser.press(Keys.ARROW_DOWN)
    browser.press(Keys.ARROW_DOWN)
    third = browser.run(here)
    assert third[0] == shown[2] and third[1] != first[1]
    box = browser.run("""const b = document.activeElement.getBoundingClientRect(); return [b.top, b.bottom, innerHeight];""")
    assert box[0] >= 0 and box[1] <= box[2]  # in the window
    ring = browser.run("""const s = getComputedStyle(document.activeElement); return [s.outlineStyle, parseFloat(s.outlineWidth)];""")
    assert ring[0] == "solid" and ring[1] >= 2
    browser.press(Keys.ARROW_UP)
    assert browser.run(here)[0] == shown[1]
    browser.press(Keys.END)
    assert browser.run(here)[0] == shown[-1]
    browser.press(Keys.ARROW_DOWN)  # the last one stays
    assert browser.run(here)[0] == shown[-1]
    browser.press(Keys.HOME)
    assert browser.run(here) == first
    assert browser.run("""return document.querySelectorAll('article[tabindex="0"]').length;""") == 1


def test_enter_opens_a_row_and_escape_comes_back(browser, pages):
    opened(browser, pages("relative8"))
    browser.run("""document.querySelector("article").focus();""")
    browser.press(Keys.ARROW_DOWN, Keys.ENTER)
    title = """const words = document.getElementById("zoom-title").textContent;
        return [document.getElementById("zoom").open, words, document.activeElement.id];"""
    shown = browser.run(SHOWN)
    browser.becomes(title, [True, shown[1], "zoom-stage"])
    pixel = """const m = /^x (\\d+), y (\\d+): ([\\d.]+) m/.exec(document.getElementById("zoom-probe").textContent);
        return m && [Number(m[1]), Number(m[2]), m[3]];"""
    x, y, _ = browser.wait(pixel)
    browser.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_UP)
    place = pixel.replace("m[3]]", "0]")
    browser.becomes(place, [x + 2, y - 1, 0])
    browser.press(Keys.SHIFT, Keys.ARROW_LEFT)
    browser.becomes(place, [max(0, x + 2 - 10), y - 1, 0])
    at_x, at_y, metres = browser.wait(pixel)
    key = browser.run("""return document.querySelector("#zoom-facts code").textContent;""")
    assert metres == f"{exact_metres(stored_rows(small_set('relative8'))[key])[at_y, at_x]:.3f}"
    browser.press(Keys.PAGE_DOWN)
    browser.becomes("""return document.getElementById("zoom-title").textContent;""", shown[2])
    browser.press(Keys.ESCAPE)
    browser.becomes("""return document.getElementById("zoom").open;""", False)
    # Where one was last:
    browser.becomes("""return [...document.querySelectorAll("article")].indexOf(document.activeElement);""", 2)


# --- metres ---


def exact_metres(row):
    """(H, W) float64 metres of a stored row, by the formula of the columns."""
    levels = codec.decode_gray(row["depth"]["bytes"])
    return row["depth_min_m"] + levels * ((row["depth_max_m"] - row["depth_min_m"]) / np.iinfo(levels.dtype).max)


@pytest.mark.parametrize("name", ["relative8", "metric16"])
def test_metres_under_the_pointer_are_the_stored_ones(name, browser, pages):
    opened(browser, pages(name))
    keys = browser.run(f"{PAGE} return page.rows.map((row) => row.key);")
    stored = stored_rows(small_set(name))
    for row, tile, x, y in ((0, 2, 0, 0), (0, 0, 63, 63), (1, 1, 17, 40), (2, 3, 33, 5), (2, 2, 50, 62)):
        browser.point(*middle_of(browser, row, tile, x, y))
        words = probe_of(browser, row, f"x {x}, y {y}: ")
        metres, mask = exact_metres(stored[keys[row]]), codec.decode_gray(stored[keys[row]]["mask"]["bytes"])
        level = codec.decode_gray(stored[keys[row]]["depth"]["bytes"])[y, x]
        place = "in the cut-out" if mask[y, x] else "background"
        full = 65535 if name == "metric16" else 255
        assert words == f"x {x}, y {y}: {metres[y, x]:.3f} m, level {level} of {full}, {place}"
        assert abs(codec.depth_to_metres(level, stored[keys[row]]["depth_min_m"], stored[keys[row]]["depth_max_m"]) - metres[y, x]) < 5e-6
        crosses = browser.run(
            """const row = document.querySelectorAll("article")[arguments[0]];
            return [...row.querySelectorAll(".cross")].map((cross) => cross.style.left);""",
            row,
        )
        assert crosses == [f"{round(100 * (x + 0.5) / IMAGE_SIZE_PX, 5):g}%"] * 4  # in all four pictures


def test_relative_depth_has_no_metres(browser, pages):
    opened(browser, pages("unscaled"))
    key = browser.run(f"{PAGE} return page.rows[0].key;")
    level = int(codec.decode_gray(stored_rows(small_set("unscaled"))[key]["depth"]["bytes"])[20, 30])
    browser.point(*middle_of(browser, 0, 2, 30, 20))
    assert probe_of(browser, 0, "x 30").startswith(f"x 30, y 20: relative {level / 255:.3f}, level {level} of 255, ")
    caption = """return document.querySelectorAll("article figcaption")[2].textContent;"""
    browser.wait(f"return (() => {{ {caption} }})() === 'Depth, relative';")
    assert "each map has its own range" in browser.run("""return document.getElementById("legend").textContent;""")


@pytest.mark.parametrize("name", ["relative8", "metric16"])
def test_every_level_is_decoded_exactly(name, browser, pages):
    opened(browser, pages(name))
    found = browser.run(
        f"""{PAGE}
        return Promise.all(page.rows.map(async (row) => {{
          const [mask, depth] = await Promise.all([row.mask, row.depth].map(decodeGrayPng));
          return [row.key, [...mask.levels], [...depth.levels]];
        }}));"""
    )
    stored = stored_rows(small_set(name))
    assert len(found) == len(stored)
    for key, mask, depth in found:
        assert mask == codec.decode_gray(stored[key]["mask"]["bytes"]).ravel().tolist()
        assert depth == codec.decode_gray(stored[key]["depth"]["bytes"]).ravel().tolist()


def test_depth_is_coloured_by_metres_or_by_its_own_range(browser, pages):
    opened(browser, pages("relative8"))
    row = stored_rows(small_set("relative8"))[browser.run(f"{PAGE} return page.rows[0].key;")]
    metres, levels = exact_metres(row), codec.decode_gray(row["depth"]["bytes"])
    scale, colours = browser.run(f"{PAGE} return [page.scale, page.colours.depth];")
    table = np.frombuffer(bytes.fromhex(colours), np.uint8).reshape(256, 3)
    pixels = """const c = document.querySelector("article canvas");
        return [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data];"""
    browser.wait("""return document.querySelectorAll("article figcaption")[2].textContent.startsWith("Depth, ");""")

    def shown():
        return np.array(browser.run(pixels), np.uint8).reshape(IMAGE_SIZE_PX, IMAGE_SIZE_PX, 4)[..., :3]

    part = np.clip((metres - scale["nearM"]) / (scale["farM"] - scale["nearM"]), 0, 1)
    assert np.array_equal(shown(), table[np.floor(part * 255 + 0.5).astype(int)])
    choose(browser, "scale", "own")
    own = table[levels]
    browser.wait(f"{pixels.replace('return', 'const d =')} return d[0] === {own[0, 0, 0]} && d[1] === {own[0, 0, 1]};")
    assert np.array_equal(shown(), own)
    assert all("readback" in message for message in browser.logged())  # of the pixels that were read here


# --- anybody's words, any screen ---


def test_words_of_the_set_do_nothing(browser, pages):
    def change(contents):
        contents["name"] = EVIL
        row = contents["rows"][0]
        row["key"] = row["background"] = row["split"] = EVIL
        asset = contents["assets"]["background"][0]
        asset |= {"id": EVIL, "licence": EVIL, "author": EVIL, "source": EVIL, "url": "javascript:window.broken=1"}
        contents["assets"]["background"][1] |= {"source": EVIL, "url": "https://example.org/?a=<script>"}
        contents["licences"][0][0] = EVIL

    opened(browser, pages("one_split", change, "evil"))
    browser.run("""document.querySelectorAll("details").forEach((d) => { d.open = true; }); document.querySelector("article").focus();""")
    browser.press(Keys.ENTER)
    assert browser.run("""return document.getElementById("zoom-title").textContent;""").endswith(f"over {EVIL}")
    found = browser.run("""return [document.title, window.broken ?? null, document.querySelectorAll("script").length];""")
    assert found == [f"{EVIL}: preview", None, 2]
    assert browser.run("""return document.getElementById("licences").textContent.includes(arguments[0]);""", EVIL)
    links = browser.run("""return [...document.querySelectorAll("#sources a")].map((a) => [a.protocol, a.rel, a.textContent]);""")
    assert ["https:", "noopener noreferrer", EVIL] in links and {link[0] for link in links} <= {"https:", "http:"}


def test_it_could_not_ask_even_if_it_would(browser, pages):
    opened(browser, pages("one_split"))
    refused = browser.run(
        """const refused = [];
        document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
        const failed = await fetch("http://127.0.0.1:9/").then(() => "", (error) => error.name);
        document.body.append(Object.assign(new Image(), { src: "http://127.0.0.1:9/x.png" }));
        document.body.append(Object.assign(document.createElement("script"), { textContent: "window.broken = 1;" }));
        await new Promise((go) => setTimeout(go, 100));
        return [failed, window.broken ?? null, refused.sort()];"""
    )
    assert refused == ["TypeError", None, ["connect-src", "img-src", "script-src-elem"]]
    assert all("Content Security Policy" in message or "Failed to load" in message for message in browser.logged())


def test_it_fits_a_phone(browser, pages):
    browser.look(360, 740, phone=True)
    opened(browser, pages("relative8"))
    browser.run("""document.querySelectorAll("details").forEach((d) => { d.open = true; });""")
    assert browser.run("""return [innerWidth, document.documentElement.scrollWidth];""") == [360, 360]
    too_wide = """return [...document.querySelectorAll(arguments[0])].filter((e) => {
        const box = e.getBoundingClientRect(); return box.width && (box.left < 0 || box.right > 360); }).length;"""
    assert browser.run(too_wide, "select, button, figure, article, .chart, h1, h3, p") == 0
    small = """return [...document.querySelectorAll("select, button")].filter((e) => e.offsetHeight && e.offsetHeight < 36).length;"""
    assert browser.run(small) == 0  # large enough for a finger
    browser.touch(*middle_of(browser, 1, 2, 30, 40))
    assert " m, level " in probe_of(browser, 1, "x 30, y 40: ")
    browser.run("""document.querySelector("article button").click();""")
    wide = browser.wait(
        """const zoom = document.getElementById("zoom"), box = zoom.getBoundingClientRect();
        return box.width && [box.left, box.right, zoom.scrollWidth - zoom.clientWidth];"""
    )
    assert 0 <= wide[0] < wide[1] <= 360 and wide[2] <= 0


@pytest.mark.parametrize("dark", [False, True])
def test_it_is_legible_by_day_and_by_night(dark, browser, pages):
    browser.look(dark=dark)
    opened(browser, pages("relative8"))
    colours = browser.run(
        """const names = ["body", "#facts dt", "#count", "#help", ".said", "figcaption", "nav a", "select", "td", "th", ".key", ".chart p"];
        const ground = (element) => {
          const colour = getComputedStyle(element).backgroundColor;
          return colour === "rgba(0, 0, 0, 0)" ? ground(element.parentElement) : colour;
        };
        const both = (element) => [getComputedStyle(element).color, ground(element)];
        return names.map((name) => [name, ...both(document.querySelector(name))]);"""
    )
    assert (luminance(colours[0][2]) < 0.05) == dark
    for name, ink, ground in colours:
        low, high = sorted((luminance(ink), luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, f"{name}: {ink} on {ground}"


def luminance(colour):
    """Relative luminance of "rgb(r, g, b)" (WCAG 2.2)."""
    levels = np.array([int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
