"""All that an import finds out before the first byte is written: rows, source pictures, recipe, digests, and the order of the files."""

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from ..asset_tables import KINDS, list_digest
from ..config import NO_DEPTH, SPLIT_NAMES, Recipe
from ..errors import CodecError, DataError
from ..imported import MODEL_NAME, depth_facts
from ..keyed import key64, permutation
from ..plan import FIRST_BATCH, KEY_SEPARATOR, cut_shards
from .assets import TreeAssets, ids_of, splits_of
from .listing import list_tree
from .matching import match
from .reading import jpeg_quality, side_of

PROBES = 25  # composites that are opened to learn the size of the pictures
TRAIN_ONLY = (1.0, 0.0, 0.0)
DEFAULT_BOX = (100, 70)


@dataclass(frozen=True)
class Options:
    """What an import is told.

    Attributes:
        with_depth: take rows with a depth map, if the tree has any; False leaves depth out.
        mask_threshold: a mask pixel is inside from this level on, 1..255.
        rows_per_shard, first_shard_rows, rows_per_group: layout of the files; None takes the recipe's defaults.
        num_workers: processes; None takes one for each processor.
    """

    with_depth: bool = True
    mask_threshold: int = 128
    rows_per_shard: int | None = None
    first_shard_rows: int | None = None
    rows_per_group: int | None = None
    num_workers: int | None = None


@dataclass(frozen=True, eq=False)
class Work:
    """All that is known before the first byte is written: the rows in the order of the files, and what they are bound to."""

    listing: object
    matched: object
    recipe: object
    digest: str
    lists: dict
    assets: dict
    ids: dict
    shards: list


def prepare_import(tree, options, reader, progress):
    """Find out all that will be done; nothing is written.

    Args:
        tree: the folder or .zip.
        options: Options.
        reader: containers.Reader of the tree.
        progress: progress.Quiet or a subclass.

    Returns:
        Work.

    Raises:
        UsageError, DataError: as importing.import_original says.
    """
    with progress.task("find the pictures", None) as task:
        listing = list_tree(tree, task.update)
    matched = match(listing, options.with_depth, reader)
    if not len(matched):
        raise DataError(_nothing(tree, listing))
    recipe = _recipe(tree, listing, matched, options, reader)
    with progress.task("read the source pictures", None):
        matched, assets, ids = _assets(listing, matched, recipe, reader)
    if not len(matched):
        raise DataError(_nothing(tree, listing))
    matched = matched.part(_by_id(matched, ids))  # numbers of names hang on the order in which files are found
    recipe = _with_splits(recipe, matched)
    recipe = recipe.replace(imported=_digest(matched, ids, recipe))
    digest = recipe.digest(depth_facts(recipe.imported)["weights_digest"] if recipe.has_depth else "")
    lists = {FIRST_BATCH: list_digest(digest, *([a.entry.plan for a in assets[kind].values()] for kind in KINDS))}
    order, shards = _in_order(matched, recipe)
    return Work(listing, matched.part(order), recipe, digest, lists, assets, ids, shards)


def _nothing(tree, listing):
    reasons = [f"{count:,} files: {reason}" for reason, count in list(listing.problems.counts().items())[:5]]
    found = "; ".join(reasons) or "it holds no picture"
    return f"{tree}: not one composite could be matched with its mask ({found}). Expected fg_bg/<bg>/<bg>__<fg>_<k>.jpg and the like"


def _recipe(tree, listing, matched, options, reader):
    """The recipe as far as the pictures tell it."""
    images = matched.pictures["image"]
    is_png = np.array([text.lower() == ".png" for text in listing.suffixes.texts])[images["suffix"]]
    side, quality = _side(tree, listing, images, reader)
    fields = {"image_format": "png" if is_png.mean() > 0.5 else "jpeg", "image_size": side, "mask_threshold": options.mask_threshold}
    if quality:
        fields["image_quality"] = quality
    if "depth" in matched.pictures:
        depth = [listing.suffixes.texts[n].lower() for n in np.unique(matched.pictures["depth"]["suffix"])]
        fields |= {"depth_model": MODEL_NAME, "depth_encoding": "relative8" if ".png" in depth else "relative8_jpeg"}
    else:
        fields["depth_model"] = NO_DEPTH
    layout = {name: getattr(options, name) for name in ("rows_per_shard", "first_shard_rows", "rows_per_group")}
    return Recipe().replace(
        **fields,
        foreground_size=tuple(min(length, side) for length in DEFAULT_BOX),
        flips=bool(images["flipped"].any()),
        placements=int(images["placement"].max()) + 1,
        hold_out="none",
        splits=TRAIN_ONLY,
        **{name: value for name, value in layout.items() if value is not None},
    )


