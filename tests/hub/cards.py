"""The check of a card's YAML block, as `POST /api/validate-yaml` and a commit of README.md make it."""

import itertools
import re

import yaml

_BLOCK = re.compile(r"^\ufeff?\s*---[ \t]*\r?\n(.*?)(?:\r?\n)?---[ \t]*(?:\r?\n|$)", re.DOTALL)

# Ids that the Hub takes for `license`.
_LICENCES = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m afl-3.0
artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0
cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0
etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c
ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl openmdw-1.0 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl
lgpl-lr deepfloyd-if-license fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 grok2-community
gemma unknown other
"""
LICENCES = frozenset(_LICENCES.split())
_STEPS = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
SIZES = {"n<1K", "n>1T", *(f"{low}<n<{high}" for low, high in itertools.pairwise(_STEPS))}
_STRINGS = ("pretty_name", "license_name", "license_link", "viewer_title", "library_name", "pipeline_tag")
_LISTS_OF_STRINGS = ("tags", "task_categories", "task_ids", "annotations_creators", "language_creators", "source_datasets")


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key given twice, as the Hub's parser does."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        doubles = [key for key in keys if keys.count(key) > 1]
        if doubles:
            raise yaml.constructor.ConstructorError(None, None, f"duplicated mapping key {doubles[0]!r}", node.start_mark)
        return super().construct_mapping(node, deep)


def front_matter(text):
    """The YAML block of a card as text, or None."""
    found = _BLOCK.match(text)
    return found[1] if found else None


def metadata(text):
    """The YAML block of a card as a dict, {} if there is none or it can't be read."""
    try:
        value = yaml.load(front_matter(text) or "", _Loader)
    except yaml.YAMLError:
        return {}
    return value if isinstance(value, dict) else {}


def check_card(text, kind="dataset"):
    """Find what the Hub would refuse in a README.md.

    Args:
        text: the whole file.
        kind: "dataset", "model" or "space".

    Returns:
        (errors, warnings): lists of str.
    """
    block = front_matter(text)
    if not (block or "").strip():
        return [], ["empty or missing yaml metadata in repo card"]
    try:
        card = yaml.load(block, _Loader)
    except yaml.YAMLError as error:
        return [f"bad YAML in the metadata of README.md: {error}"], []
    if not isinstance(card, dict):
        return [f"the metadata of README.md must be a mapping, not {type(card).__name__}"], []
    errors = [f'"{key}" must be a string' for key in _STRINGS if key in card and not isinstance(card[key], str)]
    errors += [f'"{key}" must be an array of strings' for key in _LISTS_OF_STRINGS if not _strings(card.get(key))]
    errors += _check_licence(card)
    if kind == "dataset":
        sizes = card.get("size_categories") or []
        sizes = [sizes] if isinstance(sizes, str) else sizes
        errors += [f'"size_categories" must be one of [{", ".join(sorted(SIZES))}], not {s!r}' for s in sizes if s not in SIZES]
        errors += _check_configs(card)
    return errors, []


def _strings(value):
    return value is None or isinstance(value, str) or (isinstance(value, list) and all(isinstance(v, str) for v in value))


def _check_licence(card):
    found = card.get("license")
    found = found if isinstance(found, list) else [] if found is None else [found]
    return [f'"license" must be one of [{", ".join(sorted(LICENCES))}], not {one!r}' for one in found if one not in LICENCES]


def _check_configs(card):
    """`configs` and `dataset_info`: mappings with a name each, no name twice, at most one default."""
    errors = []
    for key in ("configs", "dataset_info"):
        entries = card.get(key, [])
        entries = [entries] if key == "dataset_info" and isinstance(entries, dict) else entries
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            errors.append(f'"{key}" must be an array of objects')
            continue
        names = [entry.get("config_name") for entry in entries]
        if key == "configs" and not all(isinstance(name, str) for name in names):
            errors.append('each of "configs" needs a "config_name"')
        errors += [f'"{key}" has {name!r} twice' for name in sorted({str(n) for n in names if names.count(n) > 1})]
        if sum(entry.get("default") is True for entry in entries) > 1:
            errors.append(f'"{key}" has more than one default')
    return errors
