"""Reference weights for DenseDepth, and Keras files made of them.

The published weights can't be had, so the golden numbers were made with weights that are a pure function of
(Keras weight name, shape, seed): normal numbers from PCG64(crc32(name) ^ (seed * 0x9E3779B1 mod 2**32)),
scaled so that the activations stay near 1 and the output looks like depth. Every fourth variance is tiny, so
that a wrong batch norm epsilon shows.
"""

import gzip
import hashlib
import json
import zlib
from pathlib import Path

import h5py
import numpy as np

HERE = Path(__file__).parent
SEED0_SHA256 = (
    "5da0792330dd5cd4533f398eeb266385c753748c828e3ec254825fafb552fff1"  # names and bytes in file order
)
BN_EPSILON = 1.001e-5
HEAD_GAIN, HEAD_BIAS = 20.0, 10.0  # spread and middle of the raw output


def _read_json(name):
    with gzip.open(HERE / name, "rt", encoding="utf-8") as stream:
        return json.load(stream)


def model_config(name):
    """The graph `nyu`, `convA_leaky` or `tfkeras`, parsed."""
    return _read_json(f"model_config_{name}.json.gz")


def layout(decoder_width=1664):
    """[(layer, [(weight, shape)])] of the file; another decoder width changes the shapes behind the
    encoder."""
    decoder = _decoder_shapes(decoder_width)
    return [
        (layer, [(name, decoder.get(name, tuple(shape))) for name, shape in weights])
        for layer, weights in _read_json("h5_layout.json.gz")
    ]


def _decoder_shapes(width):
    shapes = {"conv2/kernel:0": (1, 1, 1664, width), "conv2/bias:0": (width,)}
    for step, skip in (("up1", 256), ("up2", 128), ("up3", 64), ("up4", 64)):
        half = width // 2
        shapes[f"{step}_convA/kernel:0"] = (3, 3, width + skip, half)
        shapes[f"{step}_convB/kernel:0"] = (3, 3, half, half)
        shapes[f"{step}_convA/bias:0"] = shapes[f"{step}_convB/bias:0"] = (half,)
        width = half
    return {**shapes, "conv3/kernel:0": (3, 3, width, 1), "conv3/bias:0": (1,)}


def weight(name, shape, seed=0):
    """One float32 tensor in Keras' axis order, e.g. for "conv1/conv/kernel:0"."""
    layer, kind = name.removesuffix(":0").rsplit("/", 1)
    if kind == "moving_variance":
        return _variance(layer, shape, seed).astype(np.float32)
    z = _normal(name, shape, seed)
    if kind == "kernel":
        z = z * np.sqrt(_gain(layer) / np.prod(shape[:-1]))
    elif kind == "gamma":
        z = (1.0 + 0.1 * z) * np.sqrt(_variance(layer, shape, seed) + BN_EPSILON)
    else:
        z = 0.1 * z + (HEAD_BIAS if name == "conv3/bias:0" else 0.0)
    return z.astype(np.float32)


def _normal(name, shape, seed):
    key = zlib.crc32(name.encode()) ^ ((seed * 0x9E3779B1) & 0xFFFFFFFF)
    return np.random.Generator(np.random.PCG64(key)).standard_normal(tuple(shape))


def _variance(layer, shape, seed):
    variance = np.exp(0.3 * _normal(f"{layer}/moving_variance:0", shape, seed))
    variance[3::4] *= 1e-5
    return variance


def _gain(layer):
    if layer.endswith("_convA"):
        return 1.0
    if layer.endswith("_convB"):
        return 1.5
    return {"conv1/conv": 8.0, "conv3": HEAD_GAIN}.get(layer, 2.0)


def write_h5(path, config, decoder_width=1664, keras_version="2.2.4", hollow=False):
    """Write a whole-model file as `model.save` of Keras 2 does.

    Args:
        path: where.
        config: the parsed model_config; its layers give the names of those without weights.
        decoder_width: channels of the decoder's first convolution.
        hollow: declare the tensors but write no values: a small file for tests of everything but the values.

    Returns:
        sha256 over the weights written, name then bytes, in file order.
    """
    digest = hashlib.sha256()
    weights_of = dict(layout(decoder_width))
    layers = [layer["config"]["name"] for layer in config["config"]["layers"]]
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = keras_version.encode()
        file.attrs["backend"] = b"tensorflow"
        file.attrs["model_config"] = json.dumps(config).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [layer.encode() for layer in layers]
        for layer in layers:
            layer_group = group.create_group(layer)
            weights = weights_of.get(layer, [])
            layer_group.attrs["weight_names"] = np.array([name.encode() for name, _ in weights], "S")
            for name, shape in weights:
                if hollow:
                    layer_group.create_dataset(name, shape=shape, dtype="<f4")
                else:
                    values = weight(name, shape)
                    digest.update(name.encode())
                    digest.update(values.tobytes())
                    layer_group.create_dataset(name, data=values)
    return digest.hexdigest()


def golden_random():
    """{"rand224": (picture uint8, raw float32), "rand256x320": ...}, measured with tf-keras."""
    with np.load(HERE / "golden_random.npz") as data:
        return {name: (data[f"input/{name}"], data[f"raw/{name}"]) for name in ("rand224", "rand256x320")}
