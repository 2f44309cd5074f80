"""The version rule, the list of versions in the card, and what a release adds, keeps and drops: all of it without a Hub."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbg_depth.errors import UsageError
from fgbg_depth.hub.changelog import Entry, entries_of, sentence, with_entries
from fgbg_depth.hub.contents import from_bytes
from fgbg_depth.hub.difference import compare
from fgbg_depth.hub.features import features_of
from fgbg_depth.hub.remote import RemoteFile
from fgbg_depth.hub.versions import MAJOR, MINOR, PATCH, Version, decide_version, latest_version, level_of_change, parse_version

numbers = st.integers(0, 10**6)
versions = st.builds(Version, numbers, numbers, numbers)


@given(versions)
def test_a_version_is_read_as_it_is_written(version):
    assert parse_version(str(version)) == version


@pytest.mark.parametrize("text", ["1.0.0", "v1.0", "v01.0.0", "v1.0.0-rc1", "V1.0.0", "v1.0.0 ", "", "main", "v1.0.-1"])
def test_other_tags_are_no_versions(text):
    assert parse_version(text) is None


@given(versions, st.sampled_from([MAJOR, MINOR, PATCH]))
def test_every_next_version_is_higher(version, level):
    assert version.next(level) > version
    assert latest_version([str(version), "main", str(version.next(level))]) == version.next(level)


def test_versions_compare_by_number_not_by_letter():
    assert latest_version(["v9.0.0", "v10.0.0", "v2.11.0", "latest"]) == Version(10, 0, 0)
    assert latest_version(["latest", "x"]) is None


def table(config, rows, content="a"):
    return {"config": config, "rows": rows, "bytes": 10, "sha256": hashlib.sha256(content.encode()).hexdigest()}


def manifest(recipe="r", **files):
    base = {
        "data/train/b000-00000.parquet": table("default", 100),
        "metadata/train/b000.parquet": table("metadata", 100),
        "backgrounds/b000.parquet": table("backgrounds", 5),
        "foregrounds/b000.parquet": table("foregrounds", 2),
        "stats.json": {"bytes": 1, "sha256": "s"},
    }
    merged = {**base, **{name.replace("__", "/"): facts for name, facts in files.items()}}
    return {"format": 1, "recipe_digest": recipe, "files": {name: facts for name, facts in merged.items() if facts}}


FEATURES = {"default": {"key": "dtype string", "image": "dtype image"}, "metadata": {"key": "dtype string"}}
MORE_ROWS = {"data/train/b001-00000.parquet": table("default", 40, "b"), "backgrounds/b001.parquet": table("backgrounds", 1, "b")}


@pytest.mark.parametrize(
    ("new", "level", "reason"),
    [
        (manifest("other"), MAJOR, "the recipe changed"),
        (manifest(**{"data/train/b000-00000.parquet": None}), MAJOR, "rows go away: data/train/b000-00000.parquet with 100 rows is no longer"),  # noqa: E501
        (manifest(**{"backgrounds/b000.parquet": None}), MAJOR, "rows go away: backgrounds/b000.parquet with 5 rows"),
        (manifest(**{"data/train/b000-00000.parquet": table("default", 100, "x")}), MAJOR, "rows changed: data/train/b000-00000.parquet has"),  # noqa: E501
        (manifest(**{"foregrounds/b000.parquet": table("foregrounds", 2, "x")}), MAJOR, "rows changed"),
        (manifest(**MORE_ROWS, **{"data/train/b000-00000.parquet": None}), MAJOR, "rows go away"),
        (manifest(**MORE_ROWS), MINOR, "40 rows and 1 background were added"),
        (manifest(**{"data/train/b001-00000.parquet": table("default", 1, "b")}), MINOR, "1 row was added"),
        (manifest(**{"stats.json": {"bytes": 2, "sha256": "t"}}), PATCH, "the rows are the same"),
        (manifest(**{"metadata/train/b000.parquet": table("metadata", 100, "x")}), PATCH, "the rows are the same"),
        (manifest(), PATCH, "the rows are the same"),
    ],
)
def test_the_level_follows_from_the_manifests(new, level, reason):
    found, words = level_of_change(manifest(), new, FEATURES, FEATURES)
    assert found == level
    assert words.startswith(reason)


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ({**FEATURES, "default": {"key": "dtype string"}}, "default.image is gone"),
        ({**FEATURES, "default": {**FEATURES["default"], "depth": "dtype image"}}, "default.depth is new"),
        ({**FEATURES, "metadata": {"key": "dtype int32"}}, "metadata.key was dtype string, is dtype int32"),
        ({"default": FEATURES["default"]}, "config metadata is gone"),
        ({**FEATURES, "default": dict(reversed(FEATURES["default"].items()))}, "the order of the columns"),
    ],
)
def test_a_change_of_the_schema_is_major_even_with_new_rows(new, words):
    level, reason = level_of_change(manifest(), manifest(**MORE_ROWS), FEATURES, new)
    assert level == MAJOR
    assert reason == f"the schema changed: {words}"


def test_unknown_features_leave_it_to_the_recipe():
    assert level_of_change(manifest(), manifest(**MORE_ROWS), {}, FEATURES)[0] == MINOR


def test_features_are_read_from_both_forms_of_the_card():
    info = {"config_name": "default", "features": [{"name": "bbox", "sequence": "int32", "length": 4}, {"name": "image", "dtype": "image"}]}
    expected = {"default": {"bbox": "length 4, sequence int32", "image": "dtype image"}}
    assert features_of({"dataset_info": [info]}) == features_of({"dataset_info": info}) == expected
    assert features_of({}) == features_of({"dataset_info": [{"config_name": "x"}, "nonsense"]}) == {}


@pytest.mark.parametrize(
    ("latest", "level", "asked", "expected"),
    [
        (None, MAJOR, None, "v1.0.0"),
        (None, MAJOR, "v0.1.0", "v0.1.0"),
        ("v1.2.3", MAJOR, None, "v2.0.0"),
        ("v1.2.3", MINOR, None, "v1.3.0"),
        ("v1.2.3", PATCH, None, "v1.2.4"),
        ("v1.2.3", PATCH, "v7.0.0", "v7.0.0"),
        ("v1.2.3", MAJOR, "v2.5.0", "v2.5.0"),
    ],
)
def test_the_number(latest, level, asked, expected):
    decision = decide_version(latest and parse_version(latest), level, "why", asked)
    assert str(decision.version) == expected
    assert ("first" if latest is None else "why") in decision.reason


@pytest.mark.parametrize(
    ("level", "asked", "words"),
    [
        (PATCH, "1.3.0", "expected something like v1.2.4"),
        (PATCH, "v1.2.3", "isn't above v1.2.3"),
        (PATCH, "v1.2.2", "only rise"),
        (MAJOR, "v1.3.0", "takes a new first number, v2.0.0 or higher"),
    ],
)
def test_a_number_of_ones_own_is_refused(level, asked, words):
    with pytest.raises(UsageError, match=words):
        decide_version(Version(1, 2, 3), level, "the schema changed", asked)


words = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\u2028\u2029\x85"), max_size=60)


@given(st.lists(st.tuples(versions, words, words), max_size=5))
def test_the_list_of_versions_is_read_as_it_is_written(items):
    entries = [Entry(str(v), "2026-03-04", sentence(f"a {reason}".strip(), message)) for v, reason, message in items]
    body = with_entries("# A set\n\nText.\n", entries, "user/set")
    assert entries_of(body) == entries
    if entries:
        assert f'load_dataset("user/set", revision="{entries[0].version}")' in body
    assert with_entries(body, entries, "user/set") == body
    assert entries_of(with_entries(body, [], "user/set")) == []


def test_a_message_of_several_lines_becomes_one_paragraph():
    assert sentence("rows were added", " More rooms.\n\n**v9.9.9** (2020-01-01): trick ") == (
        "Rows were added. More rooms. **v9.9.9** (2020-01-01): trick"
    )
    assert sentence("rows were added") == "Rows were added."


def remote_file(data, large=True):
    local = from_bytes("x", data)
    return RemoteFile(len(data), local.sha256 if large else None, local.git_id)


def test_git_ids_are_those_of_git():
    assert from_bytes("x", b"").git_id == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"  # git hash-object /dev/null
    assert from_bytes("x", b"hello\n").git_id == "ce013625030ba8dba906f756967f9e9ca394464a"  # echo hello | git hash-object --stdin


@pytest.mark.parametrize("large", [True, False])
def test_files_are_compared_by_content(large):
    local = {name: from_bytes(name, data) for name, data in {"data/a.parquet": b"a", "data/b.parquet": b"b", "README.md": b"r"}.items()}
    remote = {
        "data/a.parquet": remote_file(b"a", large),
        "data/b.parquet": remote_file(b"c", large),
        "data/old.parquet": remote_file(b"o", large),
        "data/strange.parquet": remote_file(b"s", large),
        ".gitattributes": remote_file(b"g", large),
        "assets/depth.png": remote_file(b"d", large),
        "assets/mine.png": remote_file(b"m", large),
        "docs/mine.parquet": remote_file(b"m", large),
    }
    found = compare(local, remote, {"data/old.parquet", "data/a.parquet", ".gitattributes"})
    assert found.add == ("README.md",)
    assert found.change == ("data/b.parquet",)
    assert found.keep == ("data/a.parquet",)
    assert found.drop == ("assets/depth.png", "data/old.parquet")
    assert found.strange == (".gitattributes", "assets/mine.png", "data/strange.parquet", "docs/mine.parquet")
    assert found.in_the_way == ("data/strange.parquet",)
    assert found.send == ("README.md", "data/b.parquet")
    assert not compare(local, {path: RemoteFile(f.size, f.sha256, f.git_id) for path, f in local.items()}, set())
