"""`make_cutouts`: photos become RGBA cut-outs in a folder, with the licences and authors of the photos in its SOURCES.csv."""

import time
import warnings
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..assets.pictures import DEFAULT_MAX_PIXELS, decode_picture, encode_png
from ..assets.scan import MAX_FILE_BYTES
from ..assets.sources import SOURCES_NAME, match_sources, parse_sources
from ..assets.sources_file import read_table, table_bytes
from ..assets.walk import find_files
from ..errors import AssetError, UsageError
from ..files import locked, sha256_of, sweep, write_bytes
from ..progress import Quiet
from .matte import alpha_of, cut, largest_piece, why_nothing


@dataclass(frozen=True)
class CutoutOptions:
    """How cut-outs are made.

    Attributes:
        largest: keep only the largest connected piece.
        margin_px: clear pixels around what is visible.
        keep_size: leave a cut-out as large as its photo.
        overwrite: make cut-outs again that are there.
        max_pixels: bound on the size of a photo.
    """

    largest: bool = False
    margin_px: int = 2
    keep_size: bool = False
    overwrite: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS

    def __post_init__(self):
        for name, least in (("margin_px", 0), ("max_pixels", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}, expected at least {least}")


@dataclass(frozen=True)
class Photo:
    """A photo to be cut out: where it is, as it was named, the cut-out's file below the folder, and its row of a SOURCES.csv."""

    path: Path
    name: str
    out: str
    row: object


@dataclass(frozen=True)
class CutoutReport:
    """What a run did: cut-outs made now and kept from before, seconds, `failed` (photo, reason), notes."""

    folder: Path
    made: int
    kept: int
    seconds: float
    failed: tuple
    notes: tuple

    def as_dict(self):
        """As JSON values."""
        return {
            "folder": str(self.folder),
            "made": self.made,
            "kept": self.kept,
            "failed": [{"photo": photo, "reason": reason} for photo, reason in self.failed],
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
        }


def make_cutouts(photos, folder, segmenter, options=None, progress=None):
    """Cut out the foregrounds of photos.

    Args:
        photos: files and folders; of folders all pictures in them and below.
        folder: where the cut-outs shall be, as PNG.
        segmenter: function without arguments that gives a model.Segmenter; called only when there is something to do.
        options: CutoutOptions.
        progress: progress.Quiet or a subclass.

    Returns:
        CutoutReport.

    Raises:
        UsageError: a photo isn't there, two want one name, or the folder lies among the photos.
        AssetError: a SOURCES.csv can't be used.
        CutoutModelError: the model can't be used.
        KeyboardInterrupt: stopped; what is done is kept and stands in SOURCES.csv.
    """
    started, folder, options, progress = time.monotonic(), Path(folder), options or CutoutOptions(), progress or Quiet()
    found, failures, notes = find_photos(photos, folder)
    with locked(folder):
        sweep(folder)
        rows, done = read_table(folder), {}
        todo = [photo for photo in found if options.overwrite or not (folder / photo.out).is_file()]
        kept = len(found) - len(todo)
        model = None
        if todo:
            with progress.task("load the model", None):
                model = segmenter()
        try:
            with progress.task("cut out", len(found), kept, "photos") as task, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's, of odd metadata
                for photo in todo:
                    try:
                        done[photo.out] = _cut_out(photo, folder, model, options)
                    except AssetError as error:
                        failures[photo.name] = str(error)
                    task.update(kept + len(done) + len(failures))
        finally:
            _write_sources(folder, found, rows, done)
    failed = tuple(failures.items())
    return CutoutReport(folder, len(done), kept, time.monotonic() - started, failed, tuple(notes))


def find_photos(photos, folder):
    """Which photos there are and what becomes of each.

    Returns:
        (list of Photo, {name: reason} of what can't be used, notes).
    """
    found, failures, notes = [], {}, []
    for given in map(Path, photos):
        if given.is_dir():
            if folder.resolve().is_relative_to(given.resolve()):
                raise UsageError(f"{folder} lies in {given}, where photos are looked for; choose another folder for the cut-outs")
            files, tables, problems = find_files(given)
            if not files and not problems:
                raise UsageError(f"{given} holds no picture")
            rows, words = match_sources({name: _table(given / name) for name in tables}, files)
            notes += words
            failures.update({str(given / file): reason for file, reason in problems.items()})
            found += [Photo(given / file, str(given / file), _out_name(file), rows.get(file)) for file in files]
        elif given.is_file():
            table = given.parent / SOURCES_NAME
            rows, _ = match_sources({SOURCES_NAME: _table(table)} if table.is_file() else {}, [given.name])
            found.append(Photo(given, str(given), _out_name(given.name), rows.get(given.name)))
        else:
            raise UsageError(f"{given} isn't there; expected a photo, or a folder of photos")
    first = {}
    for photo in found:
        other = first.setdefault(photo.out.casefold(), photo)
        if other is not photo:
            raise UsageError(f"{other.name} and {photo.name} would both become {photo.out}; rename one, or cut them out into two folders")
        if (folder / photo.out).resolve() == photo.path.resolve():
            raise UsageError(f"{photo.name} would be replaced by its own cut-out; choose another folder")
    return found, failures, notes


def _out_name(file):
    return str(PurePosixPath(file).with_suffix(".png"))


def _table(path):
    try:
        return parse_sources(path.read_bytes(), str(path))
    except OSError as error:
        raise AssetError(f"{path} can't be read: {error.strerror}") from error


def _cut_out(photo, folder, model, options):
    """Make one cut-out; returns what SOURCES.csv says of how it was made. AssetError: it can't be."""
    try:
        if photo.path.stat().st_size > MAX_FILE_BYTES:
            raise AssetError(f"{photo.path.stat().st_size:,} bytes, more than the bound of {MAX_FILE_BYTES:,}")
        data = photo.path.read_bytes()
    except OSError as error:
        raise AssetError(f"can't be read: {error.strerror}") from error
    rgb = decode_picture(data, alpha=False, max_pixels=options.max_pixels)
    alpha = alpha_of(model.log_odds(rgb))
    if options.largest:
        alpha = largest_piece(alpha)
    reason = why_nothing(alpha)
    if reason:
        raise AssetError(reason)
    write_bytes(folder / photo.out, encode_png(cut(rgb, alpha, options.margin_px, options.keep_size)))
    labels = "+".join(model.labels[number] for number in model.chosen)
    return {"cut_from": photo.path.name, "cut_by": Path(model.name).name if Path(model.name).exists() else model.name, "cut_label": labels}


def _write_sources(folder, found, rows, done):
    """SOURCES.csv: the cut-outs in the order of the photos, then the rows of others."""
    table, named = [], {photo.out for photo in found}
    for photo in found:
        if not (folder / photo.out).is_file():
            continue
        row = dict(rows.get(photo.out, {}))
        if photo.out in done or not row:
            texts = {name: getattr(photo.row, name) if photo.row else "" for name in ("licence", "author", "source", "group", "url")}
            row = {**row, "file": photo.out, **texts, **done.get(photo.out, {}), "sha256": sha256_of(folder / photo.out)}
        table.append(row)
    table += [row for file, row in rows.items() if file not in named]
    if table:
        write_bytes(folder / SOURCES_NAME, table_bytes(table))
