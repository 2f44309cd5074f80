"""Real runs of the command line on small pictures made by code, and the folders that they leave.

`Pictures` are two source folders; `generate` makes the words of a command; `run` is one whole process of `python -m fgbg_depth`;
`tree` is every byte of a folder.
"""

import contextlib
import hashlib
import io
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

import fgbg_depth
from fgbg_depth import cli

PACKAGE_PARENT = str(Path(fgbg_depth.__file__).parents[1])
RUN_TIMEOUT_S = 120  # a run takes some seconds; a test that hangs must end
NUM_BACKGROUNDS, NUM_FOREGROUNDS = 7, 3
SIDE_PX = 64
# 7 x 3 x 2 x 4 = 168 rows in small shards: a run passes many moments in little time.
RECIPE = (
    *("--image-size", str(SIDE_PX), "--foreground-size", "24", "20", "--placements", "4", "--splits", "0.6", "0.2", "0.2"),
    *("--rows-per-shard", "24", "--first-shard-rows", "8", "--rows-per-group", "8"),
)
PLAIN = (*RECIPE, "--depth-model", "none")


@dataclass(frozen=True)
class Pictures:
    """Two source folders."""

    backgrounds: Path
    foregrounds: Path

    @property
    def flags(self):
        return ("--backgrounds", str(self.backgrounds), "--foregrounds", str(self.foregrounds))

    def copy(self, to, order=1):
        """The same files elsewhere; with order=-1 they are written in the opposite order."""
        copied = Pictures(to / "backgrounds", to / "foregrounds")
        for source, target in ((self.backgrounds, copied.backgrounds), (self.foregrounds, copied.foregrounds)):
            target.mkdir(parents=True)
            for path in sorted(source.iterdir())[::order]:
                (target / path.name).write_bytes(path.read_bytes())
        return copied


def make_pictures(folder, backgrounds=range(NUM_BACKGROUNDS), foregrounds=range(NUM_FOREGROUNDS)):
    """Write some numbered pictures; a number always gives the same one."""
    pictures = Pictures(Path(folder) / "backgrounds", Path(folder) / "foregrounds")
    for path in (pictures.backgrounds, pictures.foregrounds):
        path.mkdir(parents=True, exist_ok=True)
    for number in backgrounds:
        add_background(pictures.backgrounds, number)
    for number in foregrounds:
        add_foreground(pictures.foregrounds, number)
    return pictures


