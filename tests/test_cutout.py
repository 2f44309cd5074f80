"""`fgbg-depth cutout`: a model whose mask is known gives that mask, soft at the photo's own size; what can't be used is named."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from picture_files import encode, exif
from PIL import Image
from real_runs import call
from segmentation_models import STRENGTH, save_config_only, save_depth_model, save_mask2former, save_red_finder

from fgbg_depth.assets.scan import scan_assets
from fgbg_depth.cutouts import matte
from fgbg_depth.cutouts import model as cutout_model
from fgbg_depth.cutouts.model import Segmenter
from fgbg_depth.cutouts.run import CutoutOptions, make_cutouts
from fgbg_depth.errors import CutoutModelError, UsageError

GREEN, RED = (30, 160, 60), (200, 40, 50)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    save_red_finder(folder / "red")
    save_mask2former(folder / "queries")
    yield folder
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def red(models):
    return Segmenter(models / "red", ("person",))


def photo(boxes, width=192, height=128):
    """Green with red boxes (left, top, right, bottom)."""
    rgb = np.full((height, width, 3), GREEN, np.uint8)
    for left, top, right, bottom in boxes:
        rgb[top:bottom, left:right] = RED
    return rgb


BOX = (48, 32, 144, 96)  # on the grid of the model: 4 of its pixels are 12 x 8 of the photo
BOX_AREA = (BOX[2] - BOX[0]) * (BOX[3] - BOX[1])
ROUNDED = 4 * 6 * 4  # pixels at the corners that smooth interpolation may round off: half a cell each


def save(path, rgb, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path, **options)
    return path


def rgba(path):
    image = Image.open(path)
    assert image.mode == "RGBA" and image.format == "PNG"
    return np.asarray(image)


def table(folder):
    with open(folder / "SOURCES.csv", newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


# --- arithmetic ---


def test_alpha_is_soft_and_reaches_both_ends():
    alpha = matte.alpha_of(np.array([[-100, -4, 0, 4, 100]], np.float32))
    assert alpha.tolist()[0] == [0, 0, pytest.approx(0.5), 1, 1]
    steps = matte.alpha_of(np.linspace(-3, 3, 50, dtype=np.float32)[None])
    assert (np.diff(steps[0]) >= 0).all() and len(np.unique(steps)) > 40


def test_edge_colours_lose_the_background():
    """A red disc with a soft edge was photographed before green: the estimate is red again, the photo isn't."""
    y, x = np.mgrid[0:200, 0:240]
    alpha = np.clip((60 - np.hypot(x - 120, y - 100)) / 12 + 0.5, 0, 1).astype(np.float32)
    mixed = np.rint(alpha[..., None] * np.array(RED) + (1 - alpha[..., None]) * np.array(GREEN)).astype(np.uint8)
    cleaned = matte.clean_colours(mixed, alpha).astype(int)
    edge = (alpha > 0.2) & (alpha < 1)
    assert np.abs(mixed[edge].astype(int) - RED).max() > 80
    assert np.abs(cleaned[edge] - RED).max() <= 6
    assert (cleaned[alpha == 0] == 0).all() and np.array_equal(cleaned[alpha == 1], mixed[alpha == 1])


def test_largest_piece_and_why_nothing():
    alpha = np.zeros((40, 60), np.float32)
    alpha[5:10, 5:10], alpha[20:35, 20:50] = 1, 0.9
    assert np.array_equal(matte.largest_piece(alpha) > 0, np.pad(np.ones((15, 30), bool), ((20, 5), (20, 10))))
    assert matte.why_nothing(alpha) == ""
    assert "nothing was found" in matte.why_nothing(alpha * 0.4)
    assert "all of the photo" in matte.why_nothing(np.full((9, 9), 0.9, np.float32))


