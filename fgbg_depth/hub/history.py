"""The versions of a published set: tag, commit, day and what changed."""

from dataclasses import dataclass

from ..errors import DataError
from .card_hub import split_card
from .changelog import entries_of
from .remote import versions_of


@dataclass(frozen=True)
class Published:
    """One version.

    Attributes:
        version: such as v1.0.0.
        commit: its commit.
        date: YYYY-MM-DD, by the card's list, or else by the commit; "" when neither tells.
        words: what changed, by the card's list or the title of the commit.
    """

    version: str
    commit: str
    date: str
    words: str


def list_versions(remote, snapshot):
    """Published list of all versions, the newest first.

    Args:
        remote: remote.Remote.
        snapshot: its Snapshot.
    """
    told = {entry.version: entry for entry in entries_of_card(remote.card(snapshot.head))}
    versions = versions_of(snapshot.tags)
    commits = {c.commit_id: c for c in remote.history(snapshot.head)} if versions else {}
    found = []
    for version, commit in versions:
        entry, made = told.get(str(version)), commits.get(commit)
        date = entry.date if entry else made.created_at.date().isoformat() if made else ""
        words = entry.words if entry else made.title if made else ""
        found.append(Published(str(version), commit, date, words))
    return found


def entries_of_card(card):
    """The entries in the list of versions of a card that may hold anything."""
    try:
        return entries_of(split_card(card)[1])
    except DataError:
        return []
