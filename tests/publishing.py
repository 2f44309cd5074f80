"""What the tests of publishing share: sets to publish, calls of the real client in its own process, and what must hold on the Hub.

Functions of the first part run in the client's process (see hub.RealClient), where waits between tries take no time.
"""

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from hub import ClientError

REPO = "alice/set"
TODAY = "2026-03-04"
SHORT_TIMEOUT_S = 0.5  # of one read, in those tests alone that let the hub hang: a busy machine may be slow, too


class QuickTime:
    """The module `time` with pauses of no length."""

    def sleep(self, seconds):
        time.sleep(min(seconds, 0.001))

    def __getattr__(self, name):
        return getattr(time, name)


# The client's own pauses between its tries take 23 s for one request that fails for good.
SETTINGS = {"huggingface_hub.utils._http": {"time": QuickTime()}, "huggingface_hub.file_download": {"time": QuickTime()}}


# In the client's process.


def publish_set(folder, repo=REPO, *, plan=False, timeout_s=None, forget=True, **words):
    """Publish or plan, as the command does; returns a dict of what came out.

    Args:
        folder: the set.
        repo: repo id.
        plan: send nothing.
        timeout_s: of each read; None leaves the client as it is.
        forget: empty the client's cache first, as a new machine would have it.
        words: version, message, card, today; private, as_pull_request, check, num_threads.
    """
    from huggingface_hub import HfApi, constants

    from fgbg_depth.hub.patience import Patience, use_timeouts
    from fgbg_depth.hub.publish import TRUST, Options
    from fgbg_depth.hub.publish import plan as plan_publish
    from fgbg_depth.hub.publish import publish as really_publish
    from fgbg_depth.hub.release import Wish, as_json

    if timeout_s:
        use_timeouts(timeout_s)
    if forget:
        shutil.rmtree(constants.HF_HUB_CACHE, ignore_errors=True)
    wish = Wish(**{"today": TODAY, **{k: words.pop(k) for k in ("version", "message", "card", "today") if k in words}})
    options = Options(**{"check": TRUST, "num_threads": 8, **words})
    said = []
    patience = Patience(say=said.append, sleep=QuickTime().sleep)
    call = {"api": HfApi(), "wish": wish, "options": options, "patience": patience}
    if plan:
        release, url, exists, notes = plan_publish(folder, repo, **call)
        return {**as_json(release), "url": url, "exists": exists, "notes": list(notes), "said": said}
    result = really_publish(folder, repo, **call)
    facts = {name: getattr(result, name) for name in ("url", "version", "commit", "tagged", "pull_request", "changed", "notes")}
    return {**as_json(result.release), **facts, "said": said}


def run_main(*words):
    """`fgbg-depth WORDS` without the start-up of a process: (exit code, what it printed, what it said on stderr)."""
    import contextlib
    import io

    from fgbg_depth.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return code, out.getvalue(), err.getvalue()


def load_rows(repo, config=None, revision=None, **words):
    """Number of rows of each split, by plain `load_dataset`."""
    import datasets

    datasets.disable_progress_bars()
    loaded = datasets.load_dataset(repo, config, revision=revision, **words)
    return {split: rows.num_rows for split, rows in loaded.items()}


# In the test's process.


@functools.cache
def first_set():
    """Folder of a small set with one split; nobody may change it: copy it."""
    from small_sets import small_set

    return small_set("one_split")


@functools.cache
def second_set():
    """The same set with one background more; the sheets of the first one, so that an update stays small."""
    import small_sets

    folder = small_sets._home().path / "one_split-second"
    shutil.copytree(first_set(), folder)
    options = small_sets._options(small_sets.SECOND, append=True)
    small_sets.generate(folder, small_sets.recipe("one_split"), options)
    for sheet in (first_set() / "assets").glob("*.png"):
        shutil.copy(sheet, folder / "assets")
    return folder


def start_publish(hub, folder, repo, home, num_threads):
    """A process of `fgbg-depth publish` against the hub, with caches of its own; its output is text in pipes."""
    command = [sys.executable, "-m", "fgbg_depth", "publish", str(folder), "--repo", repo, "--trust", "--threads", str(num_threads)]
    env = {**os.environ, **hub.env(home)}
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def copy_of(folder, target):
    """A copy that may be changed."""
    shutil.copytree(folder, target)
    return Path(target)


def add_words(folder, words, after="summary"):
    """Write a paragraph of one's own into the card, behind a generated part."""
    path = Path(folder) / "README.md"
    mark = f"<!-- fgbg-depth:end {after} -->\n"
    text = path.read_text(encoding="utf-8")
    assert mark in text
    path.write_text(text.replace(mark, f"{mark}\n{words}\n"), encoding="utf-8")


def card_on_hub(repo, revision="main"):
    """Text of the card on the Hub."""
    return repo.read("README.md", revision).decode()


def assert_main_is_whole(repo):
    """Main holds no set, or one whole version: each file of its manifest with that content, no other data file, a card that tells it."""
    files = repo.files("main")
    if "manifest.json" not in files:
        assert set(files) == {".gitattributes"}
        return None
    manifest = json.loads(repo.read("manifest.json"))
    for path, facts in manifest["files"].items():
        assert files[path].size == facts["bytes"], path
        assert files[path].sha256 in (None, facts["sha256"]), path
    tables = {path for path in files if path.endswith(".parquet")}
    assert tables == {path for path in manifest["files"] if path.endswith(".parquet")}
    assert f"{sum(f['rows'] for f in manifest['files'].values() if f.get('config') == 'default'):,} rows of" in card_on_hub(repo)
    return manifest


def assert_same_as_folder(repo, folder, revision="main"):
    """Every published file has the bytes of the folder's."""
    folder = Path(folder)
    paths = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert paths == set(repo.files(revision)) - {".gitattributes"}
    for path in paths:
        assert repo.read(path, revision) == (folder / path).read_bytes(), path


def refused(client, *args, **words):
    """The ClientError of a publish that must not go well."""
    try:
        client.run(publish_set, *args, **words)
    except ClientError as error:
        return error
    raise AssertionError("it was published")


def writes(hub, mark):
    """Requests since a mark that could change something."""
    return [e for e in hub.log.filter(since=mark) if e.method not in ("GET", "HEAD") and not e.path.endswith("/validate-yaml")]


def sent(hub, mark):
    """sha256 of the large objects that arrived since a mark, each once."""
    uploads = hub.log.blob_uploads(mark)
    assert set(uploads.values()) <= {1}, "a blob was sent twice"
    return {sha for sha, _ in uploads}


def shas(folder, *paths):
    """sha256 of some files."""
    return {hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in paths}


def rewind(repo, state, large):
    """Put a repository back to an earlier state: refs, discussions, and the large objects that it had."""
    for path in (repo.folder / "large").iterdir():
        if path.name not in large:
            path.unlink()
    repo.save(**state)


def state_of(repo):
    """(state, names of large objects), for `rewind`."""
    return json.loads(json.dumps(repo.state)), {path.name for path in (repo.folder / "large").iterdir()}