def test_a_cut_is_trimmed_with_its_margin():
    rgb, alpha = photo([]), np.zeros((128, 192), np.float32)
    alpha[3:60, 50:100] = 1
    assert matte.cut(rgb, alpha, margin_px=5).shape == (3 + 57 + 5, 5 + 50 + 5, 4)  # the photo ends 3 pixels above
    assert matte.cut(rgb, alpha, keep_size=True).shape == (128, 192, 4)


def test_log_odds_of_classes_and_queries_by_hand():
    logits = torch.tensor([1.0, 3.0, -2.0])[:, None, None]
    p = torch.softmax(torch.tensor([1.0, 3.0, -2.0]), 0)
    assert cutout_model._odds_of_classes(logits, (0, 2)).item() == pytest.approx(torch.logit(p[0] + p[2]).item(), abs=1e-5)
    assert cutout_model._odds_of_classes(torch.full((1, 1, 1), 0.7), (0,)).item() == pytest.approx(0.7)
    classes, masks = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 5.0]]), torch.tensor([1.0, 4.0])[:, None, None]
    q = torch.softmax(classes, -1)[:, 0] * torch.sigmoid(masks[:, 0, 0])
    assert cutout_model._odds_of_queries(classes, masks, (0,)).item() == pytest.approx(torch.logit(q.sum()).item(), abs=1e-5)


# --- the model with the known mask ---


def test_the_mask_is_the_known_one(red):
    odds = red.log_odds(photo([BOX]))
    assert odds.shape == (128, 192)
    inside = np.zeros((128, 192), bool)
    inside[BOX[1] : BOX[3], BOX[0] : BOX[2]] = True
    corners = np.zeros_like(inside)
    for x in (BOX[0], BOX[2]):
        for y in (BOX[1], BOX[3]):
            corners[y - 4 : y + 4, x - 6 : x + 6] = True
    assert np.array_equal((odds > 0)[~corners], inside[~corners])
    assert odds[64, 96] == pytest.approx(STRENGTH - np.log(1 + np.exp(-STRENGTH)), abs=0.02)
    edge = odds[64, 36:60]
    assert (np.diff(edge) >= 0).all() and len(np.unique(edge.round(3))) > 10  # a ramp over a cell of 12 pixels, no blocks


def test_a_photo_becomes_a_cutout_that_can_be_used(red, tmp_path):
    save(tmp_path / "photos" / "a.png", photo([BOX]))
    report = make_cutouts([tmp_path / "photos"], tmp_path / "out", lambda: red)
    assert (report.made, report.kept, report.failed) == (1, 0, ())
    cut = rgba(tmp_path / "out" / "a.png")
    core = cut[cut[..., 3] == 255][:, :3].astype(int)
    assert np.abs(core - RED).max() <= 3
    soft = (cut[..., 3] > 60) & (cut[..., 3] < 255)
    assert soft.sum() > 100
    width, height = BOX[2] - BOX[0], BOX[3] - BOX[1]
    assert BOX_AREA - ROUNDED <= (cut[..., 3] >= 128).sum() <= BOX_AREA
    assert height < cut.shape[0] <= height + 16 and width < cut.shape[1] <= width + 24
    assert len(scan_assets(tmp_path / "out", "foreground").assets) == 1


def test_orientation_comes_first(red, tmp_path):
    upright = photo([(12, 32, 60, 120)])  # to the left
    for name, options in (("plain", {}), ("turned", {"exif": exif(orientation=6)})):
        stored = np.ascontiguousarray(np.rot90(upright)) if options else upright  # orientation 6: shown turned by 90 degrees clockwise
        save(tmp_path / "photos" / f"{name}.png", stored, **options)
    make_cutouts([tmp_path / "photos"], tmp_path / "out", lambda: red, CutoutOptions(keep_size=True))
    plain, turned = (rgba(tmp_path / "out" / f"{name}.png") for name in ("plain", "turned"))
    assert plain.shape == (128, 192, 4) and np.array_equal(plain, turned)


