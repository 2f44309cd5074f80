"""What verify finds, each with file, row and column where there is one, and the command that mends it."""

import shlex
from collections import Counter
from dataclasses import dataclass

from ..folders import is_remote

ROWS_NAMED = 20  # of one file and column; the rest is counted, so that memory stays flat whatever is wrong
SUMMARIES = ("stats.json", "manifest.json")  # made from the tables
CARD_FILES = ("README.md", "assets/", "croissant.json")  # made from all others


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        file: path below the set's folder.
        row: number of the row in the file, from 0; None where it isn't about one row.
        column: name of the column, or None.
        problem: what was found, and what was expected.
        repair: command line that mends it.
    """

    file: str
    row: int | None
    column: str | None
    problem: str
    repair: str = ""

    def __str__(self):
        row = "" if self.row is None else f", row {self.row}"
        column = "" if self.column is None else f", column {self.column}"
        return f"{self.file}{row}{column}: {self.problem}"

    def to_dict(self):
        return dict(self.__dict__)


class Findings:
    """Collects findings; of one file and column at most ROWS_NAMED rows are named, the others counted."""

    def __init__(self):
        self._kept, self._rows_of, self._dropped = [], Counter(), Counter()

    def add(self, file, problem, row=None, column=None, repair=""):
        if row is not None:
            self._rows_of[file, column] += 1
            if self._rows_of[file, column] > ROWS_NAMED:
                self._dropped[file, column] += 1
                return
        self._kept.append(Finding(file, row, column, problem, repair))

    def extend(self, findings):
        for finding in findings:
            self.add(finding.file, finding.problem, finding.row, finding.column, finding.repair)

    def __len__(self):
        return len(self._kept)

    def about(self, file, column, rows=None):
        """True when there is a finding about a column of a file; with `rows`, one that names a row among them."""
        return any(f.file == file and f.column == column and (rows is None or f.row in rows) for f in self._kept)

    def about_tables(self):
        """True when there is a finding about some Parquet file or about the manifest, which others are read by."""
        return any(f.file.endswith((".parquet", "manifest.json", "stats.json", "recipe.toml")) for f in self._kept)

    def drop(self, unwanted):
        """Take findings away for which `unwanted` is true."""
        self._kept = [finding for finding in self._kept if not unwanted(finding)]

    def listed(self):
        """All findings, by file, row and column; without repeats. What is made from other files comes behind them."""
        more = [
            Finding(file, None, column, f"and {count:,} more rows with a problem in this column")
            for (file, column), count in self._dropped.items()
        ]
        return sorted(set(self._kept) | set(more), key=_place)


def _place(finding):
    rank = 2 if finding.file.startswith(CARD_FILES) else 1 if finding.file in SUMMARIES else 0
    return rank, finding.file, finding.row is None, finding.row or 0, finding.column or "", finding.problem


@dataclass(frozen=True)
class Report:
    """What verify did and found.

    Attributes:
        folder: the set's folder.
        findings: tuple of Finding; empty when all is good.
        files, rows, data_bytes: how much was read.
        rebuilt: rows that were composited anew.
        depth_rebuilt: those of them whose depth was predicted anew.
        notes: what the user should know beside it.
        seconds: time taken [s].
    """

    folder: str
    findings: tuple
    files: int
    rows: int
    data_bytes: int
    rebuilt: int
    depth_rebuilt: int
    notes: tuple
    seconds: float

    @property
    def good(self):
        return not self.findings

    def to_dict(self):
        """As JSON values."""
        return {
            **self.__dict__,
            "good": self.good,
            "findings": [finding.to_dict() for finding in self.findings],
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
        }


class Repairs:
    """Command lines that mend a set."""

    def __init__(self, folder, recipe=None, num_batches=1, recipe_file_is_good=True):
        """Args: folder; recipe: config.Recipe or None; num_batches: of the set; recipe_file_is_good: recipe.toml can be used."""
        self._folder = folder
        recipe_file = self._path("recipe.toml") if recipe_file_is_good and not is_remote(folder) else "RECIPE.toml"
        parts = ["fgbg-depth generate --backgrounds BACKGROUNDS --foregrounds FOREGROUNDS"]
        parts.append(f"--out {shlex.quote(str(folder))} --recipe {recipe_file}")
        if num_batches > 1:
            parts.append("--append")
        if recipe is not None and recipe.has_depth and _is_own_model(recipe.depth_model):
            parts.append(f"--depth-model PATH_OF_{recipe.depth_model}")
        if recipe is not None and recipe.imported:
            parts = [f"fgbg-depth import-original TREE {shlex.quote(str(folder))}"]
        self.generate = " ".join(parts)
        self.finish = f"fgbg-depth finish {shlex.quote(str(folder))}"

    def _path(self, file):
        return shlex.quote((self._folder / file).as_posix())

    def remove(self, file):
        """Take a file away that doesn't belong here."""
        return f"{'aws s3 rm' if is_remote(self._folder) else 'rm'} {self._path(file)}"

    def remake(self, file):
        """Delete a file and have it made anew."""
        return f"{self.remove(file)} && {self.generate}"

    def of(self, file):
        """What mends damage in a file, by what kind of file it is."""
        if file.endswith(".parquet") or file == "recipe.toml":
            return self.remake(file)
        if file.startswith(CARD_FILES) and not is_remote(self._folder):
            return f"fgbg-depth card {shlex.quote(str(self._folder))}"
        return self.generate  # what is made from the tables is written anew by each run


def _is_own_model(name):
    return "/" not in name and not name.startswith("densedepth-")
