"""The shells of picture files: which format it is, is the file whole, and the file without its private parts.

Decoders are lenient: they accept a PNG without its end, or a JPEG whose tail is zeros. Here JPEG, PNG and
WebP files are walked part by part to the very end, without decoding a pixel. The same walk drops what isn't
picture (EXIF with its GPS position, XMP, comments, colour profiles, thumbnails, bytes after the end), so that
a file can be stored without encoding it again. GIF, BMP and TIFF need no walk: their decoders miss every
pixel that is cut off.
"""

import re
import struct
import zlib
from typing import NamedTuple

from ..errors import AssetError

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Next marker of a JPEG: FF and a code; FF00 (a stuffed byte), FFD0-FFD7 (restarts) and fill bytes belong to
# the scan.
_JPEG_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_SOI, _EOI, _SOS, _TEM, _COM, _APP0, _APP14 = 0xD8, 0xD9, 0xDA, 0x01, 0xFE, 0xE0, 0xEE
_JPEG_APPS = range(0xE0, 0xF0)
_SCAN_DATA = -1  # our own code for the bytes between a start of scan and the next marker
_JFIF_BYTES = 18  # marker, length and fields of a JFIF segment without a thumbnail
_UNPACK_BYTES = 2**20  # unpack a PNG in pieces of 1 MiB
_ADAM7 = (  # first column and row, steps of columns and rows of each pass of an interlaced PNG
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_WEBP_ALPHA_FLAG = 0x10  # the only VP8X flag that a still picture without metadata may have

_SIGNATURES = (
    ("JPEG", (b"\xff\xd8\xff",)),
    ("PNG", (PNG_SIGNATURE,)),
    ("GIF", (b"GIF87a", b"GIF89a")),
    ("TIFF", (b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0")),  # the last two are BigTIFF
    ("BMP", (b"BM",)),
)
FORMATS = "JPEG, PNG, WebP, TIFF, BMP or GIF"
_REFUSED = (  # (first bytes, what it is): known kinds that get a reason of their own
    (b"version https://git-lfs", "a Git LFS pointer in place of the picture (run `git lfs pull`)"),
    (b"%PDF", "a PDF"),
    (b"%!PS", "PostScript"),
    (b"8BPS", "a Photoshop document"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"PK\x03\x04", "a zip archive"),
)


class Part(NamedTuple):
    """One part of a file: a JPEG segment, a PNG or WebP chunk; `data[start:end]` is all of it."""

    code: int | bytes
    start: int
    end: int


def sniff_format(data):
    """Name of the picture format by the first bytes, whatever the file is called.

    Returns:
        "JPEG", "PNG", "WEBP", "TIFF", "BMP" or "GIF".

    Raises:
        AssetError: it is none of these; the message says what it looks like.
    """
    for name, signatures in _SIGNATURES:
        if data.startswith(signatures):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    raise AssetError(f"not a picture that can be used: it is {_describe(data)}; expected {FORMATS}")


def _describe(data):
    if not data:
        return "an empty file"
    for signature, name in _REFUSED:
        if data.startswith(signature):
            return name
    if data[4:8] == b"ftyp":
        return "HEIC, AVIF or a video (save it as JPEG or PNG)"
    head = data[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return "an HTML page (a download that failed?)"
    if b"<svg" in head:
        return "SVG, which has no pixels (render it to PNG)"
    if not any(data):
        return "a file of zeros"
    return f"of an unknown kind (it begins with {data[:8].hex(' ')})"


def check_complete(data, file_format):
    """Walk a JPEG, PNG or WebP to its end; other formats pass.

    Raises:
        AssetError: the file ends too early, or a PNG chunk doesn't match its checksum.
    """
    if file_format in _WALKERS:
        _WALKERS[file_format](data)


def check_png_rows(data):
    """Unpack the pixels of a PNG, keeping none, to see that all rows are there: decoders take missing ones as
    black.

    Raises:
        AssetError: rows are missing, or the packed data are damaged.
    """
    width, height, depth, colour_type, interlaced = png_header(data)
    bits = depth * {2: 3, 4: 2, 6: 4}.get(colour_type, 1)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    expected = 0
    for x, y, step_x, step_y in passes:
        columns, rows = -((x - width) // step_x), -((y - height) // step_y)
        if columns > 0:
            expected += max(rows, 0) * (1 + (columns * bits + 7) // 8)  # a byte for the filter leads each row
    unpacker, found = zlib.decompressobj(), 0
    try:
        for part in _png_chunks(data):
            packed = data[part.start + 8 : part.end - 4] if part.code == b"IDAT" else b""
            while packed and found < expected:
                found += len(unpacker.decompress(packed, _UNPACK_BYTES))
                packed = unpacker.unconsumed_tail
    except zlib.error as error:
        raise AssetError(f"the PNG is damaged: its pixels can't be unpacked ({error})") from error
    if found < expected:
        raise AssetError(f"the PNG is cut off: {found:,} of {expected:,} bytes of pixels are there")


def strip_metadata(data, file_format):
    """The same file without metadata, profile, comments, thumbnails and trailing bytes; not re-encoded.

    Args:
        data: a whole file.
        file_format: as `sniff_format` gives it.

    Returns:
        bytes of a plain 8-bit JPEG, PNG (RGB or RGBA) or WebP; None when the file is of another kind.
    """
    stripper = {"JPEG": _strip_jpeg, "PNG": _strip_png, "WEBP": _strip_webp}.get(file_format)
    return stripper(data) if stripper else None


def png_header(data):
    """(width, height, bit depth, colour type, whether interlaced) of a whole PNG."""
    chunks = _png_chunks(data)
    header = data[chunks[1].start + 8 : chunks[1].end - 4]
    if chunks[1].code != b"IHDR" or len(header) != 13:
        raise AssetError(
            f"the PNG is damaged: it begins with chunk {chunks[1].code!r} of {len(header):,} bytes"
        )
    width, height, depth, colour_type = struct.unpack(">IIBB", header[:10])
    return width, height, depth, colour_type, header[12] != 0


def png_transparency(data):
    """Body of the tRNS chunk of a whole PNG (one transparent colour, or alpha of the palette); b"" without
    one."""
    return b"".join(data[part.start + 8 : part.end - 4] for part in _png_chunks(data) if part.code == b"tRNS")


def _jpeg_segments(data):
    parts = [Part(_SOI, 0, 2)]
    while True:
        pos = parts[-1].end
        found = _JPEG_MARKER.search(data, pos)
        if not found:
            raise AssetError(f"the JPEG is cut off: no end of image in its {len(data):,} bytes")
        start, code = found.start(), data[found.start() + 1]
        if parts[-1].code == _SOS:
            parts.append(Part(_SCAN_DATA, pos, start))
        if code in (_EOI, _TEM, _SOI):
            parts.append(Part(code, start, start + 2))
            if code == _EOI:
                return parts
            continue
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        if end > len(data) or end < start + 4:
            raise AssetError(
                f"the JPEG is cut off or damaged: segment {code:#04x} at byte {start:,} has no end"
            )
        parts.append(Part(code, start, end))


def _strip_jpeg(data):
    kept = []
    for part in _jpeg_segments(data):
        body = data[part.start : part.end]
        if part.code == _APP0 and body[4:9] == b"JFIF\0":
            # units and density stay, the thumbnail (its size is in the last two bytes) goes
            kept.append(body if len(body) <= _JFIF_BYTES else b"\xff\xe0\0\x10" + body[4:16] + b"\0\0")
        elif part.code == _APP14 and body[4:9] == b"Adobe":
            kept.append(body)  # says which colour transform the file has
        elif part.code not in _JPEG_APPS and part.code not in (_COM, _TEM):
            kept.append(body)
    return b"".join(kept)


def _png_chunks(data):
    parts = [Part(b"", 0, len(PNG_SIGNATURE))]
    while parts[-1].code != b"IEND":
        start = parts[-1].end
        length = int.from_bytes(data[start : start + 4], "big")
        end = start + 12 + length
        if end > len(data):
            raise AssetError(
                f"the PNG is cut off: a chunk at byte {start:,} goes on after the file's {len(data):,} bytes"
            )
        code = data[start + 4 : start + 8]
        if zlib.crc32(memoryview(data)[start + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise AssetError(
                f"the PNG is damaged: chunk {code!r} at byte {start:,} doesn't match its checksum"
            )
        parts.append(Part(code, start, end))
    return parts


def _strip_png(data):
    _, _, depth, colour_type, _ = png_header(data)
    if depth != 8 or colour_type not in (2, 6) or png_transparency(data):
        return None
    keep = (b"", b"IHDR", b"sRGB", b"IDAT", b"IEND")
    return b"".join(data[part.start : part.end] for part in _png_chunks(data) if part.code in keep)


def _webp_chunks(data):
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise AssetError(f"the WebP is cut off: it has {len(data):,} of {end:,} bytes")
    parts, pos = [], 12
    while pos + 8 <= end:
        code, length = struct.unpack_from("<4sI", data, pos)
        if pos + 8 + length > end:
            raise AssetError(f"the WebP is damaged: chunk {code!r} at byte {pos:,} goes on after the end")
        parts.append(Part(code, pos, pos + 8 + length))
        pos += 8 + length + length % 2
    return parts


def _strip_webp(data):
    kept = b""
    for part in _webp_chunks(data):
        if part.code not in (b"VP8X", b"ALPH", b"VP8 ", b"VP8L"):
            continue
        body = bytearray(data[part.start : part.end])
        if part.code == b"VP8X":
            body[8] &= _WEBP_ALPHA_FLAG
            if not body[8]:
                continue  # nothing extended is left
        kept += body + b"\0" * (len(body) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(kept)) + b"WEBP" + kept


_WALKERS = {"JPEG": _jpeg_segments, "PNG": _png_chunks, "WEBP": _webp_chunks}
