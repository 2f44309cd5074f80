"""Sets for the tests of `annotate`, made once for a test session, and its runs.

| `made(name)` | what `generate` made of the same pictures |
| --- | --- |
| `none` | no depth |
| `tiny` | depth of a network that takes no time |
| `mini` | depth of the embedded model |

Each has two batches; the second brings a background and no foreground.
"""

import functools

import small_sets
from real_runs import NUM_BACKGROUNDS, RECIPE, call_good, make_pictures, save_tiny_model

from fgbg_depth.annotate import annotate
from fgbg_depth.prepare import Options

MINI = {"depth_model": "densedepth-mini"}
NO_DEPTH = {"depth_model": "none"}
ONE_WORKER = Options(None, None, num_workers=1)


@functools.cache
def home():
    """A folder that goes when the interpreter does."""
    folder = small_sets._home().path / "annotate"
    folder.mkdir()
    return folder


@functools.cache
def pictures():
    """Source pictures of the first batch."""
    return make_pictures(home() / "pictures")


@functools.cache
def more_pictures():
    """The same, and one background more."""
    return make_pictures(home() / "more", range(NUM_BACKGROUNDS + 1))


@functools.cache
def model(name):
    """What --depth-model is for a set of this name."""
    return {"none": lambda: "none", "tiny": lambda: str(save_tiny_model(home() / "model")), "mini": lambda: "densedepth-mini"}[name]()


@functools.cache
def made(name):
    """Folder of a finished set; nobody may change it."""
    folder = home() / name
    generate(folder, pictures(), model(name))
    generate(folder, more_pictures(), model(name), "--append")
    return folder


def generate(folder, source, depth_model, *words):
    """Make a set in this process."""
    call_good("generate", *source.flags, "--out", folder, *RECIPE, "--depth-model", depth_model, "--workers", 1, "--quiet", *words)


def command(source, folder, depth_model, *words, workers=1):
    """The words of a quiet `annotate`, for `run`, `call` and `start`."""
    return ("annotate", source, "--out", folder, "--depth-model", depth_model, "--workers", workers, "--quiet", *words)


def again(source, folder, depth=NO_DEPTH, **words):
    """`annotate` as a function, with one worker."""
    return annotate(source, folder, depth, ONE_WORKER, **words)


def times(folder):
    """When each folder's list of names was last changed, and each file."""
    return {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}
