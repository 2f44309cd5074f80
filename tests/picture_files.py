"""Picture files made by hand for the tests: what Pillow and OpenCV don't write, or not as plainly."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

ORIENTATION_TAG = 0x0112


def noise(height, width, channels=3, seed=0, dtype=np.uint8):
    """(H, W, C) random array over the whole range of its type; smooth enough not to be hurt much by JPEG."""
    high = np.iinfo(dtype).max + 1
    return np.random.default_rng(seed).integers(0, high, (height, width, channels), dtype=dtype)


def smooth(height, width):
    """(H, W, 3) uint8 ramps, without symmetry: every flip and turn can be told apart even after JPEG."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x / (width - 1), 255 * y / (height - 1), 255 * x * y / x.max() / y.max()], axis=-1).astype(np.uint8)


def disc(size=24, alpha=255, colour=(200, 30, 60)):
    """(size, size, 4) uint8: a disc of one colour, clear around."""
    y, x = np.mgrid[0:size, 0:size] - (size - 1) / 2
    out = np.zeros((size, size, 4), np.uint8)
    out[...] = (*colour, 0)
    out[..., 3][x**2 + y**2 < (size / 2 - 2) ** 2] = alpha
    return out


def encode(array, file_format, **options):
    """Bytes of an array or Pillow image, written by Pillow."""
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def exif(orientation=None, **texts):
    """EXIF block with an orientation, a GPS position and a maker's name."""
    block = Image.Exif()
    if orientation is not None:
        block[ORIENTATION_TAG] = orientation
    block[0x010F] = texts.get("maker", "SECRET MAKER")
    block.get_ifd(0x8825)[2] = (51.0, 28.0, 38.0)
    return block


def assert_same_pixels(found, expected):
    """Equal pixels in a plain uint8 array."""
    assert found.dtype == np.uint8 and found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected)


def eight_bits(values):
    """16-bit levels rounded to 8 bits."""
    return np.rint(values.astype(np.float64) * 255 / 65535).astype(np.uint8)


def png_chunk(code, body):
    return struct.pack(">I", len(body)) + code + body + struct.pack(">I", zlib.crc32(code + body))


def png(width, height, depth, colour_type, rows, extra=()):
    """PNG of given rows (bytes each, unfiltered); `extra` are (code, body) chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = [(b"IHDR", header), *extra, (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def interlaced_png(array):
    """8-bit interlaced PNG (Adam7, by the PNG specification) of a (H, W, 3) uint8 array."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [array[y::dy, x::dx] for x, y, dx, dy in passes]
    rows = [row.tobytes() for part in parts if part.shape[1] for row in part]
    data = bytearray(png(array.shape[1], array.shape[0], 8, 2, rows))
    data[28] = 1
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def png16(array, extra=()):
    """16-bit PNG of a (H, W, C) uint16 array with 1 to 4 channels."""
    height, width, channels = array.shape
    rows = [row.astype(">u2").tobytes() for row in array]
    return png(width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], rows, extra)


def insert_png_chunks(data, *chunks):
    """PNG bytes with further chunks behind the header."""
    return data[:33] + b"".join(png_chunk(*chunk) for chunk in chunks) + data[33:]


def jpeg_segment(marker, body):
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def insert_jpeg_segments(data, *segments):
    """JPEG bytes with further segments behind the start."""
    return data[:2] + b"".join(jpeg_segment(*segment) for segment in segments) + data[2:]


def tiff(array, photometric=None, extra_samples=None, orientation=None, planes=False, big_endian=False, sample_format=None):
    """Uncompressed TIFF of a (H, W, C) array, one strip (or one per plane)."""
    order = ">" if big_endian else "<"
    height, width, channels = array.shape
    ordered = array.astype(array.dtype.newbyteorder(order))
    strips = [ordered[..., i].tobytes() for i in range(channels)] if planes else [ordered.tobytes()]
    tags = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [array.dtype.itemsize * 8] * channels),
        259: ("H", [1]),
        262: ("H", [(2 if channels > 2 else 1) if photometric is None else photometric]),
        273: ("I", [0] * len(strips)),
        277: ("H", [channels]),
        278: ("I", [height]),
        279: ("I", [len(strip) for strip in strips]),
        284: ("H", [2 if planes else 1]),
    }
    for tag, value in ((274, orientation), (338, extra_samples)):
        if value is not None:
            tags[tag] = ("H", [value])
    if sample_format is not None:
        tags[339] = ("H", [sample_format] * channels)
    behind = 8 + 2 + 12 * len(tags) + 4
    sizes = {tag: struct.calcsize(order + kind * len(values)) for tag, (kind, values) in tags.items()}
    start = behind + sum(size for size in sizes.values() if size > 4)
    for i, strip in enumerate(strips):
        tags[273][1][i] = start
        start += len(strip)
    entries, extra = b"", b""
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(order + kind * len(values), *values)
        if len(packed) > 4:
            packed, extra = struct.pack(order + "I", behind + len(extra)), extra + packed
        entries += struct.pack(order + "HHI", tag, 3 if kind == "H" else 4, len(values)) + packed.ljust(4, b"\0")
    head = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(order + "IH", 8, len(tags))
    return head + entries + struct.pack(order + "I", 0) + extra + b"".join(strips)


def _s15f16(*values):
    return struct.pack(">" + "i" * len(values), *(round(value * 65536) for value in values))


def _icc(space, profile_class, connection, tags):
    tags = {b"wtpt": b"XYZ \0\0\0\0" + _s15f16(0.9642, 1.0, 0.8249), **tags}
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        value += b"\0" * (-len(value) % 4)
        table += name + struct.pack(">II", start + len(body), len(value))
        body += value
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"lcms", 0x02400000, profile_class, space, connection)
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28 + _s15f16(0.9642, 1.0, 0.8249)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _gamma(value):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256)) + b"\0\0"


def gray_profile(gamma):
    """ICC profile of gray pictures with a power curve; gamma 1 is linear light."""
    return _icc(b"GRAY", b"mntr", b"XYZ ", {b"kTRC": _gamma(gamma)})


def rgb_profile(gamma, order=(0, 1, 2), curve=None):
    """ICC profile with sRGB's primaries (adapted to D50), in another order on demand, and a power curve (or `curve`)."""
    primaries = [(0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)]
    tags = {name + b"XYZ": b"XYZ \0\0\0\0" + _s15f16(*primaries[i]) for name, i in zip((b"r", b"g", b"b"), order, strict=True)}
    tags |= {name + b"TRC": curve or _gamma(gamma) for name in (b"r", b"g", b"b")}
    return _icc(b"RGB ", b"mntr", b"XYZ ", tags)


def nearly_srgb_profile():
    """sRGB with its curve as a table of 26 points: a few pixels in a hundred move by one level."""
    levels = np.linspace(0, 1, 26)
    light = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return rgb_profile(None, curve=b"curv\0\0\0\0" + struct.pack(">I26H", 26, *np.rint(light * 65535).astype(int)))


def cmyk_profile():
    """ICC profile of an ink set in which only black ink does anything: L* = 100 (1 - K), a* = b* = 0."""
    ramp = bytes(range(256))
    grid = b"".join(bytes([0 if corner & 1 else 255, 128, 128]) for corner in range(16))  # K varies fastest
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + _s15f16(1, 0, 0, 0, 1, 0, 0, 0, 1) + ramp * 4 + grid + ramp * 3
    return _icc(b"CMYK", b"prtr", b"Lab ", {b"A2B0": table, b"A2B1": table})
