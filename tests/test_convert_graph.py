"""The graph in a Keras file: read from each Keras that wrote it, and refused where it isn't DenseDepth's."""

import copy
import json

import h5py
import pytest
from densedepth import reference
from densedepth.command import refused

from fgbg_depth.depth.keras_graph import read_graph
from fgbg_depth.errors import WeightsError


def _layer(config, name):
    return next(layer for layer in config["config"]["layers"] if layer["config"]["name"] == name)


def _rename(config, name, new):
    _layer(config, name)["name"] = _layer(config, name)["config"]["name"] = new


def _set(name, **settings):
    return lambda config: _layer(config, name)["config"].update(settings)


def _wire(name, *sources):
    return lambda config: _layer(config, name).update(inbound_nodes=[[[s, 0, 0, {}] for s in sources]])


def _kind(name, kind):
    return lambda config: _layer(config, name).update(class_name=kind)


def _drop(name):
    return lambda config: config["config"]["layers"].remove(_layer(config, name))


def _add(config):
    dropout = {"class_name": "Dropout", "config": {"name": "dropout_1", "rate": 0.5}, "name": "dropout_1"}
    config["config"]["layers"].append({**dropout, "inbound_nodes": [[["conv2", 0, 0, {}]]]})


def _twice(config):
    _layer(config, "up1_convA")["inbound_nodes"].append([["up1_concat", 0, 0, {}]])


def _keras3(config):
    _layer(config, "conv3")["inbound_nodes"] = [{"args": [], "kwargs": {}}]


def _output(config):
    config["config"]["output_layers"] = [["conv3", 0, 0], ["conv2", 0, 0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("conv1/conv", padding="same"), "'conv1/conv' has padding 'same', expected 'valid'"),
        (_set("conv2", activation="relu"), "'conv2' has activation 'relu', expected 'linear'"),
        (_set("up3_convB", kernel_size=[5, 5]), r"'up3_convB' has kernel_size \[5, 5\], expected \[3, 3\]"),
        (_set("conv4_block9_2_conv", dilation_rate=[2, 2]), "dilation_rate"),
        (_set("conv3_block1_1_conv", data_format="channels_first"), "data_format 'channels_first'"),
        (_set("bn", epsilon=0.001), "epsilon of the BatchNormalization is .*, expected one number"),
        (_set("bn", scale=False), "'bn' has scale False, expected True"),
        (_set("leaky_re_lu_2", alpha=0.3), "alpha of the LeakyReLU"),
        (_set("leaky_re_lu_2", alpha=None), "alpha of the LeakyReLU"),
        (_set("zero_padding2d_1", padding=[[2, 3], [2, 3]]), r"padding \[\[2, 3\], \[2, 3\]\], expected"),
        (_set("up2_upsampling2d", size=[4, 4]), "'up2_upsampling2d' has size"),
        (_kind("up2_upsampling2d", "UpSampling2D"), "is a UpSampling2D, expected BilinearUpSampling2D"),
        (_kind("pool1", "AveragePooling2D"), "'pool1' is a AveragePooling2D, expected MaxPooling2D"),
        (_wire("up1_concat", "pool3_pool", "up1_upsampling2d"), "'up1_concat' takes .*'pool3_pool', 'up1"),
        (_wire("up4_concat", "up4_upsampling2d", "conv1/bn"), "'up4_concat' takes .*expected.*'conv1/relu'"),
        (_wire("up2_convB", "leaky_re_lu_1"), "only some of up1_convA .. up4_convA are followed"),
        (_drop("conv5_block32_0_relu"), "'conv5_block32_0_relu' .* is missing"),
        (_drop("conv2"), "no convolution 'conv2'"),
        (_drop("leaky_re_lu_4"), "'up4 activation B' .LeakyReLU. is missing after 'up4_convB'"),
        (_add, "unknown layer 'dropout_1' .Dropout."),
        (_twice, "'up1_convA' is used 2 times"),
        (_keras3, "doesn't describe a network as Keras 2 does"),
        (_output, "outputs are .*conv2.* Expected one, 'conv3'"),
        (
            lambda config: _rename(config, "conv3_block12_concat", "other"),
            "'conv3_block12_concat' .* is missing",
        ),
    ],
)
def test_graph_that_is_not_densedepth(change, message):
    config = reference.model_config("nyu")
    read_graph(config, "nyu.h5")  # sound before the change
    change(config)
    with pytest.raises(WeightsError, match=message):
        read_graph(config, "nyu.h5")


def test_graph_of_another_densenet():
    config = reference.model_config("nyu")
    layers = config["config"]["layers"]
    layers[:] = [layer for layer in layers if not layer["config"]["name"].startswith("conv5_block3")]
    with pytest.raises(WeightsError, match=r"'conv5_block3_0_bn' .BatchNormalization. is missing.* and \d+ more"):
        read_graph(config, "nyu.h5")


def test_graph_is_read_from_each_keras():
    nyu = read_graph(reference.model_config("nyu"), "")
    assert nyu == read_graph(reference.model_config("tfkeras"), "")
    assert (nyu.decoder_width, nyu.activation_after_conv_a, nyu.encoder_relu) == (1664, False, True)
    assert (nyu.batch_norm_eps, nyu.leaky_slope) == (1.001e-5, 0.2)
    assert read_graph(reference.model_config("convA_leaky"), "").activation_after_conv_a is True


def test_graph_without_the_last_relu():
    config = reference.model_config("nyu")
    _drop("relu")(config)
    _wire("conv2", "bn")(config)
    assert read_graph(config, "").encoder_relu is False


def test_custom_layer_registered_with_a_package():
    config = reference.model_config("tfkeras")
    for step in (1, 2, 3, 4):
        _kind(f"up{step}_upsampling2d", "DenseDepth>BilinearUpSampling2D")(config)
    read_graph(config, "")


def test_layer_names_and_graph_disagree_about_the_relu(tmp_path):
    config = reference.model_config("nyu")
    without = copy.deepcopy(config)
    _drop("relu")(without)
    _wire("conv2", "bn")(without)
    path = tmp_path / "in" / "nyu.h5"
    path.parent.mkdir()
    reference.write_h5(path, config, hollow=True)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(without)
    refused(path, "layer 'relu' is in layer_names only")
