"""A card that was edited on both sides: here, in the set's folder, and on the Hub.

Generated parts always come from here. The text of people, which lies between them, and the keys of the YAML block are merged in
three ways: what only one side changed since the last common version is taken; what both changed in the same place is refused,
with the difference. The list of versions isn't merged at all: it belongs to the repository. Pure functions: text in, text out.
"""

import copy
import difflib
import functools

import yaml
from huggingface_hub.repocard import REGEX_YAML_BLOCK
from huggingface_hub.utils import yaml_dump

from .. import schema
from ..card.merge import Segment, join_parts, split_parts
from ..card.metadata import UNITED_LISTS
from ..errors import CardConflictError, DataError
from .changelog import PART

MERGE, LOCAL, HUB = "merge", "local", "hub"
CHOICES = (MERGE, LOCAL, HUB)  # whose words count where both sides changed something
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same, in C where that was built
GENERATED_KEYS = ("configs", "dataset_info", "size_categories", "annotations_creators")


def split_card(text):
    """(dict of the YAML block, body) of a card's text; line ends become "\\n".

    Raises:
        DataError: the YAML block can't be read.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    block = REGEX_YAML_BLOCK.search(text)
    if not block:
        return {}, text
    return copy.deepcopy(_read_block(block[2])), text[block.end() :]


@functools.lru_cache(maxsize=16)  # one publish reads the same few cards again and again
def _read_block(text):
    try:
        metadata = yaml.load(text, _LOADER) or {}
    except yaml.YAMLError as error:
        raise DataError(f"the YAML block of the card can't be read: {error}") from error
    if not isinstance(metadata, dict):
        raise DataError("the YAML block of the card is no list of keys")
    return metadata


def compose(metadata, body, *candidates):
    """The text of a card.

    Args:
        metadata, body: what it shall say.
        candidates: texts of cards; the first one that says exactly this is taken, byte for byte.

    Returns:
        str.
    """
    for text in candidates:
        try:
            if text and split_card(text) == (metadata, body):
                return text
        except DataError:
            continue
    block = yaml_dump({key: value for key, value in metadata.items() if value is not None}, sort_keys=False).strip()
    return f"---\n{block}\n---\n{body}"


def merge_cards(base, ours, theirs, whose=MERGE):
    """Merge the card here with the one on the Hub.

    Args:
        base: text of the card that both come from; a card that nobody edited if there is no common version.
        ours: text of the card here.
        theirs: text of the card on the Hub.
        whose: MERGE, or LOCAL or HUB to settle every conflict for that side.

    Returns:
        (metadata, body); the part that lists the versions is as it is here.

    Raises:
        CardConflictError: both sides changed the same place, or the marks on the Hub are broken.
    """
    our_data, our_body = split_card(ours)
    if whose == LOCAL:
        return our_data, our_body
    try:
        their_data, their_body = split_card(theirs)
        their_text = _own_text(their_body)
    except DataError as error:
        raise CardConflictError(f"the card on the Hub can't be merged: {error}. Mend it there, or publish with --card local") from error
    base_data, base_body = split_card(base)
    conflicts = []
    metadata = _merge_metadata(base_data, our_data, their_data, whose, conflicts)
    segments = _merge_text(_own_text(base_body), our_body, their_text, whose, conflicts)
    if conflicts:
        raise CardConflictError(
            f"the card was edited on the Hub and here, both in {_listed(conflicts)}. Put what you want to keep into README.md here "
            f"and publish with --card local, or take the words of the Hub with --card hub",
            difference("\n".join(_shown(our_data, our_body)), "\n".join(_shown(their_data, their_body))),
        )
    return metadata, join_parts(segments)


def difference(here, hub):
    """A unified diff of two texts."""
    lines = difflib.unified_diff(here.splitlines(), hub.splitlines(), "README.md here", "README.md on the Hub", lineterm="")
    return "\n".join(lines)


def edited_parts(base, theirs):
    """Names of generated parts that were edited on the Hub since `base`; those edits are lost when the card is made again."""
    try:
        before, now = ({s.name: s.text for s in split_parts(split_card(text)[1]) if s.name} for text in (base, theirs))
    except DataError:
        return []
    return [name for name in before if name != PART and name in now and now[name] != before[name]]


def _own_text(body):
    """{name of the part before: text of people}; "" stands for the place before all parts."""
    texts, before = {"": ""}, ""
    for segment in split_parts(body):
        if segment.name:
            before = segment.name
            texts[before] = ""
        else:
            texts[before] = segment.text
    return texts


def _merge_text(base, our_body, theirs, whose, conflicts):
    merged, before = [], ""
    ours = _own_text(our_body)
    for segment in [Segment("", ""), *(s for s in split_parts(our_body) if s.name)]:
        before = segment.name
        merged += [segment] if before else []
        here = ours[before]
        was = base.get(before, here)
        there = theirs.get(before, was)
        text = _pick(was, here, there, whose, str.strip)
        if text is None:
            conflicts.append(f"the text after the part {before!r}" if before else "the text at the top")
        else:
            merged.append(Segment("", text))
    return merged


def _merge_metadata(base, ours, theirs, whose, conflicts):
    merged = {}
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        was, here, there = base.get(key), ours.get(key), theirs.get(key)
        if key in ("configs", "dataset_info"):
            foreign = _pick(*map(_foreign_configs, (was, here, there)), whose)
            if foreign is None:
                conflicts.append(f"the YAML key {key!r}")
                continue
            value = _own_configs(here) + foreign
        elif key in GENERATED_KEYS:
            value = here
        elif key in UNITED_LISTS and all(isinstance(v, list) for v in (here, there)):
            gone = [item for item in (was or []) if item not in here or item not in there]
            value = [item for item in [*here, *(i for i in there if i not in here)] if item not in gone]
        else:
            value = _pick(was, here, there, whose, missing_is_a_value=True)
            if value is _CONFLICT:
                conflicts.append(f"the YAML key {key!r}")
                continue
        if value is not None:
            merged[key] = value
    return merged


_CONFLICT = object()


def _pick(was, here, there, whose, normal=lambda value: value, missing_is_a_value=False):
    """The three-way choice; None (or _CONFLICT, where None is a value) when both sides changed it, each in its own way."""
    before, ours, theirs = (normal(v) if v is not None else v for v in (was, here, there))
    if ours == theirs or theirs == before:
        return here
    if ours == before or whose == HUB:
        return there
    return _CONFLICT if missing_is_a_value else None


def _own_configs(value):
    return [c for c in value or [] if isinstance(c, dict) and c.get("config_name") in schema.CONFIGS]


def _foreign_configs(value):
    return [c for c in value or [] if isinstance(c, dict) and c.get("config_name") not in schema.CONFIGS]


def _shown(metadata, body):
    """What people can have edited, in lines."""
    own = {key: value for key, value in metadata.items() if key not in GENERATED_KEYS}
    lines = yaml.safe_dump(own, sort_keys=True, allow_unicode=True).splitlines()
    for name, text in _own_text(body).items():
        if text.strip():
            lines += [f"[after {name}]" if name else "[top]", *text.strip().splitlines()]
    return lines


def _listed(words):
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
