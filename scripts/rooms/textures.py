"""Materials drawn by code: floors, walls, cloth, wood and pictures to hang up.

Each function takes a numpy Generator and returns a Material. Colours are sRGB. Grays are common, as they are in flats, offices
and halls, and as they are what hides people in gray clothes.
"""

import colorsys
from itertools import pairwise

import cv2
import numpy as np

from .surfaces import Material

SIDE_PX = 256  # of a texture; it covers one to four metres, so a pixel of the picture sees one to three texels


def draw_color(r, light=(0.2, 0.9), colourful=(0.0, 0.6)):
    """A colour: gray-ish in 40 %, else any hue. Returns (3,) float array, sRGB in [0, 1]."""
    saturation = r.uniform(0, 0.1) if r.random() < 0.4 else r.uniform(*colourful)
    return np.array(colorsys.hsv_to_rgb(r.random(), saturation, r.uniform(*light)))


def wall_color(r):
    """A colour of paint: mostly pale, at times strong or dark."""
    k = r.random()
    if k < 0.65:
        return draw_color(r, (0.72, 0.97), (0.0, 0.22))
    if k < 0.9:
        return draw_color(r, (0.4, 0.85), (0.1, 0.5))
    return draw_color(r, (0.12, 0.45), (0.0, 0.5))


def plain(r, color=None, roughness=(0.3, 0.9)):
    """One colour."""
    color = draw_color(r) if color is None else color
    return Material(tuple(float(c) for c in color), roughness=float(r.uniform(*roughness)), specular=float(r.uniform(0.1, 0.5)))


def wood_color(r):
    """Beech to wenge, or painted white or gray."""
    base = np.array([(0.69, 0.5, 0.33), (0.55, 0.38, 0.24), (0.78, 0.63, 0.46), (0.36, 0.24, 0.16), (0.6, 0.56, 0.5), (0.9, 0.89, 0.86)])
    return np.clip(base[r.integers(len(base))] * r.uniform(0.75, 1.15), 0, 1)


def floor(r, role):
    """A floor; halls and corridors have harder ones."""
    hard, soft = (tiles, checks, concrete, terrazzo, linoleum), (planks, planks, parquet, carpet, tiles)
    kinds = (*hard, planks, carpet) if role in ("hall", "corridor", "store", "classroom") else (*soft, linoleum)
    return kinds[r.integers(len(kinds))](r)


def wall(r, height_m, role):
    """The cover of a wall: paint mostly; else paper, bricks, tiles, boards, concrete or two colours one over the other."""
    k = r.random()
    if k < 0.5:
        return paint(r)
    if k < 0.62:
        return stripes(r)
    if k < 0.7:
        return bricks(r)
    if k < 0.78 or role == "kitchen":
        return tiles(r, (0.1, 0.35))
    if k < 0.84:
        return boards(r)
    if k < 0.9:
        return concrete(r)
    return two_tone(r, height_m)


def paint(r):
    return _speckled(r, wall_color(r), 0.006, (3.0, 3.0), roughness=(0.5, 0.95))


def two_tone(r, height_m):
    image = _flat(wall_color(r))
    image[int(SIDE_PX * (1 - r.uniform(0.3, 0.5))) :] = wall_color(r)
    return _material(r, image, (2.0, height_m), (0.4, 0.9))


