"""Asset folders: every source picture is found, checked to its last pixel and given an id, before the work.

`scan_assets` looks at a folder of backgrounds or of cut-outs; `read_asset` and `asset_bytes` read one picture
later and check that it is still the one that was scanned. Pictures are handled one at a time (one per
worker): none is kept in memory.
"""

import hashlib
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import AssetError, UsageError
from .ids import assign_ids
from .keying import DEFAULT_KEY_TOLERANCE, check_key_tolerance, key_alpha, parse_key_color
from .pictures import DEFAULT_MAX_PIXELS, NO_ALPHA, decode_picture, decode_pixels, encode_png, stored_picture
from .sources import SourceRow, match_sources, parse_sources
from .walk import find_files, printable

KINDS = ("background", "foreground")
DEFAULT_MASK_THRESHOLD = 128  # alpha from which a pixel counts as visible, as in the recipe
DEFAULT_MIN_VISIBLE_PX = 16  # a cut-out of fewer pixels vanishes when it is made smaller
MAX_FILE_BYTES = 2**29  # 512 MiB: a plain 16-bit RGBA TIFF of DEFAULT_MAX_PIXELS
IMPLICIT_GROUP = "id:"  # and the id, for a picture without a group: nobody names a group so by accident
_PROBLEMS_SHOWN = 20  # so many bad files fit on a screen; all are in the error's `problems`


@dataclass(frozen=True)
class Asset:
    """One source picture that passed the checks.

    Attributes:
        kind: "background" or "foreground".
        id: unique among its kind, see `asset_ids`.
        sha256: of the source file's bytes (hex).
        file: posix path from the folder.
        path: where to read it now; no part of what the asset is.
        width, height: pixels, upright.
        group: pictures of one scene share it; without a named one, "id:" and the id.
        licence, author, source, url: from SOURCES.csv, "" when unknown.
    """

    kind: str
    id: str
    sha256: str
    file: str
    path: Path = field(compare=False)
    width: int
    height: int
    group: str
    licence: str = ""
    author: str = ""
    source: str = ""
    url: str = ""


@dataclass(frozen=True)
class AssetScan:
    """What a folder holds: `assets` by id, `skipped` (file, reason) pairs by file, `notes` for the user."""

    assets: tuple
    skipped: tuple = ()
    notes: tuple = ()


