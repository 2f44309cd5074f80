"""The list of pictures to fetch: a CSV with the columns url, file, licence, author, source, group, sha256. Pure.

Only `url` and `file` are needed, others are ignored. Whatever is wrong is found before the first request, with its line.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from ..assets.csv_table import read_csv
from ..assets.sources import SOURCES_NAME, lookup_name
from ..errors import UsageError

COLUMNS = ("url", "file", "licence", "author", "source", "group", "sha256")
SCHEMES = ("http", "https")
MAX_NAME_BYTES = 200  # of one part of a path: file systems allow 255, and a temporary name is longer
PROBLEMS_SHOWN = 20
_NO_PICTURES = (".txt", ".md", ".rst", ".html", ".csv", ".json")  # what `generate` takes for words about the pictures, and tables
_BAD_CHARACTERS = re.compile(r'[\x00-\x1f\x7f<>:"|?*]')  # control characters, and what Windows has no names for
_SECRETS = re.compile(r"(?i)(^|[-_.])(sig|signature|token|key|secret|password|credential|auth|policy)([-_.]|id|$)|^x-amz-|^x-goog-")


@dataclass(frozen=True)
class Wanted:
    """One row of the list.

    Attributes:
        line: its number in the CSV.
        url: where the picture is.
        file: posix path below the folder.
        sha256: expected hash (hex), "" when unknown.
        licence, author, source, group: as SOURCES.csv shall say.
    """

    line: int
    url: str
    file: str
    sha256: str = ""
    licence: str = ""
    author: str = ""
    source: str = ""
    group: str = ""

    @property
    def origin(self):
        """Scheme, host and port: whose robots.txt counts."""
        return origin_of(self.url)


def parse_manifest(data, where):
    """Read the bytes of a list.

    Args:
        data: the file's bytes, UTF-8.
        where: how errors name it.

    Returns:
        (list of Wanted in the order of the file, names of columns that were ignored).

    Raises:
        UsageError: lists the lines that are wrong.
    """
    table = read_csv(data, where, COLUMNS, ("url", "file"), UsageError)
    rows, problems = [], list(table.problems)
    for line, values in table.rows:
        texts = {name: values[name] for name in COLUMNS if name in values}
        rows.append(Wanted(line, **{**texts, "file": lookup_name(values["file"])}))
    for row in rows:
        problems += [(row.line, reason) for reason in (url_problem(row.url), _file_problem(row.file), _hash_problem(row)) if reason]
    problems += _clashes(rows)
    if problems:
        listed = "\n".join(f"  line {line}: {reason}" for line, reason in sorted(problems)[:PROBLEMS_SHOWN])
        more = f"\n  ... and {len(problems) - PROBLEMS_SHOWN} more" if len(problems) > PROBLEMS_SHOWN else ""
        raise UsageError(f"{where} can't be used:\n{listed}{more}\nNothing was fetched.")
    if not rows:
        raise UsageError(f"{where} names no picture: it has a header only")
    return [_with_plain_hash(row) for row in rows], [name for name in table.header if name not in COLUMNS]


def origin_of(url):
    """scheme://host:port of an address, in lower case."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme.lower()}://{(parts.hostname or '').lower()}{port}"


def shown(url):
    """An address as messages show it: without query and fragment, where keys and signatures may stand, or a user's name."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "?..." if parts.query else "", "")).replace("??", "?")


def recorded(url):
    """An address as SOURCES.csv, and with it a public card, names it: without its query where that holds a key or a signature."""
    parts = urlsplit(url)
    secret = any(_SECRETS.search(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "" if secret else parts.query, ""))


def url_problem(url):
    """Why an address can't be fetched, "" when it can; the words hold nothing secret."""
    if not url:
        return "no url is given"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "the url can't be read"
    if parts.scheme.lower() not in SCHEMES:
        return f"the url begins with {parts.scheme or parts.path[:20]!r}; expected http or https"
    if not parts.hostname or port == 0 or re.search(r"[\s\x00-\x1f]", url):
        return "the url names no host, or holds spaces"
    if parts.username is not None or parts.password is not None:
        return f"the url holds a user name or a password, which would be recorded; take it out ({shown(url)})"
    return ""


def _file_problem(file):
    if not file or file == ".":
        return "no file is named"
    parts = PurePosixPath(file).parts
    if file.startswith("/") or file[1:2] == ":" or ".." in parts:
        return f"file {file!r} leads out of the folder"
    if _BAD_CHARACTERS.search(file) or any(part.endswith((" ", ".")) for part in parts):
        return f"file {file!r} has characters that some systems don't allow in names"
    if any(part.startswith(".") for part in parts):
        return f"file {file!r} is hidden; `generate` would pass over it"
    if any(len(part.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES for part in parts):
        return f"file {file[:40]!r}... has a name of more than {MAX_NAME_BYTES} bytes"
    if PurePosixPath(file.lower()).suffix in _NO_PICTURES or PurePosixPath(file).name.lower() == SOURCES_NAME.lower():
        return f"file {file!r} isn't named like a picture; `generate` would pass over it or refuse it"
    return ""


def _hash_problem(row):
    if row.sha256 and not re.fullmatch("[0-9a-fA-F]{64}", row.sha256):
        return f"sha256 {row.sha256[:20]!r} isn't 64 hex digits"
    return ""


def _clashes(rows):
    """Lines that want the name of another, names differing only in case among them, or a file where another needs a folder."""
    first, folders, problems = {}, {}, []
    for row in rows:
        for parent in PurePosixPath(row.file.casefold()).parents:
            folders.setdefault(str(parent), row.line)
    urls = {}
    for row in rows:
        name = row.file.casefold()
        if name in first:
            problems.append((row.line, f"file {row.file!r} was named before, in line {first[name]}"))
        elif row.file and name in folders and name != ".":
            problems.append((row.line, f"file {row.file!r} is a folder in line {folders[name]}"))
        if row.url in urls:
            problems.append((row.line, f"the url was given before, in line {urls[row.url]}: a set takes no picture twice"))
        first.setdefault(name, row.line)
        if row.url:
            urls.setdefault(row.url, row.line)
    return problems


def _with_plain_hash(row):
    return Wanted(**{**row.__dict__, "sha256": row.sha256.lower()})
