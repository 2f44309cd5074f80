"""Colour profiles: pixels of a picture with an embedded ICC profile become sRGB.

Relative colorimetric with black point compensation, the usual choice for photographs. Most profiles in the
wild are sRGB itself under one of its names: these are found by what they do to a lattice of colours, and
leave the pixels alone.
"""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from ..errors import AssetError

# Largest change [8-bit levels] that still counts as "it is sRGB": the published sRGB profiles differ by 1 or
# 2 in the darks.
SAME_WITHIN_LEVELS = 2
_LATTICE_STEPS = 17  # colours per axis of the probe; 17 cubed = 4,913 colours take under a millisecond
_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # Pillow mode by colour space of a profile


def to_srgb(image, icc):
    """Convert an 8-bit picture to sRGB.

    Args:
        image: Pillow image of mode "L", "RGB" or "CMYK", without alpha.
        icc: bytes of its profile. A gray picture may have an RGB profile.

    Returns:
        Pillow image of mode "RGB".

    Raises:
        AssetError: the profile can't be read, or is for other kinds of pictures.
    """
    try:
        space = _profile(icc).profile.xcolor_space
        if image.mode == "L" and space == "RGB ":
            image = image.convert("RGB")
        if _MODES.get(space) != image.mode:
            raise AssetError(
                f"its colour profile is for {space.strip()} pictures, but the picture is {image.mode}; "
                "remove the profile or convert the picture to sRGB"
            )
        if _is_srgb(icc, image.mode):
            return image.convert("RGB")
        return _convert(image, icc)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        raise AssetError(
            f"its colour profile ({len(icc):,} bytes) is broken: {error}; remove it or convert to sRGB"
        ) from error


def _profile(icc):
    return ImageCms.ImageCmsProfile(io.BytesIO(icc))


def _convert(image, icc):
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    if image.mode != "RGB":
        # Little CMS's short cut is up to 10 levels off in the darks of gray pictures. For RGB its short cut
        # is exact to half a level, and ten times as fast: 0.2 s in place of 2 s for 12 million pixels.
        flags |= ImageCms.Flags.NOOPTIMIZE
    return ImageCms.profileToProfile(
        image,
        _profile(icc),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=flags,
    )


@lru_cache(maxsize=16)  # a folder of photographs has few different profiles
def _is_srgb(icc, mode):
    if mode == "CMYK":
        return False
    axes = [np.rint(np.linspace(0, 255, _LATTICE_STEPS)).astype(np.uint8)] * 3
    probe = np.arange(256, dtype=np.uint8)[None] if mode == "L" else np.stack(np.meshgrid(*axes), axis=-1).reshape(1, -1, 3)
    image = Image.fromarray(probe)
    before = np.asarray(image.convert("RGB")).astype(np.int16)
    return bool(np.abs(np.asarray(_convert(image, icc)) - before).max() <= SAME_WITHIN_LEVELS)
