"""A segmentation model of `transformers`, loaded with nothing taken on trust, and what it says of a photo.

Semantic models (logits of each class) and models of queries (MaskFormer, Mask2Former, DETR: a class and a mask for each query) come down to
one number for a pixel: the log-odds that it belongs to one of the wanted labels. It is resized as such, bilinear, to the photo's
own size, so that edges come out soft and not in blocks.

Only safetensors are opened, no code of a model's repo is run, every tensor has to be there.
"""

import os
import re
from pathlib import Path

import numpy as np
import torch
import transformers
from torch.nn.functional import interpolate
from transformers import AutoConfig, AutoImageProcessor
from transformers.models.auto import modeling_auto

from ..depth.pretrained import quiet_transformers
from ..errors import CutoutModelError, UsageError

_HUB_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
_PILLOW = {"backend": "pil"} if int(transformers.__version__.split(".")[0]) >= 5 else {"use_fast": False}
_KINDS = ("SEMANTIC", "UNIVERSAL", "INSTANCE", "IMAGE")  # the tables of transformers that name segmentation models
NOTHING = ("background", "other", "unlabeled", "__background__")  # labels that aren't things
LEAST_ODDS = 1e-6  # probabilities of 0 and 1 have no log-odds
ASPECT_TOLERANCE = 0.02  # a side rounded to a multiple of 32 pixels changes the aspect by less
LABELS_SHOWN = 30


class Segmenter:
    """A model that is ready to run.

    Attributes:
        name: what it was called by.
        labels: {number: label} of all its classes.
        chosen: numbers of the wanted ones.

    Args:
        name: local folder or Hub repo id, with "@revision" behind it if wanted.
        labels: wanted labels, in any case; () for what is plain: a model that knows only one thing.
        device: torch device.

    Raises:
        UsageError: the name makes no sense, or a label isn't known.
        CutoutModelError: it isn't there, is no segmentation model, needs code of its own, or has no whole safetensors file.
    """

    def __init__(self, name, labels=(), device="cpu"):
        self.name = os.fspath(name)
        location, revision = _locate(self.name)
        self._model = _load(location, revision, self.name).to(_device(device))
        self._processor = _processor(location, revision, self.name)
        self.labels = {int(number): str(label) for number, label in self._model.config.id2label.items()}
        self.chosen = _choose(self.name, self.labels, labels)
        self._try_out()

    def log_odds(self, rgb):
        """What the model says of a photo.

        Args:
            rgb: (H, W, 3) uint8 RGB.

        Returns:
            (H, W) float32: log-odds that a pixel belongs to one of the chosen labels.
        """
        height, width = rgb.shape[:2]
        inputs = self._prepared(rgb)
        with torch.inference_mode():
            outputs = self._model(**inputs)
            scores = self._scores(outputs)[None, None]
            scores = _without_padding(scores, inputs.get("pixel_mask"))
            found = interpolate(scores, (height, width), mode="bilinear", align_corners=False)[0, 0]
        return found.cpu().numpy().astype(np.float32)

    def _prepared(self, rgb):
        arguments = {"return_tensors": "pt", "input_data_format": "channels_last"}
        if getattr(self._processor, "do_center_crop", None):
            arguments["do_center_crop"] = False  # all of the photo, not its middle
        inputs = self._processor(images=[rgb], **arguments)
        pixels = inputs["pixel_values"]
        aspect = pixels.shape[-1] / pixels.shape[-2] * rgb.shape[0] / rgb.shape[1]
        is_padded = getattr(self._processor, "do_pad", None) and "pixel_mask" not in inputs and abs(aspect - 1) > ASPECT_TOLERANCE
        if pixels.shape[0] != 1 or is_padded:
            raise CutoutModelError(
                f"Model {self.name!r}: its image processor cuts photos into pieces, or pads them without saying where; "
                "neither is supported. Use another model."
            )
        names = {name: value for name, value in inputs.items() if name in ("pixel_values", "pixel_mask")}
        return {name: value.to(self._model.device) for name, value in names.items()}

    def _scores(self, outputs):
        """(h, w) log-odds at the model's own size."""
        masks = getattr(outputs, "masks_queries_logits", None)
        masks = getattr(outputs, "pred_masks", None) if masks is None else masks
        if masks is None:
            return _odds_of_classes(outputs.logits[0].float(), self.chosen)
        classes = getattr(outputs, "class_queries_logits", None)
        classes = outputs.logits if classes is None else classes
        return _odds_of_queries(classes[0].float(), masks[0].float(), self.chosen)

    def _try_out(self):
        """Run it once, so that what doesn't work is known before the first photo."""
        try:
            found = self.log_odds(np.full((48, 64, 3), 128, np.uint8))
        except CutoutModelError:
            raise
        except Exception as error:  # other people's code: anything can come
            hint = " Its image processor needs torchvision: pip install torchvision." if "tvF" in str(error) else ""
            words = f"{type(error).__name__}: {_first_line(error)}"
            raise CutoutModelError(f"Model {self.name!r} fails on a gray picture: {words}.{hint} It may need more than a photo.") from error
        if found.shape != (48, 64) or not np.isfinite(found).all():
            raise CutoutModelError(f"Model {self.name!r} gives no usable map of a gray picture. Get it again, or use another model.")


def _odds_of_classes(logits, chosen):
    """(C, h, w) logits of classes to (h, w) log-odds of the chosen ones against all others; one class alone is its own log-odds."""
    if logits.shape[0] == 1:
        return logits[0]
    others = [number for number in range(logits.shape[0]) if number not in chosen]
    return torch.logsumexp(logits[list(chosen)], 0) - torch.logsumexp(logits[others], 0)


