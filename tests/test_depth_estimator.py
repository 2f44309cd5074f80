"""The estimator: batches, bits, units, sizes, bad output."""

import pickle

import numpy as np
import pytest
import torch
from densedepth import tiny

from fgbg_depth.depth import DenseDepthForDepthEstimation, DepthEstimator, load_depth_estimator
from fgbg_depth.depth.estimator import BadDepthError
from fgbg_depth.depth.image_processing import to_pixel_values
from fgbg_depth.depth.networks import OUTPUTS, output_of
from fgbg_depth.depth.postprocess import raw_to_metres, resize_align_corners
from fgbg_depth.depth.pretrained import load_pretrained
from fgbg_depth.errors import DepthModelError, UsageError

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.save_densedepth(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def estimator(folder):
    return load_depth_estimator(folder, batch_size=3)


class FakeNetwork:
    """Notes the batches it is given; the map of a picture is its mean, NaN for a black one."""

    output, input_size, min_depth_m, max_depth_m = "metric-depth", (8, 8), 0.1, 10.0

    def __init__(self):
        self.batches, self.threads = [], []

    def __call__(self, images):
        self.batches.append(images.copy())
        self.threads.append(torch.get_num_threads())
        means = images.mean(axis=(1, 2, 3)).astype(np.float32)
        means[means == 0] = np.nan
        return np.broadcast_to(means[:, None, None], images.shape[:3]).copy()


def fake(**arguments):
    network = FakeNetwork()
    return network, DepthEstimator(network, "fake", "0" * 64, {}, **arguments)


def levels(*values):
    """Pictures of one level each, (N, 8, 8, 3)."""
    return np.broadcast_to(np.uint8(values)[:, None, None, None], (len(values), 8, 8, 3))


def test_metres_equal_the_plain_path(folder, estimator):
    model = load_pretrained(folder, model_class=DenseDepthForDepthEstimation)
    pixel_values = torch.from_numpy(np.stack([to_pixel_values(image, (64, 64)) for image in IMAGES]))
    with torch.inference_mode():
        raw = model.raw(pixel_values)[:, 0].numpy()
    depth = estimator.predict(IMAGES)
    assert (depth.shape, depth.dtype) == (IMAGES.shape[:3], np.float32)
    np.testing.assert_allclose(depth, resize_align_corners(raw_to_metres(raw), (64, 64)), rtol=1e-4)
    assert len(np.unique(depth)) > 1000


def test_bits_depend_on_the_picture_and_its_place_only(folder, estimator):
    depth = estimator.predict(IMAGES)
    np.testing.assert_array_equal(estimator.predict(IMAGES), depth)
    np.testing.assert_array_equal(load_depth_estimator(folder, batch_size=3).predict(IMAGES), depth)
    np.testing.assert_array_equal(estimator.predict(IMAGES[:5]), depth[:5])  # another last batch
    np.testing.assert_array_equal(estimator.predict_batch(IMAGES[3:6]), depth[3:6])
    np.testing.assert_array_equal(estimator.predict_batch(IMAGES[6:]), depth[6:])


def test_batches_are_full_and_in_order():
    network, estimator = fake(batch_size=3)
    depth = estimator.predict(levels(1, 2, 3, 4))
    assert depth[:, 0, 0].tolist() == [1, 2, 3, 4]
    assert [batch[:, 0, 0, 0].tolist() for batch in network.batches] == [[1, 2, 3], [4, 4, 4]]
    assert estimator.predict(levels()).shape == (0, 8, 8)
    assert estimator.predict_batch(levels()).shape == (0, 8, 8)
    assert len(network.batches) == 2
    with pytest.raises(UsageError, match=r"batch of 4 pictures\. Expected at most 3"):
        estimator.predict_batch(levels(1, 2, 3, 4))


def test_bad_depth_is_named_by_its_position():
    _, estimator = fake(batch_size=2)
    with pytest.raises(
        BadDepthError, match=r"'fake' gave NaN or infinite depth for picture 1, 4 of 5"
    ) as caught:
        estimator.predict(levels(9, 0, 7, 8, 0))
    assert caught.value.indices == [1, 4]
    assert caught.value.depth[[0, 2, 3], 0, 0].tolist() == [9, 7, 8]
    assert isinstance(caught.value, DepthModelError)
    with pytest.raises(BadDepthError) as caught:
        estimator.predict_batch(levels(9, 0))
    assert caught.value.indices == [1]
    again = pickle.loads(pickle.dumps(caught.value))  # as a worker process hands it over
    assert (str(again), again.indices) == (str(caught.value), [1])


def test_infinite_output_of_the_network_is_bad_depth(folder):
    """Clipping would turn an infinite raw value into a near wall."""
    estimator = load_depth_estimator(folder, batch_size=1)
    run = estimator._network.run
    estimator._network.run = lambda pixel_values: run(pixel_values) + np.float32(np.inf)
    with pytest.raises(BadDepthError):
        estimator.predict(IMAGES[:1])


@pytest.mark.parametrize(
    "images",
    [
        IMAGES[0],
        IMAGES[..., :2],
        IMAGES.astype(np.float32),
        IMAGES[:, :0],
        np.moveaxis(IMAGES, -1, 1),
    ],
)
def test_wrong_arrays_are_refused(estimator, images):
    with pytest.raises(UsageError, match=r"Expected \(N, H, W, 3\) uint8 RGB"):
        estimator.predict(images)


def test_pictures_are_resized_to_the_networks_size(folder):
    estimator = load_depth_estimator(folder, batch_size=2, input_size=(96, 32))
    assert estimator.input_size == (96, 32)
    images = np.random.default_rng(1).integers(0, 256, (2, 50, 70, 3), np.uint8)
    model = load_pretrained(folder, model_class=DenseDepthForDepthEstimation)
    with torch.inference_mode():
        raw = model.raw(torch.from_numpy(np.stack([to_pixel_values(image, (96, 32)) for image in images])))[
            :, 0
        ]
    expected = resize_align_corners(raw_to_metres(raw.numpy()), (50, 70))
    np.testing.assert_allclose(estimator.predict(images), expected, rtol=1e-4)


def test_thread_count_is_set_for_the_run_and_put_back():
    before = torch.get_num_threads()
    network, estimator = fake(batch_size=1, num_threads=before + 1)
    estimator.predict(levels(1))
    assert network.threads == [before + 1]
    assert torch.get_num_threads() == before
    with pytest.raises(BadDepthError):
        estimator.predict(levels(0))
    assert torch.get_num_threads() == before


def test_description(estimator, folder):
    described = estimator.describe()
    assert described == {
        "name": "tiny",
        "architecture": "DenseDepthForDepthEstimation",
        "num_values": described["num_values"],
        "repo_id": None,
        "revision": None,
        "kind": "metric",
        "output": "metric-depth",
        "input_size": [64, 64],
        "min_depth_m": 0.1,
        "max_depth_m": 10.0,
        "engine": "torch",
        "precision": "fp32",
        "engine_reason": "as asked for",
        "batch_size": 3,
        "device": "cpu",
        "num_threads": None,
        "weights_digest": estimator.weights_digest,
    }
    assert described["num_values"] > 1000
    assert str(folder) not in repr(estimator) + str(described)


# Models of transformers


def test_relative_inverse_depth_is_turned_round(tmp_path):
    """Depth-Anything: larger is nearer; the estimator's maps grow with distance."""
    folder = tiny.save_depth_anything(tmp_path / "relative")
    estimator = load_depth_estimator(folder, batch_size=2)
    assert (estimator.kind, estimator.min_depth_m, estimator.max_depth_m) == ("relative", None, None)
    assert estimator.input_size == (56, 56)
    depth = estimator.predict(IMAGES[:3])
    assert (depth.shape, depth.dtype) == ((3, 64, 64), np.float32)
    as_it_is = load_depth_estimator(folder, batch_size=2, output="relative-depth")
    np.testing.assert_array_equal(as_it_is.predict(IMAGES[:3]), -depth)
    assert as_it_is.kind == "relative"
    assert as_it_is.weights_digest != estimator.weights_digest
    assert depth.max() <= 0 and np.ptp(depth) > 1e-3


def test_metric_model_of_transformers(tmp_path):
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation

    folder = tiny.save_depth_anything(tmp_path / "metric", depth_estimation_type="metric", max_depth=20)
    estimator = load_depth_estimator(folder, batch_size=2)
    assert estimator.kind == "metric"
    depth = estimator.predict(IMAGES[:2])
    assert depth.min() >= 0 and depth.max() <= 21 and np.ptp(depth) > 1e-3
    # The same numbers as by the classes of transformers.
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    model = AutoModelForDepthEstimation.from_pretrained(folder)
    with torch.inference_mode():
        outputs = model(**processor(images=list(IMAGES[:2]), return_tensors="pt"))
    expected = processor.post_process_depth_estimation(outputs, target_sizes=[(64, 64)] * 2)
    for found, item in zip(depth, expected, strict=True):
        np.testing.assert_allclose(found, item["predicted_depth"].numpy(), rtol=1e-5)


def test_dpt(tmp_path):
    folder = tiny.save_dpt(tmp_path / "dpt")
    estimator = load_depth_estimator(folder, batch_size=2, input_size=(96, 96))
    assert (estimator.kind, estimator.input_size) == ("relative", (96, 96))
    depth = estimator.predict(IMAGES[:3])
    np.testing.assert_array_equal(estimator.predict(IMAGES[:3]), depth)
    assert depth.shape == (3, 64, 64)


def test_model_without_a_fixed_input_size(tmp_path):
    folder = tiny.save_glpn(tmp_path / "glpn")
    estimator = load_depth_estimator(folder, batch_size=2)
    assert (estimator.kind, estimator.input_size) == ("metric", None)
    assert estimator.describe()["input_size"] is None
    assert estimator.predict(IMAGES[:2]).shape == (2, 64, 64)
    with pytest.raises(UsageError, match="no fixed input size"):
        load_depth_estimator(folder, input_size=(64, 64))


class Config:
    def __init__(self, model_type, **more):
        self.model_type = model_type
        self.__dict__.update(more)


@pytest.mark.parametrize(
    ("config", "output"),
    [
        (Config("densedepth"), "metric-depth"),
        (Config("zoedepth"), "metric-depth"),
        (Config("glpn"), "metric-depth"),
        (Config("depth_pro"), "metric-depth"),
        (Config("dpt"), "relative-inverse"),
        (Config("dpt", backbone_config=Config("swinv2")), "relative-inverse"),
        (Config("depth_anything", depth_estimation_type="relative"), "relative-inverse"),
        (Config("depth_anything", depth_estimation_type="metric"), "metric-depth"),
    ],
)
def test_meaning_of_the_numbers(config, output):
    assert output_of(config) == output
    assert [output_of(config, override) for override in OUTPUTS] == list(OUTPUTS)


@pytest.mark.parametrize(
    "config", [Config("chmv2"), Config("dpt", backbone_config=Config("dinov2")), Config("new")]
)
def test_unknown_meaning_asks_for_a_word(config):
    with pytest.raises(
        DepthModelError, match=f"type '{config.model_type}' doesn't tell.*output=.*relative-inverse"
    ):
        output_of(config)
    assert output_of(config, "relative-depth") == "relative-depth"
    with pytest.raises(UsageError, match="'nonsense' is unknown"):
        output_of(config, "nonsense")
