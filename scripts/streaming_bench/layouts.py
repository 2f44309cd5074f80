"""The same rows in several layouts, each in a repository of a local Hub; made once and kept in the work folder.

    WORK/state/hub            the Hub's state
    WORK/state/LAYOUT.json    the layout is there: its files and bytes
"""

import json
import sys
import tempfile
from pathlib import Path

import bench_rows
from bench_rows import kept
from bench_rows.kept import PICTURES, SPLIT, data_files
from bench_rows.process import run

import fgbg_depth

from .ways import OWNER

DATA_SUFFIXES = (".parquet", ".tar", ".mds")


def state_folder(work, num_rows, folder=None):
    """The folder of what is kept, emptied if it was made by other code or of other rows.

    Args:
        work: folder; only `state` and `made-of.txt` in it are touched.
        num_rows: of the set that is made.
        folder: a set to take instead.
    """
    code = [path for module in (fgbg_depth, bench_rows) for path in Path(module.__file__).parent.rglob("*.py")]
    code += Path(__file__).parent.glob("*.py")
    given = [Path(folder) / "manifest.json", Path(folder) / "README.md"] if folder else []
    return kept.state_folder(work, num_rows, [*sorted(code), *given])


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
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            self._run([self.peers_python, "-m", "bench_rows.pack", layout, folder, "--files", *data_files(self.folder)])
            self._python(_upload, folder, repo)

    def _python(self, function, *args):
        """Call a function of this module in a fresh process with the real client."""
        code = f"import sys; from streaming_bench import layouts; layouts.{function.__name__}(*sys.argv[1:])"
        self._run([sys.executable, "-c", code, *map(str, args)])

    def _run(self, command):
        with tempfile.TemporaryDirectory(dir=self.work) as home:
            run(command, **self.hub.env(home))


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

    return [name for name in pq.read_schema(data_files(folder)[0]).names if name not in PICTURES]
