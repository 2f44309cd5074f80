"""The command line: `fgbg-depth VERB ...`. Results go to stdout, progress and errors to stderr.

Exit codes: 0 good, 1 bad data or failed work, 2 wrong use, 130 stopped by Ctrl-C or SIGTERM.
"""

import argparse
import contextlib
import importlib
import os
import signal
import sys

from . import __version__
from .commands.places import refuse_urls
from .errors import FgbgDepthError

# verb -> (module in fgbg_depth.commands, what it does); a module is imported when its verb is used.
VERBS = {
    "generate": ("generate", "make a set from two folders of pictures, or go on with one"),
    "finish": ("finish", "make all that comes after the shards, when several runs made them in parts"),
    "plan": ("plan", "say what generate would make, and write nothing"),
    "fetch": ("fetch", "download source pictures by their addresses, with licences and authors"),
    "cutout": ("cutout", "make cut-outs from photos with a segmentation model"),
    "verify": ("verify", "check every byte, picture and number of a set"),
    "stats": ("stats", "show a set's statistics, or count them anew"),
    "card": ("card", "write a set's card, croissant.json, contact sheets and plots anew"),
    "preview": ("preview", "make one HTML page to look at a set with"),
    "annotate": ("annotate", "put another depth model on the pictures of a finished set, in a further one"),
    "export-original": ("export_original", "write a set as the folders or zips of the set of 2020"),
    "import-original": ("import_original", "read such folders or zips into a set"),
    "drop-asset": ("drop_asset", "take pictures out of a finished set, with all of their rows"),
    "publish": ("publish", "put a set on the Hub, or a further version of it"),
    "versions": ("versions", "list the versions of a published set"),
    "diff": ("diff", "compare the rows of two sets, or of two versions"),
    "rollback": ("rollback", "bring an earlier version of a published set back, as a new one"),
    "push-model": ("push_model", "put converted depth weights on the Hub"),
    "convert-weights": ("convert", "turn the Keras weights of DenseDepth into a folder for transformers"),
}
INTERRUPTED = 130
BROKEN_PIPE = 141


def main(argv=None):
    """Run one command.

    Args:
        argv: arguments without the program's name; None takes those of the process.

    Returns:
        the exit code.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    with terminate_as_interrupt():
        return _run(argv)


def _run(argv):
    args = None
    try:
        args = _parser(argv).parse_args(argv)
        refuse_urls(args.verb, args)
        return args.run(args) or 0
    except SystemExit as stop:  # argparse has spoken: 0 after --help, 2 after wrong use
        return stop.code or 0
    except FgbgDepthError as error:
        print(f"fgbg-depth: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"fgbg-depth: stopped. {getattr(args, 'after_stop', 'Run the same command again to start over.')}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; say nothing at exit
        return BROKEN_PIPE


@contextlib.contextmanager
def terminate_as_interrupt():
    """SIGTERM ends a command as Ctrl-C does. Only in this process, and only while the command runs.

    A process that a library forks off meanwhile dies of it at once, as its parent expects who waits for its end.
    """
    owner = os.getpid()

    def stop(number, frame):
        if os.getpid() == owner:
            raise KeyboardInterrupt
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)  # None: not set by Python


def _parser(argv):
    parser = argparse.ArgumentParser(
        prog="fgbg-depth",
        description="Backgrounds and cut-outs become a data set of composites, masks and depth maps.",
        epilog="`fgbg-depth VERB --help` tells more.",
    )
    parser.add_argument("--version", action="version", version=f"fgbg-depth {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    wanted = next((word for word in argv if not word.startswith("-")), None)
    for verb, (module, text) in VERBS.items():
        sub = verbs.add_parser(verb, help=text, description=text[0].upper() + text[1:] + ".")
        if verb == wanted:
            command = importlib.import_module(f"fgbg_depth.commands.{module}")
            command.add_arguments(sub)
            sub.set_defaults(run=command.run)
    return parser
