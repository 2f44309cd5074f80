"""Loads a `transformers` model from disk or the Hub with nothing taken on trust.

Safetensors only, no remote code, every tensor present and finite. `transformers` itself only warns when
tensors are missing, and fills them with random numbers; here that is an error.
"""

import hashlib
import json
import logging
import re
from contextlib import contextmanager

import numpy as np
import torch
from transformers import AutoModelForDepthEstimation
from transformers.utils import cached_file
from transformers.utils import logging as transformers_logging

from fgbg_depth.errors import DepthModelError, WeightsError

WEIGHT_FILES = ("model.safetensors", "model.safetensors.index.json")
COUNTER = "num_batches_tracked"  # a training counter of batch norm that no output depends on
# The first fusion layer has no residual input: these tensors are never used, and some checkpoints lack them.
NEVER_USED = re.compile(r"neck\.fusion_stage\.layers\.0\.residual_layer1\.")
VOLATILE_SETTINGS = ("transformers_version", "_name_or_path", "architectures", "dtype", "torch_dtype")


def fetch(location, filename, revision=None, required=False):
    """Path of one file of a local folder or a Hub repo, downloaded if needed; None if there is no such file.

    Raises:
        DepthModelError: the repo or revision isn't there or can't be reached, or a required file is missing.
    """
    try:
        with quiet_transformers():
            return cached_file(
                str(location),
                filename,
                revision=revision or "main",
                _raise_exceptions_for_missing_entries=required,
            )
    except OSError as error:
        raise DepthModelError(
            f"Depth model {str(location)!r}: {filename} can't be had: {' '.join(str(error).split())}"
        ) from error


def read_json(path):
    """The content of a JSON file, {} for None."""
    if path is None:
        return {}
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except (OSError, ValueError) as error:
        raise DepthModelError(f"{path}: not a readable JSON file: {error}") from error


def load_pretrained(location, revision=None, model_class=AutoModelForDepthEstimation):
    """A depth model in float32 evaluation mode, with its weights checked.

    Args:
        location: local folder or Hub repo id.
        revision: commit, tag or branch on the Hub.
        model_class: an Auto class or a model class of `transformers`.

    Returns:
        The model, on the CPU.

    Raises:
        DepthModelError: it is no depth model, needs code from its repo, or has no safetensors file.
        WeightsError: the file is damaged, or a tensor is missing, of a wrong shape, NaN or infinite.
    """
    if not any(fetch(location, name, revision) for name in WEIGHT_FILES):
        raise DepthModelError(
            f"Depth model {str(location)!r} has no model.safetensors. Expected one; "
            "pickled weights (.bin, .pt, .pth) are never opened."
        )
    arguments = {"trust_remote_code": False} if model_class is AutoModelForDepthEstimation else {}
    try:
        with quiet_transformers():
            model, report = model_class.from_pretrained(
                str(location),
                revision=revision or "main",
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are refused below, by name
                **arguments,
            )
    except DepthModelError:
        raise
    except Exception as error:  # transformers and safetensors raise a dozen kinds for bad files
        raise _explained(location, error) from error
    missing = [name for name in report["missing_keys"] if not NEVER_USED.match(name)]
    if missing:
        raise WeightsError(_listed(location, "tensors are missing", missing))
    if report.get("mismatched_keys"):
        names = [_shape_words(*entry) for entry in report["mismatched_keys"]]
        raise WeightsError(_listed(location, "tensors have a wrong shape for its config.json", names))
    if model_class is not AutoModelForDepthEstimation and report["unexpected_keys"]:
        raise WeightsError(_listed(location, "tensors are unknown", report["unexpected_keys"]))
    model = model.float().eval()
    state = model.state_dict()
    with torch.no_grad():
        for name in report["missing_keys"]:
            state[name].zero_()  # never used; zeros rather than random numbers
    bad = [
        name for name, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()
    ]
    if bad:
        raise WeightsError(_listed(location, "tensors hold NaN or infinite values", bad))
    return model


def weights_digest(model, settings):
    """A hash of what decides the output of a model: tensors and settings, never a name or path.

    Args:
        model: a torch module in float32 on the CPU.
        settings: JSON-able dict of everything else that matters.

    Returns:
        sha256, 64 hex digits.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if name.endswith(COUNTER):
            continue
        array = np.ascontiguousarray(tensor.detach().cpu().numpy())
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.data if array.size else b"")
    digest.update(json.dumps(settings, sort_keys=True).encode())
    return digest.hexdigest()


def stable_settings(config):
    """A config.json's content without the entries that don't change what the network computes."""
    return {key: value for key, value in config.items() if key not in VOLATILE_SETTINGS}


@contextmanager
def quiet_transformers():
    """No progress bars and no advice from `transformers` in here; its settings are put back afterwards."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def _explained(location, error):
    text = _first_line(error)
    where = f"Depth model {str(location)!r}"
    if type(error).__name__ == "SafetensorError":
        return WeightsError(f"{where}: its safetensors file is damaged or truncated: {text}. Get it again.")
    if "size mismatch" in str(error) or "mismatch" in text:
        return WeightsError(f"{where}: a tensor has a wrong shape for its config.json: {text}")
    if "trust_remote_code" in str(error):
        return DepthModelError(
            f"{where}: needs Python code from its repo, which is never run. Use another model."
        )
    if "Unrecognized configuration class" in str(error):
        return DepthModelError(f"{where}: not a depth-estimation model: {text}")
    return DepthModelError(f"{where}: can't be loaded: {type(error).__name__}: {text}")


def _first_line(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _shape_words(name, found, expected):
    return f"{name} {tuple(found)}, expected {tuple(expected)}"


def _listed(location, what, names):
    names = sorted(str(name) for name in names)
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"Depth model {str(location)!r}: {len(names)} {what}: {shown}. Get or convert the weights again."
