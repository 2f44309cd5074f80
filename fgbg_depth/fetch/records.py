"""What a folder of fetched pictures says of itself: which files are there already, SOURCES.csv, and the list of failures."""

import json
import re

from ..assets.pictures import decode_pixels
from ..assets.sources import SOURCES_NAME
from ..assets.sources_file import read_table, table_bytes
from ..errors import AssetError
from ..files import sha256_of, write_bytes, write_text
from .manifest import recorded, shown
from .options import NAMES

SCRATCH = ".fetch"  # hidden: `generate` passes over it
FAILURES_TEXT, FAILURES_JSON = "fetch-failures.txt", f"{SCRATCH}/failures.json"  # the first one is a text, which `generate` passes over
PART_NAME = re.compile(r"[0-9a-f]{32}\.(part|json)")  # partial files and their notes, named by the hash of an address
FETCHED, KEPT = "fetched", "kept"


class Records:
    """State of a folder.

    Args:
        folder: pathlib.Path.
        wanted: list of Wanted.
        max_pixels: bound on the size of a picture.

    Attributes:
        results: {file: (FETCHED or KEPT, sha256)}.
        failures: {file: reason}.
    """

    def __init__(self, folder, wanted, max_pixels):
        self.folder, self.results, self.failures = folder, {}, {}
        self._wanted, self._max_pixels = wanted, max_pixels
        self._rows = read_table(folder)  # SOURCES.csv of earlier runs

    def is_there(self, row):
        """Whether a picture needn't be fetched. A file in its place which isn't it, and isn't ours, becomes a failure."""
        path, reason = self.folder / row.file, ""
        if not path.parent.resolve().is_relative_to(self.folder.resolve()):
            reason = "a link on its path leads out of the folder; remove that"
        elif path.is_symlink() or path.exists():
            reason = self._reason_of_other(path, row)
            if reason is None:
                return False  # ours, from another address or before the list named another hash: fetched again, and replaced then
            if not reason:
                return True
        if reason:
            self.failures[row.file] = reason
        return False

    def _reason_of_other(self, path, row):
        """Why the file in a picture's place isn't it: "" when it is, None when it may be replaced."""
        if path.is_symlink() or not path.is_file():
            return "its name is taken by a folder or a link; move that away"
        found, known = sha256_of(path), self._rows.get(row.file, {})
        ours = known.get("sha256", "")
        if found == row.sha256 or (not row.sha256 and ours == found and known.get("url") == recorded(row.url)):
            self.results[row.file] = (KEPT, found)
            return ""
        if ours == found:
            return None
        if ours or row.sha256:
            return f"there is another file of that name (sha256 {found[:12]}...); move it away to fetch the picture"
        try:  # no record of it: of a run that was killed, or put there by hand
            decode_pixels(path.read_bytes(), max_pixels=self._max_pixels)
        except AssetError as error:
            return f"there is a file of that name, but it is {error}; move it away to fetch the picture"
        self.results[row.file] = (KEPT, found)
        return ""

    def settle(self):
        """Write SOURCES.csv and the list of failures.

        Returns:
            list of (line, file, url, reason), in the order of the list.
        """
        self._refuse_twins()
        named = {row.file: row for row in self._wanted}
        rows = []
        for file, row in named.items():
            if file in self.results:
                texts = {"file": file, "licence": row.licence, "author": row.author, "source": row.source, "group": row.group}
                rows.append({**self._rows.get(file, {}), **texts, "url": recorded(row.url), "sha256": self.results[file][1]})
            elif file in self._rows and (self.folder / file).is_file():
                rows.append(self._rows[file])
        rows += [row for file, row in self._rows.items() if file not in named]
        if rows:
            write_bytes(self.folder / SOURCES_NAME, table_bytes(rows))
        failed = [(row.line, row.file, shown(row.url), self.failures[row.file]) for row in self._wanted if row.file in self.failures]
        self._write_failures(failed)
        self._tidy(done=len(self.results) == len(self._wanted))
        return failed

    def _tidy(self, done):
        """Remove what was received of pictures that nobody wants any more, and the scratch folder when it is empty."""
        scratch = self.folder / SCRATCH
        if not scratch.is_dir():
            return
        for path in scratch.iterdir():
            if done and PART_NAME.fullmatch(path.name):
                path.unlink()
        if not any(scratch.iterdir()):
            scratch.rmdir()

    def _write_failures(self, failed):
        text, table = self.folder / FAILURES_TEXT, self.folder / FAILURES_JSON
        if not failed:
            text.unlink(missing_ok=True)
            table.unlink(missing_ok=True)
            return
        write_text(text, "".join(f"line {line}: {file}: {reason} ({url})\n" for line, file, url, reason in failed))
        write_text(table, json.dumps([dict(zip(NAMES, one, strict=True)) for one in failed], indent=1) + "\n")

    def _refuse_twins(self):
        """Pictures of the same bytes under two names: `generate` takes none twice, so the first one stays."""
        first = {}
        for row in self._wanted:
            kind, sha256 = self.results.get(row.file, (None, None))
            if sha256 is None:
                continue
            if sha256 not in first:
                first[sha256] = row.file
                continue
            self.failures[row.file] = f"has the same bytes as {first[sha256]!r}; take one of the two out of the list"
            del self.results[row.file]
            if kind == FETCHED:
                (self.folder / row.file).unlink()
