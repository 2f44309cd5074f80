"""Where a set lies: a folder of this machine, or one in S3."""

import os
import re
from pathlib import Path

from .errors import UsageError
from .s3 import S3Path

# A Path made of a URL has one slash left; a single letter is a drive of Windows.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_URL_AS_PATH = re.compile(r"(s3[an]?|gc?s|hf|hdfs|az|abfss?|adl|https?|s?ftp|file|memory):/", re.IGNORECASE)


def as_folder(place):
    """The path of a set that a user names.

    Args:
        place: a local path, or "s3://bucket/folder" as text or as an object whose text it is.

    Returns:
        pathlib.Path or s3.S3Path.

    Raises:
        UsageError: another kind of URL, or a Path made of one.
    """
    if isinstance(place, S3Path):
        return place
    if scheme := _URL.match(str(place)):
        if scheme[1] == "s3":
            return S3Path.parse(str(place))
        raise UsageError(f"{scheme[0]}... is no place for a set; expected a folder of this machine, or s3://BUCKET/FOLDER")
    if is_url(place):
        raise UsageError(f"{place} is a path made of a URL; pass the URL as text, such as 's3://BUCKET/FOLDER'")
    return Path(place)


def is_url(place):
    """True for text or a Path that was meant as a URL."""
    return bool(_URL_AS_PATH.match(str(place) if isinstance(place, S3Path) else os.fspath(place)))


def is_remote(path):
    """True for a path in S3."""
    return isinstance(path, S3Path)
