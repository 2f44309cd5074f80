"""The networks behind the estimator: one batch of pictures in, maps at the size of the pictures out.

`DenseDepthNetwork` is the package's own path: division by 255, the raw network, metres, one bilinear
resampling. `TransformersNetwork` runs any depth-estimation model of `transformers` through its own image
processor, before and after, as its pipeline would. What such a model's numbers mean is not written in a
common place, so it is looked up in a table here; a model type that isn't in it needs the meaning from the
caller.
"""

import inspect

import numpy as np
import torch

from fgbg_depth.depth.configuration import SIZE_MULTIPLE_PX, DenseDepthConfig
from fgbg_depth.depth.engines import TORCH_TYPES
from fgbg_depth.depth.image_processing import to_pixel_values
from fgbg_depth.depth.postprocess import raw_to_metres, resize_align_corners
from fgbg_depth.depth.torch_engine import out_of_memory_explained
from fgbg_depth.errors import DepthModelError, UsageError

METRIC_DEPTH = "metric-depth"  # metres
RELATIVE_DEPTH = "relative-depth"  # larger is farther, scale unknown
RELATIVE_INVERSE = "relative-inverse"  # larger is nearer (inverse depth up to scale and shift)
OUTPUTS = (METRIC_DEPTH, RELATIVE_DEPTH, RELATIVE_INVERSE)

_OUTPUT_BY_MODEL_TYPE = {
    DenseDepthConfig.model_type: METRIC_DEPTH,
    "depth_pro": METRIC_DEPTH,  # its image processor inverts
    "glpn": METRIC_DEPTH,
    "tipsv2_dpt": METRIC_DEPTH,  # bins between min_depth and max_depth, metres
    "zoedepth": METRIC_DEPTH,
}
# DPT heads on these backbones were published with metres and without, and the config doesn't tell which.
_DPT_UNCLEAR_BACKBONES = ("dinov2", "dinov2_with_registers")


def output_of(config, override=None):
    """What the numbers of a model mean.

    Args:
        config: the model's `transformers` config.
        override: one of `OUTPUTS`, said by the user, or None.

    Returns:
        One of `OUTPUTS`.

    Raises:
        UsageError: the override is none of them.
        DepthModelError: the model type isn't known and there is no override.
    """
    if override is not None:
        if override not in OUTPUTS:
            raise UsageError(f"Depth output {override!r} is unknown. Expected one of {', '.join(OUTPUTS)}.")
        return override
    model_type = config.model_type
    if model_type == "depth_anything":
        return METRIC_DEPTH if config.depth_estimation_type == "metric" else RELATIVE_INVERSE
    if model_type == "dpt":
        backbone = getattr(getattr(config, "backbone_config", None), "model_type", None)
        if backbone not in _DPT_UNCLEAR_BACKBONES:
            return RELATIVE_INVERSE  # MiDaS
    if model_type in _OUTPUT_BY_MODEL_TYPE:
        return _OUTPUT_BY_MODEL_TYPE[model_type]
    raise DepthModelError(
        f"A depth model of type {model_type!r} doesn't tell what its numbers mean. Say it with output=: "
        f"{METRIC_DEPTH} (metres), {RELATIVE_DEPTH} (larger is farther) or {RELATIVE_INVERSE} "
        "(larger is nearer)."
    )


class DenseDepthNetwork:
    """DenseDepth between pictures and metres; an engine runs the network itself.

    Args:
        config: DenseDepthConfig.
        input_size: (height, width) at which the network sees the picture [pixels]; None: as it was trained.
    """

    def __init__(self, config, input_size=None):
        self.input_size = tuple(config.image_size if input_size is None else input_size)
        if any(side % SIZE_MULTIPLE_PX for side in self.input_size):
            raise UsageError(
                f"Depth input size {self.input_size} (height, width): expected multiples of {SIZE_MULTIPLE_PX} pixels."
            )
        self.output = METRIC_DEPTH
        self.max_depth_m, self.min_depth_m = config.max_depth_m, config.min_depth_m
        self.run = None  # set by the loader: (N, 3, h, w) float32 array in [0, 1] to the raw output (N, h/2, w/2) float32 array

    def __call__(self, images):
        """(N, H, W, 3) uint8 RGB to (N, H, W) float32 [m]; NaN where the network gives no finite number."""
        raw = self.run(np.stack([to_pixel_values(image, self.input_size) for image in images]))
        metres = raw_to_metres(raw, self.max_depth_m, self.min_depth_m)
        metres[~np.isfinite(raw)] = np.nan  # an infinite raw value is no near wall but a broken network
        return resize_align_corners(metres, images.shape[1:3])


class TransformersNetwork:
    """Any depth-estimation model of `transformers`, with its own image processor before and after.

    Args:
        model: the model, in float32.
        processor: its image processor.
        device: torch device.
        output: one of `OUTPUTS`.
        input_size: (height, width) instead of the processor's own [pixels]; models whose processor has no
            such size take the picture as it is.
        precision: "fp32", or "bf16" or "fp16" for the operations that torch's autocast deems safe.
    """

    def __init__(self, model, processor, device, output, input_size=None, precision="fp32"):
        size = getattr(processor, "size", None)
        own = (getattr(size, "height", None), getattr(size, "width", None))
        if isinstance(size, dict):  # before transformers 5
            own = (size.get("height"), size.get("width"))
        if input_size is not None and None in own:
            raise UsageError(
                f"{type(processor).__name__} has no fixed input size, so depth input size "
                f"{tuple(input_size)} can't be set. Leave it out."
            )
        self.input_size = tuple(input_size) if input_size is not None else None if None in own else own
        self.output = output
        self.max_depth_m = self.min_depth_m = None  # not bounded by a known range
        self._arguments = {"return_tensors": "pt", "input_data_format": "channels_last"}
        if input_size is not None:
            self._arguments["size"] = {"height": input_size[0], "width": input_size[1]}
        sizes = inspect.signature(processor.post_process_depth_estimation).parameters
        self._size_names = [name for name in ("source_sizes", "target_sizes") if name in sizes]
        self._device, self._model, self._processor = device, model.to(device), processor
        self._dtype = TORCH_TYPES[precision]

    def __call__(self, images):
        """(N, H, W, 3) uint8 RGB to (N, H, W) float32: metres, or relative depth where larger is farther."""
        height_width = tuple(images.shape[1:3])
        inputs = self._processor(images=list(images), **self._arguments).to(self._device)
        autocast = torch.autocast(torch.device(self._device).type, self._dtype, enabled=self._dtype != torch.float32)
        with out_of_memory_explained(len(images)), torch.inference_mode():
            with autocast:
                outputs = self._model(**inputs)
            sizes = {name: [height_width] * len(images) for name in self._size_names}
            results = self._processor.post_process_depth_estimation(outputs, **sizes)
        maps = np.stack([result["predicted_depth"].float().cpu().numpy() for result in results])
        if self.output == METRIC_DEPTH:
            return np.maximum(maps, 0)  # cubic resampling can undershoot; NaN stays
        return -maps if self.output == RELATIVE_INVERSE else maps
