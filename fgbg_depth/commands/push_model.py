"""`fgbg-depth push-model`: put converted depth weights on the Hub."""

import json
from pathlib import Path

from ..errors import CardConflictError
from ..progress import Quiet, for_stream
from . import hub_flags


def add_arguments(parser):
    """Add the arguments of `push-model` to an argparse parser."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="a model that convert-weights wrote")
    parser.add_argument("--repo", metavar="USER/MODEL", required=True, help="the model repository; it is made if it isn't there")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--tag", metavar="NAME", help="a tag for the commit; it is never moved")
    parser.add_argument("--message", metavar="TEXT", default="", help="of the commit")
    parser.add_argument("--card", choices=("local", "hub"), help="whose card counts where they differ (default: refuse)")
    parser.add_argument("--plan", action="store_true", help="say what would be sent, and send nothing")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(after_stop="What was sent is kept: run the same command again to go on.")


def run(args):
    """Publish the model and say what came out."""
    from ..hub.model import push_model

    words = {"private": args.private, "tag": args.tag, "message": args.message, "card": args.card, "plan_only": args.plan}
    progress = Quiet() if args.quiet else for_stream()
    api, patience = hub_flags.open_api(), hub_flags.patience()
    try:
        done = push_model(args.folder, args.repo, api=api, progress=progress, patience=patience, **words)
    except CardConflictError as error:
        print(error.difference)
        raise
    if args.json:
        print(json.dumps({**done.__dict__, "sent": list(done.sent)}))
    elif args.plan:
        print(f"{done.url}: {', '.join(done.sent) or 'nothing'} would be sent; nothing was sent now")
    elif done.sent:
        print(f"{done.url}: {', '.join(done.sent)} published")
    else:
        print(f"{done.url} holds all of this already; nothing was sent")
    return 0
