"""The tables of a card as Markdown, each from the facts of the set. Pure functions."""

import re
from collections import Counter

from .. import schema
from ..asset_tables import KINDS
from ..config import SPLIT_NAMES
from ..progress import size

MAX_SOURCE_ROWS = 400  # pictures of one kind that the card lists; more make it unreadable, and the config has them all
MAX_AUTHORS = 3  # named for each licence; all of them stand in the list of the pictures
NOTHING, UNKNOWN = "–", "not known"
SAVED_LEVELS = {"relative8": "8-bit PNG", "relative8_jpeg": "8-bit JPEG", "metric16": "16-bit PNG"}

COLUMN_TEXTS = {
    "key": "the sample key, unique: background, foreground, plain or flip, and k",
    "background": "id of the background, as in the config `backgrounds`",
    "foreground": "id of the cut-out, as in the config `foregrounds`",
    "flipped": "true when the cut-out is mirrored",
    "placement": "k, the number of the placement within its (background, foreground, flip) cell",
    "bbox": "x, y, width, height [pixels] of the visible mask, tight (COCO)",
    "placement_box": "x, y, width, height [pixels] of the box that the cut-out was put into, not clipped",
    "mask_area": "part of the canvas that the mask covers, 0 to 1",
    "depth_min_m": "metres at level 0 of `depth`",
    "depth_max_m": "metres at full scale of `depth`",
    "image": "the composite, RGB",
    "mask": "the mask of the cut-out",
    "depth": "predicted depth, far is bright",
    "id": "unique among its kind",
    "sha256": "of the source file",
    "file": "where the source file was",
    "width": "of the source picture [pixels]",
    "height": "of the source picture [pixels]",
    "split": "the split that uses it, or `all`",
    "group": "pictures of one scene share it and are never divided among splits",
    "batch": "the run that brought it, 0 is the first",
    "licence": "as its source says",
    "author": "as its source says",
    "source": "where it came from",
    "url": "link to the source, if there is one",
}


def table(head, rows, right=()):
    """A Markdown table.

    Args:
        head: texts of the first line.
        rows: lists of texts, escaped already.
        right: numbers of the columns that are set to the right.
    """
    rule = ["---:" if i in right else "---" for i in range(len(head))]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in (head, rule, *rows))


def plain(text):
    """Text from outside as Markdown that shows it and does nothing else; bare links stay links."""
    text = re.sub(r"\s+", " ", str(text)).strip()
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~$])", r"\\\1", text)


def link(text, url):
    """A Markdown link, or the text alone when the address is no plain http one."""
    if re.fullmatch(r"https?://[^\s<>()\[\]|\\\"]+", url):
        return f"[{plain(text)}]({url})"
    return plain(text)


def sizes_table(sizes):
    """Rows, files and bytes of each config and split.

    Args:
        sizes: {config: {split: card_facts.Size}}.
    """
    rows = [
        [f"`{config}`", split, f"{s.rows:,}", f"{s.files:,}", size(s.file_bytes)]
        for config, splits in sizes.items()
        for split, s in splits.items()
    ]
    return table(["Config", "Split", "Rows", "Files", "Size"], rows, right=(2, 3, 4))


def statistics_table(stats):
    """Mean, deviation, range and median of every column and split; see stats.summarise for `stats`."""
    rows = []
    for split in (s for s in (*SPLIT_NAMES, schema.ALL_SPLITS) if s in stats):
        rows += [[split if i == 0 else "", *row] for i, row in enumerate(_statistics_rows(stats[split]))]
    return table(["Split", "Column", "Unit", "Mean", "Std", "Min", "Median", "Max"], rows, right=(3, 4, 5, 6, 7))


def _statistics_rows(summary):
    rows = []
    for channel, name in enumerate("RGB"):
        rows.append([f"`image` {name}", "0 to 1", *_moments(summary["image"], channel)])
    rows.append(["`mask`", "0 to 1", *_moments(summary["mask"])])
    rows.append(["mask area", "part of the canvas", *_moments(summary["mask"]["area"])])
    if "depth" in summary:
        rows.append(["`depth`, as stored", "0 to 1", *_moments(summary["depth"])])
    if "depth_m" in summary:
        rows.append(["depth in metres", "m", *_moments(summary["depth_m"])])
        rows += [
            [f"depth in metres, {where} the mask", "m", *_moments(summary["depth_m"][where])]
            for where in ("inside", "outside")
        ]
    return rows


