"""The figures on the embedded model's card are those of the shipped weights; measured again on the held-out rooms."""

import re

import numpy as np
import pytest
import torch

from fgbg_depth.depth import DenseDepthForDepthEstimation
from fgbg_depth.depth.training.measure import load_backgrounds, measure_persons, measure_rooms, predict_m
from fgbg_depth.depth.training.metrics import ERROR_NAMES
from fgbg_depth.depth.training.mini import embedded_folder
from fgbg_depth.depth.training.paste import load_cutouts
from fgbg_depth.depth.training.rooms import SIDE_PX, load_rooms

TOLERANCE = 0.0015  # half a step of the card's three digits, and what another processor's rounding may move
EVERY_BACKGROUND = 10  # persons are measured on each tenth background here; the card has all


@pytest.fixture(scope="module")
def card():
    return (embedded_folder() / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def model():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield DenseDepthForDepthEstimation.from_pretrained(embedded_folder()).eval()
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def measured(model, shared):
    return measure_rooms(model, load_rooms(shared / "rooms" / "train", "test"))


def row(card, label):
    """The numbers of one table row of the card."""
    found = re.search(rf"^\| {label} \|(.*)\|$", card, re.MULTILINE)
    assert found, f"the card has no row {label!r}"
    return [float(cell) for cell in found[1].split("|")]


@pytest.mark.parametrize(("label", "kind"), [("metres", "plain"), ("median-aligned", "median_aligned")])
def test_card_quotes_the_measured_errors(card, measured, label, kind):
    assert row(card, label) == pytest.approx([measured[kind][name] for name in ERROR_NAMES], abs=TOLERANCE)
    assert f"{measured['views']} views of {measured['rooms']} rooms" in card


def test_errors_are_within_what_was_asked(measured):
    assert measured["plain"]["delta1"] >= 0.70
    assert measured["plain"]["abs_rel"] <= 0.19


def test_pasted_people_come_out_in_front(model, card, shared):
    backgrounds = load_backgrounds(shared / "assets" / "bg", SIDE_PX)[::EVERY_BACKGROUND]
    score = measure_persons(model, backgrounds, load_cutouts(shared / "assets" / "fg", held_out=True))
    assert score["composites"] >= 150
    assert score["before_wall"] >= 0.9
    [quoted] = row(card, "the background predicted at the same pixels")
    assert score["before_wall"] == pytest.approx(quoted, abs=0.06)  # a tenth of the composites


def test_mirrored_views_give_mirrored_maps(model, shared):
    """A check that needs no truth: a view and its mirror image are equally likely rooms."""
    images = load_rooms(shared / "rooms" / "train", "watch").images[::6]
    plain, mirrored = predict_m(model, images), predict_m(model, images[:, :, ::-1])[:, :, ::-1]
    assert np.median(np.abs(np.log(plain / mirrored))) < 0.1
