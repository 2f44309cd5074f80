"""The training example on a tiny set: it learns, writes its files, resumes exactly, and stays a file that can be read."""

import json
import sys

import pytest
import small_sets
import torch
from conftest import ROOT
from PIL import Image
from safetensors.torch import load_file

sys.path[:0] = [str(ROOT / "scripts")]

import train_example  # noqa: E402

WORDS = ("--batch-size", "2", "--size", "32", "--workers", "0", "--lr", "0.01")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(monkeypatch, caches):
    """Call the script's main with some words."""

    def call(*words, folder=None):
        folder = folder or small_sets.small_set("relative8")
        monkeypatch.setattr(sys, "argv", ["train_example.py", str(folder), *WORDS, *map(str, words)])
        return train_example.main()

    return call


def result(folder):
    facts = json.loads((folder / "checkpoint.json").read_text())
    return facts["curve"], load_file(folder / facts["tensors"])


def test_it_learns_and_writes_its_files(run, tmp_path, capsys):
    words = ("--epochs", 30, "--look-every", 12, "--batch-size", 4, "--size", small_sets.IMAGE_SIZE_PX, "--lr", 0.003)
    assert run("--out", tmp_path, *words) == 0
    curve, tensors = result(tmp_path)
    assert len(curve) == 30 and curve[-1]["loss"] < 0.7 * curve[0]["loss"]
    looks = {number: point for number, point in enumerate(curve, 1) if "iou" in point}
    assert list(looks) == [12, 24, 30] and all(0 <= point[name] <= 1 for point in looks.values() for name in ("iou", "delta1"))
    assert any(name.startswith("optimizer.") for name in tensors)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-0030.safetensors", "checkpoint.json", "curve.png"]
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.size == (900, 320) and len(picture.convert("RGB").getcolors(1 << 20)) > 50
    printed = capsys.readouterr().out
    assert f"mask IoU {curve[-1]['iou']:.3f}, depth delta1 {curve[-1]['delta1']:.3f}" in printed


class Stopped(Exception):
    pass


@pytest.mark.parametrize("streaming", [(), ("--streaming",)])
def test_a_resume_gives_the_same_weights(run, tmp_path, monkeypatch, streaming):
    words = (*streaming, "--epochs", 3)
    assert run("--out", tmp_path / "whole", *words) == 0

    save = train_example.save

    def save_and_stop(*args):
        save(*args)
        raise Stopped

    monkeypatch.setattr(train_example, "save", save_and_stop)
    with pytest.raises(Stopped):
        run("--out", tmp_path / "parts", *words)
    monkeypatch.setattr(train_example, "save", save)
    assert len(result(tmp_path / "parts")[0]) == 1
    assert run("--out", tmp_path / "parts", *words, "--resume") == 0

    (curve, tensors), (wanted_curve, wanted) = result(tmp_path / "parts"), result(tmp_path / "whole")
    assert curve == wanted_curve
    assert set(tensors) == set(wanted) and all(torch.equal(tensors[name], wanted[name]) for name in wanted)


def test_scores_of_known_maps():
    class Known(torch.nn.Module):
        def forward(self, _):
            logits = torch.tensor([[[[1.0, 1.0, -1.0, -1.0]]]])
            return logits, torch.tensor([[[[1.0, 1.2, 1.3, 1.0]]]])

    batch = {"image": None, "mask": torch.tensor([[[[1.0, 0.0, 1.0, 0.0]]]]), "depth": torch.tensor([[[[1.0, 1.0, 1.0, 1.3]]]])}
    assert train_example.evaluate(Known(), [batch], lambda b: b) == {"iou": 1 / 3, "delta1": 0.5}


def test_wrong_use_is_told(run, tmp_path, capsys):
    for words, folder, message in (
        (("--resume",), None, "nothing to resume"),
        (("--size", 8), None, "expected at least 32, 1 and 1"),
        (("--size", 96), None, "can't be cut out"),
        (("--batch-size", 64), None, "fewer rows in train than a batch"),
        ((), "/nowhere/at/all", "neither a folder nor a repo id"),
        ((), small_sets.small_set("unscaled"), "metres were never known"),
    ):
        assert run("--out", tmp_path / "x", "--epochs", 1, *words, folder=folder) in (1, 2)
        assert message in capsys.readouterr().err


def test_it_stays_a_file_that_can_be_read():
    assert len((ROOT / "scripts" / "train_example.py").read_text(encoding="utf-8").splitlines()) < 200
