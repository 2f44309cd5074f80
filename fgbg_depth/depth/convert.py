"""Converts a Keras DenseDepth .h5 into a `transformers` folder that `from_pretrained` reads.

The folder appears whole or not at all: it is written beside its place under a temporary name, loaded and run
once as a check, and renamed.
"""

import filecmp
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.numpy import save_file

from fgbg_depth.depth.configuration import UPSAMPLING_MODES, DenseDepthConfig
from fgbg_depth.depth.image_processing import DenseDepthImageProcessor
from fgbg_depth.depth.keras_weights import read_keras_weights
from fgbg_depth.depth.modeling import DenseDepthForDepthEstimation
from fgbg_depth.depth.postprocess import MAX_DEPTH_M, MIN_DEPTH_M
from fgbg_depth.depth.pretrained import COUNTER, load_pretrained
from fgbg_depth.errors import StorageError, UsageError, WeightsError

OUTPUT_FILES = ("README.md", "config.json", "model.safetensors", "preprocessor_config.json")
NYU_VARIANT = {  # what the published indoor weights are, to name how another file differs
    "decoder_width": 1664,
    "activation_after_conv_a": False,
    "encoder_relu": True,
    "upsampling": "align_corners",
    "batch_norm_eps": 1.001e-5,
    "leaky_slope": 0.2,
    "min_depth_m": 0.1,
    "max_depth_m": 10.0,
}
CHECK_SIZE_PX = 64  # side of the gray picture that a converted network is run on


def convert_keras_weights(
    source,
    out,
    upsampling="align_corners",
    min_depth_m=None,
    max_depth_m=None,
    image_size=(480, 640),
    overwrite=False,
):
    """Convert a Keras DenseDepth file.

    Args:
        source: .h5 file with a whole Keras 2 model, such as the published nyu.h5 (172,897,376 bytes).
        out: folder to make.
        upsampling: the file stores only the name of its upsampling layer, so its arithmetic can't be read:
            "align_corners" as the weights were trained (TensorFlow 1), "half_pixel" as the code behaves under
            TensorFlow 2.
        min_depth_m, max_depth_m: range of the weights [m]; None: 0.1 and 10, the indoor weights. The file
            doesn't tell. The outdoor (KITTI) weights have 1 and 80.
        image_size: (height, width) at which the weights were trained [pixels].
        overwrite: replace an earlier conversion in `out`.

    Returns:
        dict: `source`, `source_sha256`, `variant`, `num_values`, `keras_version`, `settings`, `out`,
        `raw_range` (output of the network on a gray picture), `unchanged` (`out` already held exactly this).

    Raises:
        UsageError: no such file, `out` is in the way, or an argument makes no sense.
        WeightsError: the file isn't a sound DenseDepth file; the first problems are named.
        StorageError: the folder can't be written.
    """
    source, out = Path(source), Path(out)
    if upsampling not in UPSAMPLING_MODES:
        raise UsageError(
            f"Upsampling {upsampling!r} is unknown. Expected one of: {', '.join(UPSAMPLING_MODES)}."
        )
    if "kitti" in source.name.lower() and (min_depth_m is None or max_depth_m is None):
        raise UsageError(
            f"{source}: by its name it holds the outdoor (KITTI) weights, whose range is not that of the "
            "indoor ones and isn't stored in the file. Say it: --min-depth-m 1 --max-depth-m 80 "
            "--trained-at 1280x384."
        )
    _check_target(out)
    weights = read_keras_weights(source)
    config = DenseDepthConfig(
        **weights.settings,
        upsampling=upsampling,
        min_depth_m=MIN_DEPTH_M if min_depth_m is None else min_depth_m,
        max_depth_m=MAX_DEPTH_M if max_depth_m is None else max_depth_m,
        image_size=image_size,
        architectures=[DenseDepthForDepthEstimation.__name__],
        dtype="float32",
    )
    report = {
        "source": source.name,
        "source_sha256": file_sha256(source),
        "variant": variant_name(config),
        "num_values": weights.num_values,
        "keras_version": weights.keras_version,
        "settings": {name: getattr(config, name) for name in NYU_VARIANT},
        "out": str(out),
    }
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".tmp", dir=out.parent))
        try:
            _write_folder(work, weights.tensors, config, report)
            report["raw_range"] = _check_by_running(work, source)
            report["unchanged"] = _move_into_place(work, out, overwrite)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"{out}: can't be written: {error}. Nothing was changed; make room or name another folder."
        ) from error
    return report


