"""The card: README.md of a set, made from the template dataset_card.md and from what the set's own files say.

Every number comes from the files, so the card can be made again at any time, and `card_differences` can tell whether it
still agrees with the data. Generated parts lie between marks (see card_merge); what people write outside of them stays.
"""

from importlib import resources
from pathlib import Path

import yaml
from huggingface_hub import DatasetCard, DatasetCardData
from huggingface_hub.repocard import REGEX_YAML_BLOCK

from ..asset_tables import KINDS
from ..depth.locate import MINI
from ..errors import DataError, FgbgDepthError
from ..files import write_text
from ..folders import as_folder
from ..imported import MODEL_NAME
from ..progress import size
from ..sheets.plots import plot_titles
from ..sheets.write import sheet_titles
from . import tables as card_tables
from .error import error_words
from .facts import read_facts
from .merge import merge_body, part_differences
from .metadata import card_metadata, merge_metadata
from .near import near_text
from .people import known_table, people_sentences
from .terms import terms_lines

CARD_NAME = "README.md"
TEMPLATE_NAME = "dataset_card.md"


def write_card(folder, start=({}, "")):
    """Make a set's card, or make it again: parts between the marks are replaced, everything else stays.

    Args:
        folder: a finished set, manifest included.
        start: (dict of the YAML block, body) of a card to begin with where there is none yet.

    Raises:
        DataError: the set is unfinished, or the card that is there has broken marks or a broken YAML block.
    """
    path = as_folder(folder) / CARD_NAME
    metadata, body = read_card(path) if path.exists() else start
    write_text(path, render_card(read_facts(folder), metadata, body))


def card_differences(folder):
    """Compare a set's card with the data.

    Args:
        folder: a finished set.

    Returns:
        list of sentences, one for each generated part and each YAML key that differs; [] when the card is as
        `write_card` would leave it.

    Raises:
        DataError: the set itself can't be read.
    """
    path, facts = as_folder(folder) / CARD_NAME, read_facts(folder)
    if not path.is_file():
        return [f"{CARD_NAME} is missing; `fgbg-depth card` makes it"]
    try:
        found, body = read_card(path)
    except DataError as error:
        return [str(error)]
    wanted = DatasetCard(render_card(facts, found))
    expected = wanted.data.to_dict()
    messages = [
        f"{CARD_NAME}, YAML key {key!r}: {_found_expected(found.get(key), value)}"
        for key, value in expected.items()
        if found.get(key) != value
    ]
    return messages + part_differences(body, wanted.text)


def render_card(facts, metadata=None, body=""):
    """The text of a card.

    Args:
        facts: card_facts.SetFacts.
        metadata, body: of the card that is there; its own keys and text are kept.

    Returns:
        str, YAML block included.
    """
    data = DatasetCardData(**merge_metadata(metadata or {}, card_metadata(facts)))
    card = DatasetCard.from_template(data, template_path=str(template_path()), **_context(facts, data.pretty_name))
    card.text = merge_body(body, card.text.rstrip() + "\n")
    return str(card)


def template_path():
    """Where the template is: inside an installed package, or at the top of a source checkout."""
    package = Path(str(resources.files("fgbg_depth")))
    for path in (package / TEMPLATE_NAME, package.parent / TEMPLATE_NAME):
        if path.is_file():
            return path
    raise FgbgDepthError(f"{package / TEMPLATE_NAME} is missing: the installation isn't whole; install fgbg_depth anew")


def read_card(path):
    """(dict of the YAML block, body) of a card; both empty when there is none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}, ""
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can't be read: {error}; mend it or move it away, and run `fgbg-depth card` again") from error
    block = REGEX_YAML_BLOCK.search(text)
    if not block:
        return {}, text
    try:
        metadata = yaml.safe_load(block[2])
    except yaml.YAMLError as error:
        raise DataError(f"{path}: the YAML block can't be read: {error}; mend it and run `fgbg-depth card` again") from error
    if not isinstance(metadata, dict | None):
        raise DataError(f"{path}: the YAML block is no list of keys; mend it and run `fgbg-depth card` again")
    return metadata or {}, text[block.end() :]


def _found_expected(found, expected):
    """A difference in few words; of long lists only the first entry that differs."""
    if isinstance(found, list) and isinstance(expected, list):
        pairs = zip(found, expected, strict=False)
        found, expected = next((pair for pair in pairs if pair[0] != pair[1]), (f"{len(found)} entries", f"{len(expected)} entries"))
    if isinstance(found, dict) and isinstance(expected, dict):
        name = found.get("config_name")
        key = next(k for k in {**expected, **found} if found.get(k) != expected.get(k))
        return f"{key} of {name}: {_found_expected(found.get(key), expected.get(key))}"
    return f"found {_short(found)}, expected {_short(expected)}"


def _short(value):
    text = repr(value)
    return text if len(text) <= 160 else text[:157] + "..."


def _context(facts, title):
    """What the template is filled with."""
    recipe, depth = facts.recipe, facts.depth
    return {
        "title": title,
        "recipe": recipe,
        "depth": depth,
        "is_metric": facts.is_metric,
        "maps_imported": depth is not None and depth["name"] == MODEL_NAME,
        "is_mini": depth is not None and depth["name"] == MINI,
        "cites_densedepth": facts.cites_densedepth,
        "rows": facts.rows,
        "backgrounds": len(facts.entries["background"]),
        "foregrounds": len(facts.entries["foreground"]),
        "batches": facts.batches,
        "splits": facts.splits,
        "sample_split": facts.splits[-1],
        "cells": (facts.rows + facts.rows_left_out) // recipe.placements,
        "rows_left_out": facts.rows_left_out,
        "cells_left_out": facts.cells_left_out,
        "total_size": size(facts.total_bytes),
        "sheets": sheet_titles(recipe.has_depth),
        "plots": plot_titles(recipe.has_depth),
        "sizes_table": card_tables.sizes_table(facts.sizes),
        "statistics_table": card_tables.statistics_table(facts.stats),
        "columns_tables": {c: card_tables.columns_table(c, recipe, facts.is_metric) for c in ("default", "backgrounds", "foregrounds")},
        "splits_table": card_tables.splits_table(facts),
        "near_text": near_text(facts.near),
        "terms_lines": terms_lines(facts.entries),
        "error_text": card_tables.plain(error_words(depth)) if depth else "",
        "people_lines": [card_tables.plain(text) for text in people_sentences(facts)],
        "known_table": known_table(facts.entries),
        "licences_table": card_tables.licences_table(facts.entries),
        "sources_tables": {kind: card_tables.sources_table(facts.entries[kind]) for kind in KINDS},
        "listed": card_tables.MAX_SOURCE_ROWS,
        "recipe_toml": facts.recipe_toml.strip(),
        "plain": card_tables.plain,
    }
