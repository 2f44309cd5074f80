"""The sets that are sent one over the other, made from the sample pictures of the package.

| name | what it is |
| --- | --- |
| `base` | all backgrounds but one |
| `appended` | `base`, and the last background by `generate --append` |
| `annotated` | `base` with depth of another network, by `annotate` |
| `regenerated` | the same as `annotated`, by `generate` |
| `anew` | all backgrounds at once, by `generate` |
"""

import contextlib
import hashlib
import io
import json
import shutil
from pathlib import Path

from fgbg_depth.cli import main
from fgbg_depth.config import FORMAT_VERSION
from fgbg_depth.files import locked
from fgbg_depth.generate import generate
from fgbg_depth.manifest import library_versions
from fgbg_depth.prepare import Options
from fgbg_depth.samples import sample_folder

NAMES = ("base", "appended", "annotated", "regenerated", "anew")
NEWCOMER = "bridge_01.jpg"  # the background that comes later: of a scene of its own, so it goes to any split


def make_sets(work, recipe, other_model, num_backgrounds=None, num_foregrounds=None, num_workers=None):
    """Make the sets, or find them made.

    Args:
        work: folder; sets that an earlier call made there of the same recipe are taken as they are.
        recipe: config.Recipe of all of them.
        other_model: depth model of `annotated` and `regenerated`.
        num_backgrounds, num_foregrounds: sample pictures to take; None takes all.
        num_workers: processes; None takes one for each processor.

    Returns:
        {name: folder}. Nobody may change them.
    """
    facts = {"format": FORMAT_VERSION, "recipe": recipe.to_dict(), "other": str(other_model), "versions": library_versions(True)}
    facts["pictures"] = num_backgrounds, num_foregrounds
    home = Path(work) / hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
    pictures = _pictures(home, num_backgrounds, num_foregrounds)
    other = recipe.replace(depth_model=str(other_model))

    def make(folder, recipe, backgrounds, append=False):
        generate(folder, recipe, Options(pictures[backgrounds], pictures["foregrounds"], append=append, num_workers=num_workers))

    def append(folder):
        shutil.copytree(home / "base", folder)
        make(folder, recipe, "all", append=True)

    def annotate(folder):
        words = ["annotate", home / "base", "--depth-model", other_model, "--out", folder, "--trust", "--quiet"]
        words += ["--workers", num_workers] if num_workers else []
        with contextlib.redirect_stdout(io.StringIO()):
            code = main([str(word) for word in words])
        if code:
            raise SystemExit(f"`fgbg-depth {' '.join(map(str, words))}` ended with exit code {code}")

    makers = {
        "base": lambda folder: make(folder, recipe, "old"),
        "appended": append,
        "annotated": annotate,
        "regenerated": lambda folder: make(folder, other, "old"),
        "anew": lambda folder: make(folder, recipe, "all"),
    }
    with locked(home):
        return {name: _made(home / name, makers[name]) for name in NAMES}


def save_other_model(folder, size_px, seed=0):
    """A DenseDepth of some 10,000 random weights: another network than the embedded one. Returns its folder."""
    import torch

    from fgbg_depth.depth import DenseDepthConfig, DenseDepthForDepthEstimation, DenseDepthImageProcessor
    from fgbg_depth.depth.pretrained import quiet_transformers

    folder = Path(folder)
    if (folder / "config.json").is_file():
        return folder
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sizes = {"num_init_features": 8, "growth_rate": 4, "block_config": (1, 2, 2, 1), "decoder_width": 16}
        model = DenseDepthForDepthEstimation(DenseDepthConfig(**sizes, image_size=size_px))
    with quiet_transformers():
        DenseDepthImageProcessor(size={"height": size_px, "width": size_px}).save_pretrained(folder)
        model.eval().save_pretrained(folder)
    return folder


def _made(folder, make):
    """A folder that is there whole or not at all."""
    if not folder.is_dir():
        temp = folder.with_name(f"unfinished-{folder.name}")
        shutil.rmtree(temp, ignore_errors=True)
        make(temp)
        temp.rename(folder)
    return folder


def _pictures(home, num_backgrounds, num_foregrounds):
    """Folders of sample pictures: {"old": without the newcomer, "all": with it, "foregrounds": ...}."""
    backgrounds, foregrounds = (
        sorted(path.name for path in sample_folder(kind).iterdir() if path.suffix in (".jpg", ".png"))
        for kind in ("background", "foreground")
    )
    old = [name for name in backgrounds if name != NEWCOMER][: num_backgrounds and num_backgrounds - 1]
    chosen = {"old": old, "all": [*old, NEWCOMER], "foregrounds": foregrounds[:num_foregrounds]}
    for name, files in chosen.items():
        folder = home / "pictures" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file in (*files, "SOURCES.csv"):
            shutil.copy(sample_folder("foreground" if name == "foregrounds" else "background") / file, folder)
    return {name: home / "pictures" / name for name in chosen}
