"""Check a published version where it is: sizes and hashes as the Hub tells them, against the manifest; no data file is downloaded."""

import hashlib
import time

from ..card.write import CARD_NAME
from ..manifest import MANIFEST_NAME
from ..verify.findings import Finding, Report
from .difference import OUR_FILES, OUR_FOLDERS
from .history import entries_of_card
from .patience import Patience
from .release import tree_problems
from .remote import Remote
from .versions import parse_version

MEND = "publish the set again"


def verify_remote(repo_id, revision=None, *, api=None, patience=None):
    """Compare a version on the Hub with its manifest.

    Large files are compared by the sha256 that the Hub keeps for them; of the others, which are small, the manifest,
    stats.json, recipe.toml and the card are read.

    Args:
        repo_id: such as "user/set".
        revision: a tag, branch or commit; None takes main.
        api: huggingface_hub.HfApi; None makes one from the environment.
        patience: Patience.

    Returns:
        verify.Report; the version is good when it has no finding.

    Raises:
        UsageError: no such repository or revision.
        HubError: the Hub can't be reached.
    """
    from huggingface_hub import HfApi

    started, remote = time.monotonic(), Remote(api or HfApi(), repo_id, patience=patience or Patience())
    commit = remote.commit_of(revision or "main")
    tree, manifest = remote.tree(commit), remote.manifest(commit)
    if manifest is None:
        found = [Finding(MANIFEST_NAME, None, None, "is missing, or can't be read", MEND)]
    else:
        found = [Finding(path, None, None, words, MEND) for path, words in tree_problems(manifest, tree)]
        found += _small_files(remote, commit, tree, manifest)
        found += _strangers(remote, tree, manifest)
    found += _card_problems(remote, commit, tree, revision)
    files = {path: facts for path, facts in (manifest or {"files": {}})["files"].items() if path in tree}
    rows = sum(facts["rows"] for facts in files.values() if facts.get("config") == "default")
    notes = (f"commit {commit}; compared by size and sha256 as the Hub tells them, without a download; --full downloads",)
    where = f"{remote.url} at {revision or 'main'}"
    return Report(where, tuple(found), len(files), rows, sum(tree[path].size for path in files), 0, 0, notes, time.monotonic() - started)


def download_version(repo_id, revision=None, *, api=None, patience=None):
    """Download a version into the client's cache, or take it from there.

    Returns:
        str: its folder.

    Raises:
        UsageError: no such repository or revision.
        HubError: it can't be downloaded.
    """
    from huggingface_hub import HfApi

    patience = patience or Patience()
    remote = Remote(api or HfApi(), repo_id, patience=patience)
    commit = remote.commit_of(revision or "main")
    return patience.once_more().call(f"download {repo_id}", remote.api.snapshot_download, repo_id, repo_type="dataset", revision=commit)


def _small_files(remote, commit, tree, manifest):
    """Files outside of large-file storage are known to the Hub by another hash, so they are read."""
    found = []
    for path in OUR_FILES:
        facts = manifest["files"].get(path)
        if facts and path in tree and not tree[path].sha256 and tree[path].size == facts["bytes"]:
            sha256 = hashlib.sha256(remote.read(path, commit)).hexdigest()
            if sha256 != facts["sha256"]:
                found.append(
                    Finding(path, None, None, f"has sha256 {sha256[:12]}..., {MANIFEST_NAME} says {facts['sha256'][:12]}...", MEND)
                )
    return found


def _strangers(remote, tree, manifest):
    found = []
    for path in sorted(tree):
        if path.endswith(".parquet") and path.split("/")[0] in OUR_FOLDERS and path not in manifest["files"]:
            found.append(Finding(path, None, None, f"isn't listed in {MANIFEST_NAME}, and would be loaded as rows", "delete it there"))
    script = remote.repo_id.split("/")[1] + ".py"
    if script in tree:
        found.append(Finding(script, None, None, "keeps `datasets` from loading the set at all", "delete it there"))
    return found


def _card_problems(remote, commit, tree, revision):
    if CARD_NAME not in tree:
        return [Finding(CARD_NAME, None, None, "is missing", MEND)]
    entries = entries_of_card(remote.card(commit))
    if revision and parse_version(revision) and [e.version for e in entries[:1]] != [revision]:
        told = entries[0].version if entries else "none"
        return [Finding(CARD_NAME, None, None, f"its list of versions begins with {told}, expected {revision}", MEND)]
    return []
