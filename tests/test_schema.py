"""The columns: what `datasets` makes of our features is what design and Arrow say."""

import json

import pyarrow as pa
import pytest
from datasets import Features

from fgbg_depth import schema


@pytest.mark.parametrize("has_depth", [True, False])
@pytest.mark.parametrize("config", schema.CONFIGS)
def test_features_are_what_datasets_reads(config, has_depth):
    columns = schema.config_columns(config, has_depth)
    arrow = schema.arrow_schema(columns)
    features = Features.from_dict(json.loads(arrow.metadata[b"huggingface"])["info"]["features"])
    assert features.arrow_schema.remove_metadata() == arrow.remove_metadata()
    assert Features.from_arrow_schema(arrow) == features
    assert list(features) == list(columns)


def test_columns_are_the_contract():
    assert list(schema.data_columns(True)) == [
        "key", "background", "foreground", "flipped", "placement", "bbox", "placement_box", "mask_area",
        "depth_min_m", "depth_max_m", "image", "mask", "depth",
    ]  # fmt: skip
    assert set(schema.data_columns(True)) - set(schema.data_columns(False)) == {"depth", "depth_min_m", "depth_max_m"}
    assert schema.metadata_columns(True).keys() == schema.data_columns(True).keys() - {"image", "mask", "depth"}
    assert schema.data_columns(True)["bbox"] == pa.list_(pa.int32(), 4)
    assert "mask" in schema.asset_columns("foreground") and "mask" not in schema.asset_columns("background")
    assert schema.picture_columns(schema.data_columns(True)) == ["image", "mask", "depth"]
