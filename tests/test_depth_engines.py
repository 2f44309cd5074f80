"""Engines and precisions: what can be chosen, what `auto` becomes, how far each is from fp32 torch, and running out of memory."""

import numpy as np
import pytest
import torch
from conftest import SHARED
from densedepth import tiny

from fgbg_depth.depth import DenseDepthForDepthEstimation, engines, load_depth_estimator, torch_engine
from fgbg_depth.depth.engines import choose
from fgbg_depth.depth.openvino_engine import OpenVinoRunner
from fgbg_depth.depth.pretrained import load_pretrained
from fgbg_depth.depth.torch_engine import CPU_BATCH, LARGEST_BATCH, TorchRunner, find_batch_size
from fgbg_depth.errors import DepthModelError, UsageError

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")
PHOTOS = ("1_image.png", "11_image.png", "119_image.png", "377_image.png")
LEVELS = 255


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.save_densedepth(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def photos():
    with np.load(SHARED / "densedepth" / "golden_seed0.npz") as golden:
        return np.stack([golden[f"input/224/{name}"] for name in PHOTOS])


@pytest.fixture(scope="module")
def fp32_torch(photos):
    return load_depth_estimator("densedepth-mini", batch_size=4).predict(photos)


def level_errors(found, expected):
    """Difference in gray levels of maps that are stretched to their own range, as `relative8` stores them."""

    def stretched(depth):
        low = depth.min(axis=(1, 2), keepdims=True)
        return (depth - low) / (depth.max(axis=(1, 2), keepdims=True) - low) * LEVELS

    return np.abs(stretched(found) - stretched(expected))


# Parity


@pytest.mark.parametrize(
    ("engine", "precision", "mean", "most", "metres"),
    [
        ("torch", "bf16", 1.0, 9, 0.03),
        ("openvino", "fp32", 1e-3, 0.05, 1e-4),
        ("openvino", "bf16", 1.0, 9, 0.03),
    ],
)
def test_difference_from_fp32_torch(photos, fp32_torch, engine, precision, mean, most, metres):
    estimator = load_depth_estimator("densedepth-mini", batch_size=4, engine=engine, precision=precision, num_threads=1)
    assert (estimator.engine, estimator.precision) == (engine, precision)
    depth = estimator.predict(photos)
    errors = level_errors(depth, fp32_torch)
    assert errors.mean() <= mean and errors.max() <= most
    assert np.mean(np.abs(depth - fp32_torch)) <= metres
    if precision == "bf16":
        assert errors.max() > 0.05  # it did run in 16 bits
    np.testing.assert_array_equal(estimator.predict(photos), depth)


@pytest.mark.parametrize("settings", [{}, {"upsampling": "half_pixel", "activation_after_conv_a": True, "encoder_relu": False}])
@pytest.mark.parametrize("size", [(64, 64), (64, 96)])
def test_openvino_graph_is_the_network(tmp_path, settings, size):
    folder = tiny.save_densedepth(tmp_path / "model", **settings)
    images = np.random.default_rng(0).integers(0, 256, (5, *size, 3), dtype=np.uint8)
    expected = load_depth_estimator(folder, input_size=size, batch_size=5).predict(images)
    found = load_depth_estimator(folder, input_size=size, batch_size=5, engine="openvino").predict(images)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_bits_depend_on_the_picture_and_its_place_only(folder, engine):
    """A batch that isn't full, and other pictures beside it, change nothing."""
    images = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    estimator = load_depth_estimator(folder, batch_size=6, engine=engine)
    whole = estimator.predict(images)
    np.testing.assert_array_equal(estimator.predict(images[:2]), whole[:2])
    others = images.copy()
    others[1:] = 255 - others[1:]
    np.testing.assert_array_equal(estimator.predict(others)[0], whole[0])


def test_openvino_that_differs_from_torch_is_found_before_the_work(folder):
    """Its relu turns NaN into 0, so a network that overflows would give maps that look sound."""
    model = load_pretrained(folder, model_class=DenseDepthForDepthEstimation)
    with torch.no_grad():
        model.encoder.stem_conv.weight.fill_(3e38)  # infinite sums, and NaN behind the norm
    with pytest.raises(DepthModelError, match=r"OpenVINO in fp32 differs from torch.*use the engine 'torch'"):
        OpenVinoRunner(model, (64, 64), "fp32", 2)


def test_other_models_run_in_bf16_on_torch(tmp_path):
    folder = tiny.save_dpt(tmp_path / "dpt")
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    exact = load_depth_estimator(folder, batch_size=2).predict(images)
    half = load_depth_estimator(folder, batch_size=2, precision="bf16").predict(images)
    assert 0 < np.max(np.abs(half - exact)) < 0.1 * np.ptp(exact) + 1e-2
    assert load_depth_estimator(folder, engine="auto", batch_size=None).batch_size == CPU_BATCH
    with pytest.raises(UsageError, match=r"'openvino' runs DenseDepth networks only. Use the engine 'torch'"):
        load_depth_estimator(folder, engine="openvino")


# Choosing


@pytest.mark.parametrize(
    ("engine", "precision", "device", "message"),
    [
        ("torch", "fp16", CPU, r"'fp16' isn't possible with the engine 'torch' on cpu. Expected one of: fp32, bf16"),
        ("torch", "int8", CPU, r"precision 'int8' is unknown. Expected one of: auto, fp32, bf16, fp16"),
        ("openvino", "fp16", CPU, r"'fp16' isn't possible.*Expected one of: fp32, bf16"),
        ("torch", "bf16", MPS, r"'bf16' isn't possible.*on mps. Expected one of: fp32, fp16"),
        ("openvino", "fp32", CUDA, r"'openvino' doesn't run on cuda. Use the engine 'torch', or the device cpu"),
        ("onnx", "fp32", CPU, r"engine 'onnx' is unknown. Expected one of: auto, torch, openvino"),
        ("torch", "fp64", CPU, r"precision 'fp64' is unknown. Expected one of: auto, fp32"),
    ],
)
def test_what_does_not_go_together_says_what_does(engine, precision, device, message):
    with pytest.raises(UsageError, match=message) as caught:
        choose(engine, precision, device)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("words", "device", "densedepth", "bf16", "openvino", "expected"),
    [
        (("torch", "fp32"), CPU, True, True, True, ("torch", "fp32")),
        (("auto", "fp32"), CPU, True, True, True, ("torch", "fp32")),
        (("auto", "auto"), CPU, True, True, True, ("openvino", "bf16")),
        (("auto", "auto"), CPU, True, True, False, ("torch", "bf16")),
        (("auto", "auto"), CPU, True, False, True, ("torch", "fp32")),
        (("auto", "auto"), CPU, False, True, True, ("torch", "bf16")),
        (("torch", "auto"), CPU, True, False, True, ("torch", "fp32")),
        (("openvino", "auto"), CPU, True, True, True, ("openvino", "bf16")),
        (("auto", "fp16"), MPS, True, True, True, ("torch", "fp16")),
        (("auto", "auto"), MPS, True, True, True, ("torch", "fp16")),
    ],
)
def test_what_auto_becomes(monkeypatch, words, device, densedepth, bf16, openvino, expected):
    monkeypatch.setattr(engines, "has_fast_bf16", lambda: bf16)
    monkeypatch.setattr(engines, "has_openvino", lambda: openvino)
    choice = choose(*words, device, densedepth)
    assert (choice.engine, choice.precision) == expected
    assert (choice.reason == "as asked for") == ("auto" not in words)
    assert choice.reason == choose(*words, device, densedepth).reason


