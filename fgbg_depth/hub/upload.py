"""Blobs first, then one commit, then one tag.

Sending a blob twice does no harm, and the Hub says which ones it has: so a run that was stopped goes on where it was. A commit is
another matter. When its answer is lost, nobody knows whether it was made; so before each further try main is looked at: if it
holds what was to be committed, the work is done, and if it holds something else, somebody was quicker.
"""

import itertools

from ..errors import ConflictError, HubError
from ..manifest import MANIFEST_NAME
from .patience import chain, explained, is_break, is_transient, short, status_of

KB = 1000


def additions_of(files, paths):
    """Operations that put files into a repository; what is hashed already isn't hashed again."""
    from huggingface_hub import CommitOperationAdd

    operations = []
    for path in paths:
        file = files[path]
        operation = CommitOperationAdd(path, file.source if isinstance(file.source, bytes) else str(file.source))
        if hasattr(operation.upload_info, "is_hashed"):
            operation.upload_info.sha256 = bytes.fromhex(file.sha256)
        operations.append(operation)
    return operations


def send_blobs(remote, additions, progress, as_pull_request=False, num_threads=4):
    """Send the large files that the Hub doesn't have yet, some at a time; small ones go with the commit.

    Args:
        remote: remote.Remote.
        additions: CommitOperationAdd list; each remembers what became of it.
        progress: progress.Quiet or a subclass.
        as_pull_request: for somebody else's repository.
        num_threads: files at a time; each is read in blocks, so memory doesn't grow with their size.

    Raises:
        HubError: it failed for good; what arrived stays there.
    """
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    total = sum(addition.upload_info.size for addition in additions)
    hidden = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        with progress.task("send", total // KB, unit="kB") as bar:
            done, left = 0, iter(additions)
            while chunk := list(itertools.islice(left, num_threads)):
                _send_chunk(remote, chunk, as_pull_request, num_threads)
                done += sum(addition.upload_info.size for addition in chunk)
                bar.update(done // KB)
    finally:
        if not hidden:
            enable_progress_bars()


def _send_chunk(remote, chunk, as_pull_request, num_threads):
    remote.patience.once_more().call(
        f"send {chunk[0].path_in_repo}" + (f" and {len(chunk) - 1} more" if len(chunk) > 1 else ""),
        remote.api.preupload_lfs_files,
        remote.repo_id,
        chunk,
        repo_type=remote.repo_type,
        create_pr=as_pull_request,
        num_threads=num_threads,
        free_memory=False,
    )


def check_metadata(remote, card):
    """Let the Hub check a card's YAML block, before anything large is sent.

    Raises:
        HubError: it refuses it.
    """
    from huggingface_hub.utils import get_session, hf_raise_for_status

    def ask():
        url, headers = f"{remote.api.endpoint}/api/validate-yaml", remote.api._build_hf_headers()
        answer = get_session().post(url, json={"content": card, "repoType": remote.repo_type}, headers=headers)
        if answer.status_code == 400:
            problems = "; ".join(str(e.get("message")) for e in answer.json().get("errors", []))
            raise HubError(f"the Hub refuses the YAML block of README.md: {problems}. Nothing was sent")
        hf_raise_for_status(answer)

    remote.patience.call("check the card", ask)


def commit(remote, operations, parent, title, description, is_done, as_pull_request=False):
    """Make one commit: all operations or none.

    Args:
        remote: remote.Remote.
        operations: CommitOperationAdd, CommitOperationDelete and CommitOperationCopy.
        parent: the commit that main has to be at.
        title, description: of the commit.
        is_done: function (commit id) -> bool: this commit holds what we want, whoever made it.
        as_pull_request: open a pull request.

    Returns:
        (commit id, URL of the pull request or None).

    Raises:
        ConflictError: main has moved on.
        HubError: it failed for good.
    """
    waits = (*remote.patience.waits_s, None)
    for number, wait_s in enumerate(waits, 1):
        try:
            made = remote.api.create_commit(
                remote.repo_id,
                operations,
                commit_message=title,
                commit_description=description,
                repo_type=remote.repo_type,
                parent_commit=parent,
                create_pr=as_pull_request,
            )
            return made.oid, made.pr_url
        except Exception as error:
            if wait_s is not None and is_transient(error):
                remote.patience.pause("commit", error, wait_s)
            elif status_of(error) != 412 and not is_break(error):
                raise _refusal(error, number) from error
            found = _made_already(remote, parent, title, is_done, as_pull_request)
            if found:
                return found
            if status_of(error) == 412 or wait_s is None:
                raise explained(error, "commit", tries=number) from error
    raise AssertionError("unreachable")


def _refusal(error, tries):
    if isinstance(error, ValueError) and "metadata in README.md" in str(error):
        return HubError(f"the Hub refuses the YAML block of README.md: {short(error)}. Nothing was published")
    return explained(chain(error)[0], "commit", tries)


def _made_already(remote, parent, title, is_done, as_pull_request):
    """(commit, pull request) when the commit was made though its answer was lost; None when it wasn't.

    Raises:
        ConflictError: main holds somebody else's commit.
    """
    if as_pull_request:
        return find_pull_request(remote, title, is_done)
    head = remote.head()
    if head == parent:
        return None
    if is_done(head):
        return head, None
    raise ConflictError(_beside(remote, parent, head))


def find_pull_request(remote, title, is_done):
    """(commit, URL) of an open pull request that holds just this, or None."""
    found = remote.patience.call(
        "list the pull requests",
        lambda: list(remote.api.get_repo_discussions(remote.repo_id, repo_type=remote.repo_type, discussion_type="pull_request")),
    )
    for request in found:
        if request.status in ("open", "draft") and request.title == title:
            commit = remote.commit_of(request.git_reference or f"refs/pr/{request.num}")
            if is_done(commit):
                return commit, f"{remote.url}/discussions/{request.num}"
    return None


def _beside(remote, parent, head):
    """What happened and what to do, when somebody else's commit came between."""
    others = list(itertools.takewhile(lambda commit: commit.commit_id != parent, remote.history(head)))
    newest = others[0] if others else None
    who = f"{', '.join(newest.authors) or 'Somebody'} committed {newest.title!r} ({head[:8]})" if newest else f"main moved to {head[:8]}"
    return (
        f"{who} to {remote.url} while this run was sending. Nothing of this run is on main, and nothing is lost: the files that "
        f"were sent are kept there. Run the same command again: it takes the other change into account and sends no file twice"
    )


def set_tag(remote, tag, commit_id):
    """Give a commit its tag. A tag that is there already is never moved.

    Raises:
        ConflictError: the tag names another commit.
    """

    def create():
        remote.api.create_tag(remote.repo_id, tag=tag, revision=commit_id, repo_type=remote.repo_type, exist_ok=True)

    failure = None
    try:
        remote.patience.lagging().call(f"set the tag {tag}", create)
    except HubError as error:
        failure = error  # it may have been set, and only the answer was lost
    at = remote.tags().get(tag)
    if at is None and failure:
        raise failure
    if at is not None and at != commit_id:
        at = remote.commit_of(tag)  # a tag with words of its own may be listed by an id of its own
    if at != commit_id:
        where = f"names {at[:8]}" if at else "isn't there"
        raise ConflictError(
            f"the tag {tag} of {remote.url} {where}, expected {commit_id[:8]}: somebody else published this version at the same "
            f"time. Tags are never moved; run the same command again to get the next number"
        )


def holds(remote, commit_id, files, dropped=()):
    """True when a commit has these files with this content, and none of those that were dropped."""
    return not differences(remote.tree(commit_id), files, dropped)


def differences(tree, files, dropped=()):
    """Paths of a tree that aren't as they should be."""
    wrong = [path for path, file in files.items() if path not in tree or not file.same_as(tree[path])]
    return sorted([*wrong, *(path for path in dropped if path in tree)])


def check_published(remote, commit_id, files, dropped=()):
    """Compare a commit with what was to be published.

    Raises:
        HubError: it differs.
    """
    wrong = differences(remote.tree(commit_id, is_new=True), files, dropped)
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise HubError(
            f"commit {commit_id[:8]} of {remote.url} isn't what was sent: {', '.join(wrong[:3])}{more} differ from {MANIFEST_NAME}. It "
            f"has no tag; run the same command again"
        )