def test_largest_and_labels(red, models, tmp_path):
    two = photo([(12, 16, 48, 64), (96, 32, 180, 120)])
    save(tmp_path / "two.png", two)
    make_cutouts([tmp_path / "two.png"], tmp_path / "both", lambda: red, CutoutOptions(keep_size=True))
    make_cutouts([tmp_path / "two.png"], tmp_path / "one", lambda: red, CutoutOptions(keep_size=True, largest=True))
    both, one = (rgba(tmp_path / name / "two.png")[..., 3] for name in ("both", "one"))
    assert both[40, 30] == one[80, 140] == 255 and one[40, 30] == 0
    walls = Segmenter(models / "red", ("WALL",))
    assert np.array_equal(walls.log_odds(two) > 0, ~(red.log_odds(two) > 0))
    more = Segmenter(models / "red", ("individual", "sky"))
    assert more.chosen == (1, 2)
    wrong = {(): "say which to cut out with --label", ("dog",): "no label 'dog'", ("wall", "sky", "person"): "All labels"}
    for labels, words in wrong.items():
        with pytest.raises(UsageError, match=words):
            Segmenter(models / "red", labels)


def test_a_model_of_one_thing_needs_no_label(tmp_path):
    two = Segmenter(save_red_finder(tmp_path / "two", ("background", "foreground")))
    assert two.chosen == (1,)
    assert BOX_AREA - ROUNDED <= (two.log_odds(photo([BOX])) > 0).sum() <= BOX_AREA


def test_queries_give_the_masks_of_the_model(models):
    """Every query is a cat: log-odds are those of the sum of the masks, and the padded part is left out."""
    model = Segmenter(models / "queries", ("cat",))
    rgb = photo([BOX], width=160, height=100)
    inputs = model._prepared(rgb)
    with torch.inference_mode():
        masks = model._model(**inputs).masks_queries_logits[0].sigmoid().sum(0).clamp(1e-6, 1 - 1e-6)
    found = torch.from_numpy(model.log_odds(rgb))
    assert found.shape == (100, 160)
    expected = torch.nn.functional.interpolate(torch.logit(masks)[None, None], (100, 160), mode="bilinear")[0, 0]
    assert torch.allclose(found, expected, atol=1e-3)
    assert (Segmenter(models / "queries", ("dog",)).log_odds(rgb) < -5).all()


def test_padding_is_cut_off():
    scores = torch.arange(16.0).reshape(1, 1, 4, 4)
    mask = torch.zeros(1, 64, 64)
    mask[:, :48, :32] = 1
    assert torch.equal(cutout_model._without_padding(scores, mask), scores[..., :3, :2])
    assert cutout_model._without_padding(scores, None) is scores


# --- models that can't be used ---


def test_other_models_are_refused_with_a_reason(models, tmp_path):
    save_depth_model(tmp_path / "depth")
    save_config_only(tmp_path / "text", model_type="bert", architectures=["BertForMaskedLM"])
    auto_map = {"AutoConfig": "birefnet.Config", "AutoModelForImageSegmentation": "birefnet.BiRefNet"}
    save_config_only(tmp_path / "code", model_type="birefnet", architectures=["BiRefNet"], auto_map=auto_map)
    for name in ("pickled", "lacking", "processorless"):
        shutil.copytree(models / "red", tmp_path / name)
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    (tmp_path / "processorless" / "preprocessor_config.json").unlink()
    from safetensors.torch import load_file, save_file

    tensors = load_file(tmp_path / "lacking" / "model.safetensors")
    save_file({n: t for n, t in tensors.items() if "classifier" not in n}, tmp_path / "lacking" / "model.safetensors", {"format": "pt"})
    (tmp_path / "empty").mkdir()
    for name, words in {
        "depth": "no segmentation model: its config.json names GLPNForDepthEstimation",
        "text": "no segmentation model: its config.json names BertForMaskedLM",
        "code": "needs Python code from its repo",
        "pickled": "safetensors",
        "lacking": "tensors are missing",
        "processorless": "image processor",
        "empty": "holds no model",
        "nowhere": "no such folder",
    }.items():
        with pytest.raises(CutoutModelError, match=words):
            Segmenter(str(tmp_path / name), ("person",))