@pytest.mark.parametrize(("supported", "expected"), [(True, "bf16"), (False, "fp16")])
def test_what_auto_becomes_on_cuda(monkeypatch, supported, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    choice = choose("auto", "auto", CUDA)
    assert (choice.engine, choice.precision) == ("torch", expected)


def test_missing_engine_says_what_to_install(monkeypatch, folder):
    monkeypatch.setattr(engines, "has_openvino", lambda: False)
    with pytest.raises(DepthModelError, match=r'pip install "fgbg-depth\[openvino\]"') as caught:
        load_depth_estimator(folder, engine="openvino")
    assert isinstance(caught.value, ImportError) and caught.value.name == "openvino"


def test_choice_is_described(folder):
    described = load_depth_estimator(folder, batch_size="auto", engine="auto", precision="fp32").describe()
    assert (described["engine"], described["precision"], described["batch_size"]) == ("torch", "fp32", CPU_BATCH)
    assert described["engine_reason"] == "torch: quickest in fp32"


# Memory


def fails_above(limit, error=torch.OutOfMemoryError):
    tried = []

    def run(count):
        tried.append(count)
        if count > limit:
            raise error("CUDA out of memory. Tried to allocate 2.00 GiB") if error is not ValueError else ValueError("no")

    return tried, run


@pytest.mark.parametrize(("limit", "expected"), [(8, 4), (100, 32), (7, 4), (1, 1), (10**6, LARGEST_BATCH)])
def test_batch_size_is_found_with_room_to_spare(limit, expected):
    tried, run = fails_above(limit)
    assert find_batch_size(run, MPS) == expected
    assert max(tried) <= LARGEST_BATCH and len(tried) == len(set(tried))
    again, run = fails_above(limit, RuntimeError)
    assert find_batch_size(run, MPS) == expected and again == tried


def test_batch_size_search_ends():
    with pytest.raises(DepthModelError, match=r"can't take a single picture on mps.*use the device cpu"):
        find_batch_size(fails_above(0)[1], MPS)
    with pytest.raises(ValueError, match="no"):  # another error is no lack of memory
        find_batch_size(fails_above(0, ValueError)[1], MPS)
    tried, run = fails_above(0)
    assert find_batch_size(run, CPU) == CPU_BATCH and tried == []


def test_out_of_memory_later_says_what_to_do(folder, monkeypatch):
    estimator = load_depth_estimator(folder, batch_size=3)

    def full(batch):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(estimator._network.run, "_raw", full)
    with pytest.raises(DepthModelError, match=r"can't take 3 pictures at a time.*finished shards are kept.*smaller depth_batch"):
        estimator.predict(np.zeros((1, 64, 64, 3), np.uint8))

    def broken(batch):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(estimator._network.run, "_raw", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        estimator.predict(np.zeros((1, 64, 64, 3), np.uint8))


def test_batch_search_runs_the_real_network(folder, monkeypatch):
    """As on a GPU whose memory holds 20 pictures: the search goes through the runner and its explained errors."""
    runner = TorchRunner(load_pretrained(folder, model_class=DenseDepthForDepthEstimation), (64, 64), CPU, "fp32")
    inner = runner._raw

    def limited(batch):
        if len(batch) > 20:
            raise torch.OutOfMemoryError("out of memory")
        return inner(batch)

    monkeypatch.setattr(runner, "_raw", limited)
    assert find_batch_size(lambda count: runner(np.zeros((count, 3, 64, 64), np.float32)), MPS) == 8
    assert torch_engine.is_out_of_memory(RuntimeError("MPS backend out of memory"))
    assert not torch_engine.is_out_of_memory(RuntimeError("size mismatch"))
