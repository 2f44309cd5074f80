"""The picture side of DenseDepth for `transformers`: RGB in [0, 1] at the trained size, and metres back.

Works on numpy and Pillow alone; torchvision is not needed. The network was trained on plain RGB divided by
255, without mean or standard deviation.
"""

import numpy as np
from PIL import Image
from transformers.image_processing_utils import BaseImageProcessor, BatchFeature

from fgbg_depth.depth.postprocess import resize_align_corners
from fgbg_depth.errors import UsageError

DEEP_MODES = ("I;16", "I;16B", "I;16L", "I", "F")  # Pillow would clip these to 255 rather than scale them
DEFAULT_SIZE = {"height": 480, "width": 640}  # at which the published network was trained [pixels]


def to_rgb_array(image):
    """A picture as RGB.

    Args:
        image: a Pillow picture of any mode (transparency is laid on white), or an array or tensor: (H, W)
            gray, (H, W, C) or (C, H, W) with C = 1 (gray), 3 (RGB) or 4 (RGBA). uint8 means 0..255; float
            means 0..1.

    Returns:
        (H, W, 3) uint8, or float32 in [0, 255] for float input.

    Raises:
        UsageError: not a picture, or values outside the range.
    """
    if isinstance(image, Image.Image):
        if image.mode in DEEP_MODES:
            raise UsageError(
                f"DenseDepth: a picture has mode {image.mode}. Expected 8 bits per channel; scale it first."
            )
        if "A" in image.getbands() or "transparency" in image.info:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            image = Image.alpha_composite(white, image)
        return np.asarray(image.convert("RGB"))
    array = np.asarray(image)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim == 3 and array.shape[-1] not in (1, 3, 4) and array.shape[0] in (1, 3, 4):
        array = np.moveaxis(array, 0, -1)
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape:
        raise UsageError(f"DenseDepth: a picture has shape {np.shape(image)}. Expected (H, W, 3) RGB.")
    if array.dtype != np.uint8:
        if array.dtype.kind != "f" or not (np.min(array) >= 0 and np.max(array) <= 1):
            raise UsageError(
                f"DenseDepth: a picture is {array.dtype} with values from {np.min(array)} to {np.max(array)}."
                " Expected uint8 in 0..255 or float in 0..1."
            )
        array = array.astype(np.float32) * np.float32(255)
    if array.shape[-1] == 4:
        alpha = array[..., 3:].astype(np.float32) / 255
        over_white = array[..., :3] * alpha + 255 * (1 - alpha)
        return np.rint(over_white).astype(np.uint8) if array.dtype == np.uint8 else over_white
    return np.broadcast_to(array, (*array.shape[:2], 3))


def to_pixel_values(rgb, size, resample=Image.Resampling.BILINEAR):
    """What the network sees of one picture.

    Args:
        rgb: (H, W, 3) uint8 or float32 RGB, 0..255.
        size: (height, width) for the network [pixels]; a picture of another size is resized in float,
            antialiased.
        resample: Pillow filter.

    Returns:
        (3, height, width) float32 RGB in [0, 1]: the picture divided by 255.
    """
    planes = np.moveaxis(rgb, -1, 0).astype(np.float32)
    if planes.shape[1:] != tuple(size):
        height, width = size
        resized = [Image.fromarray(plane).resize((width, height), resample) for plane in planes]
        planes = np.stack([np.asarray(plane) for plane in resized])
        planes = planes.clip(0, 255)  # bicubic and Lanczos overshoot
    # Divided: the product with 1/255 has another last bit for 126 of the 256 values.
    return planes / np.float32(255)


class DenseDepthImageProcessor(BaseImageProcessor):
    """Turns pictures into `pixel_values` for `DenseDepthForDepthEstimation`, and its output into metres.

    Args:
        do_resize: whether to resize to `size`; otherwise all pictures must have one size, multiples of 32.
        size: {"height", "width"} for the network [pixels].
        resample: Pillow filter for it, as a number (2 is bilinear, antialiased).
    """

    model_input_names = ("pixel_values",)

    def __init__(self, do_resize=True, size=None, resample=int(Image.Resampling.BILINEAR), **kwargs):
        super().__init__(**kwargs)
        self.do_resize = do_resize
        self.size = _checked_size(DEFAULT_SIZE if size is None else size)
        self.resample = int(resample)

    def preprocess(self, images, do_resize=None, size=None, resample=None, return_tensors=None, **kwargs):
        """Pictures to network input.

        Args:
            images: one picture or a list of them, as `to_rgb_array` takes them.
            do_resize, size, resample: instead of the processor's own.
            return_tensors: "pt" for torch, "np" or None for numpy.

        Returns:
            BatchFeature with `pixel_values` (N, 3, height, width) float32 RGB in [0, 1].

        Raises:
            UsageError: a picture can't be used, or sizes differ and `do_resize` is off.
        """
        do_resize = self.do_resize if do_resize is None else do_resize
        size = self.size if size is None else _checked_size(size)
        resample = self.resample if resample is None else int(resample)
        arrays = [to_rgb_array(image) for image in _as_list(self, images)]
        if not do_resize and len({array.shape for array in arrays}) > 1:
            raise UsageError(
                "DenseDepth: the pictures differ in size and do_resize is off. Expected one size."
            )
        sizes = [(size["height"], size["width"]) if do_resize else array.shape[:2] for array in arrays]
        planes = [to_pixel_values(a, s, resample) for a, s in zip(arrays, sizes, strict=True)]
        pixel_values = np.ascontiguousarray(np.stack(planes))
        return BatchFeature(data={"pixel_values": pixel_values}, tensor_type=return_tensors)

    def post_process_depth_estimation(self, outputs, target_sizes=None):
        """Depth maps at the size of the pictures, as the depth-estimation pipeline asks for them.

        Args:
            outputs: DepthEstimatorOutput with `predicted_depth` (N, h, w) [m].
            target_sizes: list (or tensor) of N (height, width) [pixels]; None leaves the maps as they are.

        Returns:
            List of N dicts with `predicted_depth`: (height, width) float32 tensor [m], resampled bilinearly
            with corners aligned.
        """
        import torch

        depth = outputs.predicted_depth
        if target_sizes is None:
            return [{"predicted_depth": single} for single in depth]
        if len(target_sizes) != len(depth):
            raise UsageError(
                f"DenseDepth: {len(target_sizes)} target sizes for {len(depth)} maps. Expected as many."
            )
        maps = depth.detach().float().cpu().numpy()
        results = []
        for single, (height, width) in zip(maps, target_sizes, strict=True):
            resized = resize_align_corners(single, (int(height), int(width)))
            results.append({"predicted_depth": torch.from_numpy(resized).to(depth.device)})
        return results


def _as_list(processor, images):
    """One picture, or a batch of them in a list or array, as a list. Paths and addresses are opened."""
    if isinstance(images, (list, tuple)):
        return [image for item in images for image in _as_list(processor, item)]
    if isinstance(images, str):
        return [processor.fetch_images(images)]
    if getattr(images, "ndim", 3) == 4:
        return list(images)
    return [images]


def _checked_size(size):
    try:
        height, width = (size, size) if isinstance(size, int) else (size["height"], size["width"])
        height, width = int(height), int(width)
    except (KeyError, TypeError, ValueError):
        height = width = 0
    if min(height, width) < 1:
        raise UsageError(f"DenseDepth: size is {size!r}. Expected {{'height': ..., 'width': ...}} in pixels.")
    return {"height": height, "width": width}
