"""Samples, joint transforms, batches and normalisation, on rows of real small sets."""

import io
import math

import numpy as np
import pytest
import small_sets
import streams
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from fgbg_depth import depth_to_metres, load_stats
from fgbg_depth.errors import CodecError, DataError, UsageError
from fgbg_depth.training import Collate, Decode, Depth, JointTransform, Mask, Normalise, SmoothDepth, decode_picture, open_rows, to_metres
from fgbg_depth.training.samples import sample_of

SIDE = small_sets.IMAGE_SIZE_PX
PICTURES = ("image", "mask", "depth")


@pytest.fixture(scope="module", params=["relative8", "metric16"])
def rows(request):
    """Rows of a set with 8- or 16-bit depth, encoded."""
    return streams.stored_rows(small_sets.small_set(request.param))


def by_pillow(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def grid_sample(height=60, width=80, key="grid"):
    """A sample whose values say where they come from: red is the column, green the row, depth has both."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([x, y, x * 0], -1).astype(np.uint8)
    depth = (256 * y + x).astype(np.uint16)
    return sample_of({"key": key, "image": image, "mask": np.where(x < width // 2, 255, 0).astype(np.uint8), "depth": depth})


# Pictures.


def test_decoded_pixels_are_pillows(rows):
    for row in rows:
        for name in PICTURES:
            ours, wanted = decode_picture(row[name], name == "image"), by_pillow(row[name]["bytes"])
            assert ours.dtype == wanted.dtype and np.array_equal(ours, wanted)


def test_pictures_come_in_every_form(rows, tmp_path):
    data = rows[0]["image"]["bytes"]
    (tmp_path / "x.jpg").write_bytes(data)
    wanted = by_pillow(data)
    for form in (data, memoryview(data), Image.open(io.BytesIO(data)), wanted, {"bytes": None, "path": str(tmp_path / "x.jpg")}):
        assert np.array_equal(decode_picture(form, True), wanted)


@pytest.mark.parametrize(
    ("value", "is_color", "message"),
    [
        ({"bytes": b"", "path": None}, True, "empty"),
        ({"bytes": None, "path": None}, True, "missing"),
        (None, False, "missing"),
        ({"bytes": None, "path": "/nowhere/x.png"}, True, "can't be read"),
        (b"no picture at all", True, "can't be decoded"),
        (np.zeros((4, 4), np.uint8), True, r"expected \(H, W, 3\)"),
        (np.zeros((4, 4, 3), np.uint8), False, r"expected \(H, W\)"),
        (np.zeros((4, 4), np.float32), False, "float32"),
    ],
)
def test_what_is_no_picture_is_refused(value, is_color, message):
    with pytest.raises(CodecError, match=message):
        decode_picture(value, is_color)


# The joint transform.


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.sampled_from([(24, 32), (57, 41), (90, 120)]),
    crop=st.sampled_from([None, "random", "center", "resized"]),
)
def test_image_mask_and_depth_stay_in_place(seed, size, crop):
    if crop in ("random", "center"):
        size = (24, 32)
    moved = JointTransform(size, crop, scale=(0.2, 1.0), jitter=None, seed=seed)(grid_sample())
    levels = moved["depth"][0]
    y, x = levels // 256, levels % 256
    assert levels.shape == size and moved["image"].shape == (3, *size)
    step = max(60 / size[0], 80 / size[1], 1)  # a pixel of the result, in pixels of the source
    inner = (slice(2, -2), slice(2, -2))  # at the border the picture's end holds values back
    for found, wanted in ((moved["image"][0], x), (moved["image"][1], y)):
        off = (found.to(torch.float32) - wanted)[inner]
        assert off.abs().max() <= step + 1
        assert abs(off.mean()) < 0.3 * step  # not half a pixel aside
    assert torch.equal(moved["mask"][0] == 255, x < 40)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(8, 130))
def test_no_level_is_made_up(seed, size):
    sample = grid_sample()
    sample["depth"] = Depth(sample["depth"] * 5)  # up to 75,000 / 5: holes between the levels show any mixture
    moved = JointTransform(size, "resized", scale=(0.1, 1.0), seed=seed)(sample)
    assert set(moved["depth"].unique().tolist()) <= set(sample["depth"].unique().tolist())
    assert set(moved["mask"].unique().tolist()) <= {0, 255}
    assert moved["depth"].dtype == torch.int32 and isinstance(moved["depth"], Depth)


@pytest.mark.parametrize("size", [(30, 40), (17, 29), (100, 133)])
def test_nearest_is_pillows_nearest(rows, size):
    moved = JointTransform.for_validation(size)(sample_of(rows[0]))
    # A centre that falls right between two pixels may go to either.
    clear = np.ix_(*[[i for i in range(count) if (2 * i + 1) * SIDE % (2 * count)] for count in size])
    for name in ("mask", "depth"):
        wanted = Image.open(io.BytesIO(rows[0][name]["bytes"])).resize(size[::-1], Image.Resampling.NEAREST)
        assert np.array_equal(moved[name][0].numpy()[clear], np.asarray(wanted)[clear])


def test_colours_change_the_image_alone(rows):
    sample = sample_of(rows[0])
    moved = JointTransform(flip=0.0, jitter=(0.5, 0.5, 0.5, 0.1))(sample)
    assert not torch.equal(moved["image"], sample["image"]) and moved["image"].dtype == torch.uint8
    assert torch.equal(moved["mask"], sample["mask"]) and torch.equal(moved["depth"], sample["depth"])


def test_flips_are_flips(rows):
    sample = sample_of(rows[0])
    moved = JointTransform(flip=1.0, jitter=None)(sample)
    for name in PICTURES:
        assert np.array_equal(moved[name].numpy(), np.flip(sample[name].numpy(), -1))


def test_bilinear_depth_is_a_part_of_the_range_and_keeps_a_plane(rows):
    sample = grid_sample()
    moved = JointTransform((30, 40), flip=0.0, jitter=None, depth_interpolation="bilinear")(sample)
    assert isinstance(moved["depth"], SmoothDepth) and moved["depth"].dtype == torch.float32
    y, x = np.mgrid[:30, :40] * 2 + 0.5
    inner = (slice(1, -1), slice(1, -1))
    assert np.allclose((moved["depth"][0].numpy() * 65535)[inner], (256 * y + x)[inner], atol=0.1)
    assert set(moved["mask"].unique().tolist()) == {0, 255}
    cut = JointTransform(20, "resized", depth_interpolation="bilinear")(sample_of(rows[0]))["depth"]
    assert cut.shape == (1, 20, 20) and 0 <= cut.min() < cut.max() <= 1


def test_steps_of_ones_own(rows):
    sample = sample_of(rows[0])
    turned = JointTransform(steps=[v2.RandomRotation((90, 90)), v2.ColorJitter(0.3)], seed=3)(sample)
    assert type(turned["mask"]) is Mask and type(turned["depth"]) is Depth and type(turned["image"]) is tv_tensors.Image
    for name in ("mask", "depth"):
        assert np.array_equal(turned[name][0].numpy(), np.rot90(sample[name][0].numpy()))


def test_chance_belongs_to_row_epoch_and_seed(rows):
    def look(row, seed=0, epoch=0, torch_seed=0):
        transform = JointTransform(32, "resized", seed=seed)
        transform.set_epoch(epoch)
        torch.manual_seed(torch_seed)
        picture = transform(sample_of(row))["image"]
        return picture.numpy().tobytes(), torch.rand(1).item()

    first, after = look(rows[0])
    assert look(rows[0], torch_seed=5)[0] == first
    torch.manual_seed(0)
    assert after == torch.rand(1).item()  # torch's own generator is left as it was
    assert len({look(rows[0], seed, epoch)[0] for seed in (0, 1) for epoch in (0, 1, 2)}) == 6
    assert len({(look(row)[0], index) for index, row in enumerate(rows)}) == len(rows)


def test_columns_that_became_untrue_are_left_out(rows):
    moved = JointTransform(32)(sample_of(rows[0]))
    assert set(rows[0]) - set(moved) == {"bbox", "placement_box", "mask_area"}
    assert moved["key"] == rows[0]["key"] and moved["depth_max_m"] == rows[0]["depth_max_m"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"crop": "nonsense", "size": 8}, "expected one of None, 'center'"),
        ({"crop": "random"}, "needs a size"),
        ({"flip": 2}, "a probability"),
        ({"depth_interpolation": "cubic"}, "'nearest' or 'bilinear'"),
    ],
)
def test_impossible_transforms_are_refused(words, message):
    with pytest.raises(UsageError, match=message):
        JointTransform(**words)


def test_a_cut_larger_than_the_picture_names_the_row(rows):
    with pytest.raises(UsageError, match=rows[0]["key"]):
        JointTransform(SIDE + 1, "random")(sample_of(rows[0]))


# Batches.


def test_batches_are_the_same_from_rows_pictures_and_samples(rows):
    rows = rows[:4]
    pictures = [{**row, **{name: Image.open(io.BytesIO(row[name]["bytes"])) for name in PICTURES}} for row in rows]
    batches = [Collate()(rows), Collate()(pictures), Collate()([Decode()(row) for row in rows])]
    depth_type = torch.uint16 if by_pillow(rows[0]["depth"]["bytes"]).dtype == np.uint16 else torch.uint8
    for batch in batches:
        assert batch["key"] == [row["key"] for row in rows] and batch["bbox"][1] == rows[1]["bbox"]
        assert batch["image"].shape == (4, 3, SIDE, SIDE) and batch["image"].is_contiguous(memory_format=torch.channels_last)
        assert batch["mask"].shape == batch["depth"].shape == (4, 1, SIDE, SIDE)
        assert (batch["image"].dtype, batch["mask"].dtype, batch["depth"].dtype) == (torch.uint8, torch.uint8, depth_type)
        assert type(batch["depth"]) is torch.Tensor
        for place, row in enumerate(rows):
            assert np.array_equal(batch["image"][place].permute(1, 2, 0).numpy(), by_pillow(row["image"]["bytes"]))
            assert all(np.array_equal(batch[name][place, 0].numpy(), by_pillow(row[name]["bytes"])) for name in ("mask", "depth"))


def test_a_transform_in_collate_is_that_of_the_samples(rows):
    transform = JointTransform(24, "resized", seed=4)
    batch, samples = Collate(transform)(rows[:3]), [Decode(transform)(row) for row in rows[:3]]
    for name in PICTURES:
        assert all(torch.equal(batch[name][place].to(torch.int32), sample[name].to(torch.int32)) for place, sample in enumerate(samples))


def test_pictures_of_two_sizes_are_no_batch(rows):
    other = {**rows[1], "mask": np.zeros((8, 8), np.uint8)}
    with pytest.raises(UsageError, match=r"mask: .* can't lie in one batch"):
        Collate()([rows[0], other])
    with pytest.raises(UsageError, match=r"mask: .* can't lie in one batch"):
        Collate()([Decode()(rows[0]), Decode()(other)])


# Floats.


@pytest.mark.parametrize("name", ["relative8", "metric16", "plain"])
def test_a_normalised_set_has_mean_0_and_deviation_1(name):
    folder = small_sets.small_set(name)
    batch = Normalise.of_set(folder)(Collate()(streams.stored_rows(folder)))
    flat = batch["image"].double().permute(1, 0, 2, 3).reshape(3, -1)
    assert flat.mean(1).abs().max() < 1e-5 and (flat.std(1, correction=0) - 1).abs().max() < 1e-5
    assert batch["mask"].mean().item() == pytest.approx(load_stats(folder)["mask"]["mean"], abs=1e-6)
    assert set(batch["mask"].unique().tolist()) == {0.0, 1.0} and batch["image"].dtype == batch["mask"].dtype == torch.float32


def test_normalise_is_torchvisions(rows):
    batch = Collate()(rows[:2])
    stats = load_stats(small_sets.small_set("relative8"))["image"]
    normalise = Normalise(stats["mean"], stats["std"])
    done = normalise(batch)
    wanted = v2.functional.normalize(v2.functional.to_dtype(batch["image"], torch.float32, scale=True), stats["mean"], stats["std"])
    assert torch.allclose(done["image"], wanted, atol=1e-6)
    assert torch.allclose(normalise.image_of(done["image"]) * 255, batch["image"].to(torch.float32), atol=1e-3)


def test_metres_are_those_of_depth_to_metres(rows):
    batch = Normalise([0.5] * 3, [0.5] * 3, depth="metres")(Collate()(rows[:3]))
    for place, row in enumerate(rows[:3]):
        wanted = depth_to_metres(by_pillow(row["depth"]["bytes"]), row["depth_min_m"], row["depth_max_m"])
        assert np.allclose(batch["depth"][place, 0].numpy(), wanted, rtol=1e-6, atol=1e-6)
    relative = Normalise([0.5] * 3, [0.5] * 3)(Collate()(rows[:3]))["depth"]
    assert relative.dtype == torch.float32 and relative.min() >= 0 and relative.max() <= 1
    smooth = Collate(JointTransform(depth_interpolation="bilinear", flip=0.0))(rows[:3])
    assert torch.allclose(Normalise([0.5] * 3, [0.5] * 3, depth="metres")(smooth)["depth"], batch["depth"], atol=1e-5)
    assert "depth" not in Normalise([0.5] * 3, [0.5] * 3, depth=None)(Collate()(rows[:3]))


def test_depth_without_metres_stays_relative():
    batch = Collate()(streams.stored_rows(small_sets.small_set("unscaled"))[:2])
    assert all(map(math.isnan, batch["depth_min_m"]))
    relative = Normalise([0.5] * 3, [0.5] * 3)(batch)["depth"]
    assert 0 <= relative.min() < relative.max() <= 1
    with pytest.raises(CodecError, match="train with depth='relative'"):
        Normalise([0.5] * 3, [0.5] * 3, depth="metres")(batch)
    del batch["depth_max_m"]
    with pytest.raises(DataError, match="need the column depth_max_m"):
        Normalise([0.5] * 3, [0.5] * 3, depth="metres")(batch)


def test_to_metres_of_one_map_and_of_many():
    levels = torch.tensor([[[0, 51, 255]]], dtype=torch.uint8)
    assert to_metres(levels, 1.0, 6.0).tolist() == [[[1.0, 2.0, 6.0]]]
    assert to_metres(torch.stack([levels, levels]), [1.0, 0.0], torch.tensor([6.0, 255.0]))[:, 0, 0].tolist() == [[1, 2, 6], [0, 51, 255]]
    assert to_metres(torch.tensor([[0, 1250]], dtype=torch.uint16), 0.0, 65.535)[0, 1] == pytest.approx(1.25)
    for low, high in ((None, 1.0), (0.0, None), (math.nan, 1.0)):
        with pytest.raises(CodecError, match="null"):
            to_metres(levels, low, high)
    with pytest.raises(UsageError, match="don't belong"):
        to_metres(torch.stack([levels, levels]), [1.0] * 3, [2.0] * 3)
    with pytest.raises(CodecError, match="int64"):
        to_metres(levels.long(), 0.0, 1.0)


def test_wrong_statistics_are_refused():
    for mean, std, depth in (([0.5], [0.5], None), ([0.5] * 3, [0.5, 0, 0.5], None), ([0.5] * 3, [0.5] * 3, "feet")):
        with pytest.raises(UsageError, match="expected"):
            Normalise(mean, std, depth)


# With the tools of datasets.


def test_decode_in_with_transform_set_transform_and_map(caches):
    folder = small_sets.small_set("relative8")
    transform = JointTransform(32, "resized", seed=1)
    wanted = {row["key"]: Decode(transform)(row) for row in streams.stored_rows(folder)}
    table = open_rows(folder)
    lazy = table.with_transform(Decode(transform))
    table.set_transform(Decode(transform))
    stream = open_rows(folder, streaming=True).map(Decode(transform))
    for rows in (lazy, table, stream):
        found = list(rows)
        assert [sample["key"] for sample in found] == list(wanted)
        for sample in found:
            assert all(torch.equal(sample[name], wanted[sample["key"]][name]) for name in PICTURES)


def test_open_rows_reads_what_training_takes(caches):
    for streaming in (False, True):
        rows = open_rows(small_sets.small_set("relative8"), streaming=streaming)
        assert list(next(iter(rows))) == ["key", "depth_min_m", "depth_max_m", "image", "mask", "depth"]
        assert isinstance(next(iter(rows))["image"]["bytes"], bytes)
        assert list(open_rows(small_sets.small_set("plain"), streaming=streaming).features) == ["key", "image", "mask"]
        with pytest.raises(UsageError, match="no column 'nonsense'; it has key"):
            open_rows(small_sets.small_set("plain"), streaming=streaming, columns=["key", "nonsense"])
        with pytest.raises(UsageError, match="trian"):
            open_rows(small_sets.small_set("plain"), "trian", streaming=streaming)
    with pytest.raises(UsageError, match="is for streams"):
        open_rows(small_sets.small_set("plain"), shuffle_seed=1)
    with pytest.raises(UsageError, match="can't be loaded"):
        open_rows("/nowhere/at/all")


# Without the extra.


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ImportError("No module named 'torchvision'", name="torchvision"), r"training needs torchvision.*fgbg-depth\[training\]"),
        (RuntimeError("operator torchvision::nms does not exist"), "install both from one index"),
    ],
)
def test_what_is_missing_is_named(monkeypatch, error, message):
    import importlib

    from fgbg_depth import training

    def fail(name):
        raise error

    monkeypatch.setattr(importlib, "import_module", fail)
    monkeypatch.delitem(vars(training), "JointTransform")
    with pytest.raises(training.MissingDependencyError, match=message) as caught:
        training.JointTransform  # noqa: B018
    assert isinstance(caught.value, ImportError)


def test_all_names_of_the_package_are_there():
    from fgbg_depth import training

    assert all(getattr(training, name) is not None for name in training.__all__)
    assert sorted(training.__all__) == training.__all__ and {*training._MODULES, "MissingDependencyError"} == set(training.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        training.nonsense  # noqa: B018


def test_batches_without_a_transform_need_no_torchvision():
    import subprocess
    import sys

    code = "import sys; from fgbg_depth.training import Collate, Loader, Normalise, open_rows; print('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
