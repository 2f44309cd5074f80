"""The layer graph of DenseDepth as Keras describes it, checked layer by layer in a file's `model_config`.

The published weights and today's published code disagree on the decoder's width, on its activations and on
the encoder's last relu, and none of these can be guessed from tensor shapes alone. So they are read from the
graph, and everything else in it has to be exactly DenseNet-169 with the DenseDepth decoder: a layer that
isn't known, is missing, is wired otherwise or has other settings is refused by name.

Layers without weights carry number suffixes that differ between Keras versions (`leaky_re_lu_1`,
`leaky_re_lu`), so those are found by what they are connected to.
"""

from dataclasses import dataclass

import numpy as np

from fgbg_depth.errors import WeightsError

BLOCK_CONFIG = (6, 12, 32, 32)  # DenseNet-169
INIT_FEATURES = 64
GROWTH_RATE = 32
BOTTLENECK_SIZE = 4  # a dense layer's inner width in growth rates
UPSAMPLING_LAYER = "BilinearUpSampling2D"  # the authors' own layer: aligned corners in their TensorFlow 1
MAX_NAMED_PROBLEMS = 5  # a wrong network has hundreds; the first few tell which one it is

ABSENT = object()  # among allowed settings: the key may be left out


@dataclass(frozen=True)
class KerasGraph:
    """What can vary between DenseDepth files.

    Attributes:
        decoder_width: channels of the layer `conv2`.
        activation_after_conv_a: whether a LeakyReLU stands between `up*_convA` and `up*_convB`.
        encoder_relu: whether a relu follows the encoder's last batch norm.
        batch_norm_eps, leaky_slope: as the file gives them.
    """

    decoder_width: int
    activation_after_conv_a: bool
    encoder_relu: bool
    batch_norm_eps: float
    leaky_slope: float


@dataclass(frozen=True)
class _Layer:
    name: str
    kind: str
    settings: dict
    inputs: tuple


@dataclass(frozen=True)
class _Node:
    """An expected layer. `key` is its Keras name, or one of ours with a leading * if Keras numbers it."""

    key: str
    kind: str
    inputs: tuple
    settings: dict