def variant_name(config):
    """What a network is called: "nyu" for the published one, else "nyu with ..." and what differs from it."""
    differences = [
        f"{name} {getattr(config, name)}"
        for name, value in NYU_VARIANT.items()
        if getattr(config, name) != value
    ]
    return "nyu" + (f" with {', '.join(differences)}" if differences else "")


def file_sha256(path):
    """sha256 of a file's bytes, 64 hex digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_target(out):
    """Refuse a target that holds anything but an earlier conversion."""
    if not out.exists():
        return
    names = {path.name for path in out.iterdir()} if out.is_dir() else {out.name}
    strangers = sorted(names - set(OUTPUT_FILES))
    if strangers:
        raise UsageError(
            f"{out}: exists and holds {strangers[0]!r}, which no conversion wrote. Name another folder."
        )


def _write_folder(folder, tensors, config, report):
    state = dict(tensors)
    with torch.device("meta"):
        expected = DenseDepthForDepthEstimation(config).state_dict()
    for name, tensor in expected.items():
        if name.endswith(COUNTER):  # Keras has none
            state[name] = torch.zeros(tensor.shape, dtype=tensor.dtype).numpy()
    save_file({name: state[name] for name in sorted(state)}, folder / "model.safetensors", {"format": "pt"})
    config.save_pretrained(folder)
    height, width = config.image_size
    DenseDepthImageProcessor(size={"height": height, "width": width}).save_pretrained(folder)
    (folder / "README.md").write_text(model_card(config, report), encoding="utf-8")
    for path in sorted(folder.iterdir()):
        with open(path, "rb") as stream:
            os.fsync(stream.fileno())


def _check_by_running(folder, source):
    """Load what was written as any user would, and run it once."""
    model = load_pretrained(folder, model_class=DenseDepthForDepthEstimation)
    with torch.inference_mode():
        raw = model.raw(torch.full((1, 3, CHECK_SIZE_PX, CHECK_SIZE_PX), 0.5))
    if not raw.isfinite().all():
        raise WeightsError(f"{source}: the network gives NaN or infinite values on a gray picture. Refused.")
    return [round(float(raw.min()), 4), round(float(raw.max()), 4)]


def _move_into_place(work, out, overwrite):
    """Rename the finished folder to `out`. True if `out` was there with the same bytes already."""
    if not out.exists():
        work.chmod(0o755)  # mkdtemp makes it private
        work.rename(out)
        return False
    _, differing, unreadable = filecmp.cmpfiles(work, out, OUTPUT_FILES, shallow=False)
    if not differing and not unreadable:
        return True
    if any(out.iterdir()) and not overwrite:
        raise UsageError(
            f"{out}: exists and differs ({', '.join(sorted(differing + unreadable))}). "
            "Name another folder, or say --overwrite to replace it."
        )
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".old", dir=out.parent))
    work.chmod(0o755)
    out.rename(old / out.name)
    work.rename(out)
    shutil.rmtree(old)
    return False


def model_card(config, report):
    """The README.md of a converted folder."""
    height, width = config.image_size
    settings = json.dumps(report["settings"], indent=2)
    return f"""---
library_name: transformers
pipeline_tag: depth-estimation
tags:
- densedepth
- depth-estimation
---

# DenseDepth, converted from Keras

Monocular depth estimation: a DenseNet-169 encoder with a bilinear upsampling decoder (Alhashim and Wonka,
"High Quality Monocular Depth Estimation via Transfer Learning", arXiv 1812.11941). The weights are those of a
Keras file, unchanged; `fgbg-depth convert-weights` rewrote them.

| | |
| --- | --- |
| source file | `{report["source"]}` |
| its sha256 | `{report["source_sha256"]}` |
| written by Keras | {report["keras_version"] or "unknown"} |
| variant | {report["variant"]} |
| values | {report["num_values"]:,} |
| range | {config.min_depth_m:g} m to {config.max_depth_m:g} m |
| trained at | {width} x {height} pixels |

Read from the file, but for `upsampling` and the range, which it doesn't store:

```json
{settings}
```

## Use

```python
from transformers import pipeline
from fgbg_depth.depth import DenseDepthForDepthEstimation  # makes the model type known to transformers

depth = pipeline("depth-estimation", model="THIS FOLDER")("picture.jpg")["predicted_depth"]  # metres
```

Input is RGB in [0, 1] without mean or std, sides in multiples of 32. The network gives the inverse of depth,
`raw = {config.max_depth_m:g} m / depth`, at half the size of its input.

## Limits

Trained on one kind of scenes and one camera: metres are estimates, and pictures from other cameras are off by
a common factor. The licence of the weights is that of their authors.
"""
