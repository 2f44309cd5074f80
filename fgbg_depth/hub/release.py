"""What a publish would do, worked out from the folder and the repository before anything is sent."""

import datetime
from dataclasses import dataclass, replace

from ..card.facts import read_facts
from ..card.write import CARD_NAME, render_card
from ..errors import HubError, UsageError
from ..manifest import MANIFEST_NAME
from .behind import refuse_behind
from .card_hub import MERGE, compose, edited_parts, merge_cards, split_card
from .changelog import Entry, entries_of, sentence, with_entries
from .contents import from_bytes
from .difference import compare
from .features import features_of
from .history import entries_of_card
from .versions import MAJOR, Decision, decide_version, level_of_change, parse_version


@dataclass(frozen=True)
class Wish:
    """What the publisher asks for beside the set.

    Attributes:
        version: text in place of the rule's number, or None.
        message: words for the list of versions.
        card: whose words count where the card was edited on both sides: "merge", "local" or "hub".
        today: day of the release as YYYY-MM-DD; None takes the day in UTC.
    """

    version: str | None = None
    message: str = ""
    card: str = MERGE
    today: str | None = None

    def day(self):
        """The day that is written into the card."""
        return self.today or datetime.datetime.now(datetime.UTC).date().isoformat()


@dataclass(frozen=True)
class Release:
    """What would be done.

    Attributes:
        difference: difference.Difference, the card included.
        files: {path: LocalFile} of the whole version, with the card as it would be published.
        decision: versions.Decision; None when there is nothing to publish.
        entry: changelog.Entry, or None.
        latest: the highest version there is, or None.
        parent: commit that the new one stands on, or None for a repository that is still to be made.
        notes: what the publisher should know.
    """

    difference: object
    files: dict
    decision: Decision | None
    entry: Entry | None
    latest: object
    parent: str | None
    notes: tuple = ()

    @property
    def bytes_to_send(self):
        """Bytes of all files that are new at their place; what the Hub has elsewhere isn't sent again, so it is an upper bound."""
        return sum(self.files[path].size for path in self.difference.send)

    @property
    def card(self):
        """Bytes of the card as it would be published."""
        return self.files[CARD_NAME].source

    @property
    def title(self):
        """First line of the commit."""
        return f"{self.decision.version}: {self.decision.reason}"


def plan_release(folder, manifest, files, remote, snapshot, wish):
    """Work out a release.

    Args:
        folder: the set's folder.
        manifest, files: as contents.read_contents gives them.
        remote: remote.Remote.
        snapshot: its Snapshot; a version that is in the card but has no tag yet counts as tagged (see `pending_version`).
        wish: Wish.

    Returns:
        Release.

    Raises:
        UsageError: the version asked for isn't possible.
        ConflictError: rows that others published since would go away.
        CardConflictError: the card can't be merged.
        HubError: files in the repository would spoil the set.
    """
    _refuse_scripts(remote, snapshot)
    old_manifest, old_card = _last_version(remote, snapshot)
    known = _known_paths(remote, snapshot, old_manifest)
    ours = files[CARD_NAME].source.read_text(encoding="utf-8-sig")
    card, entries, notes = _merged_card(folder, ours, remote, snapshot, wish)
    files = {**files, CARD_NAME: from_bytes(CARD_NAME, card.encode())}
    difference = compare(files, snapshot.files, known)
    _refuse_mixture(remote, difference)
    if snapshot.latest is not None and not difference and entries:
        if wish.version and parse_version(wish.version) != snapshot.latest:
            raise UsageError(f"nothing has changed since {snapshot.latest}, so there is nothing that could become {wish.version}")
        return Release(difference, files, None, None, snapshot.latest, snapshot.head, tuple(notes))
    level, reason = _level(manifest, card, old_manifest, old_card)
    decision = decide_version(snapshot.latest, level, reason, wish.version)
    refuse_behind(split_card(ours)[1], manifest, decision, remote, snapshot, wish.version)
    entry = Entry(str(decision.version), wish.day(), sentence(decision.reason, wish.message))
    metadata, body = split_card(card)
    text = compose(metadata, with_entries(body, [entry, *entries], remote.repo_id), card)
    files[CARD_NAME] = from_bytes(CARD_NAME, text.encode())
    difference = compare(files, snapshot.files, known)
    return Release(difference, files, decision, entry, snapshot.latest, snapshot.head, tuple(notes))


def pending_version(remote, snapshot):
    """A version that is on main but has no tag yet: its run was stopped between the commit and the tag.

    Returns:
        (tag, commit), or None.
    """
    if not snapshot.exists or CARD_NAME not in snapshot.files:
        return None
    entries = entries_of_card(remote.card(snapshot.head))
    if not entries or entries[0].version in snapshot.tags:
        return None
    version = parse_version(entries[0].version)
    if snapshot.latest is not None and version <= snapshot.latest:
        return None
    titled = (c.commit_id for c in remote.history(snapshot.head) if c.title.startswith((f"{version}:", f"{version} ")))
    commit = next(titled, snapshot.head)
    return (str(version), commit) if holds_its_manifest(remote, commit) else None


