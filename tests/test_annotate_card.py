"""The card of an annotated set: the words of people and the list of versions go along, what was generated doesn't."""

import shutil

import pytest
from annotate_sets import MINI, NO_DEPTH, again, made
from real_runs import tree
from small_sets import small_set
from verify_sets import copy_of

from fgbg_depth.verify import verify_set

WORDS = "Rooms of one house.\n\n![Plan of the house](assets/plan.png)"
CHANGES = "## Versions\n\n**v1.0.0** (2026-01-02): It is the first version.\n"


@pytest.fixture
def source(tmp_path):
    """A set that may be changed."""
    return copy_of(small_set("relative8"), tmp_path / "old")


def with_words(folder):
    """A card with words, keys and a picture of one's own, and a published version."""
    path = folder / "README.md"
    text = path.read_text()
    text = text.replace("<!-- fgbg-depth:end summary -->\n", f"<!-- fgbg-depth:end summary -->\n\n{WORDS}\n")
    text = text.replace("tags:\n", "tags:\n- my-house\n").replace("---\n", "---\nhouse: red\n", 1)
    begin, end = "<!-- fgbg-depth:begin changelog -->\n", "<!-- fgbg-depth:end changelog -->"
    before, _, rest = text.partition(begin)
    path.write_text(f"{before}{begin}{CHANGES}{end}{rest.partition(end)[2]}")
    shutil.copy(folder / "assets" / "samples.png", folder / "assets" / "plan.png")
    return folder


@pytest.mark.parametrize("depth", [NO_DEPTH, {**MINI, "depth_encoding": "metric16"}])
def test_words_of_people_and_the_versions_go_along(depth, source, tmp_path):
    with_words(source)
    again(source, tmp_path / "new", depth)
    card = (tmp_path / "new" / "README.md").read_text()
    assert WORDS in card and CHANGES in card and "house: red" in card and "- my-house" in card
    assert (tmp_path / "new" / "assets" / "plan.png").read_bytes() == (source / "assets" / "plan.png").read_bytes()
    assert ("monocular-depth" in card) == ("depth-estimation" in card) == (depth is not NO_DEPTH)
    assert ("composites, masks and depth" in card.partition("<!--")[0]) == (depth is not NO_DEPTH)
    assert verify_set(tmp_path / "new", num_workers=1).good


def test_edits_of_the_new_card_stay(source, tmp_path):
    with_words(source)
    again(source, tmp_path / "new")
    card = tmp_path / "new" / "README.md"
    card.write_text(card.read_text().replace("Rooms of one house.", "Rooms without depth."))
    edited = card.read_text()
    again(source, tmp_path / "new")
    assert card.read_text() == edited


def test_a_card_that_was_there_before_is_kept(source, tmp_path):
    with_words(source)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "README.md").write_text("Words of a new repository.\n")
    result = again(source, tmp_path / "new")
    assert any("was there before: it is kept" in note for note in result.notes)
    card = (tmp_path / "new" / "README.md").read_text()
    assert "Words of a new repository." in card and WORDS not in card


def test_a_missing_card_is_no_hindrance(tmp_path):
    old = copy_of(made("tiny"), tmp_path / "old")
    (old / "README.md").unlink()
    again(old, tmp_path / "new")
    assert tree(tmp_path / "new") == tree(made("none"))
