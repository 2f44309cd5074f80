"""The licence of a set, as the Hub wants it: one of its ids where all pictures agree, else `other` and a name.

What a SOURCES.csv says is taken by the letter. "CC0-1.0" is the Hub's `cc0-1.0`; "CC0-1.0 (derived)" or "MIT for the
package" hold a remark that no id can hold, so they count as `other`, and the card's table shows them in full.
"""

import re

UNKNOWN, OTHER = "unknown", "other"
MIXED_NAME = "mixed-see-sources"  # license_name of a set whose pictures have several licences
MAX_NAME_CHARS = 60

# The ids that the Hub's check of a card accepts.
_IDS = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m afl-3.0
artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0
cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0
epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc h-research
intel-research lppl-1.3c ms-pl mpl-2.0 odc-by odbl openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl
"""
HUB_IDS = frozenset(_IDS.split())
_ALIASES = {
    "cc0": "cc0-1.0",
    "mit-license": "mit",
    "the-mit-license": "mit",
    "apache-license-2.0": "apache-2.0",
    "the-unlicense": "unlicense",
}


def hub_id(text):
    """The Hub's id of one licence text, or None: "CC BY 4.0" is `cc-by-4.0`, "CC0-1.0 (derived)" is none."""
    slug = re.sub(r"[\s_]+", "-", text.strip().lower())
    slug = _ALIASES.get(slug, slug)
    return slug if slug in HUB_IDS else None


def set_licence(texts):
    """The licence of a set from those of its pictures.

    Args:
        texts: licence text of every picture, "" where it isn't known.

    Returns:
        (license, license_name): a Hub id and None; `other` and a name in the Hub's letters; or `unknown` and None when no
        picture has a licence.
    """
    found = {text.strip() for text in texts}
    if found <= {""}:
        return UNKNOWN, None
    ids = {hub_id(text) for text in found}
    if len(ids) == 1 and None not in ids:
        return ids.pop(), None
    if len(found) == 1:
        return OTHER, _name(found.pop())
    return OTHER, MIXED_NAME


def _name(text):
    """A licence text in lower-case letters, digits, dots and dashes."""
    slug = re.sub(r"[^a-z0-9.]+", "-", text.lower())[:MAX_NAME_CHARS].strip("-.")
    return slug or MIXED_NAME
