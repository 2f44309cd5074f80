"""Pictures that were taken out of a published set: the version that follows, and that they don't come back unnoticed."""

from ..asset_tables import KINDS, read_entries
from ..dropped import DROPPED_NAME, Dropped, parse_dropped
from ..errors import HubError, UsageError
from .release import pending_version, with_tag
from .remote import Remote
from .versions import MAJOR, decide_version

IDS_NAMED = 3
REASON = "rows go away"


def version_after_drop(repo_id, *, api=None, patience=None):
    """The version that a set will have when it is published after pictures were taken out of it.

    Args:
        repo_id: such as "user/set".
        api: huggingface_hub.HfApi; None makes one from the environment.
        patience: Patience.

    Returns:
        (versions.Decision, URL of the repository).

    Raises:
        UsageError: `repo_id` is none.
        HubError: the Hub can't be reached.
    """
    from huggingface_hub import HfApi

    remote = Remote(api or HfApi(), repo_id, patience=patience)
    snapshot = remote.snapshot()
    pending = pending_version(remote, snapshot)
    if pending:
        snapshot = with_tag(snapshot, *pending)
    return decide_version(snapshot.latest, MAJOR, REASON), remote.url


def dropped_at(remote, commit):
    """dropped.Dropped of a commit; empty without one."""
    data = remote.read(DROPPED_NAME, commit) if commit else None
    return parse_dropped(data, f"{DROPPED_NAME} of {remote.url}") if data else Dropped()


def refuse_returned(folder, remote, snapshot):
    """HubError when a set holds pictures that were taken out of the published one.

    Args:
        folder: the set's folder.
        remote: remote.Remote.
        snapshot: its Snapshot.
    """
    if DROPPED_NAME not in snapshot.files:
        return
    gone = dropped_at(remote, snapshot.head)
    back = [e.plan.id for kind in KINDS for e in read_entries(folder, kind)[0] if e.plan.sha256 in gone.hashes(kind)]
    if back:
        some = ", ".join(back[:IDS_NAMED]) + (f" and {len(back) - IDS_NAMED} more" if len(back) > IDS_NAMED else "")
        raise HubError(
            f"{folder} holds pictures that were taken out of {remote.url} ({some}), as {DROPPED_NAME} there tells. Take them out here "
            f"too: `fgbg-depth drop-asset {folder} {' '.join(back[:IDS_NAMED])}`. Nothing was sent"
        )


def lost_list_note(files, remote, snapshot):
    """A note when the list of dropped pictures on the Hub knows some that the folder's own doesn't; "" otherwise.

    Args:
        files: {path: contents.LocalFile} of the set.
        remote, snapshot: as in `refuse_returned`.
    """
    if DROPPED_NAME not in snapshot.files:
        return ""
    ours = parse_dropped(files[DROPPED_NAME].source.read_bytes()) if DROPPED_NAME in files else Dropped()
    lost = _more(dropped_at(remote, snapshot.head), ours)
    if not lost:
        return ""
    return f"{lost} of the pictures that {DROPPED_NAME} on the Hub lists aren't in that of this set, and would no longer be kept out of it"


def refuse_old_pictures(remote, snapshot, target, to):
    """UsageError when an earlier version holds pictures that were taken out since.

    Args:
        remote, snapshot: as in `refuse_returned`.
        target: commit of the earlier version.
        to: its name.
    """
    lost = _more(dropped_at(remote, snapshot.head), dropped_at(remote, target))
    if lost:
        raise UsageError(
            f"{to} of {remote.url} is from before {lost} picture{'s were' if lost > 1 else ' was'} taken out, as {DROPPED_NAME} tells: its "
            f"content would bring back what was asked to go. Where that is meant, pass --bring-back-dropped"
        )


def _more(dropped, other):
    """How many pictures the first one lists that the other doesn't."""
    return sum(len(dropped.hashes(kind) - other.hashes(kind)) for kind in KINDS)
