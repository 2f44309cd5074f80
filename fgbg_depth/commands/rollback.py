"""`fgbg-depth rollback`: bring an earlier version back, as a new one."""

import json

from . import hub_flags


def add_arguments(parser):
    """Add the arguments of `rollback` to an argparse parser."""
    parser.add_argument("repo", metavar="USER/SET", help="the repository")
    parser.add_argument("--to", metavar="vX.Y.Z", required=True, help="the version whose content shall come back")
    parser.add_argument("--message", metavar="TEXT", default="", help="why, for the card's list of versions")
    parser.add_argument("--plan", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--bring-back-dropped", action="store_true", help="even pictures that were taken out of the set since")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(after_stop="Main is as it was, or holds the whole version: run the same command again.")


def run(args):
    """Roll back, or plan it, and say what came out."""
    from ..hub.release import Wish
    from ..hub.rollback import rollback

    api, patience = hub_flags.open_api(), hub_flags.patience()
    words = {"plan_only": args.plan, "with_dropped": args.bring_back_dropped}
    done = rollback(args.repo, args.to, api=api, wish=Wish(message=args.message), patience=patience, **words)
    if args.json:
        print(json.dumps({**done.__dict__, "restore": list(done.restore), "drop": list(done.drop)}))
        return 0
    verb = "would make" if args.plan else "is now"
    print(
        f"{done.url} {verb} {done.version}: the content of {done.to}, {len(done.restore):,} files brought back, {len(done.drop):,} dropped"
    )
    print("no version was changed, and no data was sent" if not args.plan else "nothing was done now")
    return 0
