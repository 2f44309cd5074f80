"""Go back to an earlier version: a new commit with its content and a new tag. Nothing is destroyed, and nothing large is sent.

The Hub copies the files on its side. The number rises like that of any other version, by its first part, as rows go away.
"""

from dataclasses import dataclass

from .. import __version__
from ..card.write import CARD_NAME
from ..errors import DataError, UsageError
from ..manifest import MANIFEST_NAME
from .account import check_write, read_account
from .card_hub import compose, split_card
from .changelog import Entry, sentence, with_entries
from .contents import from_bytes
from .difference import OUR_FILES, OUR_SHEETS
from .history import entries_of_card
from .patience import Patience
from .publish import full_repo_id
from .release import Wish, pending_version, tree_problems, with_tag
from .remote import Remote
from .taken_out import refuse_old_pictures
from .upload import additions_of, check_published, commit, holds, set_tag
from .versions import MAJOR, decide_version, parse_version


@dataclass(frozen=True)
class Rollback:
    """What a rollback does, or did.

    Attributes:
        url: of the repository.
        to: the version whose content comes back.
        version: the new version.
        restore: paths that are copied from it.
        drop: paths that go away.
        commit: the new commit; None for a plan.
    """

    url: str
    to: str
    version: str
    restore: tuple
    drop: tuple
    commit: str | None = None


def rollback(repo_id, to, *, api=None, wish=None, plan_only=False, patience=None, with_dropped=False):
    """Bring an earlier version back as a new one.

    Args:
        repo_id: such as "user/set".
        to: its version, such as "v1.0.0".
        api: huggingface_hub.HfApi; None makes one from the environment.
        wish: release.Wish; only `version`, `message` and `today` count.
        plan_only: work it out and send nothing.
        patience: Patience.
        with_dropped: bring pictures back, too, that were taken out of the set since.

    Returns:
        Rollback.

    Raises:
        UsageError: there is no such version, main holds its content already, or pictures of it were taken out since.
        FgbgDepthError: it failed; main is as it was, or holds the whole version.
    """
    from huggingface_hub import CommitOperationCopy, CommitOperationDelete, HfApi

    api, patience, wish = api or HfApi(), patience or Patience(), wish or Wish()
    account = read_account(api, patience)
    repo_id = full_repo_id(repo_id, account)
    check_write(account, repo_id)
    remote = Remote(api, repo_id, patience=patience)
    snapshot = remote.snapshot()
    target = _target(remote, snapshot, to)
    if not with_dropped:
        refuse_old_pictures(remote, snapshot, target, to)
    pending = pending_version(remote, snapshot)
    if pending and not plan_only:
        set_tag(remote, *pending)
    snapshot = with_tag(snapshot, *pending) if pending else snapshot
    old, wanted = remote.tree(target), _paths_of(remote, target)
    restore = tuple(sorted(path for path in wanted if path not in snapshot.files or not old[path].same_as(snapshot.files[path])))
    drop = tuple(sorted(path for path in _paths_of(remote, snapshot.head) if path in snapshot.files and path not in wanted))
    if not restore and not drop:
        raise UsageError(f"{remote.url}: main holds the content of {to} already; nothing to bring back")
    decision = decide_version(snapshot.latest, MAJOR, f"the content of {to} is back", wish.version)
    planned = Rollback(remote.url, to, str(decision.version), restore, drop)
    if plan_only:
        return planned
    card = _card(remote, snapshot, target, Entry(str(decision.version), wish.day(), sentence(decision.reason, wish.message)))
    expected = {**{path: old[path] for path in wanted}, CARD_NAME: card}
    operations = [
        *additions_of({CARD_NAME: card}, [CARD_NAME]),
        *(CommitOperationCopy(path, path, src_revision=target) for path in restore),
        *(CommitOperationDelete(path, is_folder=False) for path in drop),
    ]
    description = "\n\n".join(filter(None, [wish.message, f"Published by fgbg_depth {__version__}."]))
    title = f"{decision.version}: {decision.reason}"
    made, _ = commit(remote, operations, snapshot.head, title, description, lambda c: holds(remote, c, expected, drop))
    check_published(remote, made, expected, drop)
    set_tag(remote, str(decision.version), made)
    return Rollback(**{**planned.__dict__, "commit": made})


def _target(remote, snapshot, to):
    if not snapshot.exists:
        raise UsageError(f"{remote.url} isn't there, or this token may not see it")
    if parse_version(to) is None or to not in snapshot.tags:
        known = ", ".join(sorted(snapshot.tags)) or "none"
        raise UsageError(f"{remote.url} has no version {to!r}; it has: {known}")
    target = snapshot.tags[to]
    manifest = remote.manifest(target)
    if manifest is None:
        raise DataError(f"{to} of {remote.url} has no {MANIFEST_NAME} that can be read: it is no version of a set of this kind")
    problems = tree_problems(manifest, remote.tree(target))
    if problems:
        raise DataError(f"{to} of {remote.url} isn't whole: {problems[0][0]} {problems[0][1]}; it can't be brought back")
    return target


def _paths_of(remote, commit_id):
    """Paths of a commit that are the set's own, without the card."""
    manifest = remote.manifest(commit_id)
    listed = {*(manifest["files"] if manifest else ()), *OUR_FILES, *OUR_SHEETS}
    return {path for path in remote.tree(commit_id) if path in listed}


def _card(remote, snapshot, target, entry):
    """The old version's card, with the list of versions going on."""
    text = remote.card(target)
    metadata, body = split_card(text)
    entries = [entry, *entries_of_card(remote.card(snapshot.head))]
    return from_bytes(CARD_NAME, compose(metadata, with_entries(body, entries, remote.repo_id), text).encode())
