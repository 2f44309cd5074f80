"""What people write in the card stays when it is made anew, and what differs from the data is found and named."""

import json
import re

import pytest
from card_texts import PARTS, card_of, rows_in
from hypothesis import given
from hypothesis import strategies as st
from real_runs import call, tree
from small_sets import append_to, small_set

from fgbg_depth.card.facts import read_facts
from fgbg_depth.card.merge import join_parts, merge_body, part_differences, parts_of, split_parts
from fgbg_depth.card.metadata import card_metadata, merge_metadata
from fgbg_depth.card.write import card_differences, write_card
from fgbg_depth.errors import DataError

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


# --- the command ---


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
