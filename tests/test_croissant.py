"""croissant.json: valid by mlcroissant, true to the files, and the same however often it is made."""

import json
import logging
import re
import shutil
import warnings

import pytest
from datasets import load_dataset
from real_runs import call, call_good, tree
from small_sets import small_set

from fgbg_depth.card.facts import read_facts
from fgbg_depth.croissant import CROISSANT_NAME, croissant_text, licence_url, write_croissant
from fgbg_depth.schema import CONFIGS, config_columns
from fgbg_depth.verify import verify_set

MAY_MISS = {"datePublished", "version"}  # recommended, and known only when a set is published


def opened(folder):
    """mlcroissant.Dataset of a set; it reads and checks the whole file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what its own dependencies say of themselves
        import mlcroissant

        logging.getLogger().setLevel(logging.ERROR)
        return mlcroissant.Dataset(str(folder / CROISSANT_NAME))


@pytest.mark.parametrize("name", ["plain", "relative8", "metric16", "unscaled"])
def test_mlcroissant_finds_nothing_wrong(name):
    issues = opened(small_set(name)).metadata.ctx.issues
    assert issues.errors == set()
    said = {re.search(r'/(\w+)" is recommended', warning).group(1) for warning in issues.warnings}
    assert said <= MAY_MISS | ({"citeAs"} if name in ("plain", "unscaled") else set())


def test_its_records_are_the_rows(caches):
    """Every config with each of its columns, as plain `load_dataset` reads them; and the split of each row."""
    folder = small_set("relative8")
    croissant = opened(folder)
    for config in CONFIGS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own dependencies
            records = list(croissant.records(config))
        loaded = load_dataset(str(folder), config, cache_dir=str(caches))
        rows = {(split, row.get("key") or row.get("id")): row for split, data in loaded.items() for row in data}
        assert len(records) == len(rows)
        for record in records:
            record = {name.removeprefix(f"{config}/"): v.decode() if isinstance(v, bytes) else v for name, v in record.items()}
            split = record["split"] if config in ("default", "metadata") else "train"
            row = rows[split, record.get("key") or record.get("id")]
            assert {*config_columns(config, True), "split"} == set(record)
            for column, value in row.items():
                if hasattr(value, "tobytes"):
                    assert record[column].size == value.size and record[column].tobytes() == value.tobytes(), column
                else:
                    assert record[column] == value, column


def test_files_and_hashes_are_those_of_the_manifest():
    folder = small_set("plain")
    manifest, table = (json.loads((folder / name).read_text()) for name in ("manifest.json", CROISSANT_NAME))
    objects = {o["contentUrl"]: o["sha256"] for o in table["distribution"] if o["@type"] == "cr:FileObject"}
    assert objects == {name: facts["sha256"] for name, facts in manifest["files"].items()}
    assert CROISSANT_NAME not in manifest["files"]
    for files in (o for o in table["distribution"] if o["@type"] == "cr:FileSet"):
        assert list(folder.glob(files["includes"].replace("/*", "/**/*")))
    assert not {"url", "version", "datePublished"} & set(table)  # not known before it is published


def test_it_says_what_the_set_knows():
    table = json.loads((small_set("relative8") / CROISSANT_NAME).read_text())
    assert table["license"][0] == "https://creativecommons.org/publicdomain/zero/1.0/"
    assert "Alhashim" in table["citeAs"] and any("delta1 0.740" in text for text in table["rai:dataLimitations"])
    assert any("densedepth-mini" in tool for tool in table["rai:machineAnnotationTools"])
    assert any("agreed to it isn't known" in text for text in table["rai:personalSensitiveInformation"])
    plain = json.loads((small_set("plain") / CROISSANT_NAME).read_text())
    assert "citeAs" not in plain and not any("densedepth" in text for text in plain["rai:machineAnnotationTools"])


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/"),
        ("cc-by-nc-sa-4.0", "https://creativecommons.org/licenses/by-nc-sa/4.0/"),
        ("CC0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        ("MIT", "MIT"),
        ("CC0-1.0 (derived)", "CC0-1.0 (derived)"),
        ("own pictures", "own pictures"),
    ],
)
def test_licences(text, url):
    assert licence_url(text) == url


def test_damage_is_found_and_mended(tmp_path):
    folder = shutil.copytree(small_set("plain"), tmp_path / "set")
    before = tree(folder)
    assert (folder / CROISSANT_NAME).read_text() == croissant_text(read_facts(folder))
    for damage in (lambda path: path.unlink(), lambda path: path.write_text(path.read_text().replace("sc:Dataset", "sc:Data"))):
        damage(folder / CROISSANT_NAME)
        findings = verify_set(folder, num_workers=1).findings
        assert [f.file for f in findings] == [CROISSANT_NAME] and findings[0].repair == f"fgbg-depth card {folder}"
        ended = call("card", folder, "--check")
        assert ended.code == 1 and CROISSANT_NAME in ended.out
        call_good("card", folder, "--no-sheets")
        assert tree(folder) == before
    write_croissant(folder)
    assert tree(folder) == before
