"""Keras files that the converter refuses, on files without values (they are checked last), and wrong use of the command."""

import os
import shutil

import h5py
import numpy as np
import pytest
from densedepth import reference
from densedepth.command import NEVER_WRITTEN, command_line, convert_weights, refused

from fgbg_depth.depth.convert import OUTPUT_FILES, _move_into_place
from fgbg_depth.errors import UsageError


@pytest.fixture(scope="module")
def hollow(tmp_path_factory):
    path = tmp_path_factory.mktemp("hollow") / "nyu.h5"
    reference.write_h5(path, reference.model_config("nyu"), hollow=True)
    return path


@pytest.fixture
def h5(hollow, tmp_path):
    path = tmp_path / "in" / "nyu.h5"
    path.parent.mkdir()
    shutil.copyfile(hollow, path)
    return path


def test_a_file_with_everything_but_values(h5):
    refused(h5, f"conv1/conv/kernel:0.*{NEVER_WRITTEN}")


# --- not a Keras 2 file at all ---


def test_no_file(tmp_path):
    refused(tmp_path / "in" / "absent.h5", "no such file", error=UsageError)
    refused(tmp_path / "in", "no such file", error=UsageError)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"PK\x03\x04 and so on", "zip archive"),
        (b"\x80\x02}q\x00.", "pickle, which is never opened"),
        (
            b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
            "error message: the download failed",
        ),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git LFS pointer"),
        (b"\x00\x01\x02\x03", "something else"),
    ],
)
def test_no_hdf5(tmp_path, content, message):
    path = tmp_path / "in" / "nyu.h5"
    path.parent.mkdir()
    path.write_bytes(content)
    refused(path, f"not an HDF5 file but.*{message}.*Expected a Keras .h5")


@pytest.mark.parametrize("part", [0.001, 0.3, 0.99])
def test_truncated(h5, part):
    os.truncate(h5, int(h5.stat().st_size * part))
    refused(h5, "truncated or damaged")


def test_keras_3(h5):
    with h5py.File(h5, "r+") as file:
        file.attrs["keras_version"] = "3.4.1"
    refused(h5, "written by Keras 3.4.1.*Expected Keras 2")


def test_weights_without_a_network(h5):
    with h5py.File(h5, "r+") as file:
        file.move("model_weights", "elsewhere")
        file.attrs["layer_names"] = [b"conv1/conv"]
    refused(h5, r"weights without a network \(save_weights\)")


def test_no_model_config(h5):
    with h5py.File(h5, "r+") as file:
        del file.attrs["model_config"]
    refused(h5, "no model_config, so its activations can't be known")


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"config": {"layers": [3]}}', b'{"config": null}', b"\xff\xfe"])
def test_broken_model_config(h5, text):
    with h5py.File(h5, "r+") as file:
        file.attrs["model_config"] = np.void(text) if b"\xff" in text else text
    refused(h5, "model_config|damaged")


# --- pointing elsewhere ---


def test_soft_link(h5):
    with h5py.File(h5, "r+") as file:
        group = file["model_weights/conv3/conv3"]
        group.move("bias:0", "other")
        group["bias:0"] = h5py.SoftLink("/model_weights/conv3/conv3/other")
    refused(h5, "conv3/bias:0 is a SoftLink to '/model_weights/conv3/conv3/other'")


