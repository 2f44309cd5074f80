"""Arguments that name the place of a set: here or in S3."""

import argparse
from pathlib import Path

from ..errors import UsageError
from ..folders import as_folder, is_url


def place(text):
    """argparse type: pathlib.Path, or s3.S3Path of an s3:// URL."""
    try:
        return as_folder(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def refuse_urls(verb, args):
    """Refuse URLs for all other arguments that name a file or a folder.

    Args:
        verb: name of the command.
        args: what argparse parsed; its `takes_s3` names arguments whose text may be an s3:// URL.

    Raises:
        UsageError: there is such a URL.
    """
    for name, value in vars(args).items():
        if isinstance(value, Path | str) and name not in getattr(args, "takes_s3", ()) and _is_place(value):
            raise UsageError(
                f"`{verb}` takes no URL as {name.upper()}: the commands for sets in S3 are generate, finish, plan, verify and stats. Copy "
                f"it to this machine first, as with `aws s3 sync s3://BUCKET/FOLDER DIR`"
            )


def _is_place(value):
    return is_url(value) and not str(value).startswith(("http:", "https:"))
