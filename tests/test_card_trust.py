"""What a card says of licences, people, and the error of the depth model: from the set's own files, and no more than they tell."""

import re
import shutil

import pytest
from conftest import ROOT
from small_sets import small_set

from fgbg_depth.asset_tables import Entry
from fgbg_depth.card.error import MINI_ERROR, MINI_WEIGHTS, error_words
from fgbg_depth.card.facts import read_facts
from fgbg_depth.card.merge import parts_of
from fgbg_depth.card.people import known_table, people_sentences
from fgbg_depth.card.terms import demands_of, terms_lines
from fgbg_depth.card.write import card_differences, read_card
from fgbg_depth.drop import drop_assets


def entries(*licences, foregrounds=("CC0-1.0",)):
    sides = {"background": licences, "foreground": foregrounds}
    return {kind: [Entry(None, "", text, "", "", "") for text in texts] for kind, texts in sides.items()}


# --- licences ---


@pytest.mark.parametrize(
    ("text", "demands"),
    [
        ("CC BY-NC-SA 4.0", {"by", "nc", "sa"}),
        ("cc-by-nd-4.0", {"by", "nd"}),
        ("CC BY 3.0 US", {"by"}),
        ("Creative Commons Attribution-NonCommercial 4.0", {"by", "nc"}),
        ("GPL-3.0", {"sa"}),
        ("ODbL", {"sa"}),
        ("CC0-1.0 (derived)", set()),
        ("MIT", set()),
        ("", set()),
    ],
)
def test_what_a_licence_asks_for(text, demands):
    assert demands_of(text) == demands


def test_one_licence_is_that_of_the_whole():
    lines = terms_lines(entries("CC0-1.0", "CC0-1.0"))
    assert lines == ["All pictures are under one licence, CC0-1.0, as their sources say; so is every row."]


def test_mixed_licences_are_bound_together():
    lines = terms_lines(entries("CC BY-SA 4.0", "CC BY-SA 4.0", "CC BY-NC 4.0", ""))
    text = "\n".join(lines)
    assert "its pictures name 3, and each row is bound by the terms of both" in lines[0]
    assert "**No licence is known** of 1 background. That is no permission" in text
    assert "**No commercial use**: asked for by CC BY-NC 4.0 (1 background)" in text
    assert "**Share alike**: asked for by CC BY-SA 4.0 (2 backgrounds)" in text
    assert "**Name the authors**: asked for by CC BY-NC 4.0 and CC BY-SA 4.0 (3 backgrounds)" in text
    assert "may not go together in one row" in text and "No changed copies" not in text
    assert not any("together" in line for line in terms_lines(entries("CC BY-SA 4.0")))
    assert terms_lines(entries("", foregrounds=("",))) == [
        "**No licence is known** of 1 background and 1 foreground. That is no permission: clear it before you share rows of them."
    ]


# --- the error of depth ---


def test_the_error_of_the_mini_model_is_that_of_its_own_card():
    from fgbg_depth.depth import load_depth_estimator

    card = (ROOT / "fgbg_depth/depth/weights/densedepth-mini/README.md").read_text(encoding="utf-8")
    delta1, _, _, abs_rel, rmse_m, log10 = map(float, re.search(r"\| metres \|(.*)\|", card)[1].split("|"))
    assert {"delta1": delta1, "abs_rel": abs_rel, "rmse_m": rmse_m, "log10": log10} == MINI_ERROR
    assert "188 views of 47 rooms (test)" in card
    facts = load_depth_estimator("densedepth-mini", num_threads=1).describe()
    assert facts["weights_digest"] == MINI_WEIGHTS
    assert "delta1 0.740" in error_words(facts) and "188 views of 47 rendered rooms" in error_words(facts)
    assert "isn't known" in error_words({**facts, "weights_digest": "0" * 64})  # others under the same name


def test_other_models():
    nyu = {"name": "densedepth-nyu", "architecture": "DenseDepthForDepthEstimation", "input_size": [224, 224]}
    words = error_words(nyu)
    assert "delta1 0.846" in words and "RMSE 0.465 m" in words and "sees 224 x 224 pixels" in words and "wasn't measured" in words
    assert "Here the network sees" not in error_words({**nyu, "input_size": [480, 640]})
    words = error_words({"name": "USER/model", "architecture": "DPTForDepthEstimation"})
    assert "Its error isn't known here" in words and not re.search(r"\d\.\d", words)
    assert "what made them isn't known" in error_words({"name": "imported", "kind": "relative"})


# --- the card ---


def test_the_card_tells_all_of_it():
    folder = small_set("relative8")
    parts = parts_of(read_card(folder / "README.md")[1])
    facts = read_facts(folder)
    assert all(line in parts["sources"] for line in terms_lines(facts.entries))
    assert known_table(facts.entries) in parts["people"] and "fgbg-depth drop-asset" in parts["people"]
    assert "| backgrounds | 3 | 3 | 3 | 3 |" in parts["people"]
    assert "taken out of this set" not in parts["people"]
    assert "delta1 0.740" in parts["limits"] and "densedepth-mini" in parts["limits"]
    assert "pseudo-label" not in parts_of(read_card(small_set("plain") / "README.md")[1])["limits"]


def test_what_was_taken_out_is_counted(tmp_path):
    folder = shutil.copytree(small_set("plain"), tmp_path / "set")
    drop_assets(folder, ["photo_hopper"], num_workers=1)
    assert any(text.startswith("1 picture was taken out of this set, with all rows of it") for text in people_sentences(read_facts(folder)))
    assert "1 picture was taken out" in parts_of(read_card(folder / "README.md")[1])["people"] and card_differences(folder) == []
    assert "photo_hopper" not in (folder / "README.md").read_text(encoding="utf-8")
