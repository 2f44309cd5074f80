"""A card edited here and on the Hub: what is merged, what is refused."""

import pytest

from fgbg_depth.errors import CardConflictError
from fgbg_depth.hub.card_hub import HUB, LOCAL, compose, edited_parts, merge_cards, split_card

CARD = """---
license: cc0-1.0
pretty_name: A set
tags:
- fgbg-depth
- synthetic
configs:
- config_name: default
  data_files: data/*.parquet
---

<!-- fgbg-depth:begin summary -->
# A set

10 rows.
<!-- fgbg-depth:end summary -->

Place for own words.

<!-- fgbg-depth:begin statistics -->
| a | 1 |
<!-- fgbg-depth:end statistics -->

<!-- fgbg-depth:begin changelog -->
<!-- fgbg-depth:end changelog -->
"""
WORDS, NOTES = "Place for own words.", "<!-- fgbg-depth:end statistics -->\n"


def edited(*pairs, card=CARD):
    for old, new in pairs:
        assert old in card
        card = card.replace(old, new)
    return card


def merged(base, ours, theirs, whose="merge"):
    metadata, body = merge_cards(base, ours, theirs, whose)
    return compose(metadata, body, theirs, ours)


def test_equal_cards_stay_as_they_are():
    assert merged(CARD, CARD, CARD) == CARD


def test_words_of_one_side_are_taken():
    here = edited((WORDS, "Words from here."))
    assert merged(CARD, here, CARD) == here
    assert merged(CARD, CARD, here) == here
    assert merged(CARD, here, here) == here


def test_words_in_different_places_are_both_taken():
    here, there = edited((WORDS, "Words from here.")), edited((NOTES, NOTES + "\nNotes from there.\n"))
    text = merged(CARD, here, there)
    assert "Words from here." in text and "Notes from there." in text
    assert text == edited((WORDS, "Words from here."), (NOTES, NOTES + "\nNotes from there.\n"))


def test_generated_parts_come_from_here():
    here, there = edited(("10 rows", "20 rows"), ("| a | 1 |", "| a | 2 |")), edited(("| a | 1 |", "| a | 9 |"), (WORDS, "From there."))
    text = merged(CARD, here, there)
    assert "20 rows" in text and "| a | 2 |" in text and "| a | 9 |" not in text and "From there." in text
    assert edited_parts(CARD, there) == ["statistics"]


def test_the_same_place_on_both_sides_is_refused_with_the_difference():
    here, there = edited((WORDS, "Words from here.")), edited((WORDS, "Words from there."))
    with pytest.raises(CardConflictError, match="both in the text after the part 'summary'") as caught:
        merged(CARD, here, there)
    assert "-Words from here." in caught.value.difference and "+Words from there." in caught.value.difference
    assert merged(CARD, here, there, LOCAL) == here
    assert merged(CARD, here, there, HUB) == there


def test_deleting_words_is_an_edit_too():
    here = edited((WORDS + "\n\n", ""))
    assert WORDS not in merged(CARD, here, CARD)
    assert WORDS not in merged(CARD, CARD, here)


def test_keys_are_merged_one_by_one():
    here = edited(("pretty_name: A set", "pretty_name: Ours"), ("- synthetic", "- synthetic\n- here"))
    there = edited(("license: cc0-1.0", "license: mit\nlanguage: en"), ("- fgbg-depth\n", "- fgbg-depth\n- there\n"))
    metadata, _ = merge_cards(CARD, here, there)
    assert (metadata["pretty_name"], metadata["license"], metadata["language"]) == ("Ours", "mit", "en")
    assert metadata["tags"] == ["fgbg-depth", "synthetic", "here", "there"]


def test_a_tag_that_one_side_took_away_stays_away():
    metadata, _ = merge_cards(CARD, CARD, edited(("- synthetic\n", "")))
    assert metadata["tags"] == ["fgbg-depth"]


def test_a_key_that_both_changed_is_refused():
    here, there = edited(("pretty_name: A set", "pretty_name: Ours")), edited(("pretty_name: A set", "pretty_name: Theirs"))
    with pytest.raises(CardConflictError, match="both in the YAML key 'pretty_name'"):
        merge_cards(CARD, here, there)
    assert merge_cards(CARD, here, there, HUB)[0]["pretty_name"] == "Theirs"


def test_configs_of_others_stay_and_ours_come_from_here():
    there = edited(("  data_files: data/*.parquet\n", "  data_files: wrong\n- config_name: extra\n  data_files: extra/*.csv\n"))
    here = edited(("data/*.parquet", "data/*/*.parquet"))
    assert merge_cards(CARD, here, there)[0]["configs"] == [
        {"config_name": "default", "data_files": "data/*/*.parquet"},
        {"config_name": "extra", "data_files": "extra/*.csv"},
    ]


def test_a_card_without_any_mark_keeps_its_text():
    there = "---\nlicense: cc0-1.0\n---\n# All new\n\nWritten on the Hub.\n"
    text = merged(CARD, CARD, there)
    assert "Written on the Hub." in text and "10 rows" in text and "| a | 1 |" in text


def test_line_ends_of_windows_are_no_edit():
    assert merge_cards(CARD, CARD, CARD.replace("\n", "\r\n")) == split_card(CARD)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (edited(("<!-- fgbg-depth:end summary -->\n", "")), "inside of summary"),
        (edited(("pretty_name: A set", "pretty_name: [A")), "YAML block"),
    ],
)
def test_a_broken_card_on_the_hub_is_refused_but_can_be_replaced(broken, words):
    with pytest.raises(CardConflictError, match=words):
        merge_cards(CARD, CARD, broken)
    assert merged(CARD, CARD, broken, LOCAL) == CARD
