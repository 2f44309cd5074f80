"""The card tells the truth: its parts, pictures, sizes, statistics, splits and words about depth are those of the data."""

import json
import re
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from card_texts import PARTS, card_of, cells_of, rows_in
from real_runs import make_pictures
from small_sets import NAMES, small_set

from fgbg_depth import schema
from fgbg_depth.card import tables as card_tables
from fgbg_depth.card.merge import parts_of, split_parts
from fgbg_depth.card.write import card_differences, template_path, write_card
from fgbg_depth.config import Recipe
from fgbg_depth.generate import generate
from fgbg_depth.prepare import Options

# --- numbers ---


@pytest.mark.parametrize("name", NAMES)
def test_card_agrees_with_the_data_and_is_made_the_same_again(name, copied):
    folder = copied(name)
    assert card_differences(folder) == []
    path = folder / "README.md"
    before, changed = path.read_bytes(), path.stat().st_mtime_ns
    write_card(folder)
    assert path.stat().st_mtime_ns == changed  # an equal card isn't written again
    path.unlink()
    assert card_differences(folder) == ["README.md is missing; `fgbg-depth card` makes it"]
    write_card(folder)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", NAMES)
def test_all_parts_are_there_once_in_order(name):
    _, body = card_of(small_set(name))
    assert [segment.name for segment in split_parts(body) if segment.name] == [*PARTS, "changelog"]
    assert parts_of(body)["changelog"].strip() == ""  # filled when a version is published
    assert not re.search(r"\{[{%]|None|Undefined|\bnan\b", body)
    assert "\n\n\n" not in body
    assert body.endswith("-->\n")


