"""Tiny depth models with random weights, saved as `transformers` folders."""

import json

import torch
from transformers import (
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTConfig,
    DPTForDepthEstimation,
    GLPNConfig,
    GLPNForDepthEstimation,
)

from fgbg_depth.depth import DenseDepthConfig, DenseDepthForDepthEstimation, DenseDepthImageProcessor
from fgbg_depth.depth.pretrained import quiet_transformers

DPT_PROCESSOR = {
    "image_processor_type": "DPTImageProcessor",
    "do_resize": True,
    "size": {"height": 56, "width": 56},
    "ensure_multiple_of": 1,
    "keep_aspect_ratio": False,
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


def densedepth_config(**changes):
    settings = {"num_init_features": 8, "growth_rate": 4, "block_config": (1, 2, 2, 1), "decoder_width": 16}
    return DenseDepthConfig(**{**settings, "image_size": 64, **changes})


def save(model, processor, folder):
    """Write model and processor (a processor, or the content of its JSON file). Returns the folder."""
    with quiet_transformers():
        model.eval().save_pretrained(folder)
        if isinstance(processor, dict):
            (folder / "preprocessor_config.json").write_text(json.dumps(processor))
        else:
            processor.save_pretrained(folder)
    return folder


def save_densedepth(folder, seed=0, **changes):
    torch.manual_seed(seed)
    config = densedepth_config(**changes)
    model = DenseDepthForDepthEstimation(config)
    height, width = config.image_size
    return save(model, DenseDepthImageProcessor(size={"height": height, "width": width}), folder)


def save_depth_anything(folder, **settings):
    torch.manual_seed(0)
    backbone = Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=56,
        patch_size=14,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        patch_size=14,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
        **settings,
    )
    model = DepthAnythingForDepthEstimation(config)
    with torch.no_grad():  # random weights of the usual size would give a flat map
        for parameter in model.neck.parameters():
            parameter.mul_(8)
        for parameter in model.head.parameters():
            parameter.mul_(8)
        model.head.conv3.bias.fill_(2.0)
    return save(model, DPT_PROCESSOR, folder)


def save_dpt(folder, **settings):
    torch.manual_seed(0)
    config = DPTConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=64,
        patch_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        is_hybrid=False,
        **settings,
    )
    return save(DPTForDepthEstimation(config), {**DPT_PROCESSOR, "size": {"height": 64, "width": 64}}, folder)


def save_glpn(folder):
    torch.manual_seed(0)
    config = GLPNConfig(
        hidden_sizes=[8, 8, 16, 16],
        decoder_hidden_size=8,
        num_attention_heads=[1, 1, 2, 2],
        depths=[1, 1, 1, 1],
        mlp_ratios=[2, 2, 2, 2],
        max_depth=10,
    )
    processor = {"image_processor_type": "GLPNImageProcessor", "size_divisor": 32, "do_resize": True}
    return save(GLPNForDepthEstimation(config), processor, folder)
