"""The same rows in several layouts, each in a repository of a local Hub; made once and kept in the work folder.

    WORK/made-of.txt          what the rest was made of; when that changes, it is made anew
    WORK/state/set            the set, if none was given
    WORK/state/hub            the Hub's state
    WORK/state/LAYOUT.json    the layout is there: its files and bytes
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import fgbg_depth

from .ways import OWNER, PICTURES, SPLIT

SCRIPTS = Path(__file__).resolve().parents[1]
CELLS = 12 * 12 * 2  # of the package's sample pictures: backgrounds, cut-outs, mirrored and not
DATA_SUFFIXES = (".parquet", ".tar", ".mds")


def state_folder(work, num_rows, folder=None):
    """The folder of what is kept, emptied if it was made by other code or of other rows.

    Args:
        work: folder; only `state` and `made-of.txt` in it are touched.
        num_rows: of the set that is made.
        folder: a set to take instead.
    """
    sources = [*Path(fgbg_depth.__file__).parent.rglob("*.py"), *Path(__file__).parent.glob("*.py")]
    given = [Path(folder) / "manifest.json", Path(folder) / "README.md"] if folder else []
    digest = hashlib.sha256(str(num_rows).encode())
    for path in sorted(sources) + given:
        digest.update(path.read_bytes())
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


class Layouts:
    """Repositories with the rows of a set.

    Args:
        folder: the set.
        work: what `state_folder` gave.
        hub: HubServer; not slow yet.
        peers_python: interpreter of the peers' environment, or None.
    """

    def __init__(self, folder, work, hub, peers_python):
        self.folder, self.work, self.hub, self.peers_python = Path(folder), Path(work), hub, peers_python

    def facts(self, layout):
        """{"files": data files of the split in the repository, "bytes": of them together}; the layout is made if it isn't there.

        Raises:
            RuntimeError: it can't be made; the text has the last words of what failed.
        """
        stamp = self.work / f"{layout}.json"
        if not stamp.is_file():
            getattr(self, f"_publish_{layout}")(f"{OWNER}/{layout}")
            files = self.hub.repo(f"{OWNER}/{layout}").files("main")
            # Ours has further configs and may have further splits; the other repositories hold this split and nothing else.
            top = f"data/{SPLIT}/" if layout == "ours" else ""
            mine = {p: f.size for p, f in files.items() if p.endswith(DATA_SUFFIXES) and p.startswith(top)}
            stamp.write_text(json.dumps({"files": sorted(mine), "bytes": sum(mine.values())}))
        return json.loads(stamp.read_text())

    def _publish_ours(self, repo):
        self._run([sys.executable, "-m", "fgbg_depth", "publish", str(self.folder), "--repo", repo])

    def _publish_default(self, repo):
        self._python(_push_default, self.folder, repo)

    def _publish_webdataset(self, repo):
        self._pack("webdataset", repo)

    def _publish_mds(self, repo):
        self._pack("mds", repo)

    def _pack(self, layout, repo):
        files = sorted((self.folder / "data" / SPLIT).glob("*.parquet"))
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            self._run([self.peers_python, "-m", "streaming_bench.pack", layout, folder, *map(str, files)])
            self._python(_upload, folder, repo)

    def _python(self, function, *args):
        """Call a function of this module in a fresh process with the real client."""
        code = f"import sys; from streaming_bench import layouts; layouts.{function.__name__}(*sys.argv[1:])"
        self._run([sys.executable, "-c", code, *map(str, args)])

    def _run(self, command):
        with tempfile.TemporaryDirectory(dir=self.work) as home:
            env = {**os.environ, **self.hub.env(home), "PYTHONPATH": str(SCRIPTS)}
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command[:6])} ... ended with exit code {done.returncode}:\n{done.stderr[-3000:]}")


def _push_default(folder, repo):
    from datasets import load_dataset

    load_dataset(folder, split=SPLIT).push_to_hub(repo)


def _upload(folder, repo):
    from huggingface_hub import HfApi

    HfApi().create_repo(repo, repo_type="dataset")
    HfApi().upload_folder(repo_id=repo, repo_type="dataset", folder_path=folder)


def scalar_columns(folder):
    """Names of the columns that are no pictures."""
    import pyarrow.parquet as pq

    first = min((Path(folder) / "data" / SPLIT).glob("*.parquet"))
    return [name for name in pq.read_schema(first).names if name not in PICTURES]
