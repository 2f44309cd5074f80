"""The training loop and its scripts on a tiny network and a few drawn rooms: it learns, resumes exactly, writes a model that loads."""

import json
import math
import os
import runpy
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from fgbg_depth.depth import DenseDepthForDepthEstimation
from fgbg_depth.depth.training.loop import Settings, Trainer, learning_rate
from fgbg_depth.depth.training.measure import compose, load_backgrounds, measure_persons, measure_rooms, predict_m
from fgbg_depth.depth.training.mini import ARCHITECTURE, EMBEDDED_NAME, begin_with, check_target, embedded_folder, new_model, write_folder
from fgbg_depth.depth.training.paste import is_held_out
from fgbg_depth.depth.training.rooms import Rooms, split_of_room
from fgbg_depth.depth.training.sheet import sheet
from fgbg_depth.errors import DataError, UsageError

SIDE = 224
ROOT = Path(__file__).resolve().parents[1]
TINY = {
    "num_init_features": 8,
    "growth_rate": 4,
    "block_config": (1, 1, 1, 1),
    "decoder_width": 16,
    "decoder_channels": (8, 8, 4, 4),
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def drawn_room(seed):
    """Brightness tells depth: an easy world in which learning shows within seconds."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(1000, 6000, (4, 4)).astype(np.float32)
    depth = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    image = np.repeat((250 - depth / 30)[..., None], 3, axis=2)
    return image.astype(np.uint8), depth.astype(np.uint16)


def drawn_rooms(count=8):
    views = [drawn_room(i) for i in range(count)]
    return Rooms([f"{i:05d}_0" for i in range(count)], np.stack([v[0] for v in views]), np.stack([v[1] for v in views]))


def square_cutout(side=80):
    rgba = np.zeros((side, side // 2, 4), np.float32)
    rgba[...] = (0.9, 0.1, 0.1, 1.0)
    return [("square", rgba)]


def tiny_trainer(**changes):
    settings = {"steps": 10, "batch_size": 4, "warmup_steps": 3, "bfloat16": False, **changes}
    return Trainer(new_model(0, **TINY), new_model(1, **TINY), Settings(**settings))


def test_error_falls_on_an_easy_world():
    rooms = drawn_rooms()
    trainer = tiny_trainer(steps=60, peak_lr=5e-3, ema_decay=0.8)
    before = measure_rooms(trainer.average, rooms)["plain"]["abs_rel"]
    trainer.train(rooms, [], log=lambda line: None)
    after = measure_rooms(trainer.average, rooms)["plain"]["abs_rel"]
    assert trainer.step == 60
    assert after < 0.6 * before, (before, after)


def test_resumed_run_equals_an_unbroken_one(tmp_path):
    rooms, cutouts, path = drawn_rooms(), square_cutout(), tmp_path / "run.safetensors"
    whole = tiny_trainer()
    whole.train(rooms, cutouts, log=lambda line: None)
    first = tiny_trainer()
    first.train(rooms, cutouts, log=lambda line: None, stop_at=4)
    first.save(path)
    second = Trainer(new_model(5, **TINY), new_model(6, **TINY), first.settings)
    second.resume(path)
    assert second.step == 4
    second.train(rooms, cutouts, log=lambda line: None)
    for mine, other in ((whole.model, second.model), (whole.average, second.average)):
        for (name, a), b in zip(mine.state_dict().items(), other.state_dict().values(), strict=True):
            assert torch.equal(a, b), name
    assert any(not torch.equal(a, b) for a, b in zip(whole.model.parameters(), first.model.parameters(), strict=True))


def test_resume_refuses_what_does_not_fit(tmp_path):
    path = tmp_path / "run.safetensors"
    with pytest.raises(UsageError, match="no checkpoint"):
        tiny_trainer().resume(path)
    trainer = tiny_trainer()
    trainer.train(drawn_rooms(), [], log=lambda line: None, stop_at=1)
    trainer.save(path)
    with pytest.raises(UsageError, match="batch_size 4 -> 2"):
        tiny_trainer(batch_size=2).resume(path)
    wide = {**TINY, "growth_rate": 8}
    with pytest.raises(UsageError, match="another architecture"):
        Trainer(new_model(0, **wide), new_model(0, **wide), trainer.settings).resume(path)
    assert not list(tmp_path.glob("*.tmp"))


def test_run_by_minutes_becomes_a_run_by_steps():
    trainer = tiny_trainer(steps=None, minutes=1 / 60, fall_share=0.5)
    trainer.train(drawn_rooms(), [], log=lambda line: None)
    assert trainer.total == trainer.step > 1
    assert 0.4 < trainer.elapsed_s < 30


def test_learning_rate_warms_up_stays_and_falls_to_zero():
    s = Settings(steps=1000, warmup_steps=10, fall_share=0.6, peak_lr=1.0)
    rates = [learning_rate(step, 1000, s) for step in range(1000)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[400] == 1.0
    assert rates[700] == pytest.approx(0.5) and rates[999] < 1e-4
    assert all(a >= b for a, b in pairwise(rates[400:]))
    assert learning_rate(300, None, s) == rates[300]  # before the fall the total changes nothing


@pytest.mark.parametrize("bad", [{}, {"steps": 5, "minutes": 1.0}, {"steps": 0}, {"steps": 5, "batch_size": 1}])
def test_impossible_settings_are_refused(bad):
    with pytest.raises(UsageError):
        Settings(**bad)


def test_written_folder_loads_as_float32_and_is_rounded_kernels_only(tmp_path):
    model = new_model(3, **TINY).eval()
    (tmp_path / "README.md").write_text("kept")
    (tmp_path / "config.json").write_text("{}")
    write_folder(model, tmp_path)
    loaded = DenseDepthForDepthEstimation.from_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "kept"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["README.md", "config.json", "model.safetensors", "preprocessor_config.json"]
    for name, tensor in loaded.state_dict().items():
        mine = model.state_dict()[name]
        assert tensor.dtype == mine.dtype, name
        assert torch.equal(tensor, mine.half().float() if mine.ndim > 1 else mine), name
    images = drawn_rooms(2).images
    assert np.abs(predict_m(loaded.eval(), images) / predict_m(model, images) - 1).max() < 0.02


def test_a_run_can_begin_with_trained_weights(tmp_path):
    first, second = new_model(1, **TINY), new_model(2, **TINY)
    write_folder(first, tmp_path / "m")
    begin_with(second, tmp_path / "m")
    for (name, mine), theirs in zip(second.state_dict().items(), first.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs.half().to(theirs.dtype) if theirs.ndim > 1 else theirs, msg=name, rtol=0, atol=0)
    with pytest.raises(UsageError, match="another architecture"):
        begin_with(second, EMBEDDED_NAME)
    with pytest.raises(UsageError, match=r"no model\.safetensors"):
        begin_with(second, tmp_path)


def test_target_with_other_things_is_refused(tmp_path):
    check_target(tmp_path / "new")
    check_target(tmp_path)
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"no config\.json"):
        check_target(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        check_target(tmp_path / "holiday.jpg")


def test_equal_seeds_give_equal_weights():
    a, b, c = new_model(1, **TINY), new_model(1, **TINY), new_model(2, **TINY)
    assert torch.equal(a.decoder.head.weight, b.decoder.head.weight)
    assert not torch.equal(a.decoder.head.weight, c.decoder.head.weight)


class Oracle(torch.nn.Module):
    """Says 2 m where the picture is pure red, 4 m elsewhere: a perfect model for red persons."""

    def raw(self, pixels):
        red = (pixels[:, :1] > 0.6) & (pixels[:, 1:2] < 0.3)
        raw = torch.where(red, 5.0, 2.5)
        return torch.nn.functional.max_pool2d(raw, 2)

    def metres(self, raw):
        return 10.0 / raw


class Flat(Oracle):
    """Sees no person at all."""

    def raw(self, pixels):
        return torch.full((len(pixels), 1, SIDE // 2, SIDE // 2), 2.5)


def test_person_score_of_models_whose_answer_is_known():
    backgrounds = [(str(i), np.full((SIDE, SIDE, 3), 90 + 40 * i, np.uint8)) for i in range(3)]
    good = measure_persons(Oracle(), backgrounds, square_cutout())
    assert good["composites"] == 3 and good["before_wall"] == good["before_ring"] == good["both"] == 1.0
    assert good["median_ratio"] == pytest.approx(0.5)
    blind = measure_persons(Flat(), backgrounds, square_cutout())
    assert blind["before_wall"] == blind["before_ring"] == 0.0


def test_composites_repeat_and_lie_inside():
    background = np.full((SIDE, SIDE, 3), 60, np.uint8)
    rgba = square_cutout()[0][1]
    places = set()
    for seed in range(6):
        composite, mask = compose(background, rgba, np.random.default_rng(seed))
        again, _ = compose(background, rgba, np.random.default_rng(seed))
        assert np.array_equal(composite, again)
        assert mask.sum() == 70 * 35  # the box is 100 x 70 (w x h) and the cut-out twice as high as wide
        places.add(tuple(np.argwhere(mask)[0]))
    assert len(places) == 6


def test_sheet_shows_near_in_red_and_far_in_blue():
    depth = np.tile(np.linspace(1.0, 4.0, SIDE), (SIDE, 1))
    page = sheet(np.full((7, SIDE, SIDE, 3), 50, np.uint8), np.stack([depth] * 7))
    assert page.shape == (4 * SIDE, 6 * SIDE, 3) and (page[:SIDE] == 50).all() and (page[-1, -1] == 255).all()
    near, far = page[SIDE + 100, 5].astype(int), page[SIDE + 100, SIDE - 20].astype(int)
    assert near[0] > near[2] + 50 and far[2] > far[0] + 20
    assert sheet(np.zeros((1, 32, 32, 3), np.uint8), np.full((1, 32, 32), 2.0)).shape == (64, 192, 3)  # constant map


def test_backgrounds_folder_errors(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        load_backgrounds(tmp_path / "none", SIDE)
    with pytest.raises(UsageError, match="no JPEG"):
        load_backgrounds(tmp_path, SIDE)
    (tmp_path / "a.jpg").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"a\.jpg"):
        load_backgrounds(tmp_path, SIDE)


def write_world(folder):
    """A folder with rooms of every split, cut-outs of both parts, and two backgrounds."""
    for name in ("rooms", "fg", "bg"):
        (folder / name).mkdir()
    wanted = {"train": 4, "watch": 1, "test": 2}
    for number in range(500):
        split = split_of_room(f"{number:05d}")
        if wanted[split]:
            wanted[split] -= 1
            image, depth = drawn_room(number)
            cv2.imwrite(str(folder / "rooms" / f"{number:05d}_0.jpg"), image)
            cv2.imwrite(str(folder / "rooms" / f"{number:05d}_0.png"), depth)
    for held in (True, False):
        name = next(f"c{i}" for i in range(99) if is_held_out(f"c{i}") == held)
        cv2.imwrite(str(folder / "fg" / f"{name}.png"), (square_cutout()[0][1] * 255).astype(np.uint8))
    for i in range(2):
        cv2.imwrite(str(folder / "bg" / f"b{i}.jpg"), drawn_room(600 + i)[0])


def run_script(name, *arguments):
    """A script as a user starts it."""
    command = [sys.executable, str(ROOT / "scripts" / name), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def script_main(name):
    """The `main` of a script, in this process: starting torch anew for each bad flag would take seconds."""
    return runpy.run_path(str(ROOT / "scripts" / name))["main"]


def test_scripts_train_then_measure(tmp_path):
    write_world(tmp_path)
    data = ["--rooms", tmp_path / "rooms", "--foregrounds", tmp_path / "fg"]
    train = run_script("train_mini.py", *data, "--out", tmp_path / "out", "--steps", 2, "--batch-size", 2, "--threads", 1)
    assert train.returncode == 0, train.stderr
    assert "4 views to train on, 1 to watch, 1 cut-outs; 1.85 million values" in train.stderr
    assert "written after 2 steps" in train.stderr
    picture = tmp_path / "sheet.png"
    more = ["--backgrounds", tmp_path / "bg", "--picture", picture, "--json"]
    measure = run_script("eval_depth.py", "--model", tmp_path / "out", *data, *more)
    assert measure.returncode == 0, measure.stderr
    results = json.loads(measure.stdout)
    assert results["rooms"]["views"] == results["rooms"]["rooms"] == 2 and results["persons"]["composites"] == 2
    assert 0.0 <= results["rooms"]["plain"]["delta1"] <= 1.0 and math.isfinite(results["rooms"]["plain"]["abs_rel"])
    assert cv2.imread(str(picture)).shape == (2 * SIDE, 6 * SIDE, 3)


@pytest.mark.parametrize(
    ("script", "arguments", "words"),
    [
        ("train_mini.py", ["--rooms", "{}/none", "--foregrounds", "{}", "--out", "{}/o", "--steps", "1"], "no such folder"),
        ("train_mini.py", ["--rooms", "{}", "--foregrounds", "{}", "--out", "{}/o", "--steps", "1"], "NNNNN_V.jpg"),
        ("eval_depth.py", ["--model", "{}/none", "--rooms", "{}"], "no config.json"),
        ("eval_depth.py", ["--rooms", "{}", "--foregrounds", "{}"], "go together"),
    ],
)
def test_scripts_refuse_bad_folders_with_exit_code_2(tmp_path, capsys, script, arguments, words):
    assert script_main(script)([a.format(tmp_path) for a in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and words in error


def test_embedded_model_is_small_complete_and_of_this_architecture():
    folder = embedded_folder()
    assert sum(p.stat().st_size for p in folder.iterdir()) <= 4_000_000
    model = DenseDepthForDepthEstimation.from_pretrained(folder)
    assert model.dtype == torch.float32
    assert 1_000_000 <= sum(p.numel() for p in model.parameters()) <= 2_000_000
    for name, value in ARCHITECTURE.items():
        expected = [SIDE, SIDE] if name == "image_size" else value
        found = getattr(model.config, name)
        assert list(found) == list(expected) if isinstance(found, (list, tuple)) else found == expected, name