def _moments(summary, channel=None):
    values = [summary["mean"], summary["std"], summary["min"], (summary["quantiles"] or {}).get("0.5"), summary["max"]]
    if channel is not None:
        values = [value and value[channel] for value in values]
    return [NOTHING if value is None else f"{value:.4f}" for value in values]


def columns_table(config, recipe, is_metric):
    """Name, type and meaning of every column of a config.

    Args:
        config: its name.
        recipe: config.Recipe.
        is_metric: False when depth has no metres.
    """
    texts = {**COLUMN_TEXTS, **_texts_of(recipe, is_metric)}
    if config == "foregrounds":
        texts |= {"image": "the cut-out as it came, RGBA", "mask": f"255 where its alpha >= {recipe.mask_threshold}, else 0"}
    if config == "backgrounds":
        texts |= {"image": "the picture as it came, RGB"}
    features = schema.features(schema.config_columns(config, recipe.has_depth))
    return table(["Column", "Type", "What it is"], [[f"`{n}`", _type(f), texts[n]] for n, f in features.items()])


def _texts_of(recipe, is_metric):
    side = f"{recipe.image_size} x {recipe.image_size}"
    picture = f"JPEG of quality {recipe.image_quality}" if recipe.image_format == "jpeg" else "PNG"
    mask = "0 or 255" if recipe.mask == "binary" else "the soft alpha, 0 to 255"
    texts = {"image": f"the composite, RGB, {side}, {picture}", "mask": f"the cut-out's mask, gray, {side}, PNG: {mask}"}
    if recipe.imported:
        texts["placement_box"] = COLUMN_TEXTS["placement_box"] + "; null where it isn't known"
        texts["mask"] += ", cut from a JPEG"
    if recipe.has_depth:
        texts["depth"] = f"predicted depth, gray, {side}, {SAVED_LEVELS[recipe.depth_encoding]}: far is bright"
        if not is_metric:
            texts |= dict.fromkeys(schema.RANGE_COLUMNS, "null: the model gives relative depth")
    return texts


def _type(feature):
    if feature["_type"] == "Sequence":
        return f"{feature['length']} x {feature['feature']['dtype']}"
    return feature["_type"] if feature["_type"] == "Image" else feature["dtype"]


def splits_table(facts):
    """Assets and groups of each kind and split."""
    rows = [
        [f"{kind}s", split, f"{assets:,}", f"{groups:,}"]
        for kind in KINDS
        for split, (assets, groups) in facts.assets_per_split(kind).items()
    ]
    return table(["Pictures", "Split", "Number", "Groups"], rows, right=(2, 3))


def licences_table(entries):
    """Numbers of pictures under each licence, and who made them.

    Args:
        entries: {kind: asset_tables.Entry list}.
    """
    groups = {}
    for kind in KINDS:
        for entry in entries[kind]:
            groups.setdefault((entry.licence.strip(), kind), []).append(entry.author.strip())
    rows = []
    for (licence, kind), authors in sorted(groups.items()):
        rows.append([plain(licence) or UNKNOWN, f"{kind}s", f"{len(authors):,}", _names(authors)])
    return table(["Licence", "Used as", "Pictures", "Authors"], rows, right=(2,))


def _names(authors):
    """The authors of some pictures, those of most first; many are only counted."""
    count = Counter(author or UNKNOWN for author in authors)
    names = [plain(author) for author, _ in sorted(count.items(), key=lambda item: (-item[1], item[0]))]
    more = len(names) - MAX_AUTHORS
    return "; ".join(names[:MAX_AUTHORS]) + (f"; and {more} more" if more > 0 else "")


def sources_table(entries):
    """Every picture of one kind with its licence, author and source; the first ones of a very long list."""
    rows = []
    for entry in entries[:MAX_SOURCE_ROWS]:
        source = link(entry.source or entry.url, entry.url) or NOTHING
        rows.append([f"`{entry.plan.id}`", plain(entry.licence) or NOTHING, plain(entry.author) or NOTHING, source])
    return table(["Id", "Licence", "Author", "Source"], rows)
