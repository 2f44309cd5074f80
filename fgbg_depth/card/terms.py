"""What the licences of a set's pictures mean for the whole, as far as their texts tell. Pure; no legal advice."""

import re
from collections import Counter

from ..asset_tables import KINDS
from .tables import plain

# Words of a licence text that ask for something; texts are cut at everything but letters and digits.
_WORDS = {
    "nc": ("nc", "noncommercial"),
    "nd": ("nd", "noderivatives", "noderivs"),
    "sa": ("sa", "sharealike", "gpl", "agpl", "lgpl", "odbl", "gfdl", "sharing"),
    "by": ("by", "attribution"),
}
MEANING = {
    "nc": "**No commercial use**: asked for by {licences} ({pictures}). Every row made from them is bound by it.",
    "nd": "**No changed copies**: asked for by {licences} ({pictures}). A composite is one: ask the authors before you share it.",
    "sa": "**Share alike**: asked for by {licences} ({pictures}). Every row made from them goes on under the same terms.",
    "by": "**Name the authors**: asked for by {licences} ({pictures}). They are listed below.",
}


def demands_of(text):
    """What a licence text asks for: a set of "nc", "nd", "sa", "by"."""
    slug = text.lower().replace("non-commercial", "noncommercial").replace("share-alike", "sharealike").replace("no-deriv", "noderiv")
    words = set(re.split(r"[^a-z0-9]+", slug))
    return {demand for demand, marks in _WORDS.items() if words & set(marks)}


def terms_lines(entries):
    """What the licences mean for the whole, as Markdown list items.

    Args:
        entries: {kind: asset_tables.Entry list}.

    Returns:
        list of texts; never empty.
    """
    counts = Counter((entry.licence.strip(), kind) for kind in KINDS for entry in entries[kind])
    known = sorted({licence for licence, _ in counts} - {""})
    lines = []
    if len(known) == 1 and not any(licence == "" for licence, _ in counts):
        lines.append(f"All pictures are under one licence, {plain(known[0])}, as their sources say; so is every row.")
    elif known:
        lines.append(
            f"The set as a whole has no single licence: its pictures name {len(known)}, and each row is bound by the terms of both of its "
            f"pictures."
        )
    unknown = {kind: counts["", kind] for kind in KINDS if counts["", kind]}
    if unknown:
        lines.append(f"**No licence is known** of {_pictures(unknown)}. That is no permission: clear it before you share rows of them.")
    for demand, words in MEANING.items():
        mine = [licence for licence in known if demand in demands_of(licence)]
        if mine:
            used = {kind: sum(counts[licence, kind] for licence in mine) for kind in KINDS}
            lines.append(words.format(licences=_listed([plain(licence) for licence in mine]), pictures=_pictures(used)))
    alike = [licence for licence in known if "sa" in demands_of(licence)]
    if len(alike) > 1 or (alike and any(demands_of(licence) & {"nc", "nd"} for licence in known)):
        lines.append("Some of these terms may not go together in one row, share-alike with other terms above all: look at both pictures.")
    return lines


def _pictures(counts):
    words = [f"{count:,} {kind}{'s' * (count != 1)}" for kind, count in counts.items() if count]
    return _listed(words)


def _listed(words):
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
