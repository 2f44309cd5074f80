"""Losses against hand-computed values."""

import math

import pytest
import torch

from fgbg_depth.depth.training.losses import GRADIENT, RAW_FLOOR, SCALE_FREE, depth_loss, log_depth


def test_log_depth_of_the_range():
    raw = torch.tensor([1.0, 2.0, 10.0, 100.0])
    assert torch.allclose(log_depth(raw).exp(), torch.tensor([10.0, 5.0, 1.0, 0.1]))
    assert torch.allclose(log_depth(raw, max_depth_m=80.0).exp(), torch.tensor([80.0, 40.0, 8.0, 0.8]))


def test_log_depth_stays_finite_with_a_slope_below_zero():
    raw = torch.tensor([-3.0, 0.0, RAW_FLOOR], requires_grad=True)
    value = log_depth(raw)
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert value.tolist() == sorted(value.tolist(), reverse=True)  # the smaller raw, the farther
    assert torch.allclose(raw.grad, torch.full((3,), -1.0 / RAW_FLOOR))
    assert value[1].item() == pytest.approx(math.log(10.0 / RAW_FLOOR) + 1.0)


def test_perfect_prediction_costs_nothing():
    truth = torch.rand(2, 16, 16)
    loss, parts = depth_loss(truth, truth, torch.ones(2, 16, 16, dtype=torch.bool))
    assert parts["l1"] == 0.0 and parts["gradient"] == 0.0
    assert loss.item() == pytest.approx(SCALE_FREE * 1e-3)  # the root of the 1e-6 that keeps the slope finite


def test_constant_factor_costs_l1_only():
    truth = torch.rand(2, 16, 16)
    _, parts = depth_loss(truth + 0.25, truth, torch.ones(2, 16, 16, dtype=torch.bool))
    assert parts["l1"] == pytest.approx(0.25, abs=1e-6)
    assert parts["shape"] == pytest.approx(1e-3, abs=1e-4)
    assert parts["gradient"] == pytest.approx(0.0, abs=1e-5)


def test_step_edge_by_hand():
    error = torch.zeros(1, 4, 4)
    error[:, :, 2:] = 1.0  # half of the pixels wrong by 1, an edge of 4 pixel pairs
    loss, parts = depth_loss(error, torch.zeros(1, 4, 4), torch.ones(1, 4, 4, dtype=torch.bool))
    assert parts["l1"] == pytest.approx(0.5)
    assert parts["shape"] == pytest.approx(math.sqrt(0.25 + 1e-6))
    assert parts["gradient"] == pytest.approx(4 / 16 + 2 / 4)  # at 4 x 4, and at 2 x 2 after averaging
    assert loss.item() == pytest.approx(0.5 + SCALE_FREE * parts["shape"] + GRADIENT * 0.75)


def test_pixels_that_are_not_valid_change_nothing():
    torch.manual_seed(0)
    pred, truth = torch.rand(2, 16, 16), torch.rand(2, 16, 16)
    valid = torch.ones(2, 16, 16, dtype=torch.bool)
    valid[:, 3:7, 4:9] = False
    first, _ = depth_loss(pred, truth, valid)
    pred[~valid], truth[~valid] = 50.0, -7.0
    second, _ = depth_loss(pred, truth, valid)
    assert first.item() == pytest.approx(second.item(), rel=1e-6)


def test_picture_without_any_valid_pixel_gives_a_finite_loss():
    pred = torch.rand(2, 16, 16, requires_grad=True)
    valid = torch.ones(2, 16, 16, dtype=torch.bool)
    valid[0] = False
    loss, _ = depth_loss(pred, torch.zeros(2, 16, 16), valid)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(pred.grad).all()
    assert (pred.grad[0] == 0).all()