def read_graph(model_config, where):
    """Check a model_config and read what varies.

    Args:
        model_config: the parsed JSON of the file's attribute of that name.
        where: the file, for messages.

    Returns:
        KerasGraph.

    Raises:
        WeightsError: the graph is not DenseDepth on DenseNet-169; the first differences are named.
    """
    layers = _parse(model_config, where)
    try:
        width = int(layers["conv2"].settings["filters"])
    except (KeyError, TypeError, ValueError):
        raise WeightsError(
            f"{where}: its network has no convolution 'conv2', with which DenseDepth's decoder begins. "
            "Expected a DenseDepth model."
        ) from None
    activations = [_comes_from_leaky(layers, f"up{step}_convB") for step in (1, 2, 3, 4)]
    if len(set(activations)) > 1:
        raise WeightsError(
            f"{where}: only some of up1_convA .. up4_convA are followed by LeakyReLU: {activations}."
        )
    varying = {"activation_after_conv_a": activations[0], "encoder_relu": "relu" in layers}
    found, problems = _match(layers, list(_expected_nodes(width, **varying)))
    eps = _common("epsilon", [layer for layer in found if layer.kind == "BatchNormalization"], problems)
    slope = _common("alpha", [layer for layer in found if layer.kind == "LeakyReLU"], problems)
    if problems:
        more = len(problems) - MAX_NAMED_PROBLEMS
        shown = "; ".join(problems[:MAX_NAMED_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
        raise WeightsError(
            f"{where}: not the DenseDepth network: {shown}. Expected DenseNet-169 with its decoder."
        )
    return KerasGraph(decoder_width=width, batch_norm_eps=eps, leaky_slope=slope, **varying)


def _parse(model_config, where):
    """Name -> _Layer, in file order."""
    try:
        layers = {}
        for raw in model_config["config"]["layers"]:
            settings = raw["config"]
            name = raw.get("name") or settings["name"]
            calls = raw["inbound_nodes"]
            if len(calls) > 1:
                raise WeightsError(f"{where}: layer {name!r} is used {len(calls)} times. Expected once.")
            if calls and not isinstance(calls[0], list):
                raise TypeError(f"inbound_nodes of {name!r} are in another format")
            inputs = []
            for source, node, tensor, arguments in calls[0] if calls else ():
                if node or tensor or arguments:
                    raise WeightsError(
                        f"{where}: layer {name!r} takes an unknown form of input from {source!r}."
                    )
                inputs.append(source)
            if name in layers:
                raise WeightsError(f"{where}: two layers are named {name!r}.")
            # A layer registered with a package is saved as "package>Class".
            layers[name] = _Layer(name, raw["class_name"].rpartition(">")[2], settings, tuple(inputs))
        outputs = [output[0] for output in model_config["config"]["output_layers"]]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise WeightsError(
            f"{where}: its model_config doesn't describe a network as Keras 2 does "
            f"({type(error).__name__}: {error})."
        ) from error
    if outputs != ["conv3"]:
        raise WeightsError(f"{where}: the network's outputs are {outputs}. Expected one, 'conv3'.")
    return layers


def _comes_from_leaky(layers, name):
    inputs = layers[name].inputs if name in layers else ()
    return bool(inputs) and inputs[0] in layers and layers[inputs[0]].kind == "LeakyReLU"


def _match(layers, nodes):
    """Compare the graph with the expected nodes. Returns the layers that fit, and the problems in words."""
    names, found, problems = {}, [], []
    taken = set()
    for node in nodes:
        inputs = tuple(names.get(key, key) for key in node.inputs)
        is_numbered = node.key.startswith("*")
        layer = _by_inputs(layers, node, inputs, taken) if is_numbered else layers.get(node.key)
        if layer is None:
            after = f" after {inputs[0]!r}" if inputs else ""
            problems.append(f"layer {node.key.lstrip('*')!r} ({node.kind}) is missing{after}")
            continue
        names[node.key] = layer.name
        taken.add(layer.name)
        if layer.kind != node.kind:
            problems.append(f"layer {layer.name!r} is a {layer.kind}, expected {node.kind}")
            continue
        if layer.inputs != inputs:
            problems.append(f"layer {layer.name!r} takes {list(layer.inputs)}, expected {list(inputs)}")
        problems += _wrong_settings(layer, node)
        found.append(layer)
    problems += [
        f"unknown layer {name!r} ({layer.kind})" for name, layer in layers.items() if name not in taken
    ]
    return found, problems


def _by_inputs(layers, node, inputs, taken):
    candidates = (layer for layer in layers.values() if layer.kind == node.kind and layer.inputs == inputs)
    return next((layer for layer in candidates if layer.name not in taken), None)


def _wrong_settings(layer, node):
    for key, allowed in node.settings.items():
        value = layer.settings.get(key, ABSENT)
        if value not in allowed:
            shown = "left out" if value is ABSENT else repr(value)
            wanted = " or ".join(repr(one) for one in allowed if one is not ABSENT)
            yield f"layer {layer.name!r} has {key} {shown}, expected {wanted}"


def _common(key, layers, problems):
    """The one value that all layers share, as a float."""
    values = [layer.settings.get(key) for layer in layers]
    if not values or any(value != values[0] for value in values) or not isinstance(values[0], (int, float)):
        kind = layers[0].kind if layers else "layers"
        problems.append(f"{key} of the {kind} is {sorted(set(map(str, values)))}, expected one number")
        return 0.0
    return float(str(np.float32(values[0])))  # Keras writes float32 values with the digits of a double


def _expected_nodes(decoder_width, activation_after_conv_a, encoder_relu):
    """The layers of DenseDepth in order, with the settings that change its arithmetic."""
    last = {"data_format": ("channels_last",)}

    def conv(name, source, filters, size, stride=1, bias=False):
        padding = ("same", "valid") if size == 1 else ("same",) if stride == 1 else ("valid",)
        settings = {
            "filters": (filters,),
            "kernel_size": ([size, size],),
            "strides": ([stride, stride],),
            "use_bias": (bias,),
            "padding": padding,
            "activation": ("linear",),
            "dilation_rate": ([1, 1],),
            "groups": (1, ABSENT),
            **last,
        }
        return _Node(name, "Conv2D", (source,), settings)

    def norm(name, source):
        settings = {"axis": (3, -1, [3], [-1]), "center": (True,), "scale": (True,)}
        return _Node(name, "BatchNormalization", (source,), settings)

    def relu(name, source):
        return _Node(name, "Activation", (source,), {"activation": ("relu",)})

    def leaky(key, source):
        return _Node(key, "LeakyReLU", (source,), {})

    def pad(key, source, pixels):
        return _Node(
            key, "ZeroPadding2D", (source,), {"padding": ([[pixels, pixels], [pixels, pixels]],), **last}
        )

    def pool(name, kind, source, size):
        settings = {"pool_size": ([size, size],), "strides": ([2, 2],), "padding": ("valid",), **last}
        return _Node(name, kind, (source,), settings)

    def concat(name, first, second):
        return _Node(name, "Concatenate", (first, second), {"axis": (3, -1)})

    yield _Node("*input", "InputLayer", (), {})  # any size; the first kernel tells the three channels
    yield pad("*pad 3", "*input", 3)
    yield conv("conv1/conv", "*pad 3", INIT_FEATURES, 7, stride=2)
    yield norm("conv1/bn", "conv1/conv")
    yield relu("conv1/relu", "conv1/bn")
    yield pad("*pad 1", "conv1/relu", 1)
    yield pool("pool1", "MaxPooling2D", "*pad 1", 3)
    source, channels = "pool1", INIT_FEATURES
    for block, num_layers in enumerate(BLOCK_CONFIG, start=2):
        for index in range(1, num_layers + 1):
            name = f"conv{block}_block{index}"
            yield norm(f"{name}_0_bn", source)
            yield relu(f"{name}_0_relu", f"{name}_0_bn")
            yield conv(f"{name}_1_conv", f"{name}_0_relu", BOTTLENECK_SIZE * GROWTH_RATE, 1)
            yield norm(f"{name}_1_bn", f"{name}_1_conv")
            yield relu(f"{name}_1_relu", f"{name}_1_bn")
            yield conv(f"{name}_2_conv", f"{name}_1_relu", GROWTH_RATE, 3)
            yield concat(f"{name}_concat", source, f"{name}_2_conv")
            source = f"{name}_concat"
        channels += num_layers * GROWTH_RATE
        if block < 5:
            channels //= 2
            yield norm(f"pool{block}_bn", source)
            yield relu(f"pool{block}_relu", f"pool{block}_bn")
            yield conv(f"pool{block}_conv", f"pool{block}_relu", channels, 1)
            yield pool(f"pool{block}_pool", "AveragePooling2D", f"pool{block}_conv", 2)
            source = f"pool{block}_pool"
    yield norm("bn", source)
    if encoder_relu:
        yield relu("relu", "bn")
    yield conv("conv2", "relu" if encoder_relu else "bn", decoder_width, 1, bias=True)
    source, width = "conv2", decoder_width
    for step, skip in enumerate(("pool3_pool", "pool2_pool", "pool1", "conv1/relu"), start=1):
        width //= 2
        up = f"up{step}"
        yield _Node(f"{up}_upsampling2d", UPSAMPLING_LAYER, (source,), {"size": ([2, 2],), **last})
        yield concat(f"{up}_concat", f"{up}_upsampling2d", skip)
        yield conv(f"{up}_convA", f"{up}_concat", width, 3, bias=True)
        source = f"{up}_convA"
        if activation_after_conv_a:
            yield leaky(f"*{up} activation A", source)
            source = f"*{up} activation A"
        yield conv(f"{up}_convB", source, width, 3, bias=True)
        yield leaky(f"*{up} activation B", f"{up}_convB")
        source = f"*{up} activation B"
    yield conv("conv3", source, 1, 3, bias=True)