def add_background(folder, number, name=None):
    """A room of sorts: ramps, blocks and noise, 80 x 60."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[0:60, 0:80]
    room = np.stack([x * 3, y * 4, (x + y) * 1.5], -1) * rng.uniform(0.3, 1, 3) + rng.normal(0, 8, (60, 80, 3))
    for _ in range(4):
        top, left = rng.integers(0, 40), rng.integers(0, 60)
        room[top : top + 15, left : left + 12] = rng.integers(0, 256, 3)
    path = Path(folder) / (name or f"room_{number:02d}.png")
    Image.fromarray(np.clip(room, 0, 255).astype(np.uint8)).save(path)
    return path


def add_foreground(folder, number, name=None):
    """A blob with a soft edge on a clear ground, 30 to 45 pixels wide, 36 high."""
    rng = np.random.default_rng(1000 + number)
    width, height = 30 + number % 4 * 5, 36
    y, x = np.mgrid[0:height, 0:width]
    radius = np.hypot((x - width / 2) / (width / 2), (y - height / 2) / (height / 2))
    blob = np.empty((height, width, 4))
    blob[..., :3] = rng.integers(0, 256, 3) + rng.normal(0, 20, (height, width, 3))
    blob[..., 3] = np.clip((0.95 - radius) * 6, 0, 1) * 255
    path = Path(folder) / (name or f"blob_{number:02d}.png")
    Image.fromarray(np.clip(blob, 0, 255).astype(np.uint8)).save(path)
    return path


def save_tiny_model(folder):
    """A DenseDepth of 4,000 random values, whose input is as large as the composites."""
    import torch

    from fgbg_depth.depth import DenseDepthConfig, DenseDepthForDepthEstimation, DenseDepthImageProcessor

    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = {"num_init_features": 4, "growth_rate": 2, "block_config": (1, 1, 1, 1), "decoder_width": 16}
        model = DenseDepthForDepthEstimation(DenseDepthConfig(**sizes, image_size=SIDE_PX))
    model.save_pretrained(folder)
    DenseDepthImageProcessor(size={"height": SIDE_PX, "width": SIDE_PX}).save_pretrained(folder)
    return folder


# --- processes ---


def environment(changes=None):
    """Environment variables of a process that finds the same package as this one."""
    path = os.pathsep.join(filter(None, (PACKAGE_PARENT, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, **(changes or {})}


def start(arguments, env=None, cwd=None, **options):
    """Start `python -m fgbg_depth` in a process group of its own.

    Args:
        arguments: what follows the program's name.
        env: further environment variables.
        cwd: where it runs.
        options: for subprocess.Popen.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "fgbg_depth", *map(str, arguments)],
        env=environment(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str


def end_of(process):
    """Wait for a process; its whole group is killed if it takes too long."""
    try:
        out, err = process.communicate(timeout=RUN_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        kill_group(process)
        out, err = process.communicate()
        raise AssertionError(f"a run didn't end within {RUN_TIMEOUT_S} s:\n{out}\n{err}") from None
    return Ended(process.returncode, out, err)


def kill_group(process):
    """kill -9 of a process and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def run(*arguments, **options):
    """One whole process; see `start`."""
    return end_of(start(arguments, **options))


def run_good(*arguments, **options):
    """One whole process that has to end well."""
    ended = run(*arguments, **options)
    assert ended.code == 0, ended.err
    return ended


def call(*arguments):
    """The command line inside this process, where no process of its own matters: it is much quicker."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main([str(argument) for argument in arguments])
    return Ended(code, out.getvalue(), err.getvalue())


def call_good(*arguments):
    """As `call`, and it has to end well."""
    ended = call(*arguments)
    assert ended.code == 0, ended.err
    return ended


def generate(pictures, folder, recipe=PLAIN, *flags, workers=1):
    """The words of a quiet `generate`, for `run`, `call` and `start`."""
    return ("generate", *pictures.flags, "--out", folder, *recipe, "--workers", workers, "--quiet", *flags)


def refused(arguments, folder, *words, code=1):
    """The run ends with an exit code, says all the words and changes nothing in the folder."""
    before, ids = tree(folder), identities(folder)
    ended = call(*arguments)
    assert ended.code == code, ended.err
    for word in words:
        assert str(word) in ended.err, ended.err
    assert tree(folder) == before and identities(folder) == ids


# --- folders ---


def tree(folder):
    """{path: sha256 of a file, or "folder"} of everything in a folder, hidden files too; {} when it is missing."""
    paths = sorted(Path(folder).rglob("*"))
    return {p.relative_to(folder).as_posix(): "folder" if p.is_dir() else hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def identities(folder, pattern="**/*.parquet"):
    """{path: (inode, time of the last change)} of finished files: a file that is written anew gets others."""
    paths = (p for p in Path(folder).glob(pattern) if not p.name.startswith("."))
    return {p.relative_to(folder).as_posix(): (p.stat().st_ino, p.stat().st_mtime_ns) for p in paths}


def read_rows(folder, pattern="metadata/*/*.parquet"):
    """Rows of some tables as dicts, in the order of the files; each says its "file"."""
    paths = sorted(Path(folder).glob(pattern))
    return [{**row, "file": p.relative_to(folder).as_posix()} for p in paths for row in pq.ParquetFile(p).read().to_pylist()]


def data_files(folder):
    """Paths of the data shards, sorted."""
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).glob("data/*/[!.]*.parquet"))


def temporary_files(folder):
    """Names of hidden files: the lock, and files that aren't whole."""
    return sorted(p.name for p in Path(folder).rglob(".*"))