def stripes(r):
    image, width = _flat(wall_color(r)), int(r.choice([4, 8, 16, 32]))
    image[:, (np.arange(SIDE_PX) // width) % 2 == 0] *= r.uniform(0.8, 0.97)
    if r.random() < 0.5:
        y, x = np.mgrid[:SIDE_PX, :SIDE_PX] * (2 * np.pi * r.integers(4, 12) / SIDE_PX)
        image *= 1 + 0.06 * (np.sin(x) * np.sin(y))[..., None]
    return _material(r, image, (1.0, 1.0), (0.6, 0.95))


def bricks(r):
    rows, columns, base, mortar = 12, 4, draw_color(r, (0.35, 0.95), (0.0, 0.55)), draw_color(r, (0.5, 0.9), (0.0, 0.1))
    image, h, w = _flat(base), SIDE_PX / rows, SIDE_PX / columns
    for row in range(rows):
        for column in range(-1, columns + 1):
            x, y = int((column + row % 2 / 2) * w), int(row * h)
            image[y : int(y + h), max(x, 0) : max(int(x + w), 0)] = base * r.uniform(0.85, 1.1)
            image[y : int(y + h), max(x, 0) : max(x + 3, 0)] = mortar
        image[int(row * h) : int(row * h) + 2] = mortar
    return _material(r, image, (1.0, 0.9), (0.7, 0.95))


def boards(r):
    image, n, base = _flat((0, 0, 0)), int(r.integers(6, 14)), wood_color(r)
    edges = np.linspace(0, SIDE_PX, n + 1).astype(int)
    for a, b in pairwise(edges):
        image[:, a:b] = base * r.uniform(0.88, 1.1)
        image[:, a : a + 2] *= 0.6
    return _material(r, _grain(r, image, (1, 20)), (1.5, 2.5), (0.3, 0.7))


def planks(r):
    image, rows, base = _flat((0, 0, 0)), int(r.integers(6, 14)), wood_color(r)
    edges = np.linspace(0, SIDE_PX, rows + 1).astype(int)
    spread = r.uniform(0.02, 0.12)
    for a, b in pairwise(edges):
        x = -int(r.integers(0, SIDE_PX // 2))
        while x < SIDE_PX:
            width = int(r.integers(SIDE_PX // 3, SIDE_PX))
            image[a:b, max(x, 0) : x + width] = base * (1 + r.normal(0, spread))
            image[a:b, max(x, 0) : max(x, 0) + 1] *= 0.7
            x += width
        image[a : a + 1] *= 0.7
    size = r.uniform(1.2, 2.4)
    return _material(r, _grain(r, image, (20, 1)), (size, size * r.uniform(0.5, 1.0)), (0.15, 0.6))


def parquet(r):
    base, n, cell = wood_color(r), 8, SIDE_PX // 8
    image = _flat(base)
    for i in range(n):
        for j in range(n):
            part = image[i * cell : (i + 1) * cell, j * cell : (j + 1) * cell]
            part *= 1 + r.normal(0, 0.05)
            lines = part if (i + j) % 2 else part.transpose(1, 0, 2)
            lines[:: cell // 4] *= 0.8
    return _material(r, image, (2.4, 2.4), (0.15, 0.5))


def tiles(r, side_m=(0.2, 0.7)):
    n, base, joint = int(r.integers(4, 9)), draw_color(r, (0.3, 0.95), (0.0, 0.3)), draw_color(r, (0.3, 0.85), (0.0, 0.08))
    image, cell, side = _flat(base), SIDE_PX // n, r.uniform(*side_m)
    for i in range(n + 1):
        for j in range(n + 1):
            image[i * cell : (i + 1) * cell, j * cell : (j + 1) * cell] *= 1 + r.normal(0, 0.03)
    used = image[: n * cell, : n * cell]
    for line in range(n):
        used[line * cell : line * cell + 2] = joint
        used[:, line * cell : line * cell + 2] = joint
    return _material(r, used, (n * side, n * side), (0.1, 0.5))


def checks(r):
    a, b, cell, n = draw_color(r, (0.6, 0.95), (0, 0.2)), draw_color(r, (0.08, 0.6), (0, 0.5)), SIDE_PX // 4, r.uniform(0.3, 0.6)
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] // cell
    return _material(r, np.where(((x + y) % 2 == 0)[..., None], a, b), (4 * n, 4 * n), (0.1, 0.5))


def carpet(r):
    return _speckled(r, draw_color(r, (0.15, 0.75), (0.0, 0.6)), r.uniform(0.02, 0.07), (1.5, 1.5), roughness=(0.85, 1.0))


def linoleum(r):
    return _speckled(r, draw_color(r, (0.3, 0.8), (0.0, 0.4)), r.uniform(0.01, 0.03), (1.5, 1.5), roughness=(0.2, 0.6))


def concrete(r):
    image = _flat(np.full(3, r.uniform(0.3, 0.75)) * r.uniform(0.97, 1.03, 3))
    image *= 1 + 0.03 * _clouds(r, 12, 12)[..., None]
    if r.random() < 0.5:
        image[:2], image[:, :2] = image[:2] * 0.75, image[:, :2] * 0.75
    return _material(r, image, (2.5, 2.5), (0.3, 0.9))


def terrazzo(r):
    image = _flat(draw_color(r, (0.5, 0.9), (0, 0.15)))
    for _ in range(3):
        image[r.random(image.shape[:2]) < 0.08] = draw_color(r, (0.2, 0.9), (0, 0.4))
    return _material(r, cv2.GaussianBlur(image, (0, 0), 0.8), (1.0, 1.0), (0.1, 0.4))


def cloth(r):
    """Curtains and rugs: plain, striped or checked."""
    k = r.random()
    if k < 0.5:
        return carpet(r)
    image, n = _flat(draw_color(r)), int(r.choice([2, 4, 8]))
    bands = (np.arange(SIDE_PX) * n * 2 // SIDE_PX) % 2 == 0
    image[:, bands] = draw_color(r)
    if k > 0.75:
        image[bands] = image[bands] * 0.7
    return _material(r, image, (1.0, 1.0), (0.8, 1.0))


def poster(r, panoramas):
    """A picture for a wall, stretched over its surface: a cut of a panorama, or drawn shapes, or lines of text, or hardly anything.

    Args:
        panoramas: list of (H, W, 3) uint8 RGB; may be empty.
    """
    k = r.random()
    if panoramas and k < 0.45:
        picture = panoramas[r.integers(len(panoramas))]
        height, width = picture.shape[:2]
        part = r.uniform(0.4, 1.0)
        h, w = int(height * part), int(width * part)
        y, x = int(r.integers(0, height - h + 1)), int(r.integers(0, width - w + 1))
        image = picture[y : y + h, x : x + w].astype(np.float64) / 255
        if r.random() < 0.2:
            image = np.repeat(image.mean(2, keepdims=True), 3, 2)
    elif k < 0.7:
        image = _shapes(r)
    elif k < 0.85:
        image = _text(r)
    else:
        image = _flat(draw_color(r, (0.03, 0.98), (0.0, 0.5)))
        if r.random() < 0.5:
            image *= np.linspace(r.uniform(0.5, 1), 1, SIDE_PX)[:, None, None]
    glossy = r.random() < 0.3
    return _material(r, image, (1.0, 1.0), (0.08, 0.25) if glossy else (0.5, 0.95))


def _shapes(r):
    image = np.ascontiguousarray(_flat(draw_color(r, (0.1, 0.98))))
    for _ in range(int(r.integers(2, 14))):
        color, (x, y) = tuple(float(c) for c in draw_color(r, (0.05, 1.0), (0.1, 0.9))), (int(v) for v in r.integers(0, SIDE_PX, 2))
        size, k = int(r.integers(8, 110)), r.random()
        if k < 0.4:
            cv2.circle(image, (x, y), size // 2, color, -1)
        elif k < 0.8:
            cv2.rectangle(image, (x, y), (x + size, y + int(r.integers(8, 110))), color, -1)
        else:
            cv2.line(image, (x, y), tuple(int(v) for v in r.integers(0, SIDE_PX, 2)), color, int(r.integers(2, 16)))
    return image


def _text(r):
    image = _flat(draw_color(r, (0.7, 1.0), (0, 0.3)))
    ink, line = draw_color(r, (0.0, 0.4)), int(r.integers(6, 18))
    for y in range(20, SIDE_PX - 20, line * 2):
        if r.random() < 0.85:
            image[y : y + line, 20 : int(r.uniform(60, SIDE_PX - 20))] = ink
    image[20:, 20:-20][:, :: int(r.integers(5, 12))] = image[0, 0]
    return image


def _flat(color):
    return np.tile(np.asarray(color, np.float64), (SIDE_PX, SIDE_PX, 1))


def _grain(r, image, sigma):
    return image * (1 + 0.06 * _clouds(r, *sigma))[..., None]


def _clouds(r, across_px, down_px):
    """(SIDE_PX, SIDE_PX) smooth noise of variance 1 that repeats without a seam: white noise under a Gaussian, by FFT."""
    frequency = np.fft.fftfreq(SIDE_PX) ** 2
    damping = np.exp(-2 * np.pi**2 * (frequency[:, None] * down_px**2 + frequency[None, :] * across_px**2))
    noise = np.fft.ifft2(np.fft.fft2(r.normal(0, 1, (SIDE_PX, SIDE_PX))) * damping).real
    return noise / noise.std()


def _speckled(r, color, amount, size_m, roughness):
    noise = r.normal(0, 1, (SIDE_PX, SIDE_PX)) + r.uniform(0.1, 0.6) * _clouds(r, 25, 25)
    return _material(r, _flat(color) * (1 + 1.5 * amount * noise[..., None]), size_m, roughness)


def _material(r, image, size_m, roughness):
    texture = np.ascontiguousarray((np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8))
    size = (float(size_m[0]), float(size_m[1]))
    return Material(None, texture, size, float(r.uniform(*roughness)), float(r.uniform(0.1, 0.45)))