def test_external_link(h5, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.zeros(1, np.float32)
    with h5py.File(h5, "r+") as file:
        del file["model_weights/conv3/conv3/bias:0"]
        file["model_weights/conv3/conv3/bias:0"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/secret")
    refused(h5, r"conv3/bias:0 is a ExternalLink to '.*other\.h5:/secret'")


def test_model_weights_as_external_link(h5, tmp_path):
    shutil.copyfile(h5, tmp_path / "other.h5")
    with h5py.File(h5, "r+") as file:
        del file["model_weights"]
        file["model_weights"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/model_weights")
    refused(h5, "/model_weights is a ExternalLink")


def test_virtual_data_set(h5, tmp_path):
    layout = h5py.VirtualLayout(shape=(1,), dtype="<f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "secret", shape=(1,))
    with h5py.File(h5, "r+") as file:
        del file["model_weights/conv3/conv3/bias:0"]
        file["model_weights/conv3/conv3"].create_virtual_dataset("bias:0", layout)
    refused(h5, "conv3/conv3/bias:0' keeps its values in other files")


def test_external_storage(h5, tmp_path):
    (tmp_path / "secret.bin").write_bytes(bytes(4))
    with h5py.File(h5, "r+") as file:
        del file["model_weights/conv3/conv3/bias:0"]
        file["model_weights/conv3/conv3"].create_dataset("bias:0", shape=(1,), dtype="<f4", external=[(str(tmp_path / "secret.bin"), 0, 4)])
    refused(h5, "conv3/conv3/bias:0' keeps its values in other files")


def test_group_linked_into_itself(h5):
    with h5py.File(h5, "r+") as file:
        file["model_weights/conv3/again"] = file["model_weights/conv3"]
    refused(h5, "linked twice")


def test_endless_nesting(h5):
    with h5py.File(h5, "r+") as file:
        file.create_group("model_weights/" + "/".join("x" * 20))
    refused(h5, "nest deeper than")


def test_named_type(h5):
    with h5py.File(h5, "r+") as file:
        file["model_weights/kind"] = np.dtype("<f4")
    refused(h5, "'kind' is neither a group nor a tensor")


# --- tensors ---


def test_missing_tensor(h5):
    with h5py.File(h5, "r+") as file:
        del file["model_weights/conv4_block3_1_conv/conv4_block3_1_conv/kernel:0"]
    refused(h5, "conv4_block3_1_conv/kernel:0' of layer 'conv4_block3_1_conv' is missing")


def test_tensor_that_no_layer_lists(h5):
    with h5py.File(h5, "r+") as file:
        group = file["model_weights/conv3"]
        group.attrs["weight_names"] = [b"conv3/kernel:0"]
    refused(h5, "unknown tensor 'conv3/conv3/bias:0'")


def test_listed_tensor_too_few(h5):
    with h5py.File(h5, "r+") as file:
        group = file["model_weights/conv3"]
        group.attrs["weight_names"] = [b"conv3/kernel:0"]
        del group["conv3/bias:0"]
    refused(h5, "tensor 'conv3/bias:0' is missing")


def test_unknown_tensor_in_a_known_layer(h5):
    with h5py.File(h5, "r+") as file:
        group = file["model_weights/conv3"]
        group.attrs["weight_names"] = [b"conv3/kernel:0", b"conv3/bias:0", b"conv3/scale:0"]
        group.create_dataset("conv3/scale:0", shape=(1,), dtype="<f4")
    refused(h5, "unknown tensor 'conv3/scale:0'")


def test_tensor_in_the_group_of_another_layer(h5):
    with h5py.File(h5, "r+") as file:
        group = file["model_weights/conv3"]
        group.attrs["weight_names"] = [b"conv3/kernel:0", b"other/bias:0"]
        group.move("conv3/bias:0", "other/bias:0")
    refused(h5, "'other/bias:0' lies in the group of layer 'conv3'")


def test_unknown_group(h5):
    with h5py.File(h5, "r+") as file:
        file.create_group("model_weights/conv9")
    refused(h5, "unknown group 'conv9'")


def test_unknown_root_object(h5):
    with h5py.File(h5, "r+") as file:
        file.create_group("payload")
    refused(h5, "unknown object /payload")


def test_layer_without_its_group(h5):
    with h5py.File(h5, "r+") as file:
        del file["model_weights/pool2_pool"]
    refused(h5, "layer 'pool2_pool' is named but has no group")


@pytest.mark.parametrize("dtype", ["<f2", "<f8", "<i4", ">f4", "S4"])
def test_wrong_type(h5, dtype):
    with h5py.File(h5, "r+") as file:
        del file["model_weights/conv3/conv3/bias:0"]
        file["model_weights/conv3"].create_dataset("conv3/bias:0", shape=(1,), dtype=dtype)
    refused(h5, "tensor 'conv3/bias:0' has type .* Expected float32")


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("conv5_block2_1_bn/gamma:0", (127,), r"gamma:0' has shape \(127,\), expected \(128,\)"),
        ("up1_convA/kernel:0", (3, 3, 832, 1920), "up1_convA/kernel:0' has shape"),  # axes exchanged
        (
            "conv2/kernel:0",
            (1, 1, 1664, 832),
            "conv2/kernel:0 has 832 output channels, model_config says 1664",
        ),
        ("conv2/kernel:0", (), "conv2/kernel:0 has None output channels"),
    ],
)
def test_wrong_shape(h5, name, shape, message):
    layer = name.rsplit("/", 1)[0]
    with h5py.File(h5, "r+") as file:
        del file[f"model_weights/{layer}/{name}"]
        file[f"model_weights/{layer}"].create_dataset(name, shape=shape, dtype="<f4")
    refused(h5, message)


def test_file_of_tf_keras(tmp_path):
    path = tmp_path / "in" / "nyu.h5"
    path.parent.mkdir()
    reference.write_h5(path, reference.model_config("tfkeras"), keras_version="2.21.0", hollow=True)
    with h5py.File(path, "r+") as file:
        file["model_weights"].create_group("top_level_model_weights").attrs["weight_names"] = np.zeros(0)
        file.create_group("optimizer_weights")  # a model that was trained on
    refused(path, NEVER_WRITTEN)


# --- the command ---


def test_exit_codes(h5, tmp_path):
    done = command_line(h5, tmp_path / "out")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"fgbg-depth: {h5}: tensor 'conv1/conv/kernel:0' {NEVER_WRITTEN}")
    assert done.stderr.count("\n") == 1  # one line, no traceback
    assert command_line(h5, tmp_path / "out", "--trained-at", "640").returncode == 2


def test_outdoor_weights_need_their_range(h5):
    kitti = h5.with_name("KITTI.h5")
    h5.rename(kitti)
    refused(kitti, "outdoor.*--min-depth-m 1 --max-depth-m 80 --trained-at 1280x384", error=UsageError)
    flags = ("--min-depth-m", "1", "--max-depth-m", "80", "--trained-at", "1280x384")
    refused(kitti, NEVER_WRITTEN, *flags)


def test_range_needs_both_ends(h5, tmp_path):
    with pytest.raises(UsageError, match="both --min-depth-m and --max-depth-m"):
        convert_weights(h5, tmp_path / "out", "--max-depth-m", "80")


def test_target_with_other_files_is_refused_first(h5, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds 'notes\.txt', which no conversion wrote"):
        convert_weights(h5, out, "--overwrite")
    with pytest.raises(UsageError, match="which no conversion wrote"):
        convert_weights(h5, out / "notes.txt")
    assert (out / "notes.txt").read_text() == "mine"


def _folder(path, text):
    path.mkdir()
    for name in OUTPUT_FILES:
        (path / name).write_text(text)
    return path


def test_finished_folder_moves_into_place(tmp_path):
    out = tmp_path / "out"
    assert _move_into_place(_folder(tmp_path / "a", "first"), out, overwrite=False) is False
    assert {path.read_text() for path in out.iterdir()} == {"first"}
    assert _move_into_place(_folder(tmp_path / "b", "first"), out, overwrite=False) is True
    with pytest.raises(UsageError, match=r"exists and differs.*model\.safetensors.*--overwrite"):
        _move_into_place(_folder(tmp_path / "c", "second"), out, overwrite=False)
    assert {path.read_text() for path in out.iterdir()} == {"first"}
    assert _move_into_place(tmp_path / "c", out, overwrite=True) is False
    assert {path.read_text() for path in out.iterdir()} == {"second"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "out"]


def test_empty_folder_may_be_the_target(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    assert _move_into_place(_folder(tmp_path / "a", "first"), out, overwrite=False) is False
    assert {path.read_text() for path in out.iterdir()} == {"first"}