def holds_its_manifest(remote, commit):
    """True when a commit has every file that its manifest lists, with that size and, where the Hub tells it, that sha256."""
    manifest = remote.manifest(commit)
    return manifest is not None and not tree_problems(manifest, remote.tree(commit))


def tree_problems(manifest, tree):
    """How the files of a commit differ from its manifest.

    Args:
        manifest: dict.
        tree: {path: RemoteFile}.

    Returns:
        list of (path, words).
    """
    problems = []
    for path, facts in manifest["files"].items():
        there = tree.get(path)
        if there is None:
            problems.append((path, f"is missing, and {MANIFEST_NAME} lists it"))
        elif there.size != facts["bytes"]:
            problems.append((path, f"has {there.size:,} bytes, {MANIFEST_NAME} says {facts['bytes']:,}"))
        elif there.sha256 and there.sha256 != facts["sha256"]:
            problems.append((path, f"has sha256 {there.sha256[:12]}..., {MANIFEST_NAME} says {facts['sha256'][:12]}..."))
    return problems


def with_tag(snapshot, tag, commit):
    """The snapshot as it is after a tag was set."""
    return replace(snapshot, tags={**snapshot.tags, tag: commit})


def _refuse_scripts(remote, snapshot):
    script = remote.repo_id.split("/")[-1] + ".py"
    if script in snapshot.files:
        raise HubError(
            f"{remote.url} holds {script}, a file that keeps `datasets` from loading the set at all; delete it there, then publish again"
        )


def _refuse_mixture(remote, difference):
    if difference.in_the_way:
        count = len(difference.in_the_way)
        raise HubError(
            f"{remote.url} holds {count} Parquet file{'s' if count > 1 else ''} of others where the set's own lie, such as "
            f"{difference.in_the_way[0]}: they would be loaded as rows of this set. Delete them there, or choose another --repo"
        )


def _last_version(remote, snapshot):
    """(manifest, card text) of the last version; of main when that one isn't ours; (None, "") when there is none."""
    for commit in (snapshot.released, snapshot.head):
        manifest = remote.manifest(commit) if commit else None
        if manifest:
            return manifest, remote.card(commit)
    return None, ""


def _known_paths(remote, snapshot, old_manifest):
    """Paths that the manifests of the last version and of main list."""
    main = remote.manifest(snapshot.head) if snapshot.head else None
    return {path for manifest in (old_manifest, main) if manifest for path in manifest["files"]}


def _level(manifest, card, old_manifest, old_card):
    if old_manifest is None:
        return MAJOR, "the repository held no set of this kind before"
    return level_of_change(old_manifest, manifest, features_of(split_card(old_card)[0]), features_of(split_card(card)[0]))


def _merged_card(folder, ours, remote, snapshot, wish):
    """(card text with the list of versions of the repository, its entries, notes)."""
    theirs = remote.card(snapshot.head) if CARD_NAME in snapshot.files else ""
    metadata, body = split_card(ours)
    # Somebody may have taken the list out of the card on main: the last version still has it.
    entries, notes = entries_of_card(theirs) or (entries_of_card(remote.card(snapshot.released)) if snapshot.released else []), []
    if theirs.strip():
        base = _common_card(folder, body, remote, snapshot)
        metadata, body = merge_cards(base, ours, theirs, wish.card)
        lost = edited_parts(remote.card(snapshot.released), theirs) if snapshot.released else []
        notes += [f"the generated part {name!r} of the card was edited on the Hub; it is made again from the data" for name in lost]
    return compose(metadata, with_entries(body, entries, remote.repo_id), theirs, ours), entries, notes


def _common_card(folder, body, remote, snapshot):
    """The card that ours and the one on the Hub both come from: that of the version which ours names, or one nobody edited."""
    for entry in entries_of(body)[:1]:
        commit = snapshot.tags.get(entry.version)
        card = remote.card(commit) if commit else ""
        if card.strip():
            return card
    return render_card(read_facts(folder))


def as_json(release):
    """A Release as JSON values."""
    d = release.difference
    return {
        "version": str(release.decision.version) if release.decision else None,
        "reason": release.decision.reason if release.decision else None,
        "latest": str(release.latest) if release.latest else None,
        "add": list(d.add),
        "change": list(d.change),
        "drop": list(d.drop),
        "keep": len(d.keep),
        "left_alone": list(d.strange),
        "bytes_to_send": release.bytes_to_send,
        "notes": list(release.notes),
    }