def _side(tree, listing, images, reader):
    """(side of most composites [pixels], JPEG quality or None), by some of them."""
    sizes, qualities = Counter(), {}
    for at in np.unique(np.linspace(0, len(images) - 1, PROBES).round().astype(int)).tolist():
        try:
            data = reader.read(*listing.file_of(images[at]))
            size = side_of(data)
        except CodecError:
            continue  # named when its data file is made
        sizes[size] += 1
        if size not in qualities:
            qualities[size] = jpeg_quality(data) if data.startswith(b"\xff\xd8") else None
    if not sizes:
        raise DataError(f"{tree}: none of {min(PROBES, len(images))} composites can be opened, such as {listing.label_of(images[0])}")
    (width, height), _ = sizes.most_common(1)[0]
    if width != height:
        raise DataError(f"{tree}: its composites have {width} x {height} pixels; a set here has square ones")
    return width, qualities[width, height]


def _assets(listing, matched, recipe, reader):
    """(matched without rows whose source pictures can't be had, {kind: {number: TreeAsset}}, {kind: {number: id}})."""
    reading, assets, ids = TreeAssets(listing, matched, recipe, reader), {}, {}
    keep = np.ones(len(matched), bool)
    for kind in KINDS:
        numbers = matched.pictures["image"][kind]
        ids[kind] = ids_of(listing, kind, np.unique(numbers).tolist(), matched.ids[kind])
        assets[kind], lost = reading.read(kind, ids[kind], splits_of(matched, kind))
        keep &= ~np.isin(numbers, lost)
    if keep.all():
        return matched, assets, ids
    matched = matched.part(keep)
    used = {kind: set(np.unique(matched.pictures["image"][kind]).tolist()) for kind in KINDS}
    return matched, {kind: {n: a for n, a in assets[kind].items() if n in used[kind]} for kind in KINDS}, ids


def _with_splits(recipe, matched):
    """The recipe with what the splits don't share, as the rows have it, and the parts of the rows in them."""
    parts = np.bincount(matched.split, minlength=len(SPLIT_NAMES)) / len(matched)
    if parts[0] == 1 or parts[0] == 0:
        return recipe
    shared = {kind: any(split == "all" for split in splits_of(matched, kind).values()) for kind in KINDS}
    hold_out = "none" if shared["background"] else "background" if shared["foreground"] else "both"
    rest = [round(float(part), 6) for part in parts[1:]]
    return recipe.replace(hold_out=hold_out, splits=(1 - sum(rest), *rest))


def _digest(matched, ids, recipe):
    """sha256 of what is read: each row with its split, box, and the sizes of its pictures. Zips and folders give the same."""
    digest = hashlib.sha256(f"{KEY_SEPARATOR.join(matched.pictures)}\n".encode())
    images = matched.pictures["image"]
    for at, row in enumerate(images):
        sizes = " ".join(str(pictures["size"][at]) for pictures in matched.pictures.values())
        names = f"{ids['background'][row['background']]} {ids['foreground'][row['foreground']]}"
        box = " ".join(map(str, matched.box[at].tolist()))
        digest.update(f"{names} {int(row['flipped'])} {row['placement']} {matched.split[at]} {box} {sizes}\n".encode())
    return digest.hexdigest()


def _by_id(matched, ids):
    """The order of the rows by ids, so that it hangs on nothing else."""
    images = matched.pictures["image"]
    rank = {kind: {n: i for i, (_, n) in enumerate(sorted((name, n) for n, name in ids[kind].items()))} for kind in KINDS}
    columns = [np.array([rank[kind][n] for n in images[kind].tolist()]) for kind in KINDS]
    return np.lexsort([images["placement"], images["flipped"], *reversed(columns)])


def _in_order(matched, recipe):
    """(order of the rows on disk, ShardPlans): each split is permuted, so that reading in order is well mixed."""
    order, shards = [], []
    for code, split in enumerate(SPLIT_NAMES):
        mine = np.flatnonzero(matched.split == code)
        if mine.size:
            order.append(mine[permutation(mine.size, key64("order", recipe.seed, FIRST_BATCH, split))])
            shards += cut_shards(FIRST_BATCH, split, mine.size, recipe)
    return np.concatenate(order), shards
