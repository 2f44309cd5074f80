"""Publish a set, or a further version of it.

    token       whose it is, and whether it may write
    folder      the set is whole: every file by hash, and by default every picture
    plan        what differs from the repository, the version and its reason; nothing is sent before this is known
    blobs       large files that the Hub doesn't have
    commit      one, with the parent checked: readers see the old version until then, and the new one from then on
    compare     the commit holds every byte that the manifest and the card tell
    tag         the version's name; never moved
    card        the published card, with its list of versions, goes back into the folder

A run that is stopped at any moment leaves main as it was, or complete; the same command goes on from there.
"""

import contextlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from .. import __version__
from ..card.write import CARD_NAME, card_differences
from ..croissant import CROISSANT_NAME, croissant_differs
from ..errors import ConflictError, DataError, TokenError, UsageError
from ..files import locked, write_bytes
from ..progress import Quiet
from .account import check_write, read_account
from .contents import check_hashes, read_contents
from .patience import Patience
from .release import Wish, pending_version, plan_release, with_tag
from .remote import Remote
from .taken_out import lost_list_note, refuse_returned
from .upload import KB, additions_of, check_metadata, check_published, commit, find_pull_request, holds, send_blobs, set_tag

FULL, TRUST = "full", "trust"  # decode every picture, or compare hashes with the manifest only
NUM_THREADS = 4  # files sent at a time; more doesn't fill a line better, and each takes memory for its buffers


@dataclass(frozen=True)
class Options:
    """How to publish; what is published doesn't depend on it.

    Attributes:
        private: make a new repository private.
        as_pull_request: open a pull request in place of a commit to main.
        check: FULL or TRUST.
        num_threads: files sent at a time.
        num_workers: processes of the full check; None takes one for each processor.
    """

    private: bool = False
    as_pull_request: bool = False
    check: str = FULL
    num_threads: int = NUM_THREADS
    num_workers: int | None = None


@dataclass(frozen=True)
class Result:
    """What a publish did.

    Attributes:
        url: of the repository.
        release: release.Release.
        version: name of the version that main is at now; for a pull request the one it would make.
        commit: its commit.
        tagged: names of tags that were set.
        pull_request: URL, or None.
        notes: what the publisher should know.
    """

    url: str
    release: object
    version: str | None
    commit: str | None
    tagged: tuple = ()
    pull_request: str | None = None
    notes: tuple = field(default=())

    @property
    def changed(self):
        """True when a commit was made."""
        return self.release.decision is not None


def full_repo_id(repo_id, account):
    """The repo id with its namespace; a bare name lies in the user's own."""
    if repo_id.count("/") == 0 and account:
        return f"{account.name}/{repo_id}"
    if repo_id.count("/") != 1 or not all(repo_id.split("/")):
        raise UsageError(f"--repo is {repo_id!r}, expected USER/SET")
    return repo_id


def plan(folder, repo_id, *, api=None, wish=None, options=None, progress=None, patience=None):
    """Say what `publish` would do. Nothing is sent, nothing is written.

    Args:
        folder: a finished set.
        repo_id: such as "user/set".
        api: huggingface_hub.HfApi; None makes one from the environment.
        wish: release.Wish.
        options: Options.
        progress: progress.Quiet or a subclass.
        patience: Patience.

    Returns:
        (Release, URL of the repository, whether it exists, notes).

    Raises:
        FgbgDepthError: whatever would stop the publish before the first byte.
    """
    api, options, progress, patience = _defaults(api, options, progress, patience)
    notes, account = [], None
    try:
        account = read_account(api, patience)
        check_write(account, full_repo_id(repo_id, account), options.as_pull_request)
    except TokenError as error:
        notes.append(f"publishing will need more: {error}")
    remote = Remote(api, full_repo_id(repo_id, account), patience=patience)
    manifest, files = _checked(Path(folder), options, progress)
    snapshot, more = _snapshot(remote, options)
    more = [*more, *_taken_out(folder, files, remote, snapshot)]
    pending = pending_version(remote, snapshot)
    if pending:
        snapshot = with_tag(snapshot, *pending)
        notes.append(f"{pending[0]} is on main without its tag; it would get it")
    release = plan_release(folder, manifest, files, remote, snapshot, wish or Wish())
    return release, remote.url, snapshot.exists, (*notes, *more, *release.notes)


def publish(folder, repo_id, *, api=None, wish=None, options=None, progress=None, patience=None):
    """Publish a set. The arguments are those of `plan`.

    Returns:
        Result.

    Raises:
        FgbgDepthError: it failed; main is as it was, or holds the whole version. The same call goes on.
    """
    api, options, progress, patience = _defaults(api, options, progress, patience)
    folder, wish = Path(folder), wish or Wish()
    account = read_account(api, patience)
    repo_id = full_repo_id(repo_id, account)
    check_write(account, repo_id, options.as_pull_request)
    with _locked_if_ours(folder) as is_ours:
        manifest, files = _checked(folder, options, progress)
        remote = Remote(api, repo_id, patience=patience)
        snapshot, notes = _snapshot(remote, options)
        notes = [*notes, *_taken_out(folder, files, remote, snapshot)]
        snapshot, tagged = _tag_pending(remote, snapshot, options)
        release = plan_release(folder, manifest, files, remote, snapshot, wish)
        if release.decision is None:
            result = Result(remote.url, release, str(release.latest), snapshot.head, tagged, None, (*notes, *release.notes))
        else:
            result = _publish(remote, snapshot, release, wish, options, progress, (*notes, *release.notes), tagged)
        if result.pull_request is None:
            if is_ours:
                write_bytes(folder / CARD_NAME, release.card)
            else:
                note = f"{folder} can't be written: its card stays without the list of versions"
                result = replace(result, notes=(*result.notes, note))
    return result


