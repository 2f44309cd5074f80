"""What a release would add, keep and drop: the files here against those on the Hub, by hash. Pure, nothing is read or sent."""

from dataclasses import dataclass

from ..sheets.write import picture_names

OUR_FOLDERS = ("data", "metadata", "backgrounds", "foregrounds")  # the card's globs take every Parquet file in them
OUR_FILES = ("manifest.json", "stats.json", "recipe.toml", "dropped.json", "croissant.json")
OUR_SHEETS = frozenset(f"assets/{name}" for name in picture_names(True))


@dataclass(frozen=True)
class Difference:
    """Sorted paths.

    Attributes:
        add: not there yet.
        change: there with other bytes.
        keep: there with the same bytes.
        drop: there, ours, and no longer part of the set.
        strange: there and not ours; they stay.
        in_the_way: strange Parquet files that the card's configs would load as rows of the set.
    """

    add: tuple
    change: tuple
    keep: tuple
    drop: tuple
    strange: tuple
    in_the_way: tuple

    @property
    def send(self):
        """Paths whose bytes are not at that place yet."""
        return tuple(sorted((*self.add, *self.change)))

    def __bool__(self):
        return bool(self.add or self.change or self.drop)


def compare(local, remote, known):
    """Compare a set with what a repository holds.

    Args:
        local: {path: contents.LocalFile}.
        remote: {path: remote.RemoteFile}.
        known: paths that earlier manifests of this repository list.

    Returns:
        Difference.
    """
    ours = {*(path for path in known if path.split("/")[0] in OUR_FOLDERS), *OUR_FILES, *OUR_SHEETS}
    add = [path for path in local if path not in remote]
    there = [path for path in local if path in remote]
    change = [path for path in there if not local[path].same_as(remote[path])]
    left = [path for path in remote if path not in local]
    drop = [path for path in left if path in ours]
    strange = [path for path in left if path not in ours]
    in_the_way = [p for p in strange if p.endswith(".parquet") and p.split("/")[0] in OUR_FOLDERS]
    keep = set(there) - set(change)
    return Difference(*(tuple(sorted(paths)) for paths in (add, change, keep, drop, strange, in_the_way)))
