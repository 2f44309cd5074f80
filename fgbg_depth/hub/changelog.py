"""The part of a card that lists the versions: one entry for each, the newest first.

    <!-- fgbg-depth:begin changelog -->
    ## Versions

    `load_dataset("user/set", revision="v1.1.0")` loads the newest one; all of them can be loaded for ever.

    **v1.1.0** (2026-05-04): 120 rows were added. More rooms with windows.

    **v1.0.0** (2026-02-01): it is the first version.
    <!-- fgbg-depth:end changelog -->

Pure functions: text in, text out. The date comes from outside; it is the only time that a set ever carries.
"""

import re
from dataclasses import dataclass

from ..card.merge import Segment, join_parts, split_parts

PART = "changelog"
HEADING = "## Versions"
_ENTRY = re.compile(r"^\*\*(v\d+\.\d+\.\d+)\*\* \((\d{4}-\d\d-\d\d)\): ?(.*?)(?=\n\n\*\*v\d|\s*\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """One version: its name such as v1.0.0, the day as YYYY-MM-DD, and what changed."""

    version: str
    date: str
    words: str


def entries_of(body):
    """The entries in a card's body, the newest first; [] when it has none."""
    text = next((s.text for s in split_parts(body) if s.name == PART), "")
    return [Entry(*match.groups()) for match in _ENTRY.finditer(text)]


def with_entries(body, entries, repo_id):
    """A card's body with these entries, the newest first; the part is added at the end when it is missing."""
    text = "\n"
    if entries:
        paragraphs = [HEADING, _how_to_load(repo_id, entries[0]), *(f"**{e.version}** ({e.date}): {e.words}" for e in entries)]
        text = "\n" + "\n\n".join(paragraphs) + "\n"
    segments = split_parts(body)
    if any(s.name == PART for s in segments):
        return join_parts(Segment(PART, text) if s.name == PART else s for s in segments)
    return body.rstrip() + "\n\n" + Segment(PART, text).render() + "\n"


def _how_to_load(repo_id, newest):
    return f'`load_dataset("{repo_id}", revision="{newest.version}")` loads the newest one; all of them can be loaded for ever.'


def sentence(reason, message=""):
    """What an entry says: the reason for the number, then the words of the publisher, in one paragraph."""
    first = reason[0].upper() + reason[1:]
    words = " ".join(message.split())
    return f"{first}. {words}".strip() if words else f"{first}."
