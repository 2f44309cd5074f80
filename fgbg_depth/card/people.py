"""What a set knows of the people on its pictures, and what it doesn't. Only what its own files tell; pure."""

from ..asset_tables import KINDS
from ..dropped import DROPPED_NAME
from .tables import table

KNOWN = {"a licence": lambda e: e.licence, "an author": lambda e: e.author, "a source or a link": lambda e: e.source or e.url}


def people_sentences(facts):
    """Plain sentences on people, consent and taking out, for card and Croissant alike.

    Args:
        facts: facts.SetFacts.
    """
    return [
        "Pictures may show people, cut-outs above all. Nobody has looked through them for this text.",
        "No column says who a person is, nor age, sex, origin or anything else of them. Ids, file names, authors and sources are as they "
        "were given by whoever made the set, and may hold names.",
        "Whether those who are shown agreed to it isn't known: the files tell a licence, which speaks for the author, not for the person.",
        *_gone_sentence(facts),
    ]


def _gone_sentence(facts):
    gone = len(facts.dropped.tombstones)
    if not gone:
        return []
    pictures = "1 picture was" if gone == 1 else f"{gone:,} pictures were"
    return [f"{pictures} taken out of this set, with all rows of {'it' if gone == 1 else 'them'}; {DROPPED_NAME} keeps the sha256 alone."]


def known_table(entries):
    """How many pictures of each kind come with what, as Markdown.

    Args:
        entries: {kind: asset_tables.Entry list}.
    """
    rows = [
        [f"{kind}s", f"{len(entries[kind]):,}", *(f"{sum(bool(told(e).strip()) for e in entries[kind]):,}" for told in KNOWN.values())]
        for kind in KINDS
    ]
    return table(["Pictures", "Number", *(f"with {what}" for what in KNOWN)], rows, right=(1, 2, 3, 4))