def scan_assets(
    folder,
    kind,
    *,
    skip_bad=False,
    max_pixels=DEFAULT_MAX_PIXELS,
    key_color=None,
    key_tolerance=DEFAULT_KEY_TOLERANCE,
    mask_threshold=DEFAULT_MASK_THRESHOLD,
    min_visible_px=DEFAULT_MIN_VISIBLE_PX,
    taken=None,
    num_workers=1,
    on_progress=None,
):
    """Check all pictures of a folder and its sub-folders.

    The result depends on the files alone, not on the directory's order or on the number of workers.

    Args:
        folder: path of the folder. Hidden files, SOURCES.csv and text files are passed over; anything else
            must be a picture.
        kind: "background" (opaque) or "foreground" (with alpha).
        skip_bad: leave bad files out and list them, in place of an error.
        max_pixels: bound on width times height of a picture.
        key_color, key_tolerance: cut out foregrounds that have no alpha, or alpha 255 everywhere; see
            `key_alpha`.
        mask_threshold, min_visible_px: a foreground needs so many pixels with alpha >= threshold.
        taken: mapping of id to sha256 of the assets of earlier batches; these keep their ids.
        num_workers: threads.
        on_progress: called as `on_progress(done, total)` after each file.

    Returns:
        AssetScan.

    Raises:
        UsageError: the folder isn't there, isn't a folder or holds no picture; a wrong kind, colour or
            tolerance.
        AssetError: pictures can't be used (all are in `problems`, with reasons), none is left, or a
            SOURCES.csv is wrong.
    """
    folder = Path(folder)
    _check_arguments(folder, kind, key_color, key_tolerance)
    files, tables, problems = find_files(folder)
    if not files and not problems:
        raise UsageError(f"{folder} holds no picture; expected the {kind}s there")

    def check(file):
        return _check_file(
            folder / file, kind, max_pixels, key_color, key_tolerance, mask_threshold, min_visible_px
        )

    rows, notes = match_sources({name: _read_table(folder / name) for name in tables}, files)
    checked = {}
    with warnings.catch_warnings():
        # Pillow warns of odd metadata, which are dropped anyway. Filters are global: no thread may set them.
        warnings.simplefilter("ignore")
        for file, found in zip(files, _map_in_order(check, files, num_workers), strict=True):
            checked[file] = found
            if on_progress is not None:
                on_progress(len(checked), len(files))

    good, first_with = {}, {}
    for file, found in checked.items():
        if isinstance(found, str):
            problems[file] = found
        elif found[0] in first_with:
            problems[file] = f"has the same bytes as {first_with[found[0]]!r}; remove one of them"
        else:
            first_with[found[0]] = file
            good[file] = found
    skipped = tuple(sorted((printable(file), reason) for file, reason in problems.items()))
    if skipped and (not skip_bad or not good):
        raise _bad_files(folder, kind, skipped, len(good), skip_bad)

    ids = assign_ids({file: sha256 for file, (sha256, _, _) in good.items()}, taken)
    assets = [
        _make_asset(kind, ids[file], sha256, file, folder / file, width, height, rows.get(file, SourceRow()))
        for file, (sha256, width, height) in good.items()
    ]
    return AssetScan(tuple(sorted(assets, key=lambda asset: asset.id)), skipped, tuple(notes))


def read_asset(asset, *, key_color=None, key_tolerance=DEFAULT_KEY_TOLERANCE, max_pixels=DEFAULT_MAX_PIXELS):
    """Decode one asset, with the same key colour and bounds as in its scan.

    Returns:
        (H, W, 3) uint8 RGB of a background, (H, W, 4) uint8 RGBA with straight alpha of a foreground.

    Raises:
        AssetError: the file is gone, or isn't the one that was scanned.
    """
    data = _read_again(asset)
    try:
        return _decode(data, asset.kind, max_pixels, key_color, key_tolerance)[0]
    except AssetError as error:
        raise AssetError(f"{asset.path}: {error}", [(asset.file, str(error))]) from error


def asset_bytes(asset, *, key_color=None, key_tolerance=DEFAULT_KEY_TOLERANCE, max_pixels=DEFAULT_MAX_PIXELS):
    """The bytes under which an asset is stored; see `stored_picture`.

    Args, Raises: as `read_asset`, whose pixels they decode to exactly.
    """
    data = _read_again(asset)
    try:
        pixels, keyed = _decode(data, asset.kind, max_pixels, key_color, key_tolerance)
        if keyed:
            return encode_png(pixels)
        return stored_picture(data, alpha=asset.kind == "foreground", max_pixels=max_pixels)
    except AssetError as error:
        raise AssetError(f"{asset.path}: {error}", [(asset.file, str(error))]) from error


def _check_arguments(folder, kind, key_color, key_tolerance):
    if kind not in KINDS:
        raise UsageError(f"kind is {kind!r}; expected 'background' or 'foreground'")
    if key_color is not None:
        if kind == "background":
            raise UsageError("a key colour is for foregrounds; backgrounds are opaque")
        parse_key_color(key_color)
        check_key_tolerance(key_tolerance)
    if not folder.exists():
        raise UsageError(f"the folder of {kind}s isn't there: {folder}")
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file; expected a folder of {kind}s")


def _map_in_order(function, items, num_workers):
    """Results of `function` in the order of the items; at most `num_workers` run at once."""
    if num_workers <= 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(num_workers) as pool:
        yield from pool.map(function, items)


