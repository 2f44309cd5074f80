"""The columns of every table, in one place: names, Arrow types, and the `datasets` features that go with them.

The features are written as the plain JSON that `datasets` stores in a Parquet file's schema, so this module needs
no `datasets`. Lists are `Sequence`, which old versions read too.
"""

import json

import pyarrow as pa

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])  # how datasets.Image lies in Arrow
BOX = pa.list_(pa.int32(), 4)

KEY_COLUMNS = {
    "key": pa.string(),
    "background": pa.string(),
    "foreground": pa.string(),
    "flipped": pa.bool_(),
    "placement": pa.int32(),
    "bbox": BOX,
    "placement_box": BOX,
    "mask_area": pa.float32(),
}
RANGE_COLUMNS = {"depth_min_m": pa.float32(), "depth_max_m": pa.float32()}
ASSET_COLUMNS = {
    "id": pa.string(),
    "sha256": pa.string(),
    "file": pa.string(),
    "width": pa.int32(),
    "height": pa.int32(),
    "split": pa.string(),
    "group": pa.string(),
    "batch": pa.int32(),
    "licence": pa.string(),
    "author": pa.string(),
    "source": pa.string(),
    "url": pa.string(),
    "image": PICTURE,
}
CONFIGS = ("default", "metadata", "backgrounds", "foregrounds")
ALL_SPLITS = "all"  # the split column of an asset that every split uses, and the joint entry of stats.json


def data_columns(has_depth):
    """Columns of the config `default`: name -> Arrow type, in the order on disk."""
    pictures = {"image": PICTURE, "mask": PICTURE, **({"depth": PICTURE} if has_depth else {})}
    return {**metadata_columns(has_depth), **pictures}


def metadata_columns(has_depth):
    """Columns of the config `metadata`: all of `default` but the pictures."""
    return {**KEY_COLUMNS, **(RANGE_COLUMNS if has_depth else {})}


def asset_columns(kind):
    """Columns of `backgrounds` or `foregrounds`; a cut-out has its mask too."""
    return {**ASSET_COLUMNS, **({"mask": PICTURE} if kind == "foreground" else {})}


def config_columns(config, has_depth):
    """Columns of a config by its name."""
    if config == "default":
        return data_columns(has_depth)
    if config == "metadata":
        return metadata_columns(has_depth)
    return asset_columns(config.removesuffix("s"))


def picture_columns(columns):
    """Names of the picture columns among `columns`."""
    return [name for name, kind in columns.items() if kind == PICTURE]


def features(columns):
    """The `datasets` features of some columns, as the JSON objects of `Features.to_dict`."""
    return {name: _feature(kind) for name, kind in columns.items()}


def _feature(kind):
    if kind == PICTURE:
        return {"_type": "Image"}
    if pa.types.is_fixed_size_list(kind):
        return {"feature": _feature(kind.value_type), "length": kind.list_size, "_type": "Sequence"}
    return {"dtype": {"float": "float32"}.get(str(kind), str(kind)), "_type": "Value"}


def arrow_schema(columns, metadata=None):
    """The Arrow schema of a file.

    Args:
        columns: name -> Arrow type.
        metadata: further str -> str pairs for the file's footer.

    Returns:
        pyarrow.Schema whose metadata hold the features under "huggingface".
    """
    hub = json.dumps({"info": {"features": features(columns)}}, separators=(",", ":"))
    return pa.schema(list(columns.items()), metadata={"huggingface": hub, **(metadata or {})})
