"""The version rule: what a release is called, and why.

A version is `vX.Y.Z`. The first is v1.0.0. X rises when the schema or the recipe changes or rows go away, Y when rows are
added, Z when only the card or the statistics change. All of it is decided from two manifests and two tables of features; nothing
here reads a file.
"""

import re
from dataclasses import dataclass

from ..errors import UsageError

MAJOR, MINOR, PATCH = "major", "minor", "patch"
ROW_CONFIGS = ("default", "backgrounds", "foregrounds")  # `metadata` repeats the rows of `default`
_FORM = re.compile(r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


@dataclass(frozen=True, order=True)
class Version:
    """A version; compares by its three numbers."""

    major: int
    minor: int
    patch: int

    def __str__(self):
        return f"v{self.major}.{self.minor}.{self.patch}"

    def next(self, level):
        """The version after this one by a change of some level."""
        if level == MAJOR:
            return Version(self.major + 1, 0, 0)
        if level == MINOR:
            return Version(self.major, self.minor + 1, 0)
        return Version(self.major, self.minor, self.patch + 1)


FIRST = Version(1, 0, 0)


@dataclass(frozen=True)
class Decision:
    """A version, the level of the change (None for the first one) and the reason in words."""

    version: Version
    level: str | None
    reason: str


def parse_version(text):
    """A Version from `v1.2.3`; None when it is something else."""
    match = _FORM.fullmatch(text)
    return Version(*map(int, match.groups())) if match else None


def latest_version(tags):
    """The highest Version among tag names; None when there is none."""
    return max(filter(None, map(parse_version, tags)), default=None)


def level_of_change(old, new, old_features=None, new_features=None):
    """How much a set changed.

    Args:
        old, new: manifests as dicts.
        old_features, new_features: {config: features} of the two cards; None where unknown, then the recipe decides.

    Returns:
        (level, reason).
    """
    if old_features and new_features and not _same(old_features, new_features):
        return MAJOR, f"the schema changed: {_feature_changes(old_features, new_features)}"
    if old.get("recipe_digest") != new.get("recipe_digest"):
        return MAJOR, "the recipe changed"
    old_tables, new_tables = _tables(old), _tables(new)
    counts = {config: _rows(new_tables, config) - _rows(old_tables, config) for config in ROW_CONFIGS}
    gone = sorted(old_tables.keys() - new_tables.keys())
    rewritten = sorted(n for n in old_tables.keys() & new_tables.keys() if old_tables[n]["sha256"] != new_tables[n]["sha256"])
    fewer = [f"{-count:,} {_ROW_NAMES[config][count != -1]}" for config, count in counts.items() if count < 0]
    if fewer and rewritten:
        return MAJOR, f"rows go away: {_listed(fewer)} {'is' if sum(counts.values()) == -1 else 'are'} no longer part of the set"
    if gone:
        away = sum(old_tables[name]["rows"] for name in gone)
        return MAJOR, f"rows go away: {_some(gone)} with {away:,} rows {'is' if len(gone) == 1 else 'are'} no longer part of the set"
    if rewritten:
        return MAJOR, f"rows changed: {_some(rewritten)} {'has' if len(rewritten) == 1 else 'have'} other bytes than before"
    if old_tables.keys() != new_tables.keys():
        more = [f"{count:,} {_ROW_NAMES[config][count != 1]}" for config, count in counts.items() if count]
        return MINOR, f"{_listed(more)} {'was' if sum(counts.values()) == 1 else 'were'} added"
    both = {**old["files"], **new["files"]}
    other = sorted(name for name in both if old["files"].get(name, {}).get("sha256") != new["files"].get(name, {}).get("sha256"))
    return PATCH, f"the rows are the same; {_some(other) if other else 'only the card'} changed"


_ROW_NAMES = {"default": ("row", "rows"), "backgrounds": ("background", "backgrounds"), "foregrounds": ("foreground", "foregrounds")}


def decide_version(latest, level, reason, asked=None):
    """The version of a release.

    Args:
        latest: the highest Version so far, or None.
        level, reason: as `level_of_change` gives them; not used for the first version.
        asked: text that the user gave in place of ours, or None.

    Returns:
        Decision.

    Raises:
        UsageError: what was asked for is no version, isn't higher than the latest, or hides a change of level major.
    """
    if latest is None:
        due, level, reason = FIRST, None, "it is the first version"
    else:
        due = latest.next(level)
    if asked is None:
        return Decision(due, level, reason)
    version = parse_version(asked)
    if version is None:
        raise UsageError(f"--version is {asked!r}, expected something like {due}")
    if latest is not None and version <= latest:
        raise UsageError(f"--version {version} isn't above {latest}, which is there already; versions only rise, the next would be {due}")
    if level == MAJOR and version.major <= latest.major:
        raise UsageError(f"--version {version} would hide that {reason}: that takes a new first number, {due} or higher")
    return Decision(version, level, f"asked for by --version; {reason}")


def _tables(manifest):
    return {name: facts for name, facts in manifest["files"].items() if facts.get("config") in ROW_CONFIGS}


def _rows(tables, config):
    return sum(facts["rows"] for facts in tables.values() if facts["config"] == config)


def _same(old, new):
    """The same configs with the same columns in the same order."""
    return old.keys() == new.keys() and all(list(old[config].items()) == list(new[config].items()) for config in old)


def _feature_changes(old, new):
    """In words what differs between two tables of features."""
    words = []
    for config in sorted({*old, *new}):
        before, after = old.get(config), new.get(config)
        if before == after:
            continue
        if before is None or after is None:
            words.append(f"config {config} is {'new' if before is None else 'gone'}")
            continue
        words += [f"{config}.{column} is gone" for column in before if column not in after]
        words += [f"{config}.{column} is new" for column in after if column not in before]
        words += [f"{config}.{c} was {before[c]}, is {after[c]}" for c in before if c in after and before[c] != after[c]]
    return "; ".join(words) or "the order of the columns"


def _some(names, shown=2):
    return ", ".join(names[:shown]) + (f" and {len(names) - shown:,} more files" if len(names) > shown else "")


def _listed(words):
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