def _read_table(path):
    try:
        return parse_sources(path.read_bytes(), str(path))
    except OSError as error:
        raise AssetError(f"{path} can't be read: {error.strerror}") from error


def _check_file(path, kind, max_pixels, key_color, key_tolerance, mask_threshold, min_visible_px):
    """(sha256, width, height) of a good picture; the reason, a str, of a bad one."""
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_FILE_BYTES:
            return f"{size_bytes:,} bytes, more than the bound of {MAX_FILE_BYTES:,}"
        data = path.read_bytes()
    except OSError as error:
        return f"can't be read: {error.strerror}"
    try:
        pixels, _ = _decode(data, kind, max_pixels, key_color, key_tolerance)
    except AssetError as error:
        return str(error)
    if kind == "foreground":
        alpha = pixels[..., 3]
        visible = int(np.count_nonzero(alpha >= mask_threshold))
        if visible < min_visible_px:
            return (
                f"{visible:,} of its {alpha.size:,} pixels have alpha >= {mask_threshold} "
                f"(the largest is {alpha.max()}); at least {min_visible_px} must"
            )
    height, width = pixels.shape[:2]
    return hashlib.sha256(data).hexdigest(), width, height


def _decode(data, kind, max_pixels, key_color, key_tolerance):
    """(pixels, whether they were cut out by the key colour)."""
    if kind == "background":
        return decode_picture(data, alpha=False, max_pixels=max_pixels), False
    pixels = decode_pixels(data, max_pixels=max_pixels)
    opaque = pixels.shape[2] == 3 or bool((pixels[..., 3] == 255).all())
    if not opaque:
        return pixels, False
    if key_color is not None:
        alpha = key_alpha(pixels[..., :3], key_color, key_tolerance)
        if alpha.min() == 255:
            raise AssetError(f"no pixel is within {key_tolerance} levels of the key colour {key_color}")
        return np.dstack([pixels[..., :3], alpha]), True
    if pixels.shape[2] == 4:
        raise AssetError(
            "its alpha is 255 everywhere: a rectangle, no cut-out; cut it out, or pass --key-color"
        )
    raise AssetError(NO_ALPHA)


def _read_again(asset):
    try:
        data = asset.path.read_bytes()
    except OSError as error:
        reason = f"can't be read any more: {error.strerror}"
        raise AssetError(f"{asset.path} {reason}", [(asset.file, reason)]) from error
    found = hashlib.sha256(data).hexdigest()
    if found != asset.sha256:
        reason = f"changed since it was checked (sha256 {found[:12]}..., expected {asset.sha256[:12]}...)"
        raise AssetError(
            f"{asset.path} {reason}; put the old file back, or start again", [(asset.file, reason)]
        )
    return data


def _make_asset(kind, asset_id, sha256, file, path, width, height, row):
    is_link = row.source.startswith(("http://", "https://")) and " " not in row.source
    return Asset(
        kind=kind,
        id=asset_id,
        sha256=sha256,
        file=file,
        path=path,
        width=width,
        height=height,
        group=row.group or f"{IMPLICIT_GROUP}{asset_id}",
        licence=row.licence,
        author=row.author,
        source=row.source,
        url=row.url or (row.source if is_link else ""),
    )


def _bad_files(folder, kind, problems, good, skip_bad):
    listed = "\n".join(f"  {file}: {reason}" for file, reason in problems[:_PROBLEMS_SHOWN])
    if len(problems) > _PROBLEMS_SHOWN:
        listed += f"\n  ... and {len(problems) - _PROBLEMS_SHOWN} more"
    end = "No picture is left."
    if good and not skip_bad:
        end = f"Mend or remove them, or pass --skip-bad to go on with the other {good:,}."
    files = "1 bad file" if len(problems) == 1 else f"{len(problems)} bad files"
    return AssetError(f"{files} among the {kind}s in {folder}:\n{listed}\n{end}", problems)