def _publish(remote, snapshot, release, wish, options, progress, notes, tagged):
    from huggingface_hub import CommitOperationDelete

    check_metadata(remote, release.card.decode())
    parent = snapshot.head or _create_repository(remote, options)
    difference, title = release.difference, _title(release)

    def is_done(commit_id):
        return holds(remote, commit_id, release.files, difference.drop)

    if options.as_pull_request and (found := find_pull_request(remote, title, is_done)):
        notes = (*notes, "a pull request with just this is open already")
        return Result(remote.url, release, str(release.decision.version), found[0], tagged, found[1], notes)
    additions = additions_of(release.files, difference.send)
    send_blobs(remote, additions, progress, options.as_pull_request, options.num_threads)
    operations = [*additions, *(CommitOperationDelete(path, is_folder=False) for path in difference.drop)]
    description = "\n\n".join(filter(None, [wish.message, f"Published by fgbg_depth {__version__}."]))
    commit_id, request = commit(remote, operations, parent, title, description, is_done, options.as_pull_request)
    check_published(remote, commit_id, release.files, difference.drop)
    version = str(release.decision.version)
    if request:
        return Result(remote.url, release, version, commit_id, tagged, request, notes)
    set_tag(remote, version, commit_id)
    return Result(remote.url, release, version, commit_id, (*tagged, version), None, notes)


def _title(release):
    """First line of the commit, short enough for every page that shows it."""
    return release.title if len(release.title) <= 120 else release.title[:117] + "..."


def _create_repository(remote, options):
    """Make the repository; returns the commit that main is at."""
    remote.patience.call(
        "make the repository",
        remote.api.create_repo,
        remote.repo_id,
        repo_type=remote.repo_type,
        private=options.private,
        exist_ok=True,
    )
    head = remote.head()
    strange = [path for path in remote.tree(head) if path != ".gitattributes"]
    if strange:
        raise ConflictError(
            f"{remote.url} didn't exist a moment ago, and now holds {strange[0]}: somebody else made it at the same time. Nothing was "
            f"sent; run the same command again"
        )
    return head


def _tag_pending(remote, snapshot, options):
    """Finish a run that was stopped between its commit and its tag; returns (Snapshot, tags that were set)."""
    pending = pending_version(remote, snapshot)
    if not pending:
        return snapshot, ()
    if options.as_pull_request:  # who may only propose can't set tags
        return with_tag(snapshot, *pending), ()
    set_tag(remote, *pending)
    return with_tag(snapshot, *pending), (pending[0],)


def _snapshot(remote, options):
    """(Snapshot, notes)."""
    snapshot = remote.snapshot()
    if not snapshot.exists and options.as_pull_request:
        raise UsageError(f"{remote.url} isn't there, or this token may not see it: a pull request needs a repository")
    notes = [] if not snapshot.exists else [_visibility_note(snapshot, options)]
    return snapshot, tuple(filter(None, notes))


def _taken_out(folder, files, remote, snapshot):
    """Notes on pictures that were taken out of the published set.

    Raises:
        HubError: the folder still holds some.
    """
    refuse_returned(folder, remote, snapshot)
    return filter(None, [lost_list_note(files, remote, snapshot)])


def _visibility_note(snapshot, options):
    if options.private and not snapshot.private:
        return "the repository is there already and is public; --private only counts when it is made"
    return ""


def _checked(folder, options, progress):
    """(manifest, files) of a folder that was found good.

    Raises:
        DataError: it isn't.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; name the folder of a finished set")
    manifest, files = read_contents(folder)
    if options.check == FULL:
        from ..verify import verify_set

        report = verify_set(folder, num_workers=options.num_workers, progress=progress)
        findings = [str(finding) for finding in report.findings]
    else:
        listed = [files[path] for path in manifest["files"]]
        with progress.task("check the hashes", sum(file.size for file in listed) // KB, unit="kB") as bar:
            check_hashes(listed, lambda done: bar.update(done // KB))
        differs = croissant_differs(folder)
        findings = card_differences(folder) + ([f"{CROISSANT_NAME} {differs}; `fgbg-depth card` makes it"] if differs else [])
    if findings:
        more = f"\n... and {len(findings) - 5:,} more" if len(findings) > 5 else ""
        raise DataError(
            f"{folder} isn't good, so nothing was sent:\n"
            + "\n".join(f"  {words}" for words in findings[:5])
            + f"{more}\n`fgbg-depth verify {folder}` tells all of it and how to mend it"
        )
    return manifest, files


@contextlib.contextmanager
def _locked_if_ours(folder):
    """Hold the folder's lock, so that nothing is made in it meanwhile; yields False where the folder can't be written."""
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        yield False
        return
    with locked(folder):
        yield True


def _defaults(api, options, progress, patience):
    from huggingface_hub import HfApi

    return api or HfApi(), options or Options(), progress or Quiet(), patience or Patience()
