"""The card as the Hub and `datasets` take it: the YAML block, the code in it, licences, and text from outside that can't break it."""

import re
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from card_texts import card_of, cells_of, rows_in
from huggingface_hub import DatasetCard
from hypothesis import given
from hypothesis import strategies as st
from real_runs import make_pictures
from small_sets import NAMES, has_depth, small_set

from fgbg_depth import schema
from fgbg_depth.card import tables as card_tables
from fgbg_depth.card.licences import HUB_IDS, hub_id, set_licence
from fgbg_depth.card.merge import parts_of
from fgbg_depth.card.metadata import size_category, yaml_features
from fgbg_depth.config import Recipe
from fgbg_depth.generate import generate
from fgbg_depth.prepare import Options

CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


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
        # A stream of pictures begins without 32 MB of what comes later.
        expected = None if config["config_name"] == "metadata" else {"pre_buffer": False}
        assert config.get("fragment_scan_options") == expected
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


# --- licences and text from outside ---


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
