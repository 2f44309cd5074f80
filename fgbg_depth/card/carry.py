"""A card for a set that was made from another one: the words of people and the list of versions go along.

What was generated for the other set doesn't: parts between marks are made anew anyway, and of the YAML block those values are left
out here that only the other recipe gives, such as the tags of a set with depth.
"""

import dataclasses
import re
from pathlib import Path

from ..sheets.write import picture_names
from .facts import read_facts
from .merge import split_parts
from .metadata import KEEP_IF_SET, UNITED_LISTS, card_metadata
from .write import CARD_NAME, read_card

_PICTURE = re.compile(r"assets/[\w.-]+\.png")


def carried_card(folder, recipe):
    """What a new set's card begins with.

    Args:
        folder: the finished set whose card is carried over.
        recipe: config.Recipe of the new set.

    Returns:
        (metadata, body) for `write_card`; both empty when there is no card.

    Raises:
        DataError: the card can't be read, or its marks are broken.
    """
    metadata, body = read_card(Path(folder) / CARD_NAME)
    split_parts(body)
    facts = read_facts(folder)
    return without_stale(metadata, card_metadata(facts), card_metadata(dataclasses.replace(facts, recipe=recipe))), body


def without_stale(found, old, new):
    """A YAML block without the values that were generated for the old set and aren't for the new one.

    Args:
        found: dict of the card that is there.
        old, new: what `card_metadata` gives for the two sets.

    Returns:
        dict.
    """
    kept = dict(found)
    for key in KEEP_IF_SET:
        if key in kept and kept[key] == old[key]:
            del kept[key]
    for key in UNITED_LISTS:
        if isinstance(kept.get(key), list):
            kept[key] = [item for item in kept[key] if item not in old[key] or item in new[key]]
    return kept


def own_pictures(body):
    """Paths of the pictures in assets/ that the words of people show; the sheets, which are made anew, aren't among them."""
    words = "\n".join(segment.text for segment in split_parts(body) if not segment.name)
    sheets = {f"assets/{name}" for name in picture_names(True)}
    return sorted(set(_PICTURE.findall(words)) - sheets)
