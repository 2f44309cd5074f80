"""The converter and the network at full size, against numbers measured with Keras.

A Keras file with all 42.8 million reference weights is written, converted by the command line and loaded as
users do. The photographs of the golden set are read from the shared folder.
"""

import filecmp
import json
import os
import shutil

import h5py
import numpy as np
import pytest
import torch
from conftest import SHARED
from densedepth import reference
from densedepth.command import command_line, convert_weights

from fgbg_depth.depth import DenseDepthForDepthEstimation, load_depth_estimator
from fgbg_depth.depth.convert import OUTPUT_FILES, convert_keras_weights, file_sha256
from fgbg_depth.depth.postprocess import raw_to_metres, resize_align_corners
from fgbg_depth.depth.pretrained import load_pretrained
from fgbg_depth.errors import StorageError, WeightsError

RELATIVE_TOLERANCE = 5e-5  # ten times the float noise between machines, a tenth of the smallest real mistake
NUM_VALUES = 42_816_089
FIRST_PHOTO, OTHER_PHOTO = "1_image.png", "377_image.png"  # of the four in the golden set

# Keras layer -> module of ours whose output it is.
TAPS = {
    "conv1/conv": "encoder.stem_conv",
    "conv1/bn": "encoder.stem_norm",
    "conv1/relu": "encoder.stem_relu",
    "pool1": "encoder.pool",
    "conv2_block6_concat": "encoder.blocks.0",
    "pool2_relu": "encoder.transitions.0.relu",
    "pool2_conv": "encoder.transitions.0.conv",
    "pool2_pool": "encoder.transitions.0",
    "conv3_block12_concat": "encoder.blocks.1",
    "pool3_pool": "encoder.transitions.1",
    "conv4_block32_concat": "encoder.blocks.2",
    "pool4_pool": "encoder.transitions.2",
    "conv5_block32_concat": "encoder.blocks.3",
    "bn": "encoder.norm",
    "relu": "encoder.relu",
    "conv2": "decoder.project",
    "conv3": "decoder.head",
}
for step in (1, 2, 3, 4):
    TAPS[f"up{step}_upsampling2d"] = f"decoder.steps.{step - 1}.upsample"
    TAPS[f"up{step}_convA"] = f"decoder.steps.{step - 1}.conv_a"
    TAPS[f"up{step}_convB"] = f"decoder.steps.{step - 1}.conv_b"
    TAPS[f"leaky_re_lu_{step}"] = f"decoder.steps.{step - 1}.activation_b"
