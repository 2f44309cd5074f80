"""`fgbg-depth versions`: the versions of a published set."""

import json
import sys

from . import hub_flags


def add_arguments(parser):
    """Add the arguments of `versions` to an argparse parser."""
    parser.add_argument("repo", metavar="USER/SET", help="the repository")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")


def run(args):
    """Print the versions, the newest first."""
    from ..errors import UsageError
    from ..hub.history import list_versions
    from ..hub.release import pending_version
    from ..hub.remote import Remote

    remote = Remote(hub_flags.open_api(), args.repo, patience=hub_flags.patience())
    snapshot = remote.snapshot()
    if not snapshot.exists:
        raise UsageError(f"{remote.url} isn't there, or this token may not see it")
    found = list_versions(remote, snapshot)
    if args.json:
        print(json.dumps([version.__dict__ for version in found]))
        return 0
    for version in found:
        print(f"{version.version:<10} {version.date:<10} {version.commit[:8]}  {version.words}")
    if not found:
        print(f"{remote.url} has no version yet")
    pending = pending_version(remote, snapshot)
    if pending:
        print(f"note: {pending[0]} is on main without its tag; publish again to set it", file=sys.stderr)
    return 0
