"""Tiny segmentation models on disk: one whose mask is known, and some that can't be used."""

import json

import torch
from transformers import (
    DetrImageProcessorPil,
    GLPNConfig,
    GLPNForDepthEstimation,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    Mask2FormerImageProcessorPil,
    SegformerConfig,
    SegformerForSemanticSegmentation,
    SegformerImageProcessorPil,
    SwinConfig,
)

LABELS = ("wall", "person, individual", "sky")
INPUT_PX = 64  # side at which the model sees a photo; its logits have a quarter of it
STRENGTH = 8.0  # logit of a class where it is sure


def save_red_finder(folder, labels=LABELS):
    """A SegFormer that finds red: logits of class 1 are 8 where a patch has more red than green, else those of class 0 are.

    One encoder block of two channels. The patch embedding gives (x, -x) with x = red - green; attention and feed-forward add
    nothing; layer normalisation leaves the sign; the head's ReLU splits it into two classes.
    """
    sizes = {"depths": [1], "hidden_sizes": [2], "num_attention_heads": [1], "sr_ratios": [1], "patch_sizes": [3], "strides": [4]}
    config = SegformerConfig(num_encoder_blocks=1, mlp_ratios=[1], decoder_hidden_size=2, **sizes)
    config.id2label, config.label2id = dict(enumerate(labels)), {label: number for number, label in enumerate(labels)}
    model = SegformerForSemanticSegmentation(config)
    state = model.state_dict()
    with torch.no_grad():
        for name, tensor in state.items():
            if "norm" not in name:
                tensor.zero_()

        def only(*parts):
            (name,) = [name for name in state if all(part in name for part in parts)]
            return state[name]

        embedding = only("patch_embeddings", "proj.weight")
        for channel, sign in ((0, 1), (1, -1)):  # the taps inside of a cell of 4 x 4 pixels; the first ones lie before it
            embedding[channel, 0, 1:, 1:], embedding[channel, 1, 1:, 1:] = sign, -sign
        only("decode_head", "proj.weight").copy_(torch.eye(2))
        only("linear_fuse.weight").copy_(torch.eye(2)[..., None, None])
        only("classifier.weight")[1, 0] = only("classifier.weight")[0, 1] = STRENGTH
        only("classifier.bias")[2:] = -STRENGTH
    model.save_pretrained(folder)
    processor = SegformerImageProcessorPil(size={"height": INPUT_PX, "width": INPUT_PX}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    processor.save_pretrained(folder)
    return folder


def save_mask2former(folder):
    """A tiny Mask2Former of random weights whose every query says "cat" with near certainty."""
    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = SwinConfig(image_size=64, embed_dim=8, depths=[1] * 4, num_heads=[1] * 4, window_size=2, out_features=stages)
    config = Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=3,
    )
    config.id2label, config.label2id = {0: "dog", 1: "cat"}, {"dog": 0, "cat": 1}
    torch.manual_seed(0)
    model = Mask2FormerForUniversalSegmentation(config)
    with torch.no_grad():
        model.class_predictor.weight.zero_()
        model.class_predictor.bias.copy_(torch.tensor([0.0, 12.0, -12.0]))
    model.save_pretrained(folder)
    Mask2FormerImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 96}, size_divisor=32).save_pretrained(folder)
    return folder


def save_depth_model(folder):
    """A depth model, with an image processor that would fit."""
    config = GLPNConfig(num_encoder_blocks=1, depths=[1], hidden_sizes=[8], num_attention_heads=[1], sr_ratios=[1], decoder_hidden_size=8)
    GLPNForDepthEstimation(config).save_pretrained(folder)
    DetrImageProcessorPil().save_pretrained(folder)
    return folder


def save_config_only(folder, **config):
    """A folder with nothing but a config.json."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return folder
