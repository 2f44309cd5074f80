"""The reading half of the converter: a Keras DenseDepth .h5 as a network description and named numpy tensors.

Needs h5py and numpy, no torch. Tensors are matched by name, never by position; names, shapes, types and
values are checked, and so is the layer graph (`keras_graph.py`), which tells how the tensors are used.
"""

import re
from dataclasses import dataclass, field

import numpy as np

from fgbg_depth.depth.keras_graph import (
    BLOCK_CONFIG,
    BOTTLENECK_SIZE,
    GROWTH_RATE,
    INIT_FEATURES,
    MAX_NAMED_PROBLEMS,
    read_graph,
)
from fgbg_depth.depth.keras_hdf5 import open_keras_file
from fgbg_depth.errors import WeightsError

# Layers without weights whose number suffix depends on the version of Keras.
NUMBERED_LAYER = re.compile(r"(input|zero_padding2d|leaky_re_lu)(_\d+)?")
NORM_PARTS = (  # torch name, Keras name, in Keras' order
    ("weight", "gamma"),
    ("bias", "beta"),
    ("running_mean", "moving_mean"),
    ("running_var", "moving_variance"),
)


@dataclass
class KerasWeights:
    """A DenseDepth network read from Keras.

    Attributes:
        settings: keyword arguments for DenseDepthConfig; `upsampling` is not among them, as the file stores
            only the name of that layer.
        tensors: name in `DenseDepthForDepthEstimation` -> float32 array; convolutions are (out, in, height,
            width).
        keras_version: what wrote the file, "" if unknown.
    """

    settings: dict
    tensors: dict = field(repr=False)
    keras_version: str

    @property
    def num_values(self):
        """Weights and moving statistics together: 42,816,089 for the published network."""
        return sum(tensor.size for tensor in self.tensors.values())


