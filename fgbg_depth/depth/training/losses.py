"""Losses on log depth, and the way from the network's raw output to log metres.

DenseDepth is trained on its own raw values (0.1 L1 + gradient + SSIM, arXiv 1812.11941, section 3.2). That weighs near
pixels most: at 1 m an error of 10 % costs a hundred times what it costs at 10 m. The figures asked of this network are
ratios, so its loss works on the logarithm, where 10 % cost the same at any distance:

    loss = mean |e| + SCALE_FREE * sqrt(var e) + GRADIENT * sum over 4 scales of mean |grad e|,   e = log p - log t

The first term follows scale and shape, the second gives extra weight to shape alone (as the scale-invariant error of
Eigen et al. 2014), the third makes edges sharp and walls flat (as Li and Snavely, MegaDepth, arXiv 1804.00607, section 4.1).
"""

import math

import torch
import torch.nn.functional as F

RAW_FLOOR = 0.5  # below this raw value (20 m, beyond anything seen) the logarithm goes on as its tangent, so it stays finite
SCALE_FREE = 0.25  # weight of the shape term; small, since most of the error in metres is one factor for the whole picture
GRADIENT = 0.3  # usual weight of the gradient term: its sum over scales is about as large as the first term, and noisier
SCALES = 4  # 112, 56, 28, 14 pixels: the last still sees walls, not edges


def log_depth(raw, max_depth_m=10.0):
    """Natural logarithm of the depth in metres that a raw output stands for.

    Args:
        raw: float tensor of any shape, network output max_depth_m / depth; may be zero or negative early in training.
        max_depth_m: numerator of the parametrisation [m].

    Returns:
        Tensor of the same shape: log(max_depth_m / raw), continued by its tangent below RAW_FLOOR.
    """
    tangent = math.log(RAW_FLOOR) + (raw - RAW_FLOOR) / RAW_FLOOR
    log_raw = torch.where(raw > RAW_FLOOR, torch.log(torch.clamp(raw, min=RAW_FLOOR)), tangent)
    return math.log(max_depth_m) - log_raw


def depth_loss(log_pred, log_true, valid, gradient_weight=GRADIENT):
    """The training loss and its parts.

    Args:
        log_pred: (N, H, W) float32, log metres.
        log_true: (N, H, W) float32, log metres; any finite value where not valid.
        valid: (N, H, W) bool.
        gradient_weight: of the gradient term.

    Returns:
        (loss, parts): a scalar tensor, and a dict of floats `l1`, `shape`, `gradient` (unweighted).
    """
    weight = valid.to(log_pred.dtype)
    error = (log_pred - log_true) * weight
    count = weight.sum(dim=(1, 2)).clamp(min=1.0)
    l1 = (error.abs().sum(dim=(1, 2)) / count).mean()
    mean = error.sum(dim=(1, 2)) / count
    variance = (((error - mean[:, None, None]) * weight) ** 2).sum(dim=(1, 2)) / count
    shape = torch.sqrt(variance + 1e-6).mean()  # 1e-6: a finite slope at zero, one thousandth in log depth
    gradient = _gradient_loss(error, weight)
    loss = l1 + SCALE_FREE * shape + gradient_weight * gradient
    return loss, {"l1": l1.item(), "shape": shape.item(), "gradient": gradient.item()}


def _gradient_loss(error, weight):
    """Sum over scales of the mean absolute difference between neighbours, both valid."""
    total = 0.0
    for scale in range(SCALES):
        if scale:
            error, weight = F.avg_pool2d(error, 2), -F.max_pool2d(-weight, 2)  # a coarse pixel is valid if all four are
        across = (error[:, :, 1:] - error[:, :, :-1]).abs() * weight[:, :, 1:] * weight[:, :, :-1]
        down = (error[:, 1:, :] - error[:, :-1, :]).abs() * weight[:, 1:, :] * weight[:, :-1, :]
        total = total + across.sum() / weight.sum().clamp(min=1.0) + down.sum() / weight.sum().clamp(min=1.0)
        if min(error.shape[1:]) < 4:
            break
    return total
