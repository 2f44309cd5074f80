"""A folder that stands behind main: others published rows since the version that it comes from, and it doesn't hold them.

Published as it is it would take those rows out of main. That may be what somebody wants, so it can be asked for, but never happens
by itself. Batches of assets tell: each has a digest of its pictures in the manifest, which no depth model or recipe moves.
"""

import re

from ..errors import ConflictError
from .changelog import entries_of
from .versions import MAJOR

_BATCH = re.compile(r"data/[^/]+/b(\d+)-")


def batches_left_out(base, main, new):
    """Batches of main that came after the version which a set comes from, and that it lacks.

    Args:
        base, main, new: manifests as dicts: of that version, of main, and of the set.

    Returns:
        sorted list of batch numbers.
    """
    before, there, here = (manifest.get("asset_lists") or {} for manifest in (base, main, new))
    return sorted(int(batch) for batch, digest in there.items() if digest not in (before.get(batch), here.get(batch)))


def refuse_behind(body, manifest, decision, remote, snapshot, asked):
    """ConflictError when a release would take rows out of main that others published meanwhile, unless its number was asked for.

    Args:
        body: of the folder's card; its list of versions begins with the one that the folder comes from.
        manifest: of the folder.
        decision: versions.Decision.
        remote: remote.Remote.
        snapshot: its Snapshot.
        asked: the version that the user gave, or None.
    """
    base = next((entry.version for entry in entries_of(body)), None)
    if asked or decision.level != MAJOR or base not in snapshot.tags or base == str(snapshot.latest):
        return
    old, main = remote.manifest(snapshot.tags[base]), remote.manifest(snapshot.head)
    lost = batches_left_out(old, main, manifest) if old and main else []
    if lost:
        rows = sum(f["rows"] for path, f in main["files"].items() if (m := _BATCH.match(path)) and int(m[1]) in lost)
        raise ConflictError(
            f"the set comes from {base} of {remote.url}, where somebody else has published {snapshot.latest} since, with {rows:,} rows "
            f"that it lacks; they would go away. Nothing was sent. To keep both, get what is there (`hf download {remote.repo_id} "
            f"--repo-type dataset --local-dir FOLDER`), make your change in that folder and publish it. If these rows are to go, pass "
            f"--version {decision.version}"
        )