def keras_names(settings):
    """Which Keras tensor becomes which of ours.

    Args:
        settings: keyword arguments of DenseDepthConfig, as in `KerasWeights.settings`.

    Returns:
        Dict in the order of the Keras file: Keras weight name -> (our name, shape in Keras' order).
    """
    names = {}

    def norm(keras, ours, channels):
        for our_part, keras_part in NORM_PARTS:
            names[f"{keras}/{keras_part}:0"] = (f"{ours}.{our_part}", (channels,))

    def conv(keras, ours, size, channels_in, channels_out, bias=False):
        names[f"{keras}/kernel:0"] = (f"{ours}.weight", (size, size, channels_in, channels_out))
        if bias:
            names[f"{keras}/bias:0"] = (f"{ours}.bias", (channels_out,))

    growth, inner = settings["growth_rate"], settings["bottleneck_size"] * settings["growth_rate"]
    channels = stem = settings["num_init_features"]
    conv("conv1/conv", "encoder.stem_conv", 7, 3, stem)
    norm("conv1/bn", "encoder.stem_norm", stem)
    after_transition = []
    for block, num_layers in enumerate(settings["block_config"]):
        for index in range(num_layers):
            keras, ours = f"conv{block + 2}_block{index + 1}", f"encoder.blocks.{block}.layers.{index}"
            norm(f"{keras}_0_bn", f"{ours}.norm1", channels)
            conv(f"{keras}_1_conv", f"{ours}.conv1", 1, channels, inner)
            norm(f"{keras}_1_bn", f"{ours}.norm2", inner)
            conv(f"{keras}_2_conv", f"{ours}.conv2", 3, inner, growth)
            channels += growth
        if block < len(settings["block_config"]) - 1:
            keras, ours = f"pool{block + 2}", f"encoder.transitions.{block}"
            norm(f"{keras}_bn", f"{ours}.norm", channels)
            conv(f"{keras}_conv", f"{ours}.conv", 1, channels, channels // 2)
            channels //= 2
            after_transition.append(channels)
    norm("bn", "encoder.norm", channels)
    width = settings["decoder_width"]
    conv("conv2", "decoder.project", 1, channels, width, bias=True)
    for step, skip in enumerate((after_transition[1], after_transition[0], stem, stem)):
        keras, ours = f"up{step + 1}", f"decoder.steps.{step}"
        conv(f"{keras}_convA", f"{ours}.conv_a", 3, width + skip, width // 2, bias=True)
        width //= 2
        conv(f"{keras}_convB", f"{ours}.conv_b", 3, width, width, bias=True)
    conv("conv3", "decoder.head", 3, width, 1, bias=True)
    return names


def read_keras_weights(path):
    """Read and check a Keras DenseDepth file.

    Args:
        path: .h5 file with a whole model, such as the published nyu.h5.

    Returns:
        KerasWeights.

    Raises:
        UsageError: there is no such file.
        WeightsError: it isn't DenseDepth, or a tensor is missing, unknown, of a wrong shape or type, NaN or
            infinite.
    """
    with open_keras_file(path) as file:
        graph = read_graph(file.model_config, path)
        _check_layer_names(file, path)
        settings = {
            "num_init_features": INIT_FEATURES,
            "growth_rate": GROWTH_RATE,
            "bottleneck_size": BOTTLENECK_SIZE,
            "block_config": list(BLOCK_CONFIG),
            "compression": 0.5,
            "batch_norm_eps": graph.batch_norm_eps,
            "encoder_relu": graph.encoder_relu,
            "decoder_width": _stored_width(file, graph, path),
            "leaky_slope": graph.leaky_slope,
            "activation_after_conv_a": graph.activation_after_conv_a,
        }
        names = keras_names(settings)
        _check_tensors(file, names, path)
        tensors = {}
        for keras, (ours, _) in names.items():
            tensors[ours] = _our_axes(file.read(keras))
            if keras.endswith("/moving_variance:0") and tensors[ours].min() < 0:
                raise WeightsError(
                    f"{path}: tensor {keras!r} holds a negative variance. The file is damaged."
                )
        return KerasWeights(settings, tensors, file.keras_version)


def _check_layer_names(file, path):
    """The stored groups have to be the layers of model_config, but for those that Keras numbers at will."""
    layers = file.model_config["config"]["layers"]
    described = {layer.get("name") or layer["config"]["name"] for layer in layers}
    differing = sorted(n for n in described ^ set(file.layer_names) if not NUMBERED_LAYER.fullmatch(n))
    if differing:
        place = "model_config" if differing[0] in described else "layer_names"
        raise WeightsError(
            f"{path}: layer {differing[0]!r} is in {place} only. Expected it in both or in neither."
        )


def _stored_width(file, graph, path):
    kernel = file.tensors.get("conv2/kernel:0")
    width = kernel.shape[-1] if kernel is not None and kernel.ndim else None
    if width != graph.decoder_width:
        raise WeightsError(
            f"{path}: conv2/kernel:0 has {width} output channels, model_config says {graph.decoder_width}. "
            "Expected the same."
        )
    return width


def _check_tensors(file, names, path):
    shapes = {name: data_set.shape for name, data_set in file.tensors.items()}
    problems = [f"tensor {name!r} is missing" for name in names if name not in shapes]
    problems += [f"unknown tensor {name!r}" for name in shapes if name not in names]
    problems += [
        f"tensor {name!r} has shape {shapes[name]}, expected {shape}"
        for name, (_, shape) in names.items()
        if name in shapes and shapes[name] != shape
    ]
    if problems:
        more = len(problems) - MAX_NAMED_PROBLEMS
        shown = "; ".join(problems[:MAX_NAMED_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
        raise WeightsError(f"{path}: {shown}.")


def _our_axes(array):
    """Keras kernels are (height, width, in, out), ours (out, in, height, width); vectors stay."""
    return np.ascontiguousarray(array.transpose(3, 2, 0, 1)) if array.ndim == 4 else array
