"""The source pictures of a tree as assets of a set: ids, checked pictures, and stand-ins for those that aren't there."""

import hashlib
from dataclasses import dataclass

import numpy as np

from ..asset_tables import Entry
from ..assets.ids import assign_ids, safe_id
from ..assets.pictures import decode_picture, stored_picture
from ..assets.scan import IMPLICIT_GROUP
from ..assets.sources import SourceRow, lookup_name, parse_sources
from ..assets.walk import printable
from ..config import NO_DEPTH, SPLIT_NAMES
from ..errors import AssetError, CodecError
from ..plan import FIRST_BATCH, KEY_SEPARATOR, PlanAsset
from ..schema import ALL_SPLITS
from . import stand_ins
from .names import FOLDER_OF
from .reading import read_row

KINDS = ("background", "foreground")


@dataclass(frozen=True, eq=False)
class TreeAsset:
    """One source picture: the Entry of its row, and the bytes that are stored."""

    entry: Entry
    data: bytes


def ids_of(listing, kind, numbers, told):
    """An id for each name that rows use.

    Args:
        listing: listing.Listing.
        kind: "background" or "foreground".
        numbers: numbers of the names.
        told: {number: id} by annotations.txt.

    Returns:
        {number: id}, unique. What annotations.txt tells counts where it is a valid id and nobody else's.
    """
    texts = {number: getattr(listing, f"{kind}s").texts[number] for number in numbers}
    ids = {}
    for number in sorted(numbers, key=texts.get):
        wanted = told.get(number, "")
        if wanted and safe_id(wanted) == wanted and KEY_SEPARATOR not in wanted and wanted not in ids.values():
            ids[number] = wanted
    # A digest of the name stands where files have one of their bytes: names are unique too. ".jpg" is the suffix that ids leave out.
    digests = {f"{texts[n]}.jpg": hashlib.sha256(texts[n].encode("utf-8", "surrogateescape")).hexdigest() for n in numbers if n not in ids}
    given = assign_ids(digests, {asset_id: f"told {asset_id}" for asset_id in ids.values()})
    return {n: ids.get(n) or given[f"{texts[n]}.jpg"] for n in numbers}


class TreeAssets:
    """Reads the source pictures that the rows of a tree need."""

    def __init__(self, listing, matched, recipe, reader):
        """Args: listing.Listing, matching.Matched, config.Recipe, containers.Reader."""
        self._listing, self._matched, self._recipe, self._reader = listing, matched, recipe, reader

    def read(self, kind, ids, splits):
        """All source pictures of one kind.

        Args:
            kind: "background" or "foreground".
            ids: {number of the name: id}.
            splits: {number: split}.

        Returns:
            ({number: TreeAsset}, numbers whose picture can't be had): pictures of the same bytes are one asset, so the second
            of them can't be had, and neither can one without a usable composite.
        """
        tables, assets, lost, first = self._sources(kind), {}, [], {}
        texts = getattr(self._listing, f"{kind}s").texts
        for number in sorted(ids, key=ids.get):
            asset = self._asset(kind, number, texts[number], ids[number], splits[number], tables)
            if asset is None:
                words = "no picture of it is there, and no composite that it could be recovered from"
                self._listing.problems.add(f"{kind} {texts[number]}", words)
            elif asset.entry.plan.sha256 in first:
                words = f"has the same bytes as {first[asset.entry.plan.sha256]}; its rows are left out"
                self._listing.problems.add(f"{kind} {texts[number]}", words)
            else:
                first[asset.entry.plan.sha256] = texts[number]
                assets[number] = asset
                continue
            lost.append(number)
        used = {texts[number] for number in ids}
        for name, found in self._listing.assets[kind].items():
            if name not in used:
                self._listing.problems.add(found.label, "no row uses it")
        return assets, lost

    def _asset(self, kind, number, text, asset_id, split, tables):
        found, alpha = self._listing.assets[kind].get(text), kind == "foreground"
        told, source = SourceRow(), None
        if found:
            told = tables.get(lookup_name(found.name), (0, SourceRow()))[1]
            try:
                source = self._reader.read(found.folder, found.name, found.zip, found.place)
                data = stored_picture(source, alpha=alpha)
                if alpha:
                    self._check_alpha(data)
            except (AssetError, CodecError) as error:
                self._listing.problems.add(found.label, f"{error}; the picture is recovered from the composites")
                source = None
        if source is None:
            source = data = self._recovered(kind, number)
            if data is None:
                return None
            told = SourceRow(**{**told.__dict__, "source": "; ".join(filter(None, (told.source, stand_ins.SOURCE)))})
        height, width = decode_picture(data, alpha=alpha).shape[:2]
        sha256 = hashlib.sha256(source).hexdigest()
        plan = PlanAsset(asset_id, sha256, told.group or IMPLICIT_GROUP + asset_id, width, height, FIRST_BATCH, split)
        file = f"{FOLDER_OF[kind]}/{printable(found.name)}" if found else ""  # wherever it lies, in a zip or not
        return TreeAsset(Entry(plan, file, told.licence, told.author, told.source, told.url), data)

    def _check_alpha(self, data):
        alpha = decode_picture(data, alpha=True)[..., 3]
        if int(alpha.max()) < self._recipe.mask_threshold:
            raise AssetError(f"no pixel has alpha >= {self._recipe.mask_threshold}")
        if int(alpha.min()) == 255:
            raise AssetError("its alpha is 255 everywhere: a rectangle, no cut-out")

    def _sources(self, kind):
        found = self._listing.texts.get(kind)
        if not found:
            return {}
        try:
            return parse_sources(self._reader.read(found.folder, found.name, found.zip, found.place), found.label)
        except (AssetError, CodecError) as error:
            self._listing.problems.add(found.label, f"{error}")
            return {}

    def _recovered(self, kind, number):
        """Stored bytes of a stand-in, or None when no composite can be used."""
        images = self._matched.pictures["image"]
        mine = np.flatnonzero(images[kind] == number)
        if kind == "foreground":
            mine = mine[np.argsort(images["flipped"][mine], kind="stable")]  # those that aren't mirrored first
            for at in mine[: stand_ins.BACKGROUND_ROWS].tolist():
                row = self._row(at)
                if row:
                    return stand_ins.foreground_of(row, bool(images["flipped"][at]))
            return None
        spread = mine[np.unique(np.linspace(0, len(mine) - 1, stand_ins.BACKGROUND_ROWS).round().astype(int))]
        rows = [row for row in map(self._row, spread.tolist()) if row]
        return stand_ins.background_of(rows) if rows else None

    def _row(self, at):
        try:
            data = read_files(self._listing, self._matched, at, self._reader, ("image", "mask"))
            return read_row(data, self._recipe.replace(depth_model=NO_DEPTH))
        except CodecError:
            return None  # found when its data file is made


def read_files(listing, matched, at, reader, roles):
    """{role: bytes} of one row of a tree."""
    return {role: reader.read(*listing.file_of(matched.pictures[role][at])) for role in roles}


def splits_of(matched, kind):
    """{number: split of the asset} as its rows have it; "all" when they are in several."""
    numbers = matched.pictures["image"][kind]
    splits = {}
    for code, name in enumerate(SPLIT_NAMES):
        for number in np.unique(numbers[matched.split == code]).tolist():
            splits[number] = ALL_SPLITS if number in splits else name
    return splits