# --- the command ---


def test_the_command_carries_sources_over_and_goes_on(models, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    save(photos / "a.jpg", photo([BOX]), quality=95)
    save(photos / "sub" / "b.png", photo([(24, 24, 84, 104)]))
    save(photos / "none.png", photo([]))
    (photos / "broken.jpg").write_bytes(b"words")
    single = save(tmp_path / "other" / "c.png", photo([(60, 40, 120, 104)]))
    (photos / "SOURCES.csv").write_text("file,licence,author,source,group,url\na.jpg,CC-BY-4.0,Ann,page,g,https://x.org/a\nsub/b.png,CC0-1.0,,,,\n")
    (single.parent / "SOURCES.csv").write_text("file,licence\nc.png,MIT\n")
    words = ("cutout", photos, single, out, "--model", models / "red", "--label", "person", "--quiet")
    ended = call(*words, "--json")
    assert ended.code == 1, ended.err
    result = json.loads(ended.out)
    assert (result["made"], result["kept"]) == (3, 0)
    failed = {one["photo"]: one["reason"] for one in result["failed"]}
    assert set(failed) == {str(photos / "none.png"), str(photos / "broken.jpg")}
    assert "nothing was found" in failed[str(photos / "none.png")] and "not a picture" in failed[str(photos / "broken.jpg")]
    rows = table(out)
    assert list(rows) == ["a.png", "sub/b.png", "c.png"]
    assert (rows["a.png"]["licence"], rows["a.png"]["author"], rows["a.png"]["group"]) == ("CC-BY-4.0", "Ann", "g")
    assert (rows["a.png"]["cut_from"], rows["a.png"]["cut_by"], rows["a.png"]["cut_label"]) == ("a.jpg", "red", "person, individual")
    assert rows["c.png"]["licence"] == "MIT"
    asset = next(asset for asset in scan_assets(out, "foreground").assets if asset.file == "a.png")
    assert (asset.licence, asset.author, asset.source, asset.url) == ("CC-BY-4.0", "Ann", "page", "https://x.org/a")
    before = {name: (out / name).stat().st_mtime_ns for name in [*rows, "SOURCES.csv"]}
    (photos / "none.png").unlink()
    (photos / "broken.jpg").unlink()
    ended = call(*words)
    assert ended.code == 0 and "0 cut-outs made" in ended.out and "3 were there" in ended.out
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before
    (out / "c.png").write_bytes(encode(np.full((4, 4, 4), 9, np.uint8), "PNG"))
    assert call(*words, "--overwrite").code == 0
    assert rgba(out / "c.png").shape[0] > 60
    assert table(out) == rows


def test_wrong_use(models, tmp_path):
    save(tmp_path / "photos" / "a.jpg", photo([BOX]))
    save(tmp_path / "photos" / "a.png", photo([BOX]))
    model = ("--model", models / "red", "--label", "person")
    for words, expected in {
        (tmp_path / "photos", tmp_path / "out"): "would both become a.png",
        (tmp_path / "missing", tmp_path / "out"): "isn't there",
        (tmp_path / "photos" / "a.jpg", tmp_path / "out", "--margin", "-1"): "margin_px is -1",
        (tmp_path / "photos", tmp_path / "photos" / "out"): "choose another folder",
        (tmp_path / "photos" / "a.png", tmp_path / "photos"): "replaced by its own cut-out",
        (tmp_path / "photos" / "a.jpg", tmp_path / "out", "--device", "warp"): "can't be used",
    }.items():
        ended = call("cutout", *words, *model)
        assert ended.code == 2 and expected in ended.err, (words, ended.err)
    ended = call("cutout", tmp_path / "photos" / "a.jpg", tmp_path / "out", "--model", tmp_path / "no" / "such")
    assert ended.code == 1 and "no such folder" in ended.err
