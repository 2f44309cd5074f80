"""Running `fetch` in tests: the list, the run, and what it left."""

import csv
import hashlib

from fgbg_depth.fetch.options import FetchOptions
from fgbg_depth.fetch.run import fetch_pictures

COLUMNS = ("url", "file", "licence", "author", "source", "group", "sha256")


def write_list(folder, *rows):
    """A manifest; rows are dicts."""
    path = folder / "list.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def fetch(folder, *rows, **options):
    """Fetch rows into folder/out."""
    options = {"timeout_s": 5, **options}
    return fetch_pictures(write_list(folder, *rows), folder / "out", FetchOptions(**options))


def reasons(report):
    """{file: reason} of the failures."""
    return {file: reason for _, file, _, reason in report.failed}


def sources(folder):
    """The rows of SOURCES.csv."""
    with open(folder / "SOURCES.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def sha256(data):
    """As hex digits."""
    return hashlib.sha256(data).hexdigest()
