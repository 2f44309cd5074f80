"""Runs a DenseDepth network with OpenVINO on the CPU. The graph is built here, layer by layer, from the plain network's tensors.

Only this module imports openvino, and only when the engine is chosen (`pip install "fgbg-depth[openvino]"`). Its compiler folds norms,
fuses activations and picks kernels; the one shortcut taken here is that a transition pools before its 1x1 convolution.
"""

import numpy as np
import torch
from torch import nn

from fgbg_depth.depth.engines import BF16, FP32
from fgbg_depth.depth.fast_layers import scale_shift
from fgbg_depth.errors import DepthModelError

PRECISION_HINTS = {FP32: "f32", BF16: "bf16"}
# Largest difference of the trial picture's raw values from torch in fp32, relative to their mean: ten times what was seen of good networks.
TRIAL_TOLERANCE = {FP32: 1e-3, BF16: 0.2}
PICTURES = 4  # at a time: larger slices leave the cache, smaller ones read the weights too often


class OpenVinoRunner:
    """One network, compiled for one batch size.

    Args:
        model: DenseDepthForDepthEstimation in float32.
        size: (height, width) of the input [pixels].
        precision: "fp32" or "bf16".
        batch_size: pictures per call; they go through the network `PICTURES` at a time, the rest padded.
        num_threads: None: as torch has.
    """

    def __init__(self, model, size, precision, batch_size, num_threads=None):
        import openvino

        self._pictures = min(PICTURES, batch_size)
        graph = build_graph(model, (self._pictures, 3, *size))
        settings = {
            "INFERENCE_PRECISION_HINT": PRECISION_HINTS[precision],
            "INFERENCE_NUM_THREADS": num_threads or torch.get_num_threads(),
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # several worker processes would be pinned to the same core
        }
        try:
            self._request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()
        except RuntimeError as error:
            raise DepthModelError(f"OpenVINO can't compile the depth network: {' '.join(str(error).split())}") from error
        self._try_out(model, size, precision)

    def __call__(self, pixel_values):
        """(N, 3, H, W) float32 array in [0, 1] to the raw output (N, H/2, W/2) float32 array."""
        parts = []
        for start in range(0, len(pixel_values), self._pictures):
            part = pixel_values[start : start + self._pictures]
            missing = self._pictures - len(part)
            full = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part
            parts.append(self._request.infer([full])[0][: len(part), 0].copy())
        return np.concatenate(parts)


    def _try_out(self, model, size, precision):
        """Compare with torch on one picture of noise: OpenVINO's relu turns NaN into 0, so a broken network could go unseen here."""
        picture = np.random.default_rng(0).random((1, 3, *size), dtype=np.float32)
        with torch.inference_mode():
            expected = model.raw(torch.from_numpy(picture))[0, 0].numpy()
        off = np.max(np.abs(self(picture)[0] - expected)) / np.abs(np.mean(expected))
        if not off <= TRIAL_TOLERANCE[precision]:  # also for NaN
            raise DepthModelError(
                f"OpenVINO in {precision} differs from torch in fp32 by {off:.2g} of the mean raw value on a picture of noise. Expected at "
                f"most {TRIAL_TOLERANCE[precision]}. Its weights or this precision don't work; use the engine 'torch'."
            )


def build_graph(model, shape):
    """The network as an `openvino.Model`, (N, 3, H, W) float32 in [0, 1] to raw (N, 1, H/2, W/2) float32.

    Args:
        model: DenseDepthForDepthEstimation.
        shape: (N, 3, H, W).
    """
    import openvino
    from openvino import opset13 as ops

    builder = _Builder(ops)
    picture = ops.parameter(list(shape), dtype=np.float32, name="pixel_values")
    with torch.no_grad():
        raw = builder.decoder(model.decoder, *builder.encoder(model.encoder, picture))
    return openvino.Model([ops.result(raw)], [picture], "densedepth")


class _Builder:
    """Methods from nodes of the graph to nodes, one for each part of `modeling.py`."""

    def __init__(self, ops):
        self._ops = ops

    def conv(self, module, x):
        weight = self._ops.constant(module.weight.detach().numpy())
        padding = list(module.padding)
        x = self._ops.convolution(x, weight, list(module.stride), padding, padding, [1, 1])
        return x if module.bias is None else self._ops.add(x, self._per_channel(module.bias))

    def _per_channel(self, values):
        return self._ops.constant(values.detach().float().numpy().reshape(1, -1, 1, 1))

    def norm(self, module, x, relu=True):
        scale, shift = scale_shift(module)
        x = self._ops.add(self._ops.multiply(x, self._per_channel(scale)), self._per_channel(shift))
        return self._ops.relu(x) if relu else x

    def pool(self, x):
        return self._ops.avg_pool(x, [2, 2], [0, 0], [0, 0], [2, 2], True)

    def encoder(self, encoder, x):
        stem = self.norm(encoder.stem_norm, self.conv(encoder.stem_conv, x))
        x = self._ops.max_pool(stem, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3]).output(0)
        skips = [stem, x]
        for index, block in enumerate(encoder.blocks):
            for layer in block.layers:
                new = self.conv(layer.conv1, self.norm(layer.norm1, x))
                new = self.conv(layer.conv2, self.norm(layer.norm2, new))
                x = self._ops.concat([x, new], 1)
            if index < len(encoder.transitions):
                transition = encoder.transitions[index]
                x = self.conv(transition.conv, self.pool(self.norm(transition.norm, x)))
                skips.append(x)
        return self.norm(encoder.norm, x, relu=not isinstance(encoder.relu, nn.Identity)), skips[:4]

    def decoder(self, decoder, x, skips):
        x = self.conv(decoder.project, x)
        for step, skip in zip(decoder.steps, reversed(skips), strict=True):
            x = self._ops.concat([self.enlarge(x, step.upsample.align_corners), skip], 1)
            x = self.conv(step.conv_a, x)
            if not isinstance(step.activation_a, nn.Identity):
                x = self.leaky(step.activation_a, x)
            x = self.leaky(step.activation_b, self.conv(step.conv_b, x))
        return self.conv(decoder.head, x)

    def leaky(self, module, x):
        return self._ops.prelu(x, self._ops.constant(np.array([module.negative_slope], np.float32)))

    def enlarge(self, x, align_corners):
        height, width = list(x.output(0).shape)[2:]
        return self._ops.interpolate(
            x,
            self._ops.constant(np.array([2 * height, 2 * width], np.int64)),
            mode="linear_onnx",
            shape_calculation_mode="sizes",
            coordinate_transformation_mode="align_corners" if align_corners else "half_pixel",
            axes=self._ops.constant(np.array([2, 3], np.int64)),
        )
