"""What a card says of source pictures that are alike, as Markdown. Pure."""

from ..assets.near import BITS, MAX_DISTANCE
from .tables import table

MAX_ROWS = 20  # pairs that the card lists; `fgbg-depth plan --json` has more


def near_text(near):
    """The section on near-duplicates, without its heading.

    Args:
        near: near_duplicates.NearDuplicates.
    """
    how = (
        f"Source pictures were compared by a perceptual hash of {BITS} bits, mirrored copies too. Colour plays no part. Two that differ in "
        f"at most {MAX_DISTANCE} bits count as near-duplicates."
    )
    if not near.count:
        return f"{how} No two pictures are so much alike."
    pairs = "1 pair was" if near.count == 1 else f"{near.count:,} pairs were"
    if near.leaks:
        is_are = "1 of them is a leak, with one picture" if near.leaks == 1 else f"{near.leaks:,} of them are leaks, with one picture each"
        verdict = f"**{is_are} in one split and one in another**: what is measured on held-out rows may be too good."
    else:
        verdict = "No pair has its two pictures in different splits."
    rows = [
        [f"{pair.kind}s", f"`{pair.first}`", f"`{pair.second}`", pair.distance, "yes" if pair.mirrored else "", _where(pair)]
        for pair in near.pairs[:MAX_ROWS]
    ]
    shown = table(["Pictures", "One", "Other", "Bits that differ", "Mirrored", "Splits"], rows, right=(3,))
    more = f"\n\nThese are {MAX_ROWS} of {near.count:,}." if near.count > MAX_ROWS else ""
    return f"{how} {pairs} found. {verdict}\n\n{shown}{more}"


def _where(pair):
    if pair.is_leak:
        return f"**{pair.splits[0]}, {pair.splits[1]}**"
    return pair.splits[0] + (", one group" if pair.is_bound else "")
