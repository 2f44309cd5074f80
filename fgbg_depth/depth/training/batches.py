"""Batches for training: a batch is a function of (seed, step), made ahead by threads.

So a resumed run sees what an unbroken one would have seen, whatever the number of threads.
"""

import math
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from fgbg_depth.depth.training.augment import PASTE_SHARE, augment
from fgbg_depth.depth.training.metrics import MAX_DEPTH_M, MIN_DEPTH_M

AHEAD = 6  # batches in the queue: hides a slow one, 10 MB


def output_rows(side_px):
    """Rows (or columns) of the full-size map that the half-size output stands for.

    The output is later resampled with aligned corners, so its pixel i lies at i * (n - 1) / (n / 2 - 1).

    Args:
        side_px: n, even.

    Returns:
        (n / 2,) int.
    """
    return np.rint(np.linspace(0, side_px - 1, side_px // 2)).astype(int)


def make_batch(rooms, cutouts, seed, step, batch_size, calm=False, paste_share=PASTE_SHARE):
    """Images and labels of one step.

    Args:
        rooms: Rooms. cutouts: list as `load_cutouts` returns.
        seed, step, batch_size: int; sample number step * batch_size + i of an endless, seeded shuffle of the views.
        calm, paste_share: as `augment` has them.

    Returns:
        (images, depth_m, valid): (N, 224, 224, 3) uint8 RGB; (N, 112, 112) float32 [m], 1 where not valid; (N, 112, 112) bool.
    """
    side = rooms.images.shape[1]
    rows = output_rows(side)
    images = np.empty((batch_size, side, side, 3), np.uint8)
    depth_m = np.empty((batch_size, side // 2, side // 2), np.float32)
    for i in range(batch_size):
        number = step * batch_size + i
        epoch, place = divmod(number, len(rooms))
        view = np.random.default_rng([seed, 1, epoch]).permutation(len(rooms))[place]
        rng = np.random.default_rng([seed, 2, number])
        images[i], depth_mm = augment(rooms.images[view], rooms.depth_mm[view], cutouts, rng, calm, paste_share)
        depth_m[i] = depth_mm[rows[:, None], rows[None, :]] / np.float32(1000.0)
    valid = (depth_m >= MIN_DEPTH_M) & (depth_m <= MAX_DEPTH_M)
    return images, np.where(valid, depth_m, np.float32(1.0)), valid


def batches_ahead(rooms, cutouts, seed, first_step, batch_size, threads, calm_from=math.inf, paste_share=PASTE_SHARE):
    """Yield the batches of first_step, first_step + 1, ... without end, made by `threads` threads; calm from step `calm_from`."""
    cv2.setNumThreads(1)  # the pictures are small; OpenCV's own threads would only take turns with the network's
    with ThreadPoolExecutor(threads) as pool:
        step, queue = first_step, deque()
        while True:
            while len(queue) < AHEAD:
                queue.append(pool.submit(make_batch, rooms, cutouts, seed, step, batch_size, step >= calm_from, paste_share))
                step += 1
            yield queue.popleft().result()