@pytest.mark.parametrize("name", NAMES)
def test_pictures_of_the_card_are_all_there(name):
    folder = small_set(name)
    shown = re.findall(r"!\[.*?\]\((.*?)\)", card_of(folder)[1])
    assert sorted(shown) == sorted(f"assets/{path.name}" for path in (folder / "assets").iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_statistics_are_those_of_stats_json(name):
    folder = small_set(name)
    stats = json.loads((folder / "stats.json").read_text())
    rows, split, seen = cells_of(parts_of(card_of(folder)[1])["statistics"]), None, 0
    for row in rows:
        split = row[0] or split
        column, numbers = row[1], [float(cell) for cell in row[3:]]
        table = stats[split]
        channel = "RGB".find(column[-1]) if column.startswith("`image`") else None
        where = column.split(", ")[1].split()[0] if column.startswith("depth in metres,") else None
        source = {
            "`image`": table["image"],
            "`mask`": table["mask"],
            "mask area": table["mask"]["area"],
            "`depth`, as stored": table.get("depth"),
            "depth in metres": table.get("depth_m"),
        }["`image`" if channel is not None else "depth in metres" if where else column]
        source = source[where] if where else source
        expected = [source["mean"], source["std"], source["min"], source["quantiles"]["0.5"], source["max"]]
        expected = [value[channel] if channel is not None else value for value in expected]
        assert numbers == pytest.approx(expected, abs=5e-5)
        seen += 1
    per_split = {"plain": 5, "one_split": 5, "relative8": 9, "metric16": 9, "unscaled": 6}[name]
    assert seen == per_split * len(stats)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_those_of_the_files(name):
    folder = small_set(name)
    metadata, body = card_of(folder)
    rows = cells_of(parts_of(body)["sizes"])
    for config, split, count, files, _ in rows:
        config = config.strip("`")
        pattern = {"default": f"data/{split}/*.parquet", "metadata": f"metadata/{split}/*.parquet"}.get(config, f"{config}/*.parquet")
        assert int(count.replace(",", "")) == rows_in(folder, pattern) > 0
        assert int(files) == len(list(folder.glob(pattern)))
    infos = {info["config_name"]: info for info in metadata["dataset_info"]}
    assert list(infos) == list(schema.CONFIGS)
    assert [row[:2] for row in rows] == [[f"`{c}`", s["name"]] for c, info in infos.items() for s in info["splits"]]
    for config, info in infos.items():
        paths = list((folder / {"default": "data"}.get(config, config)).rglob("*.parquet"))
        assert info["download_size"] == sum(path.stat().st_size for path in paths)
        assert info["dataset_size"] == sum(split["num_bytes"] for split in info["splits"])
        assert sum(split["num_examples"] for split in info["splits"]) == sum(pq.read_metadata(path).num_rows for path in paths)


def test_summary_and_splits_of_a_set_of_two_batches():
    folder = small_set("plain")
    parts = parts_of(card_of(folder)[1])
    total = rows_in(folder, "data/*/*.parquet")
    assert total == 4 * 2 * 2 * 4
    assert f"{total} rows of 64 x 64 pixels: 2 cut-outs over 4 backgrounds, plain and mirrored, each at 4 placements." in parts["summary"]
    assert "Of 16 cells this set has 16, with 4 placements each;\n0 were left out." in parts["splits"]
    assert "The pictures came in 2 batches" in parts["splits"]
    counts = {tuple(row[:2]): int(row[2]) for row in cells_of(parts["splits"])}
    assert sum(number for (kind, _), number in counts.items() if kind == "backgrounds") == 4
    assert counts["foregrounds", "all"] == 2
    assert (folder / "recipe.toml").read_text().strip() in parts["recipe"]


def test_cells_left_out_are_counted(tmp_path):
    pictures = make_pictures(tmp_path / "pictures", range(3), range(3))
    settings = {"image_size": 64, "foreground_size": (24, 20), "placements": 2, "hold_out": "both", "depth_model": "none"}
    folder = tmp_path / "set"
    generate(folder, Recipe(**settings), Options(pictures.backgrounds, pictures.foregrounds, num_workers=1))
    part = parts_of(card_of(folder)[1])["splits"]
    assert "Of 18 cells this set has 6, with 2 placements each;\n12 were left out." in part  # 3 of 9 pairs share a split
    assert "Neither a background nor a cut-out of one split is in another." in part


def test_every_column_is_described():
    recipe = Recipe()
    for config in schema.CONFIGS:
        rows = cells_of(card_tables.columns_table(config, recipe, True))
        assert [row[0].strip("`") for row in rows] == list(schema.config_columns(config, True))
        assert all(row[2] for row in rows)


def test_long_lists_are_cut_and_say_so(monkeypatch, copied):
    folder = copied("plain")
    monkeypatch.setattr(card_tables, "MAX_SOURCE_ROWS", 3)
    write_card(folder)
    part = parts_of(card_of(folder)[1])["sources"]
    assert "Backgrounds: 4</summary>" in part
    assert "These are the first 3. The config `backgrounds` lists all of them." in part
    listed = [row[0] for row in cells_of(part.split("<details>")[1])]
    assert listed == ["`apartment_03`", "`ballroom_05`", "`bridge_01`"]
    assert "first 3" not in part.split("<details>")[2]  # there are only two cut-outs


# --- depth ---


def test_depth_of_the_embedded_model_is_marked_as_for_trying_out():
    parts = parts_of(card_of(small_set("relative8"))[1])
    assert "> **The depth in this set is for trying things out.**" in parts["summary"]
    assert "For trying things out only" in parts["depth"]
    assert "1812.11941" in parts["citation"]
    depth = json.loads((small_set("relative8") / "manifest.json").read_text())["depth"]
    assert depth["weights_digest"] in parts["depth"] and depth["weights_digest"] in parts["recipe"]
    assert f"{depth['num_values']:,} values" in parts["depth"]
    assert "right within half a step" in parts["depth"]


def test_other_models_and_encodings_have_their_own_words():
    metric16, unscaled, plain = (parts_of(card_of(small_set(n))[1]) for n in ("metric16", "unscaled", "plain"))
    assert "A level is a millimetre" in metric16["depth"] and "16-bit PNG" in metric16["columns"]
    assert "scale and offset are not known" in unscaled["depth"] and "null" in unscaled["depth"]
    assert "null: the model gives relative depth" in unscaled["columns"]
    assert "Depth is relative" in unscaled["limits"]
    for parts in (unscaled, plain):
        assert "trying things out" not in parts["summary"] + parts["depth"]
        assert "depth_to_metres" not in parts["usage"]
        assert "1812.11941" not in parts["citation"]
    assert "pseudo-labels" in unscaled["limits"] and "pseudo-labels" not in plain["limits"]
    assert "This set has no depth" in plain["depth"]
    assert "`depth`" not in plain["columns"] and 'row["depth"]' not in plain["usage"]


# --- the package ---


def test_card_loads_no_heavy_library():
    code = "import sys, fgbg_depth.card; print([m for m in ('datasets', 'torch', 'transformers', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.stdout.strip() == "[]", done.stderr


def test_template_of_the_checkout_is_used():
    assert template_path().name == "dataset_card.md"
    assert "{{ card_data }}" in template_path().read_text(encoding="utf-8")
