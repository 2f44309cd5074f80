"""Small sets of 64 x 64 samples, made once for a test session from the sample pictures of the package.

| name | what it has |
| --- | --- |
| `plain` | no depth; two batches, shards of 8 rows |
| `one_split` | no depth; all rows in train |
| `relative8` | depth of the embedded model, 8 bits with ranges in metres |
| `metric16` | the same in 16-bit millimetres |
| `unscaled` | a model without metres: the ranges are null |
"""

import functools
import shutil
import tempfile
import weakref
from pathlib import Path

from fgbg_depth import schema
from fgbg_depth.config import Recipe
from fgbg_depth.generate import generate
from fgbg_depth.prepare import Options, prepare
from fgbg_depth.samples import sample_folder

NAMES = ("plain", "one_split", "relative8", "metric16", "unscaled")
IMAGE_SIZE_PX = 64
BACKGROUNDS = ("apartment_03.jpg", "ballroom_05.jpg", "bridge_01.jpg", "esplanade_03.jpg", "lab_07.jpg")  # of five scenes
FOREGROUNDS = ("mh_03_walk.png", "photo_hopper.png")
FIRST, SECOND, THIRD = 3, 4, 5  # backgrounds after the first, second and third batch
COMMON = {
    "image_size": IMAGE_SIZE_PX,
    "foreground_size": (30, 20),
    "rows_per_shard": 8,
    "first_shard_rows": 4,
    "rows_per_group": 3,
    "depth_batch": 2,
}
RECIPES = {
    "plain": {"depth_model": "none", "placements": 4},
    "one_split": {"depth_model": "none", "placements": 1, "hold_out": "none", "splits": (1.0, 0.0, 0.0)},
    "relative8": {"placements": 1},
    "metric16": {"placements": 1, "depth_encoding": "metric16"},
    "unscaled": {"placements": 1},
}
EVERY_TABLE = [(name, config) for name in NAMES for config in schema.CONFIGS]


class _Home:
    """A folder that goes when the interpreter does."""

    def __init__(self):
        self.path = Path(tempfile.mkdtemp(prefix="fgbg_depth-sets-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


_home = functools.cache(_Home)


def recipe(name):
    """The recipe of a set."""
    changes = {**COMMON, **RECIPES[name]}
    if name == "unscaled":
        changes["depth_model"] = str(_relative_model())
    return Recipe().replace(**changes)


@functools.cache
def small_set(name):
    """Folder of a finished set; made at the first call. Nobody may change it: copy it."""
    folder = _home().path / name
    generate(folder, recipe(name), _options(FIRST))
    if name == "plain":
        generate(folder, recipe(name), _options(SECOND, append=True))
    return folder


def append_to(folder):
    """Append a third batch, of one background, to a copy of `plain`."""
    generate(folder, recipe("plain"), _options(THIRD, append=True))


@functools.cache
def plan_of(name):
    """The plan of a small set, worked out anew from the source pictures and the recipe."""
    return prepare(small_set(name), recipe(name), _options(SECOND if name == "plain" else FIRST)).plan


def planned_keys(name):
    """{split: keys of all rows in the order of the plan}."""
    plan, keys = plan_of(name), {}
    for (_, split), rows in plan.rows.items():
        keys.setdefault(split, []).extend(plan.key(rows, i) for i in range(len(rows)))
    return {split: keys[split] for split in ("train", "validation", "test") if split in keys}


def has_depth(name):
    """Whether a small set has depth columns."""
    return recipe(name).has_depth


def _options(num_backgrounds, append=False):
    folders = [_assets("background", BACKGROUNDS[:num_backgrounds]), _assets("foreground", FOREGROUNDS)]
    return Options(*folders, append=append, num_workers=1)


@functools.cache
def _assets(kind, files):
    """A folder with some of the sample pictures and the SOURCES.csv of all."""
    folder = _home().path / f"{kind}s-{len(files)}"
    folder.mkdir()
    for name in (*files, "SOURCES.csv"):
        shutil.copy(sample_folder(kind) / name, folder)
    return folder


@functools.cache
def _relative_model():
    """A tiny Depth-Anything of random weights: relative inverse depth, no metres."""
    import torch
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessorPil

    stages = ["stage1", "stage2", "stage3", "stage4"]
    small = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "image_size": 56, "patch_size": 14}
    backbone = Dinov2Config(**small, out_features=stages, reshape_hidden_states=False)
    sizes = {"reassemble_hidden_size": 32, "neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 8, "head_hidden_size": 8}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = DepthAnythingForDepthEstimation(DepthAnythingConfig(backbone_config=backbone, patch_size=14, **sizes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5)  # as they are made, the maps are flat to the last bit but one
    folder = _home().path / "relative-model"
    model.save_pretrained(folder)
    DPTImageProcessorPil(size={"height": 56, "width": 56}, keep_aspect_ratio=False, ensure_multiple_of=14).save_pretrained(folder)
    return folder
