"""The set that a benchmark reads, and the folder in which it keeps what it made.

    WORK/made-of.txt      what the rest was made of; when that changes, it is made anew
    WORK/state/set        the set, if none was given
    WORK/state/...        the layouts
"""

import hashlib
import shutil
from pathlib import Path

SPLIT = "train"
PICTURES = ("image", "mask", "depth")
CELLS = 12 * 12 * 2  # of the package's sample pictures: backgrounds, cut-outs, mirrored and not


def state_folder(work, num_rows, made_of):
    """The folder of what is kept, emptied if it was made of something else.

    Args:
        work: folder; only `state` and `made-of.txt` in it are touched.
        num_rows: of the set that is made.
        made_of: paths of the files that decide what is kept: code, and those of a set that was given.
    """
    digest = hashlib.sha256(str(num_rows).encode())
    for path in made_of:
        digest.update(Path(path).read_bytes())
    stamp, state = Path(work) / "made-of.txt", Path(work) / "state"
    if not stamp.is_file() or stamp.read_text() != digest.hexdigest():
        if state.is_dir():
            shutil.rmtree(state)
        state.mkdir(parents=True)
        stamp.write_text(digest.hexdigest())
    return state


def make_set(folder, num_rows):
    """A set of at least `num_rows` rows, all in one split, from the pictures of the package; kept if it is there."""
    from fgbg_depth.config import Recipe
    from fgbg_depth.generate import generate
    from fgbg_depth.prepare import Options
    from fgbg_depth.progress import Quiet
    from fgbg_depth.samples import sample_folder

    recipe = Recipe(hold_out="none", splits=(1.0, 0.0, 0.0), placements=-(-num_rows // CELLS))
    generate(folder, recipe, Options(sample_folder("background"), sample_folder("foreground")), Quiet())
    return folder


def data_files(folder):
    """The set's Parquet files of the split, in order."""
    return sorted((Path(folder) / "data" / SPLIT).glob("*.parquet"))
