"""Random views of one room picture: mirror, small zoom, shift and roll, pasted cut-outs, light, colour, blur, noise, JPEG.

Depth stays true. A mirror and a roll about the optical axis leave it as it is; a zoom into the picture is the same camera
with a narrower field of view, and a shifted crop one with a shifted lens. Zooms are kept small, as the field of view can't
be seen and the rooms' own (50 to 85 degrees) should remain the rule. They still teach a view that is too narrow by a few
per cent, so the last part of a run is calm: no zoom, no roll, half the change of light.
"""

import cv2
import numpy as np

from fgbg_depth.depth.training.paste import paste_random

WARP_SHARE, MAX_ZOOM, MAX_ROLL_DEG = 0.6, 1.2, 3.0  # 85 degrees become at least 75, 50 at least 43
PASTE_SHARE, SECOND_SHARE = 0.6, 0.3  # usual share of pictures with a cut-out, and part of those with two
GRAY_SHARE = 0.05  # pictures turned gray, so that layout counts for more than colour
CALM_LIGHT = 0.5  # strength of light and colour changes in the calm part
BLUR_SHARE, NOISE_SHARE, JPEG_SHARE = 0.2, 0.2, 0.5
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as JPEG has it


def augment(image, depth_mm, cutouts, rng, calm=False, paste_share=PASTE_SHARE):
    """One training sample from one view.

    Args:
        image: (H, W, 3) uint8 RGB. depth_mm: (H, W) uint16 [mm]. Neither is changed.
        cutouts: list as `load_cutouts` returns; empty: none is pasted.
        rng: numpy Generator that decides everything.
        calm: no zoom and roll, weaker light.
        paste_share: share of pictures with a cut-out.

    Returns:
        (image, depth_mm) of the same shapes and dtypes; depth 0 where nothing is known.
    """
    if rng.random() < 0.5:
        image, depth_mm = image[:, ::-1], depth_mm[:, ::-1]
    if not calm and rng.random() < WARP_SHARE:
        image, depth_mm = warp(image, depth_mm, rng)
    if cutouts and rng.random() < paste_share:
        for _ in range(2 if rng.random() < SECOND_SHARE else 1):
            image, depth_mm = paste_random(image, depth_mm, cutouts, rng)
    return degrade(relight(image, rng, CALM_LIGHT if calm else 1.0), rng), np.ascontiguousarray(depth_mm)


def warp(image, depth_mm, rng):
    """Zoom in by up to MAX_ZOOM, roll by up to MAX_ROLL_DEG, shift as far as the zoom allows; one resampling.

    Depth is taken from the nearest pixel, as a mean over an edge would be a place where nothing is.
    """
    size = image.shape[0]
    zoom = rng.uniform(1.0, MAX_ZOOM)
    roll = rng.uniform(-MAX_ROLL_DEG, MAX_ROLL_DEG) if rng.random() < 0.5 else 0.0
    zoom *= np.cos(np.radians(abs(roll))) + np.sin(np.radians(abs(roll)))  # so that no corner comes from outside
    free_px = (1.0 - 1.0 / zoom) * size / 2 if roll == 0.0 else 0.0
    centre = size / 2 - 0.5
    matrix = cv2.getRotationMatrix2D((centre, centre), roll, zoom)
    matrix[:, 2] += rng.uniform(-free_px, free_px, 2) * zoom
    warped = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    depth = cv2.warpAffine(np.ascontiguousarray(depth_mm), matrix, (size, size), flags=cv2.INTER_NEAREST, borderValue=0)
    return warped, depth


def relight(image, rng, strength=1.0):
    """Change exposure, gamma, white balance, contrast and saturation, as cameras and lamps do.

    Args:
        image: (H, W, 3) uint8 RGB.
        strength: factor of all changes but turning gray.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    saturation = 0.0 if rng.random() < GRAY_SHARE else 1.0 + strength * rng.uniform(-0.5, 0.4)
    mix = saturation * np.eye(3, dtype=np.float32) + (1.0 - saturation) * LUMA[None, :]
    mix += strength * rng.normal(0.0, 0.03, (3, 3))  # a slight turn of hues
    image = cv2.transform(np.ascontiguousarray(image), mix.astype(np.float32))
    gain = np.exp(strength * (rng.normal(0.0, 0.15) + rng.normal(0.0, 0.06, 3)))
    gamma, contrast = np.exp(strength * rng.normal(0.0, 0.2)), np.exp(strength * rng.normal(0.0, 0.15))
    level = np.linspace(0.0, 1.0, 256)[:, None] ** gamma * gain[None, :]
    table = np.clip(np.rint(255.0 * (0.5 + contrast * (level - 0.5))), 0, 255).astype(np.uint8)
    return cv2.LUT(image, table.reshape(1, 256, 3))


def degrade(image, rng):
    """Blur, noise and JPEG, each in part of the pictures."""
    if rng.random() < BLUR_SHARE:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.3))
    if rng.random() < NOISE_SHARE:
        noise = rng.standard_normal(image.shape, np.float32) * rng.uniform(1.0, 9.0)
        image = np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
    if rng.random() < JPEG_SHARE:
        _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 96))])
        image = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    return image