# Outputs that are made inside a module: found at the input of the next one.
TAPS_AT_INPUT = {
    "conv2_block1_concat": "encoder.blocks.0.layers.1",
    "up1_concat": "decoder.steps.0.conv_a",
    "up4_concat": "decoder.steps.3.conv_a",
}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder for the big files, emptied afterwards."""
    folder = tmp_path_factory.mktemp("densedepth")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def nyu_folder(nyu_h5, work):
    done = command_line(nyu_h5, work / "nyu")
    assert (done.returncode, done.stderr) == (0, "")
    assert "variant   nyu, 42,816,089 values" in done.stdout
    return work / "nyu"


@pytest.fixture(scope="module")
def nyu(nyu_folder):
    return load_pretrained(nyu_folder, model_class=DenseDepthForDepthEstimation)


@pytest.fixture(scope="module")
def golden():
    with np.load(SHARED / "densedepth" / "golden_seed0.npz") as data:
        return {name: data[name] for name in data.files}


def run_raw(model, image):
    """(H, W, 3) uint8 to (H/2, W/2) float32."""
    pixel_values = torch.from_numpy(image.astype(np.float32) / np.float32(255)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        return model.raw(pixel_values)[0, 0].numpy()


def relative_error(found, expected):
    return float(np.max(np.abs(found / expected - 1)))


@pytest.fixture(scope="module")
def first_photo(nyu, golden):
    """(raw output, {name of a golden tensor: ours}) of the first photograph."""
    names = {name.split("/", 1)[1].rsplit("/", 1)[0] for name in golden if name.startswith("tap/")}
    assert names <= set(TAPS) | set(TAPS_AT_INPUT)
    found = {}

    def keep(name):
        return lambda module, inputs, output: found.__setitem__(name, output.clone())

    def keep_input(name):
        return lambda module, inputs: found.__setitem__(name, inputs[0].clone())

    hooks = [nyu.get_submodule(TAPS[name]).register_forward_hook(keep(name)) for name in names & set(TAPS)]
    hooks += [
        nyu.get_submodule(module).register_forward_pre_hook(keep_input(name))
        for name, module in TAPS_AT_INPUT.items()
    ]
    try:
        raw = run_raw(nyu, golden[f"input/224/{FIRST_PHOTO}"])
    finally:
        for hook in hooks:
            hook.remove()
    assert set(found) >= names
    return raw, {name: found[name] for name in sorted(names)}


def test_raw_output_of_a_random_picture(nyu):
    image, expected = reference.golden_random()["rand256x320"]
    raw = run_raw(nyu, image)
    assert raw.shape == expected.shape
    assert relative_error(raw, expected) < RELATIVE_TOLERANCE


@pytest.mark.parametrize("name", [FIRST_PHOTO, OTHER_PHOTO])
def test_raw_output_and_gray_levels_of_photographs(nyu, golden, first_photo, name):
    raw = first_photo[0] if name == FIRST_PHOTO else run_raw(nyu, golden[f"input/224/{name}"])
    assert relative_error(raw, golden[f"raw/224/{name}"]) < RELATIVE_TOLERANCE
    # As the original set stored it: metres, stretched to the map's own range, rounded half to even.
    metres = raw_to_metres(raw)
    stretched = (metres - metres.min()) / (metres - metres.min()).max()
    levels = np.rint(stretched * np.float32(255)).astype(int)
    off = np.abs(levels - golden[f"gray8/224/{name}"])
    assert off.max() <= 1
    assert np.mean(off > 0) < 0.002


def test_raw_output_at_the_trained_size(nyu, golden):
    raw = run_raw(nyu, golden["input/480/1_image.png"])
    assert raw.shape == (240, 320)
    assert relative_error(raw, golden["raw/480/1_image.png"]) < RELATIVE_TOLERANCE


def test_inner_tensors(golden, first_photo):
    assert len(first_photo[1]) > 20
    for name, found in first_photo[1].items():
        tensor = found[0].permute(1, 2, 0).numpy()
        assert tensor.shape == tuple(golden[f"tap/{name}/shape"]), name
        _, std = golden[f"tap/{name}/mean_std"]
        values = tensor[tuple(golden[f"tap/{name}/index_hwc"].T)]
        # Inner values pass through zero, so the error is measured against the tensor's spread.
        assert np.max(np.abs(values - golden[f"tap/{name}/value"])) < RELATIVE_TOLERANCE * std, name


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"activation_after_conv_a": True}, "variant/convA_leaky/224/1_image.png"),
        ({"upsampling": "half_pixel"}, "variant/half_pixel/224/1_image.png"),
    ],
    ids=["convA_leaky", "half_pixel"],
)
def test_variants(nyu_folder, work, golden, setting, expected):
    """The same tensors, used otherwise. How a file gets such settings: `test_variant_of_todays_code` and `test_convert_graph`."""
    folder = work / next(iter(setting))
    folder.mkdir()
    config = json.loads((nyu_folder / "config.json").read_text())
    assert config[next(iter(setting))] not in setting.values()
    (folder / "config.json").write_text(json.dumps({**config, **setting}))
    os.link(nyu_folder / "model.safetensors", folder / "model.safetensors")
    model = load_pretrained(folder, model_class=DenseDepthForDepthEstimation)
    raw = run_raw(model, golden["input/224/1_image.png"])
    assert relative_error(raw, golden[expected]) < RELATIVE_TOLERANCE


def test_variant_of_todays_code(work, golden):
    config = reference.model_config("convA_leaky")
    widths = {"conv2": 832, "up1": 416, "up2": 208, "up3": 104, "up4": 52}
    for layer in config["config"]["layers"]:
        name = layer["config"]["name"]
        if name == "conv2" or name.endswith(("_convA", "_convB")):
            layer["config"]["filters"] = widths[name.partition("_")[0]]
    source = work / "head.h5"
    reference.write_h5(source, config, decoder_width=832)
    report = convert_weights(source, work / "head", "--upsampling", "half_pixel")
    source.unlink()
    assert report["num_values"] == 21_523_805
    assert report["settings"]["decoder_width"] == 832
    words = ("decoder_width 832", "activation_after_conv_a True", "upsampling half_pixel")
    assert report["variant"].startswith("nyu with ") and all(word in report["variant"] for word in words)
    model = load_pretrained(work / "head", model_class=DenseDepthForDepthEstimation)
    raw = run_raw(model, golden["input/224/1_image.png"])
    expected = golden["variant/head_halfwidth_leaky_halfpixel/224/1_image.png"]
    assert relative_error(raw, expected) < RELATIVE_TOLERANCE


def test_folder_holds_what_a_user_needs(nyu_folder, nyu_h5):
    assert sorted(path.name for path in nyu_folder.iterdir()) == sorted(OUTPUT_FILES)
    card = (nyu_folder / "README.md").read_text()
    assert file_sha256(nyu_h5) in card
    assert "42,816,089" in card
    assert json.loads((nyu_folder / "config.json").read_text())["architectures"] == [
        "DenseDepthForDepthEstimation"
    ]
    assert not [path for path in nyu_folder.parent.iterdir() if path.name.startswith(".")]


def test_full_disk_leaves_nothing(nyu_h5, work, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fgbg_depth.depth.convert.save_file", full)
    with pytest.raises(StorageError, match="No space left"):
        convert_keras_weights(nyu_h5, work / "full_disk" / "out")
    assert list((work / "full_disk").iterdir()) == []


@pytest.mark.parametrize(
    ("tensor", "value", "message"),
    [
        ("conv4_block7_1_conv/kernel:0", np.nan, "conv4_block7_1_conv/kernel:0.*1 values of.*NaN"),
        ("up2_convB/bias:0", -np.inf, "up2_convB/bias:0.*NaN or infinite"),
        ("pool3_bn/moving_variance:0", -1.0, "pool3_bn/moving_variance:0.*negative variance"),
        ("conv3/bias:0", 3e38, "gives NaN or infinite values on a gray picture"),
    ],
)
def test_unsound_values_are_refused(nyu_h5, work, tensor, value, message):
    place = f"model_weights/{tensor.rsplit('/', 1)[0]}/{tensor}"
    with h5py.File(nyu_h5, "r+") as file:
        first = (0,) * file[place].ndim
        kept = file[place][first]
        file[place][first] = value
        if tensor == "conv3/bias:0":  # finite weights whose output overflows
            kept_kernel = file["model_weights/conv3/conv3/kernel:0"][()]
            file["model_weights/conv3/conv3/kernel:0"][...] = 1e38
    try:
        with pytest.raises(WeightsError, match=message):
            convert_weights(nyu_h5, work / "unsound")
    finally:
        with h5py.File(nyu_h5, "r+") as file:
            file[place][first] = kept
            if tensor == "conv3/bias:0":
                file["model_weights/conv3/conv3/kernel:0"][...] = kept_kernel
    assert not (work / "unsound").exists()
    assert not [path for path in work.iterdir() if path.name.startswith(".")]


def test_truncated_file_is_refused(nyu_h5, work):
    short = work / "short.h5"
    shutil.copyfile(nyu_h5, short)
    os.truncate(short, nyu_h5.stat().st_size - 1000)
    with pytest.raises(WeightsError, match="truncated or damaged"):
        convert_weights(short, work / "short")
    short.unlink()


def test_estimator_with_given_weights(nyu_folder, golden):
    estimator = load_depth_estimator(
        "densedepth-nyu", weights=nyu_folder, input_size=(224, 224), batch_size=1
    )
    assert (estimator.name, estimator.kind) == ("densedepth-nyu", "metric")
    assert estimator.describe()["num_values"] == NUM_VALUES
    image = golden["input/224/1_image.png"]
    expected = resize_align_corners(raw_to_metres(golden["raw/224/1_image.png"]), (224, 224))
    assert relative_error(estimator.predict(image[None])[0], expected) < RELATIVE_TOLERANCE


def test_keras_file_in_the_cache_is_converted_once(nyu_h5, nyu_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("FGBG_DEPTH_WEIGHTS", raising=False)
    cache = tmp_path / "fgbg_depth"
    cache.mkdir()
    (cache / "nyu.h5").symlink_to(nyu_h5)
    monkeypatch.setattr("fgbg_depth.depth.load._start_engine", lambda *_: 1)  # what is loaded runs in other tests
    first = load_depth_estimator("densedepth-nyu")
    assert first.input_size == (480, 640)
    (converted,) = (cache / "converted").iterdir()
    # Another conversion of the same file gives the same bytes.
    assert filecmp.cmpfiles(converted, nyu_folder, OUTPUT_FILES, shallow=False)[0] == list(OUTPUT_FILES)
    written = (converted / "model.safetensors").stat().st_mtime_ns
    # The same file by its own name, which is not "nyu" by that: found in the cache by its hash.
    second = load_depth_estimator(nyu_h5)
    assert (converted / "model.safetensors").stat().st_mtime_ns == written
    assert (first.name, second.name) == ("densedepth-nyu", "nyu.h5")
    assert first.weights_digest == second.weights_digest
