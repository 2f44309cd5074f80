"""Cut out a foreground by its key colour: for pictures taken before an even screen, or with a flat
background.

The simplest rule that is exact to state: how far a pixel is from the key colour in the channel where it is
farthest. Up to the tolerance it is transparent, from twice the tolerance on it is opaque, and in between
alpha rises evenly. Colours stay as they are, so soft edges keep a tint of the screen; a matting program does
better, where there is one.
"""

import re

import numpy as np

from ..errors import UsageError

DEFAULT_KEY_TOLERANCE = 40  # [8-bit levels] covers JPEG noise and the shading of an even screen
MAX_KEY_TOLERANCE = 127  # twice this is still inside 0..255, so that something can be opaque


def parse_key_color(color):
    """A key colour as the command line takes it.

    Args:
        color: "#00ff00", "00ff00" (no shell takes it for a comment), "#0f0", or a tuple of three numbers
            0..255.

    Returns:
        (red, green, blue), each 0..255.

    Raises:
        UsageError: it is no such colour.
    """
    if isinstance(color, str):
        digits = color.strip().removeprefix("#")
        if re.fullmatch("[0-9a-fA-F]{3}", digits):
            digits = "".join(2 * digit for digit in digits)
        if re.fullmatch("[0-9a-fA-F]{6}", digits):
            return tuple(bytes.fromhex(digits))
    elif len(color) == 3 and all(isinstance(value, int) and 0 <= value <= 255 for value in color):
        return tuple(color)
    raise UsageError(f"key colour {color!r} isn't a colour; expected six hex digits such as '#00ff00'")


def check_key_tolerance(tolerance):
    """Raise UsageError unless it is a whole number of levels that leaves something opaque."""
    if (
        isinstance(tolerance, bool)
        or not isinstance(tolerance, int)
        or not 0 <= tolerance <= MAX_KEY_TOLERANCE
    ):
        raise UsageError(
            f"key tolerance {tolerance!r} isn't a whole number in 0..{MAX_KEY_TOLERANCE} [8-bit levels]"
        )


def key_alpha(rgb, key_color, tolerance=DEFAULT_KEY_TOLERANCE):
    """Alpha matte of a picture by its distance from a key colour.

    Args:
        rgb: (H, W, 3) uint8 RGB.
        key_color: as `parse_key_color` takes it.
        tolerance: 0..127 [8-bit levels]; 0 makes only the key colour itself transparent, without a ramp.

    Returns:
        (H, W) uint8: 0 up to the tolerance, 255 from twice the tolerance on, a linear ramp between, rounded.

    Raises:
        UsageError: the colour or the tolerance is none.
    """
    check_key_tolerance(tolerance)
    key = np.array(parse_key_color(key_color), np.int16)
    distance = np.abs(rgb.astype(np.int16) - key).max(axis=2).astype(np.int32)
    ramp = max(tolerance, 1)
    return ((np.clip(distance - tolerance, 0, ramp) * 510 + ramp) // (2 * ramp)).astype(np.uint8)