def _odds_of_queries(classes, masks, chosen):
    """(Q, C + 1) class logits, the last one for "nothing", and (Q, h, w) mask logits to (h, w) log-odds.

    As these models' own semantic maps: the sum over all queries of the class's probability times the mask's.
    """
    weights = classes.softmax(-1)[:, list(chosen)].sum(-1)
    probability = torch.einsum("q,qhw->hw", weights, masks.sigmoid()).clamp(LEAST_ODDS, 1 - LEAST_ODDS)
    return torch.logit(probability)


def _without_padding(scores, pixel_mask):
    """Cut off the part of a (1, 1, h, w) map that stands for padding."""
    if pixel_mask is None or bool(pixel_mask.all()):
        return scores
    seen = pixel_mask[0] > 0
    rows, columns = int(seen.any(1).sum()), int(seen.any(0).sum())
    height, width = seen.shape
    return scores[..., : max(1, round(scores.shape[-2] * rows / height)), : max(1, round(scores.shape[-1] * columns / width))]


def _choose(name, labels, wanted):
    if not wanted:
        things = [number for number, label in labels.items() if label.lower() not in NOTHING]
        if len(labels) == 1 or (len(labels) == 2 and len(things) == 1):
            return tuple(things or labels)
        known = _some(labels.values())
        raise UsageError(f"Model {name!r} knows {len(labels)} labels; say which to cut out with --label. It knows {known}.")
    chosen = []
    for label in wanted:
        found = [number for number, text in labels.items() if label.lower().strip() in _words_of(text)]
        if not found:
            raise UsageError(f"Model {name!r} has no label {label!r}. It knows {_some(labels.values())}.")
        chosen += found
    if len(labels) > 1 and len(set(chosen)) == len(labels):
        raise UsageError(f"All labels of model {name!r} were chosen: nothing would be left to cut away.")
    return tuple(sorted(set(chosen)))


def _words_of(label):
    """A label, and the words that some label sets join in one: "person, individual, someone"."""
    return [label.lower(), *(word.strip() for word in label.lower().split(","))]


def _some(labels):
    labels = list(labels)
    more = f" and {len(labels) - LABELS_SHOWN} more" if len(labels) > LABELS_SHOWN else ""
    return "; ".join(labels[:LABELS_SHOWN]) + more  # labels may hold commas


def _locate(name):
    """(folder or repo id, revision or None)."""
    path = Path(name).expanduser()
    if path.exists():
        if not (path / "config.json").is_file():
            raise CutoutModelError(f"{path}: holds no model. Expected config.json, model.safetensors and preprocessor_config.json.")
        return str(path), None
    match = _HUB_ID.fullmatch(name)
    if name.startswith((".", "/", "~")) or not match:
        raise CutoutModelError(f"Model {name!r}: no such folder. Expected a local folder, or a Hub repo id such as org/name.")
    return match["repo"], match["revision"]


def _load(location, revision, name):
    arguments = {"revision": revision or "main", "trust_remote_code": False}
    try:
        with quiet_transformers():
            config = AutoConfig.from_pretrained(location, **arguments)
        if "auto_map" in config.to_dict():
            raise CutoutModelError(_needs_code(name))
        model_class = _model_class(config, name)
        del arguments["trust_remote_code"]
        with quiet_transformers():
            model, report = model_class.from_pretrained(location, use_safetensors=True, output_loading_info=True, **arguments)
    except CutoutModelError:
        raise
    except Exception as error:  # transformers and safetensors raise a dozen kinds for bad files
        if "trust_remote_code" in str(error):
            raise CutoutModelError(_needs_code(name)) from error
        hint = " Pickled weights (.bin, .pt) are never opened." if "safetensors" in str(error) else ""
        raise CutoutModelError(f"Model {name!r} can't be loaded: {type(error).__name__}: {_first_line(error)}.{hint}") from error
    lacking = sorted([*report["missing_keys"], *map(str, report.get("mismatched_keys") or ())])
    if lacking:
        raise CutoutModelError(f"Model {name!r}: {len(lacking)} tensors are missing or of a wrong shape: {_some(lacking)}. Get it again.")
    return model.float().eval()


def _needs_code(name):
    return (
        f"Model {name!r} needs Python code from its repo (as BiRefNet and RMBG do), which is never run. Use a model that "
        "transformers knows itself, or cut out with the program of its authors."
    )


def _model_class(config, name):
    """The class that the config names, when it is one for segmentation."""
    known = set()
    for kind in _KINDS:
        for classes in getattr(modeling_auto, f"MODEL_FOR_{kind}_SEGMENTATION_MAPPING_NAMES").values():
            known.update([classes] if isinstance(classes, str) else classes)
    architecture = (getattr(config, "architectures", None) or ["nothing"])[0]
    if architecture not in known:
        raise CutoutModelError(
            f"Model {name!r} is no segmentation model: its config.json names {architecture} of type {config.model_type!r}. "
            "Expected a semantic, instance or panoptic one, such as SegformerForSemanticSegmentation."
        )
    return getattr(transformers, architecture)


def _processor(location, revision, name):
    try:
        with quiet_transformers():
            return AutoImageProcessor.from_pretrained(location, revision=revision or "main", trust_remote_code=False, **_PILLOW)
    except (OSError, ValueError, ImportError, KeyError, TypeError) as error:
        raise CutoutModelError(
            f"Model {name!r}: its image processor can't be loaded: {_first_line(error)}. "
            "Expected preprocessor_config.json beside config.json."
        ) from error


def _device(device):
    try:
        device = torch.device(device)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"Device {device!r} can't be used: {_first_line(error)}. Use cpu.") from error
    return device


def _first_line(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
