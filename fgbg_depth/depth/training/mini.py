"""The architecture of `densedepth-mini`, and how its folder is written."""

from importlib.resources import files
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from fgbg_depth.depth.configuration import DenseDepthConfig
from fgbg_depth.depth.image_processing import DenseDepthImageProcessor
from fgbg_depth.depth.modeling import DenseDepthForDepthEstimation
from fgbg_depth.errors import UsageError

EMBEDDED_NAME = "densedepth-mini"  # as users write it after --depth-model

# 1.85 million values, 1.6 GFLOP at 224 x 224. Most layers work at 14 x 14 and 7 x 7, where a 3x3 convolution sees a good part
# of the room and costs little; the 112 x 112 and 56 x 56 stages are thin, as they cost most and only place the edges.
ARCHITECTURE = {
    "num_init_features": 32,
    "growth_rate": 32,
    "bottleneck_size": 2,
    "block_config": (1, 4, 12, 10),
    "decoder_width": 192,
    "decoder_channels": (128, 64, 32, 16),
    "activation_after_conv_a": True,  # unlike the published network: twice the bends for no work
    "image_size": 224,
}


def new_model(seed, **changes):
    """A network with fresh weights, the same for equal seeds.

    Args:
        seed: int, of torch's global generator.
        **changes: fields of DenseDepthConfig that replace those of ARCHITECTURE.
    """
    torch.manual_seed(seed)
    return DenseDepthForDepthEstimation(DenseDepthConfig(**{**ARCHITECTURE, **changes}))


def begin_with(model, source):
    """Give a network the trained weights of another one.

    Args:
        model: DenseDepthForDepthEstimation; changed in place.
        source: EMBEDDED_NAME, or a folder written by `write_folder`.

    Raises:
        UsageError: it is no such folder, or of another architecture.
    """
    folder = embedded_folder() if source == EMBEDDED_NAME else Path(source)
    if not (folder / "model.safetensors").is_file():
        raise UsageError(f"{folder} has no model.safetensors; give {EMBEDDED_NAME} or a folder with a trained model")
    tensors, mine = load_file(folder / "model.safetensors"), model.state_dict()
    strange = sorted(name for name in tensors.keys() | mine.keys() if name not in tensors or name not in mine)
    strange += sorted(name for name in tensors.keys() & mine.keys() if tensors[name].shape != mine[name].shape)
    if strange:
        differ = f"{len(strange)} tensors differ, first {strange[0]}"
        raise UsageError(f"{folder}: of another architecture ({differ}); leave it out to begin anew")
    model.load_state_dict({name: tensor.to(mine[name].dtype) for name, tensor in tensors.items()})


def embedded_folder():
    """The folder inside the package that holds the trained model."""
    return Path(str(files("fgbg_depth.depth") / "weights" / EMBEDDED_NAME))


def check_target(folder):
    """Refuse a target that holds something other than such a model, before hours of training.

    Raises:
        UsageError: it is a file, or a folder with other things in it.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; give a folder that is new, empty, or holds an earlier model")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "config.json").is_file():
        raise UsageError(f"{folder}: holds files but no config.json; give a folder that is new, empty, or holds an earlier model")


def write_folder(model, folder):
    """Write config, preprocessor and weights, each renamed into place.

    Kernels are stored as float16 (half the bytes; the rounding, 0.05 %, is far below the network's error), everything else
    as float32. The config says float32, so `from_pretrained` computes in it.

    Args:
        model: DenseDepthForDepthEstimation.
        folder: Path; made if missing. Other files in it, as the model card, are left alone.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.half().contiguous() if tensor.ndim > 1 else tensor.contiguous() for name, tensor in model.state_dict().items()}
    temporary = folder / "model.safetensors.tmp"
    save_file(tensors, temporary, metadata={"format": "pt"})
    temporary.chmod(0o644)  # safetensors writes 0600; other users of a shared folder must read it
    temporary.replace(folder / "model.safetensors")
    model.config.architectures = [type(model).__name__]
    model.config.dtype = "float32"
    model.config.save_pretrained(folder)
    height_px, width_px = model.config.image_size
    DenseDepthImageProcessor(size={"height": height_px, "width": width_px}).save_pretrained(folder)
