"""The card: its numbers are those of the data, its code runs, and what people write in it stays."""

import json
import re
import shutil
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import DatasetCard
from hypothesis import given
from hypothesis import strategies as st
from real_runs import call, make_pictures, tree
from small_sets import NAMES, append_to, has_depth, small_set

from fgbg_depth import schema
from fgbg_depth.card import tables as card_tables
from fgbg_depth.card.facts import read_facts
from fgbg_depth.card.licences import HUB_IDS, hub_id, set_licence
from fgbg_depth.card.merge import join_parts, merge_body, part_differences, parts_of, split_parts
from fgbg_depth.card.metadata import card_metadata, merge_metadata, size_category, yaml_features
from fgbg_depth.card.write import card_differences, template_path, write_card
from fgbg_depth.config import Recipe
from fgbg_depth.errors import DataError
from fgbg_depth.generate import generate
from fgbg_depth.prepare import Options

PARTS = ["summary", "pictures", "sizes", "statistics", "columns", "usage", "depth", "splits", "recipe", "sources", "limits", "citation"]
CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def card_of(folder):
    """(dict of the YAML block, body) of a set's card."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    _, block, body = text.split("---\n", 2)
    return yaml.safe_load(block), body


def cells_of(part):
    """Rows of all tables in a part, as lists of texts, heads and rules left out."""
    lines = [line for line in part.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rules = [i for i, row in enumerate(rows) if all(re.fullmatch("-+:?", cell) for cell in row)]
    return [row for i, row in enumerate(rows) if i not in rules and i + 1 not in rules]


def rows_in(folder, pattern):
    return sum(pq.read_metadata(path).num_rows for path in folder.glob(pattern))


@pytest.fixture
def copied(tmp_path):
    """A function that copies a small set."""
    return lambda name: shutil.copytree(small_set(name), tmp_path / name)


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


# --- for the Hub and for datasets ---


@pytest.mark.parametrize("name", NAMES)
def test_yaml_is_what_the_hub_takes(name):
    folder = small_set(name)
    metadata, _ = card_of(folder)
    assert DatasetCard.load(folder / "README.md").data.to_dict() == metadata
    assert metadata["license"] in HUB_IDS | {"other", "unknown"}
    assert metadata["license"] == "other" and re.fullmatch(r"[a-z0-9.-]+", metadata["license_name"])
    assert metadata["size_categories"] == ["n<1K"]
    assert metadata["annotations_creators"] == ["machine-generated"]
    assert ("depth-estimation" in metadata["task_categories"]) == has_depth(name)
    assert "image-segmentation" in metadata["task_categories"]
    assert [config["config_name"] for config in metadata["configs"] if config.get("default")] == ["default"]
    for config in metadata["configs"]:
        for entry in config["data_files"]:
            assert list(folder.glob(entry["path"])), entry


@pytest.mark.parametrize("config", schema.CONFIGS)
@pytest.mark.parametrize("name", NAMES)
def test_datasets_reads_features_and_splits_from_the_card(name, config, tmp_path):
    from datasets import Features, load_dataset_builder

    folder = small_set(name)
    info = load_dataset_builder(str(folder), config, cache_dir=str(tmp_path)).info
    path = next((folder / {"default": "data"}.get(config, config)).rglob("*.parquet"))
    assert info.features == Features.from_arrow_schema(pq.read_schema(path))
    (own,) = (i for i in card_of(folder)[0]["dataset_info"] if i["config_name"] == config)
    written = {split["name"]: split["num_examples"] for split in own["splits"]}
    assert {split.name: split.num_examples for split in info.splits.values()} == written


@pytest.mark.parametrize("kind", ["backgrounds", "foregrounds", "default", "metadata"])
def test_yaml_features_are_those_that_datasets_writes(kind):
    from datasets import Features

    columns = schema.config_columns(kind, True)
    features = Features.from_dict(schema.features(columns))
    assert Features._from_yaml_list(yaml_features(columns)) == features
    # It writes `list` where older versions know only `sequence`.
    assert [{("sequence" if k == "list" else k): v for k, v in f.items()} for f in features._to_yaml_list()] == yaml_features(columns)


@pytest.mark.parametrize("name", ["one_split", "relative8", "unscaled"])
def test_code_of_the_card_runs(name, tmp_path):
    code = "\n".join(CODE.findall(card_of(small_set(name))[1]))
    assert code.count('"USER/NAME"') == 1
    code = code.replace("USER/NAME", str(small_set(name)))
    code += "\nprint(len(rows), len(metadata), len(backgrounds), image.mean(), metres.max() if 'metres' in dir() else None)"
    command = [sys.executable, "-W", "error", "-c", code]
    home = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=home, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    *streamed, last = done.stdout.splitlines()
    rows, metadata, backgrounds, mean, metres = last.split()
    assert int(rows) == int(metadata) > 0 and int(backgrounds) == rows_in(small_set(name), "backgrounds/*.parquet")
    assert len(streamed) == min(8, int(rows)) and streamed[0].endswith("(64, 64)")
    assert abs(float(mean)) < 5
    assert (metres != "None") == (name in ("relative8", "metric16"))
    if metres != "None":
        assert 0.1 <= float(metres) <= 10


def test_size_categories():
    cases = {0: "n<1K", 999: "n<1K", 1000: "1K<n<10K", 400_000: "100K<n<1M", 10**6: "1M<n<10M", 10**12: "n>1T"}
    assert {rows: size_category(rows) for rows in cases} == cases


# --- licences ---


def test_licences():
    assert set_licence(["CC0-1.0", "cc0-1.0 "]) == ("cc0-1.0", None)
    assert set_licence(["CC BY 4.0"]) == ("cc-by-4.0", None)
    assert set_licence(["MIT License", "MIT"]) == ("mit", None)
    assert set_licence([]) == set_licence(["", " "]) == ("unknown", None)
    assert set_licence(["CC0-1.0", ""]) == ("other", "mixed-see-sources")
    assert set_licence(["CC0-1.0", "MIT"]) == ("other", "mixed-see-sources")
    # A remark is more than an id can say.
    assert set_licence(["CC0-1.0 (derived)"]) == ("other", "cc0-1.0-derived")
    assert set_licence(["Pexels License (no resale)"]) == ("other", "pexels-license-no-resale")
    assert hub_id("CC-BY-3.0-US") is None
    assert set_licence(["!!!"])[0] == "other" and re.fullmatch(r"[a-z0-9.-]+", set_licence(["§§"])[1])


def test_a_set_of_one_licence_has_its_id(tmp_path):
    pictures = make_pictures(tmp_path / "pictures", range(1), range(1))
    for folder in (pictures.backgrounds, pictures.foregrounds):
        name = next(folder.iterdir()).name
        (folder / "SOURCES.csv").write_text(f"file,licence,author,source\n{name},CC0-1.0,A | <b>B</b> --> `c`,https://example.org/a b\n")
    settings = {"image_size": 64, "foreground_size": (24, 20), "placements": 1, "hold_out": "none", "splits": (1.0, 0.0, 0.0)}
    folder = tmp_path / "set"
    generate(folder, Recipe(**settings, depth_model="none"), Options(pictures.backgrounds, pictures.foregrounds, num_workers=1))
    metadata, body = card_of(folder)
    assert metadata["license"] == "cc0-1.0" and "license_name" not in metadata
    # Text from a CSV file can neither break a table nor make a mark or a tag.
    (licence, kind, count, author), *_ = cells_of(parts_of(body)["sources"])
    assert (licence, kind, count) == ("CC0-1.0", "backgrounds", "1")
    assert author == r"A \| &lt;b&gt;B&lt;/b&gt; --&gt; \`c\`"


@given(st.text(max_size=60))
def test_text_from_outside_stays_in_its_cell(text):
    cell = card_tables.plain(text)
    assert "\n" not in cell and "<" not in cell and ">" not in cell
    assert not re.search(r"(?<!\\)(\\\\)*\|", cell)


def test_links_are_only_made_of_plain_addresses():
    assert card_tables.link("a_b", "https://example.org/x?y=1") == r"[a\_b](https://example.org/x?y=1)"
    for address in ("javascript:alert(1)", "https://a.org/)(x", "https://a.org/ b", ""):
        assert card_tables.link("text", address) == "text"


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


def test_every_column_is_described():
    recipe = Recipe()
    for config in schema.CONFIGS:
        rows = cells_of(card_tables.columns_table(config, recipe, True))
        assert [row[0].strip("`") for row in rows] == list(schema.config_columns(config, True))
        assert all(row[2] for row in rows)


# --- text of people ---


def test_text_outside_of_the_parts_survives_a_further_batch(copied):
    folder = copied("plain")
    path = folder / "README.md"
    text = path.read_text(encoding="utf-8")
    text = text.replace("<!-- fgbg-depth:end statistics -->", "<!-- fgbg-depth:end statistics -->\n\nOur *own* words, ü. 64 rows.\n")
    text = text.replace("---\n", "---\nlanguage:\n- en\npaperswithcode_id: ours\n", 1).replace("- synthetic", "- synthetic\n- our-tag")
    text = text.replace(card_of(folder)[0]["pretty_name"], "Our set")
    text = text.replace("<!-- fgbg-depth:begin changelog -->\n", "<!-- fgbg-depth:begin changelog -->\n## Versions\n\n- v1.0.0\n")
    path.write_text(text, encoding="utf-8")
    assert card_differences(folder) == []
    append_to(folder)
    metadata, body = card_of(folder)
    assert "Our *own* words, ü. 64 rows." in body
    assert "# Our set\n\n80 rows of" in body
    assert (metadata["pretty_name"], metadata["language"], metadata["paperswithcode_id"]) == ("Our set", ["en"], "ours")
    assert metadata["tags"].count("synthetic") == metadata["tags"].count("our-tag") == 1
    assert metadata["dataset_info"][0]["splits"][0]["num_examples"] == rows_in(folder, "data/train/*.parquet")
    assert "## Versions\n\n- v1.0.0\n" in parts_of(body)["changelog"]
    assert card_differences(folder) == []


def test_the_title_follows_the_name_in_the_yaml_block(copied):
    folder = copied("one_split")
    path = folder / "README.md"
    text = re.sub("^pretty_name: .*$", "pretty_name: Rooms", path.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)
    path.write_text(text, encoding="utf-8")
    (message,) = card_differences(folder)
    assert message.startswith("README.md, part 'summary': line 2 is '# Foregrounds") and message.endswith("expected '# Rooms'")
    write_card(folder)
    assert card_differences(folder) == [] and "\n# Rooms\n" in path.read_text(encoding="utf-8")


def test_a_card_that_was_there_before_keeps_its_text(copied):
    folder = copied("one_split")
    own = "---\nlanguage: de\nlicense: mit\n---\n# My set\r\n\r\nHello, it is about rooms.\r\n"
    (folder / "README.md").write_bytes(b"\xef\xbb\xbf" + own.encode())
    assert len(card_differences(folder)) > 10
    write_card(folder)
    metadata, body = card_of(folder)
    assert metadata["language"] == "de"
    assert metadata["license"] == "other"  # the pictures tell their licences
    between = body.split("<!-- fgbg-depth:end summary -->")[1].split("<!-- fgbg-depth:begin pictures -->")[0]
    assert "# My set\n\nHello, it is about rooms.\n" in between
    before = (folder / "README.md").read_bytes()
    write_card(folder)
    assert (folder / "README.md").read_bytes() == before
    assert card_differences(folder) == []


def test_a_licence_that_only_people_know_is_kept():
    ours = {"license": "unknown", "pretty_name": "x", "task_categories": [], "tags": [], "configs": [], "dataset_info": []}
    merged = merge_metadata({"license": "cc-by-4.0", "license_link": "https://example.org"}, ours)
    assert (merged["license"], merged["license_link"]) == ("cc-by-4.0", "https://example.org")
    merged = merge_metadata({"license": "other", "license_name": "ours"}, ours)
    assert (merged["license"], merged["license_name"]) == ("other", "ours")
    merged = merge_metadata({"license": "cc-by-4.0", "license_name": "old"}, {**ours, "license": "mit"})
    assert merged["license"] == "mit" and "license_name" not in merged


def test_configs_of_others_stay():
    facts = read_facts(small_set("one_split"))
    ours = card_metadata(facts)
    theirs = {"config_name": "masks_only", "data_files": "data/*.zip"}
    stale = {"config_name": "default", "data_files": "old"}
    merged = merge_metadata({"configs": [stale, theirs], "dataset_info": {"config_name": "masks_only"}, "tags": "one"}, ours)
    assert merged["configs"] == [*ours["configs"], theirs]
    assert merged["dataset_info"] == [*ours["dataset_info"], {"config_name": "masks_only"}]
    assert merged["tags"] == [*ours["tags"], "one"]


own_texts = st.text(alphabet="ab #-<!>\n", max_size=30).filter(lambda t: "fgbg-depth" not in t)


def body_of(names, contents, texts):
    """A body with parts, and text before, between and behind them; marks stand alone on their lines."""
    pieces = [texts[0] + "\n"]
    for name, content, text in zip(names, contents, texts[1:], strict=True):
        pieces.append(f"<!-- fgbg-depth:begin {name} -->\n{content}\n<!-- fgbg-depth:end {name} -->\n{text}\n")
    return "".join(pieces)


three_texts = st.lists(own_texts, min_size=3, max_size=3)


@given(st.lists(own_texts, min_size=4, max_size=4), three_texts, three_texts)
def test_merging_changes_parts_and_nothing_else(texts, old, new):
    names = ["summary", "sizes", "limits"]
    found = body_of(names, old, texts)
    assert join_parts(split_parts(found)) == found
    fresh = body_of(names, new, ["", "", "", ""])
    merged = merge_body(found, fresh)
    assert merged == body_of(names, new, texts)
    assert merge_body(merged, fresh) == merged
    assert part_differences(merged, fresh) == []
    assert len(part_differences(found, fresh)) == sum(a != b for a, b in zip(old, new, strict=True))


@given(st.sets(st.integers(0, 3)), st.lists(own_texts, min_size=5, max_size=5))
def test_deleted_parts_come_back_in_their_place(kept, texts):
    names, contents = ["summary", "sizes", "limits", "citation"], ["A", "B", "C", "D"]
    fresh = body_of(names, contents, [""] * 5)
    chosen = sorted(kept) or [0]
    found = body_of([names[i] for i in chosen], [contents[i] for i in chosen], texts[: len(chosen) + 1])
    merged = merge_body(found, fresh)
    assert [segment.name for segment in split_parts(merged) if segment.name] == names
    assert parts_of(merged) == parts_of(fresh)
    for text in texts[: len(chosen) + 1]:
        assert text in merged


def test_parts_that_are_made_no_more_go():
    found = body_of(["summary", "gone"], ["A", "B"], ["x", "y", "z"])
    fresh = body_of(["summary"], ["A"], ["", ""])
    assert part_differences(found, fresh) == ["README.md: the part 'gone' isn't made by this version"]
    merged = merge_body(found, fresh)
    assert "gone" not in merged and "x" in merged and "y" in merged and "z" in merged


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("<!-- fgbg-depth:begin sizes -->\n", "line 1 below the YAML block: begin sizes without its end"),
        ("a\n<!-- fgbg-depth:end sizes -->\n", "line 2 below the YAML block: end sizes without its begin"),
        ("<!-- fgbg-depth:begin a -->\n<!-- fgbg-depth:begin b -->\n", "line 2 below the YAML block: begin b inside of a"),
        (body_of(["a", "a"], ["", ""], ["", "", ""]), "line 6 below the YAML block: a second part a"),
    ],
)
def test_broken_marks_are_refused(body, message, copied):
    with pytest.raises(DataError, match=message):
        split_parts(body)
    folder = copied("one_split")
    (folder / "README.md").write_text(body)
    before = tree(folder)
    assert any(message in line for line in card_differences(folder))
    with pytest.raises(DataError, match=message):
        write_card(folder)
    assert tree(folder) == before


@pytest.mark.parametrize("block", ["a: [1", "- a\n- b", "just words"])
def test_a_broken_yaml_block_is_refused(block, copied):
    folder = copied("one_split")
    (folder / "README.md").write_text(f"---\n{block}\n---\n# x\n")
    assert len(card_differences(folder)) == 1
    with pytest.raises(DataError, match=r"README\.md: the YAML block"):
        write_card(folder)
    assert (folder / "README.md").read_text().startswith(f"---\n{block}")


# --- differences ---


@pytest.mark.parametrize("part", PARTS)
def test_a_change_in_any_part_is_found(part, copied):
    folder = copied("relative8")
    path = folder / "README.md"
    text = path.read_text(encoding="utf-8")
    mark = f"<!-- fgbg-depth:end {part} -->"
    path.write_text(text.replace(mark, "one line more\n" + mark), encoding="utf-8")
    (message,) = card_differences(folder)
    assert message.startswith(f"README.md, part '{part}': ")


def test_wrong_numbers_are_named(copied):
    folder = copied("plain")
    path = folder / "README.md"
    good = path.read_text(encoding="utf-8")
    rows = rows_in(folder, "data/train/*.parquet")
    path.write_text(good.replace(f"num_examples: {rows}\n", f"num_examples: {rows + 1}\n", 1), encoding="utf-8")
    (message,) = card_differences(folder)
    assert message.startswith("README.md, YAML key 'dataset_info': splits of default: ")
    assert f"'num_examples': {rows + 1}" in message or f"{rows + 1}" in message
    mean = f"{json.loads((folder / 'stats.json').read_text())['train']['image']['mean'][0]:.4f}"
    assert mean in good
    path.write_text(good.replace(mean, "0.1234", 1), encoding="utf-8")
    (message,) = card_differences(folder)
    assert message.startswith("README.md, part 'statistics': line ") and "0.1234" in message and mean in message
    path.write_text(re.sub(r"^license: .*\n", "license: mit\n", good, flags=re.MULTILINE), encoding="utf-8")
    assert card_differences(folder) == ["README.md, YAML key 'license': found 'mit', expected 'other'"]
    path.write_text(re.sub(r"<!-- fgbg-depth:begin limits -->.*end limits -->\n", "", good, flags=re.DOTALL), encoding="utf-8")
    assert card_differences(folder) == ["README.md: the part 'limits' is missing"]


def test_changed_data_are_found_by_the_card(copied):
    folder = copied("one_split")
    stats = json.loads((folder / "stats.json").read_text())
    stats["train"]["image"]["mean"][2] += 0.01
    (folder / "stats.json").write_text(json.dumps(stats))
    assert any("part 'statistics'" in line for line in card_differences(folder))


# --- command line and package ---


def test_command(copied):
    folder = copied("plain")
    assert call("card", folder, "--check").code == 0
    path = folder / "README.md"
    good = tree(folder)
    path.write_text(path.read_text(encoding="utf-8").replace("64 rows", "65 rows"), encoding="utf-8")
    (folder / "assets" / "masks.png").unlink()
    ended = call("card", folder, "--check")
    assert ended.code == 1 and "part 'summary'" in ended.out
    assert call("card", folder, "--no-sheets").code == 0
    assert not (folder / "assets" / "masks.png").exists()
    assert call("card", folder).code == 0
    assert tree(folder) == good


def test_command_refuses_a_folder_without_a_set(tmp_path):
    ended = call("card", tmp_path)
    assert ended.code == 1 and "manifest.json is missing" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_card_loads_no_heavy_library():
    code = "import sys, fgbg_depth.card; print([m for m in ('datasets', 'torch', 'transformers', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.stdout.strip() == "[]", done.stderr


def test_template_of_the_checkout_is_used():
    assert template_path().name == "dataset_card.md"
    assert "{{ card_data }}" in template_path().read_text(encoding="utf-8")
