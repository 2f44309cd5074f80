"""Send one set and then another one over it to a local Hub, and count what the second one took.

Files that would go through Xet are the large ones, those that the Hub keeps apart from git; the others are a part of the commit's request.
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from hub import HubServer, RealClient

from fgbg_depth.files import write_bytes

from .chunking import new_bytes

PUBLISH, PUSH = "publish", "push_to_hub"
TIMEOUT_S = 3600  # of one call of the client
CARD_WORDS = "\nThe rooms were chosen by hand.\n"
REMEMBERED = ("shard-cache", "shard-session")  # what hf_xet knows of earlier uploads, beside its store in a folder


@dataclass(frozen=True)
class Case:
    """A new version: `way` is how both sets are sent, `old` and `new` are names of sets, "edited" the base with another card."""

    title: str
    way: str
    old: str
    new: str


CASES = (
    Case("10 % more backgrounds, `generate --append`", PUBLISH, "base", "appended"),
    Case("another depth model, `annotate`", PUBLISH, "base", "annotated"),
    Case("another depth model, `generate`", PUBLISH, "base", "regenerated"),
    Case("a card edit", PUBLISH, "base", "edited"),
    Case("10 % more backgrounds, all made anew", PUBLISH, "base", "anew"),
    Case("10 % more backgrounds", PUSH, "base", "appended"),
    Case("another depth model", PUSH, "base", "annotated"),
    Case("the same rows again", PUSH, "base", "base"),
)


# In the client's process.


def send(way, folder, repo):
    """Send a folder as a version; returns seconds."""
    if way == PUSH:
        from datasets import disable_progress_bars, load_dataset
        from datasets.utils.logging import set_verbosity_error

        disable_progress_bars()
        set_verbosity_error()  # a note on each split otherwise
        loaded = load_dataset(str(folder))
        started = time.perf_counter()
        loaded.push_to_hub(repo)
    else:
        from huggingface_hub import HfApi

        from fgbg_depth.hub.publish import TRUST, Options, publish

        started = time.perf_counter()
        publish(folder, repo, api=HfApi(), options=Options(check=TRUST))
    return time.perf_counter() - started


def xet_sends(home, old, new):
    """Let hf_xet send files to an empty store in a folder, and then others.

    Args:
        home: folder for the stores.
        old, new: paths.

    Returns:
        {"bytes", "forgetful_bytes", "chunk_bytes"}: sent for `new`, by a client that remembers the upload of `old` and by one that
        doesn't; and in the chunks of the first before they are compressed. None without hf_xet.
    """
    try:
        import hf_xet
    except ImportError:
        return None

    def upload(store, paths):
        commit = hf_xet.XetSession().new_upload_commit(endpoint=f"local://{store}")
        for path in paths:
            commit.start_upload_file(str(path))
        return commit.wait_to_finish().dedup_metrics

    found = {}
    for name in ("bytes", "forgetful_bytes"):
        store = Path(home) / name
        store.mkdir(parents=True)
        upload(store, old)
        if name == "forgetful_bytes":
            for part in REMEMBERED:
                shutil.rmtree(store / "xet" / part)
        metrics = upload(store, new) if new else None
        found[name] = metrics.total_bytes_uploaded if new else 0
        if name == "bytes":
            found["chunk_bytes"] = metrics.new_bytes if new else 0
        shutil.rmtree(store)
    return found


# In this process.


def run_case(case, folders, home):
    """Send the old set and then the new one; returns what the second cost, as a dict.

    Args:
        case: Case.
        folders: {name: folder} of the sets.
        home: an empty folder.
    """
    repo_id = "alice/set"
    with HubServer(home / "hub") as hub, RealClient(hub, home / "client") as client:

        def call(function, *words):
            return client.result(client.start(function, *words), TIMEOUT_S)

        call(send, case.way, _copied(folders[case.old], home / "old"), repo_id)
        repo, mark = hub.repo(repo_id), hub.log.mark()
        before = repo.files()
        seconds = call(send, case.way, _copied(folders[case.new], home / "new"), repo_id)
        after, requests = repo.files(), hub.log.filter(since=mark)
        blobs = sum(entry.bytes_in for entry in requests if entry.method == "PUT" and entry.port == "cdn")
        has = {file.sha256 for file in before.values() if file.sha256}
        old = [repo.large_path(sha256) for sha256 in sorted(has)]
        new = [repo.large_path(sha256) for sha256 in sorted({file.sha256 for file in after.values() if file.sha256} - has)]
        found = {
            "files": sum(file != before.get(path) for path, file in after.items()),
            "dropped": len(before.keys() - after.keys()),
            "blob_bytes": blobs,
            "other_bytes": sum(entry.bytes_in for entry in requests) - blobs,
            "received_bytes": sum(entry.bytes_out for entry in requests),
            "requests": len(requests),
            "seconds": seconds,
            "chunk_bytes": new_bytes(old, new),
            "hf_xet": call(xet_sends, home / "xet", old, new),
        }
        hub.check()
    return found


def _copied(folder, target):
    """A copy that publishing may write its card into. Data files are linked: nothing ever writes into one."""
    if not target.exists():
        shutil.copytree(folder, target, copy_function=_link_or_copy)
    return target


def _link_or_copy(source, target):
    if source.endswith(".parquet"):
        Path(target).hardlink_to(source)
    else:
        shutil.copy2(source, target)


def edited(folder, target):
    """A copy of a set with a sentence of one's own in its card; returns its folder."""
    card = _copied(folder, target) / "README.md"
    mark = "<!-- fgbg-depth:end summary -->\n"
    text = card.read_text(encoding="utf-8")
    if mark not in text:
        raise SystemExit(f"{card} has no line {mark!r}")
    write_bytes(card, text.replace(mark, mark + CARD_WORDS).encode())
    return target
