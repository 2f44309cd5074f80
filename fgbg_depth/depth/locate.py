"""What the name of a depth model stands for: an embedded folder, a folder or file on disk, or a Hub repo.

Nothing is loaded here. `densedepth-nyu` is looked for in three places, in this order: the path given with it,
the environment variable FGBG_DEPTH_WEIGHTS, the cache folder. The published weights can't be downloaded any
more, so if it is nowhere the error says how to get and convert them.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from fgbg_depth.errors import DepthModelError, UsageError

MINI = "densedepth-mini"  # ships inside the package
NYU = "densedepth-nyu"  # the published indoor weights
NONE = "none"  # no depth at all; callers handle it before they come here
WEIGHTS_VARIABLE = "FGBG_DEPTH_WEIGHTS"
KERAS_SUFFIXES = (".h5", ".hdf5")
NYU_FILE = "nyu.h5"
NYU_FILE_BYTES = 172_897_376  # size of the published file

_HUB_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True)
class ModelSource:
    """Where a model is.

    Attributes:
        name: what it is called in manifests and on cards; never a path.
        folder: a local folder in `transformers` layout, or None.
        keras_file: a Keras .h5 file that has to be converted first, or None.
        repo_id, revision: a repo on the Hub, and the revision asked for (None: the newest).
        must_be_nyu: the network has to be the published one.
    """

    name: str
    folder: Path | None = None
    keras_file: Path | None = None
    repo_id: str | None = None
    revision: str | None = None
    must_be_nyu: bool = False


def cache_folder():
    """Where converted weights are kept: $XDG_CACHE_HOME/fgbg_depth, by default ~/.cache/fgbg_depth."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fgbg_depth"


def embedded_folder():
    """The folder of the mini model inside the package."""
    return Path(__file__).parent / "weights" / MINI


def locate_model(name, weights=None):
    """Find what a model name stands for.

    Args:
        name: `densedepth-mini`, `densedepth-nyu`, a local folder, a Keras .h5 file, or a Hub repo id, with
            `@revision` behind it if wanted. A folder of that name counts before the Hub.
        weights: for `densedepth-nyu`: its converted folder or .h5 file.

    Returns:
        ModelSource.

    Raises:
        UsageError: the name is `none` or makes no sense, or `weights` goes with another name.
        DepthModelError: what the name stands for isn't there.
    """
    name = os.fspath(name)
    if weights is not None and name != NYU:
        raise UsageError(
            f"Weights {str(weights)!r} were given for the model {name!r}. They only go with {NYU!r}."
        )
    if name == NONE:
        raise UsageError(f"The depth model {NONE!r} means no depth; there is nothing to load.")
    if name == MINI:
        return _embedded()
    if name == NYU:
        return _find_nyu(weights)
    path = Path(name).expanduser()
    if path.exists():
        return _local(path, path.absolute().name)
    match = _HUB_ID.fullmatch(name)
    looks_like_path = name.startswith((".", "/", "~")) or path.suffix in KERAS_SUFFIXES or "\\" in name
    if looks_like_path or not match:
        raise DepthModelError(
            f"Depth model {name!r}: no such file or folder. Expected {MINI}, {NYU}, a local folder, "
            "a Keras .h5 file, or a Hub repo id such as org/name."
        )
    return ModelSource(name=match["repo"], repo_id=match["repo"], revision=match["revision"])


def _embedded():
    folder = embedded_folder()
    if not (folder / "config.json").is_file():
        raise DepthModelError(f"{folder}: the embedded model {MINI} is not there. Install the package anew.")
    return ModelSource(MINI, folder=folder)


def _local(path, name, **more):
    """A path that exists, as a source."""
    if path.is_file():
        if path.suffix.lower() not in KERAS_SUFFIXES:
            raise DepthModelError(
                f"{path}: a file that is no Keras .h5. Expected a .h5 file, or the folder that holds "
                "config.json and model.safetensors."
            )
        return ModelSource(name, keras_file=path, **more)
    if not (path / "config.json").is_file():
        content = ", ".join(sorted(item.name for item in path.iterdir())[:8]) or "nothing"
        raise DepthModelError(
            f"{path}: holds no depth model (found {content}). Expected config.json, model.safetensors and "
            "preprocessor_config.json, as convert-weights or save_pretrained writes them."
        )
    return ModelSource(name, folder=path, **more)


def _find_nyu(weights):
    variable = os.environ.get(WEIGHTS_VARIABLE)
    for origin, value in (("the weights given", weights), (f"the variable {WEIGHTS_VARIABLE}", variable)):
        if value:
            path = Path(value).expanduser()
            if not path.exists():
                raise DepthModelError(
                    f"{NYU}: {origin} is {str(value)!r}, which isn't there. {_HOW_TO_GET_NYU}"
                )
            return _local(path, NYU, must_be_nyu=True)
    cache = cache_folder()
    if (cache / NYU / "config.json").is_file():
        return _local(cache / NYU, NYU, must_be_nyu=True)
    for path in (cache / NYU / NYU_FILE, cache / NYU_FILE):
        if path.is_file():
            return _local(path, NYU, must_be_nyu=True)
    raise DepthModelError(
        f"{NYU}: not found. Looked at the weights given (none), the variable {WEIGHTS_VARIABLE} (not set), "
        f"{cache / NYU} and {cache / NYU_FILE}. {_HOW_TO_GET_NYU}"
    )


_HOW_TO_GET_NYU = (
    "The authors' download links have been dead since 2021 (access denied), so the weights can't be fetched. "
    f"Ask somebody who still has {NYU_FILE} ({NYU_FILE_BYTES:,} bytes) from the DenseDepth authors, convert "
    f"it once with `fgbg-depth convert-weights {NYU_FILE} OUT`, and name the result by `--depth-weights OUT`, or by "
    f"`{WEIGHTS_VARIABLE}=OUT`, or put it into the cache folder: `fgbg-depth convert-weights {NYU_FILE} "
    f"~/.cache/fgbg_depth/{NYU}`. To try things out without them, use {MINI}."
)
