"""The YAML block of a card: licence, tasks, features, splits and files of every config, and how it is merged.

The features are written as `datasets` writes them into cards (a list in place of a dict), with `sequence` for boxes,
which every version reads.
"""

from .. import schema
from .licences import UNKNOWN, set_licence

PRETTY_NAME = "Foregrounds over backgrounds: composites, masks and depth"
PRETTY_NAME_NO_DEPTH = "Foregrounds over backgrounds: composites and masks"
TAGS = ("fgbg-depth", "synthetic", "compositing", "foreground-background", "masks")
DEPTH_TAGS = ("monocular-depth", "pseudo-labels")
KEEP_IF_SET = ("pretty_name",)  # ours is only a first proposal
UNITED_LISTS = ("task_categories", "tags")  # ours are always there, further ones stay
# Tables with pictures: a reader of a stream shall not fetch 32 MB before the first row. `datasets` 3 passes over it with a word.
AS_IT_GOES = {"fragment_scan_options": {"pre_buffer": False}}
TOP_FOLDER = {"default": "data"}  # other configs lie in a folder of their own name


def card_metadata(facts):
    """The YAML block of a set's card as a plain dict, in the order in which it is written.

    Args:
        facts: card_facts.SetFacts.
    """
    licence, name = set_licence([e.licence for entries in facts.entries.values() for e in entries])
    has_depth = facts.recipe.has_depth
    tasks = (["depth-estimation"] if has_depth else []) + ["image-segmentation"]
    return {
        "license": licence,
        **({"license_name": name} if name else {}),
        "pretty_name": PRETTY_NAME if has_depth else PRETTY_NAME_NO_DEPTH,
        "annotations_creators": ["machine-generated"],
        "task_categories": tasks,
        "size_categories": [size_category(facts.rows)],
        "tags": [*TAGS, *(DEPTH_TAGS if has_depth else ())],
        "configs": [_config(config, facts.sizes[config]) for config in schema.CONFIGS],
        "dataset_info": [_info(config, facts.sizes[config], has_depth) for config in schema.CONFIGS],
    }


def merge_metadata(found, ours):
    """Our keys over those of a card that is there.

    Args:
        found: dict of the card's YAML block.
        ours: what `card_metadata` gives.

    Returns:
        dict: ours first, in their order, then all keys of others. A name that somebody chose stays; so does a licence
        where the pictures tell none; tags and tasks are united; configs of others stay.
    """
    merged = dict(ours)
    for key in KEEP_IF_SET:
        merged[key] = found.get(key) or ours[key]
    for key in UNITED_LISTS:
        theirs = _as_list(found.get(key))
        all_there = all(item in theirs for item in ours[key])
        merged[key] = theirs if all_there else ours[key] + [item for item in theirs if item not in ours[key]]
    for key in ("configs", "dataset_info"):
        others = [c for c in _as_list(found.get(key)) if isinstance(c, dict) and c.get("config_name") not in schema.CONFIGS]
        merged[key] = ours[key] + others
    if ours["license"] == UNKNOWN and found.get("license"):
        merged["license"] = found["license"]
        if "license_name" in found:
            merged["license_name"] = found["license_name"]
    elif "license_name" not in ours:
        found = {key: value for key, value in found.items() if key != "license_name"}
    return {**merged, **{key: value for key, value in found.items() if key not in merged}}


def _as_list(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def size_category(rows):
    """The Hub's word for a number of rows, such as 100K<n<1M."""
    bounds = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
    place = sum(rows >= 1000 * 10**i for i in range(len(bounds)))
    if place == 0:
        return f"n<{bounds[0]}"
    if place == len(bounds):
        return f"n>{bounds[-1]}"
    return f"{bounds[place - 1]}<n<{bounds[place]}"


def _config(config, sizes):
    top = TOP_FOLDER.get(config, config)
    per_split = config in ("default", "metadata")
    files = [{"split": s, "path": f"{top}/{s}/*.parquet" if per_split else f"{top}/*.parquet"} for s in sizes]
    default = {"default": True} if config == "default" else {}
    return {"config_name": config, **default, "data_files": files, **(AS_IT_GOES if config != "metadata" else {})}


def _info(config, sizes, has_depth):
    total = [sum(column) for column in zip(*(size.as_tuple() for size in sizes.values()), strict=True)]
    return {
        "config_name": config,
        "features": yaml_features(schema.config_columns(config, has_depth)),
        "splits": [{"name": s, "num_bytes": size.data_bytes, "num_examples": size.rows} for s, size in sizes.items()],
        "download_size": total[2],
        "dataset_size": total[3],
    }


def yaml_features(columns):
    """Features of some columns in the form that cards have.

    Args:
        columns: name -> Arrow type.

    Returns:
        list such as [{"name": "key", "dtype": "string"}, {"name": "bbox", "sequence": "int32", "length": 4}].
    """
    return [{"name": name, **_yaml_feature(feature)} for name, feature in schema.features(columns).items()]


def _yaml_feature(feature):
    if feature["_type"] == "Image":
        return {"dtype": "image"}
    if feature["_type"] == "Sequence":
        # The first key names the type; readers go by that.
        return {"sequence": feature["feature"]["dtype"], "length": feature["length"]}
    return {"dtype": feature["dtype"]}
