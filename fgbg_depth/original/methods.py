"""The two ways in which the statistics of 2020 were worked out, to compare them with exact counts. Pure functions of arrays.

The first averages the mean and the deviation of each batch. With batches of one size its means are right. Its deviations are not: the
deviation of all pixels is the root of (mean of the batches' variances + variance of the batches' means). The first way leaves the second
term out, and averages roots in place of variances, so it is never above the true value; how far it is below hangs on what is in a batch. A
last batch that is smaller counts as much as the others, which moves both, up or down. The second way goes through all pixels twice, for the
mean and then for the squared distances from it. It is right but for rounding.
"""

import numpy as np


def batch_averages(batches):
    """The first way.

    Args:
        batches: iterable of (N, ..., C) uint8.

    Returns:
        (mean, std): (C,) float64 in 0 to 1, averages over the batches, each of one weight.
    """
    means, deviations = [], []
    for batch in batches:
        pixels = _pixels(batch)
        means.append(pixels.mean(axis=0))
        deviations.append(pixels.std(axis=0))
    return np.mean(means, axis=0), np.mean(deviations, axis=0)


def two_passes(batches):
    """The second way.

    Args:
        batches: function () -> iterable of (N, ..., C) uint8; it is called twice.

    Returns:
        (mean, std): (C,) float64 in 0 to 1; the deviation is that of the population.
    """
    count, total = 0, 0.0
    for batch in batches():
        pixels = _pixels(batch)
        count, total = count + len(pixels), total + pixels.sum(axis=0)
    mean, squares = total / count, 0.0
    for batch in batches():
        squares = squares + ((_pixels(batch) - mean) ** 2).sum(axis=0)
    return mean, np.sqrt(squares / count)


def _pixels(batch):
    """(pixels, C) float64 in 0 to 1."""
    return batch.reshape(-1, batch.shape[-1]) / 255.0
