"""`fgbg-depth preview` but for the browser: which rows are shown, what goes into the page, what is read for it, here and on the Hub."""

import base64
import hashlib
import json
import re
import shutil
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from publishing import run_main
from real_runs import call, call_good, tree
from small_sets import NAMES, has_depth, small_set
from streams import QUICK
from verify_sets import cell, copy_of, refit, rewrite

from fgbg_depth import codec
from fgbg_depth.errors import DataError
from fgbg_depth.preview import contents as preview_contents
from fgbg_depth.preview.contents import read_contents, safe_link
from fgbg_depth.preview.page import render_page
from fgbg_depth.preview.pictures import page_pictures
from fgbg_depth.preview.sample import READ_BYTES, Candidate, Unit, choose_rows, choose_units
from fgbg_depth.streaming.folder_files import FolderFiles

CLIENT_OPTIONS = {"settings": QUICK}
ALL_ROWS = 1000  # more than any small set has
SHARD = "data/train/b000-00001.parquet"


def data_of(page):
    """The JSON in a page."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def stored_rows(folder):
    """{key: row} of all data files."""
    import pyarrow.parquet as pq

    paths = sorted((folder / "data").rglob("*.parquet"))
    return {row["key"]: row for path in paths for row in pq.read_table(path, partitioning=None).to_pylist()}


# --- which rows ---


def units(splits, batches=("b000",), count=5, rows=100, num_bytes=1.0):
    return [
        Unit(split, batch, f"data/{split}/{batch}-{i:05d}.parquet", 0, rows, num_bytes)
        for split in splits
        for batch in batches
        for i in range(count)
    ]


def candidates(split, backgrounds, foregrounds, copies=1):
    unit = units([split], count=1)[0]
    return [
        Candidate(split, f"{b}-{f}-{flip}-{k}", b, f, flip, unit, 0)
        for b in backgrounds for f in foregrounds for flip in (False, True) for k in range(copies)
    ]  # fmt: skip


def test_every_split_and_batch_has_its_turn():
    chosen = choose_units(units(("train", "test"), ("b000", "b001"), 50), 200, seed=0)
    assert Counter((unit.split, unit.batch) for unit in chosen) == {
        ("train", "b000"): 2, ("train", "b001"): 1, ("test", "b000"): 2, ("test", "b001"): 1,
    }  # fmt: skip


@given(st.integers(1, 300), st.integers(1, 2000), st.floats(1, 100e6), st.integers(0, 9))
def test_reading_is_bounded(count, num_rows, num_bytes, seed):
    everything = units(("train", "validation", "test"), count=count, num_bytes=num_bytes)
    chosen = choose_units(everything, num_rows, seed)
    assert {unit.split for unit in chosen} == {"train", "validation", "test"} and len(set(chosen)) == len(chosen)
    assert len(chosen) == 3 or sum(unit.num_bytes for unit in chosen) <= READ_BYTES
    enough = sum(unit.stop - unit.start for unit in chosen) >= 3 * num_rows
    assert enough or len(chosen) == len(everything) or sum(unit.num_bytes for unit in chosen) + num_bytes > READ_BYTES


def test_rows_repeat_as_little_as_they_can():
    rows = candidates("train", "abcd", "xyz", 3) + candidates("test", "ef", "xyz", 3)
    chosen = choose_rows(rows, 24, seed=1)
    assert Counter(row.split for row in chosen) == {"train": 12, "test": 12}
    for split, backgrounds, each in (("train", "abcd", 3), ("test", "ef", 6)):
        mine = [row for row in chosen if row.split == split]
        assert Counter(row.background for row in mine) == dict.fromkeys(backgrounds, each)
        assert Counter(row.foreground for row in mine) == dict.fromkeys("xyz", 4)
        assert max(Counter(row.flipped for row in mine).values()) <= 8
    assert len({row.key + row.split for row in chosen}) == 24


def test_the_choice_hangs_on_the_seed_alone():
    rows = candidates("train", "abcdefgh", "uvwxyz", 4)
    chosen = choose_rows(rows, 20, seed=1)
    assert choose_rows(rows[::-1], 20, seed=1) == chosen != choose_rows(rows, 20, seed=2)
    assert choose_rows(rows, 7, seed=1) == chosen[:7]
    ranked = choose_units(units(("train",), count=50), 60, seed=1)
    assert choose_units(units(("train",), count=50)[::-1], 60, seed=1) == ranked != choose_units(units(("train",), count=50), 60, seed=2)
    assert len(choose_rows(rows, 10_000, seed=0)) == len(rows) and choose_rows([], 5, seed=0) == []


# --- what goes into the page ---


@pytest.mark.parametrize("name", NAMES)
def test_the_page_holds_the_stored_rows(name):
    folder = small_set(name)
    found, rows = read_contents(folder, ALL_ROWS), stored_rows(folder)
    assert {row["key"] for row in found["rows"]} == set(rows)
    assert sum(found["rowsInSet"].values()) == len(rows) == found["chosen"]
    splits = [row["split"] for row in found["rows"]]
    assert splits == sorted(splits, key=["train", "validation", "test"].index)
    for shown in found["rows"]:
        row = rows[shown["key"]]
        for column in set(row) - {"image", "mask", "depth"}:
            assert shown[column] == row[column]
        assert base64.b64decode(shown["image"].partition("base64,")[2]) == row["image"]["bytes"]
        for column in ("mask", "depth")[: 1 + has_depth(name)]:
            assert base64.b64decode(shown[column]) == row[column]["bytes"]
        assert ("depth" in shown) == has_depth(name)
    stats = json.loads((folder / "stats.json").read_text())
    assert found["stats"]["all"]["image"]["mean"] == stats["all"]["image"]["mean"]
    assert np.allclose(found["stats"]["all"]["mask"]["heat"], stats["all"]["mask"]["placement_heatmap"], atol=1e-5)
    assert (found["scale"] is not None) == (name in ("relative8", "metric16"))
    assert sum(number for _, kind, number in found["licences"] if kind == "background") == found["assetCounts"]["background"]


def test_jpeg_depth_goes_in_as_it_decodes():
    levels = np.add.outer(np.arange(48), np.arange(48)).astype(np.uint8) * 2
    image = codec.encode_image(np.zeros((48, 48, 3), np.uint8), "jpeg", 90)
    stored = codec.encode_gray(levels, "relative8_jpeg")
    row = {"key": "k", "image": {"bytes": image}, "mask": {"bytes": codec.encode_mask(levels)}, "depth": {"bytes": stored}}
    shown = base64.b64decode(page_pictures(row, "here")["depth"])
    assert shown.startswith(b"\x89PNG") and np.array_equal(codec.decode_gray(shown), codec.decode_gray(stored))
    assert not np.array_equal(codec.decode_gray(stored), levels)  # as JPEG does


def test_a_picture_of_another_size_is_refused():
    image = codec.encode_image(np.zeros((48, 48, 3), np.uint8), "jpeg", 90)
    row = {"key": "k7", "image": {"bytes": image}, "mask": {"bytes": codec.encode_mask(np.zeros((40, 48), np.uint8))}}
    with pytest.raises(DataError, match=r"here: row k7, column mask: has 48 x 40 pixels, the image 48 x 48"):
        page_pictures(row, "here")


def test_pages_are_equal_wherever_the_set_lies(tmp_path):
    page = render_page(read_contents(small_set("plain"), 10, seed=3))
    other = shutil.copytree(small_set("plain"), tmp_path / "plain")
    assert render_page(read_contents(other, 10, seed=3)) == page != render_page(read_contents(other, 10, seed=4))


def test_the_page_stays_small():
    everything = read_contents(small_set("plain"), ALL_ROWS)
    bound = sum(len(row["image"]) + len(row["mask"]) for row in everything["rows"]) // 3
    some = read_contents(small_set("plain"), ALL_ROWS, max_picture_bytes=bound)
    assert 10 < len(some["rows"]) < some["chosen"] == len(everything["rows"])
    assert sum(len(row["image"]) + len(row["mask"]) for row in some["rows"]) <= bound
    assert {row["split"] for row in some["rows"]} == {"train", "validation", "test"}
    assert len(read_contents(small_set("plain"), ALL_ROWS, max_picture_bytes=1)["rows"]) == 1


def test_the_policy_forbids_everything_but_the_page_itself():
    page = render_page(read_contents(small_set("one_split"), 1))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'" and rules["img-src"] == "data: blob:"
    assert set(rules) == {"default-src", "script-src", "style-src", "img-src", "base-uri", "form-action"}
    for rule, tag in (("script-src", "script"), ("style-src", "style")):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert rules[rule] == f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
    outside = re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.DOTALL)
    assert not re.search(r'(src|href|action)="?(https?:)?//', outside)


def test_words_of_the_set_are_no_html(tmp_path):
    folder = copy_of(small_set("one_split"), tmp_path / '<b>&"set"')
    for column in ("licence", "author", "source"):
        rewrite(folder, "backgrounds/b000.parquet", cell(column, 0, f"</script><script>{column}</script>&{{{{DATA}}}}"))
    refit(folder)
    found = read_contents(folder, ALL_ROWS)
    page = render_page(found)
    assert page.count("</script>") == 2 and page.count("<script") == 2  # the data and the script
    assert "<title>&lt;b&gt;&amp;&quot;set&quot;: preview</title>" in page and "<b>" not in page
    assert data_of(page)["assets"] == found["assets"]
    assert found["assets"]["background"][0]["author"] == "</script><script>author</script>&{{DATA}}"


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//host/x", "http://a b", 'http://a"b', "https://", "", None]
)
def test_other_addresses_are_no_links(text):
    assert safe_link(text) == ""


def test_web_addresses_are_links():
    assert safe_link(" HTTPS://example.org/a?b=c&d#e ") == "HTTPS://example.org/a?b=c&d#e"


# --- what is read ---


def test_few_row_groups_are_read_however_many_there_are(tmp_path, monkeypatch):
    folder = copy_of(small_set("plain"), tmp_path / "set")
    for number in range(2, 150):
        shutil.copy(folder / SHARD, folder / "data" / "train" / f"b000-{number:05d}.parquet")
    refit(folder)
    read = []
    real = FolderFiles.read
    monkeypatch.setattr(FolderFiles, "read", lambda self, file, *words: read.append(file.path) or real(self, file, *words))
    found = read_contents(folder, 12)
    assert len(found["rows"]) == 12 and sum(found["rowsInSet"].values()) > 1000
    opened = {path for path in read if path.startswith("data/")}
    assert {path.split("/")[1] for path in opened} == {"train", "validation", "test"}
    assert len(opened) <= 3 * 12 // 2  # groups of 2 or 3 rows, 3 rows to choose from for each that is shown


def test_source_pictures_are_not_read(monkeypatch):
    columns = []
    real = preview_contents.Tables.fetch
    monkeypatch.setattr(preview_contents.Tables, "fetch", lambda *words: columns.append((words[1].path, words[3])) or real(*words))
    read_contents(small_set("plain"), 4)
    of_assets = [names for path, names in columns if path.startswith(("backgrounds/", "foregrounds/"))]
    assert of_assets and not [names for names in of_assets if {"image", "mask"} & set(names)]


# --- the command ---


def test_the_command_writes_a_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, before = small_set("relative8"), tree(small_set("relative8"))
    ended = call_good("preview", folder, "--quiet")
    page = tmp_path / "relative8_preview.html"
    assert ended.out == f"relative8_preview.html: 12 of 12 rows, {page.stat().st_size / 1000:.1f} kB; open it in a browser\n"
    assert tree(folder) == before
    first = page.read_bytes()
    told = json.loads(call_good("preview", folder, "--json", "--rows", 5, "--quiet").out)  # a preview is written over
    assert told == {
        "file": "relative8_preview.html", "bytes": page.stat().st_size, "rows": 5, "rows_in_set": 12, "revision": None, "commit": None,
    }  # fmt: skip
    assert page.read_bytes() != first
    call_good("preview", folder, "--quiet", "--out", "new/page.html")
    assert (tmp_path / "new" / "page.html").read_bytes() == first


def test_large_pages_are_named(tmp_path, monkeypatch):
    from fgbg_depth.commands import preview

    monkeypatch.setattr(preview, "MAX_PICTURE_BYTES", 60_000)
    out = call_good("preview", small_set("plain"), "--quiet", "--out", tmp_path / "page.html").out
    assert "60 would make the page larger than 60.0 kB; --rows 60 shows them all the same" in out
    out = call_good("preview", small_set("plain"), "--quiet", "--out", tmp_path / "page.html", "--rows", 60).out
    assert ": 60 of 64 rows" in out and "would make" not in out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--rows", 0], 2, "--rows is 0, expected 1 to 2,000"),
        (["--revision", "v1.0.0"], 2, "is a folder; a revision ('v1.0.0') is for repos on the Hub"),
        (["--out", "."], 2, ". is a folder, expected the name of a file"),
        (["--out", "mine.html"], 2, "mine.html is there and is no preview; choose another --out"),
    ],
)
def test_wrong_use_is_named(words, code, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.html").write_text("<p>my own page</p>")
    ended = call("preview", small_set("plain"), "--quiet", *words)
    assert ended.code == code and said in ended.err
    assert [p.name for p in tmp_path.iterdir()] == ["mine.html"] and (tmp_path / "mine.html").read_text() == "<p>my own page</p>"


def test_what_is_no_set_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    for place, code, said in (("empty", 1, "manifest.json is missing"), ("nothing", 2, "neither a folder nor a repo id")):
        ended = call("preview", tmp_path / place, "--quiet", "--out", tmp_path / "page.html")
        assert ended.code == code and said in ended.err and not (tmp_path / "page.html").exists()


def test_damage_is_named(tmp_path):
    folder = copy_of(small_set("one_split"), tmp_path / "set")
    rewrite(folder, SHARD, lambda values: values["image"].__setitem__(1, values["image"][1][:100]))
    refit(folder)
    key = next(key for key, row in stored_rows(folder).items() if len(row["image"]["bytes"]) == 100)
    ended = call("preview", folder, "--quiet", "--out", tmp_path / "page.html")
    assert ended.code == 1 and f"{SHARD} of {folder}: row {key}, column image: " in ended.err
    (folder / "stats.json").write_text((folder / "stats.json").read_text().replace("0.", "1.", 1))
    ended = call("preview", folder, "--quiet", "--out", tmp_path / "page.html")
    assert ended.code == 1 and "stats.json" in ended.err and "sha256" in ended.err
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "stats.json").write_text('{"all": {"image": 1}}')
    manifest["files"]["stats.json"] = {
        "bytes": (folder / "stats.json").stat().st_size, "sha256": hashlib.sha256((folder / "stats.json").read_bytes()).hexdigest(),
    }  # fmt: skip
    shutil.copy(small_set("one_split") / SHARD, folder / SHARD)
    manifest["files"][SHARD] = json.loads((small_set("one_split") / "manifest.json").read_text())["files"][SHARD]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    ended = call("preview", folder, "--quiet", "--out", tmp_path / "page.html")
    assert ended.code == 1 and "isn't as this version writes it" in ended.err
    assert not (tmp_path / "page.html").exists()


# --- from the Hub ---


def test_a_repo_looks_like_its_folder(hub, client, repo_id, hub_stays_sound, hub_knows_every_path, tmp_path):
    repo = hub.create_repo(repo_id)
    repo.write_folder(small_set("relative8"))
    repo.tag("v1.0.0")
    old = repo.head()
    repo.write_folder(small_set("plain"))
    mark = hub.log.mark()
    code, _, err = client.run(run_main, "preview", repo_id, "--revision", "v1.0.0", "--quiet", "--out", tmp_path / "page.html")
    assert code == 0, err
    asked = [e.path.split("?")[0].rsplit("/resolve/")[-1] for e in hub.log.filter(since=mark, port="hub")]
    files = {path.split("/", 1)[1].replace("%2F", "/") for path in asked}
    assert files <= {*json.loads((small_set("relative8") / "manifest.json").read_text())["files"], "manifest.json"}
    assert not [path for path in files if path.startswith("metadata/")] and {"stats.json", "recipe.toml"} <= files
    assert len(asked) == len(set(asked))  # nothing is asked for twice
    shown, expected = data_of((tmp_path / "page.html").read_text()), read_contents(small_set("relative8"), 60)
    assert (shown["name"], shown["revision"], shown["commit"]) == (repo_id, "v1.0.0", old)
    for name in ("rows", "stats", "assets", "licences", "scale", "facts"):
        assert json.dumps(shown[name]) == json.dumps(expected[name])


def test_a_repo_or_revision_that_is_not_there(hub, client, repo_id, hub_stays_sound, tmp_path):
    hub.create_repo(repo_id).write_folder(small_set("one_split"))
    for words, said in (([repo_id, "--revision", "v7.0.0"], "has no revision 'v7.0.0'"), (["alice/nothing"], "isn't there, or this token")):
        code, _, err = client.run(run_main, "preview", *words, "--quiet", "--out", tmp_path / "page.html")
        assert code == 2 and said in err
    assert not (tmp_path / "page.html").exists()
