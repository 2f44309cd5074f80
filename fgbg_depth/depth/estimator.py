"""`DepthEstimator`: pictures in, depth maps of the same size out, in batches whose bits can be repeated.

Convolution libraries choose their arithmetic by the shape of a batch and by the number of threads. So a batch
always has the same size: the input is cut in order, and the last batch is filled up with copies of its last
picture. The bits of a map then depend on the picture and its place in the input, not on what else is there.
"""

from contextlib import contextmanager

import numpy as np
import torch

from fgbg_depth.depth.engines import AS_BEFORE
from fgbg_depth.depth.networks import METRIC_DEPTH
from fgbg_depth.errors import DepthModelError, UsageError

METRIC, RELATIVE = "metric", "relative"


class BadDepthError(DepthModelError):
    """A network gave NaN or infinite depth for some pictures.

    Attributes:
        indices: their positions in the input, in order.
        depth: (N, H, W) float32, all maps of the call, the bad ones as they came.
    """

    def __init__(self, message, indices=(), depth=None):  # defaults let it be pickled, as by worker processes
        super().__init__(message)
        self.indices = indices
        self.depth = depth


class DepthEstimator:
    """A loaded depth model; made by `load_depth_estimator`.

    Attributes:
        name: as in manifests and on cards; never a path.
        kind: "metric" (maps in metres) or "relative" (scale and offset unknown; larger is farther).
        input_size: (height, width) at which the network sees a picture [pixels]; None: the picture's own.
        batch_size: pictures per batch.
        weights_digest: sha256 over tensors and settings, 64 hex digits.
        min_depth_m, max_depth_m: range of the model [m], None if it has no known one.
        device, num_threads: where it runs; None leaves torch's number of threads as it is.
        engine, precision: how it runs; never "auto".
        engine_reason: why, one sentence.
    """

    def __init__(
        self, network, name, weights_digest, facts, batch_size=16, device="cpu", num_threads=None, choice=AS_BEFORE
    ):
        """Wrap a network.

        Args:
            network: callable (N, H, W, 3) uint8 RGB -> (N, H, W) float32, with attributes `output`,
                `input_size`, `min_depth_m`, `max_depth_m`, as in `networks.py`.
            facts: dict of further facts for `describe`.
            choice: engines.Choice: what runs the network.
        """
        check_batch_size(batch_size)
        if num_threads is not None and (not isinstance(num_threads, int) or num_threads < 1):
            raise UsageError(
                f"Number of threads is {num_threads!r}. Expected a whole number of at least 1, or None."
            )
        self.name = name
        self.kind = METRIC if network.output == METRIC_DEPTH else RELATIVE
        self.input_size = network.input_size
        self.batch_size = batch_size
        self.weights_digest = weights_digest
        self.min_depth_m, self.max_depth_m = network.min_depth_m, network.max_depth_m
        self.device, self.num_threads = str(device), num_threads
        self.engine, self.precision, self.engine_reason = choice.engine, choice.precision, choice.reason
        self._network, self._facts = network, facts

    def __repr__(self):
        return f"DepthEstimator({self.name!r}, {self.kind}, input {self.input_size}, {self.device})"

    def describe(self):
        """Facts for manifest and card, as a JSON-able dict; none of them is a path."""
        return {
            "name": self.name,
            **self._facts,
            "kind": self.kind,
            "output": self._network.output,
            "input_size": None if self.input_size is None else list(self.input_size),
            "min_depth_m": self.min_depth_m,
            "max_depth_m": self.max_depth_m,
            "engine": self.engine,
            "precision": self.precision,
            "engine_reason": self.engine_reason,
            "batch_size": self.batch_size,
            "device": self.device,
            "num_threads": self.num_threads,
            "weights_digest": self.weights_digest,
        }

    def predict(self, images):
        """Depth of pictures.

        Args:
            images: (N, H, W, 3) uint8 RGB; N may be 0.

        Returns:
            (N, H, W) float32: metres if `kind` is "metric", else relative depth where larger is farther.

        Raises:
            UsageError: not such an array.
            BadDepthError: a map holds NaN or infinite values; all batches are computed first.
        """
        images = _checked(images)
        depth = np.empty(images.shape[:3], np.float32)
        for start in range(0, len(images), self.batch_size):
            part = slice(start, start + self.batch_size)
            depth[part] = self._run(images[part])
        return _finite(depth, self.name)

    def predict_batch(self, images):
        """Depth of at most `batch_size` pictures: one run of the network, as `predict` does for each batch.

        Args, Returns, Raises: as `predict`.
        """
        images = _checked(images)
        if len(images) > self.batch_size:
            raise UsageError(
                f"A batch of {len(images)} pictures. Expected at most {self.batch_size}; use predict."
            )
        depth = self._run(images) if len(images) else np.empty(images.shape[:3], np.float32)
        return _finite(depth, self.name)

    def _run(self, images):
        missing = self.batch_size - len(images)
        batch = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images
        with _threads(self.num_threads):
            return self._network(batch)[: len(images)]


def check_batch_size(batch_size):
    """Raises UsageError unless it is a whole number of at least 1."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise UsageError(f"Depth batch size is {batch_size!r}. Expected a whole number of at least 1.")


def _checked(images):
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8 or 0 in images.shape[1:]:
        raise UsageError(
            f"Pictures for the depth model have shape {images.shape} and type {images.dtype}. Expected "
            "(N, H, W, 3) uint8 RGB."
        )
    return images


def _finite(depth, name):
    bad = np.flatnonzero(~np.isfinite(depth).all(axis=(1, 2))).tolist()
    if bad:
        shown = ", ".join(map(str, bad[:5])) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
        raise BadDepthError(
            f"Depth model {name!r} gave NaN or infinite depth for picture {shown} of {len(depth)} (counted from "
            "0). Its weights or its numeric precision don't suit these pictures.",
            bad,
            depth,
        )
    return depth


@contextmanager
def _threads(number):
    """Torch's thread count is global to the process: set it for one run and put it back."""
    before = torch.get_num_threads()
    if number is None or number == before:
        yield
        return
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
