"""The part of `fgbg-depth verify` that is about sets on the Hub."""

from ..errors import UsageError
from . import hub_flags

LOCAL_ONLY = {"rebuild": 0, "depth_model": None, "depth_weights": None}  # what needs the pictures, and its default


def is_on_hub(args):
    """True when the argument names a repository and no folder.

    Raises:
        UsageError: flags of the one kind were given for the other.
    """
    name = args.folder.as_posix()
    if args.folder.exists() or name.count("/") != 1 or name.startswith((".", "~")):
        if args.revision or args.full:
            raise UsageError(f"--revision and --full are for sets on the Hub, and {args.folder} is a path here")
        return False
    given = [flag for flag, default in LOCAL_ONLY.items() if getattr(args, flag) != default]
    if given and not args.full:
        raise UsageError(f"--{given[0].replace('_', '-')} needs the pictures: add --full to download {name}, or name a folder")
    return True


def verify_on_hub(args):
    """A verify.Report of what the Hub tells; nothing large is downloaded."""
    from ..hub.remote import split_name
    from ..hub.verify_remote import verify_remote

    repo_id, revision = split_name(args.folder.as_posix())
    return verify_remote(repo_id, args.revision or revision, api=hub_flags.open_api(), patience=hub_flags.patience())


def download(args):
    """The folder of a downloaded version."""
    from pathlib import Path

    from ..hub.remote import split_name
    from ..hub.verify_remote import download_version

    repo_id, revision = split_name(args.folder.as_posix())
    return Path(download_version(repo_id, args.revision or revision, api=hub_flags.open_api(), patience=hub_flags.patience()))
