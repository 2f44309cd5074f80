"""Start a hub by hand: `python -m tests.hub`, then use the printed variables in another terminal; Ctrl-C ends it."""

import argparse
import signal
import sys
import tempfile
import threading
from pathlib import Path

from . import accounts, faults
from .server import HubServer


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m tests.hub", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="of the hub; the cdn takes the next one (default: free ones)")
    parser.add_argument("--root", type=Path, help="folder of the state, kept afterwards (default: one that is removed)")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="wait before every answer [milliseconds]")
    parser.add_argument("--bytes-per-s", type=float, help="bandwidth each way [bytes/s]")
    parser.add_argument("--part-bytes", type=int, help="send larger objects in parts of this size [bytes]")
    parser.add_argument(
        "--fault", action="append", default=[], metavar="RULE",
        help='such as "503 method=POST path=/commit/ count=2" or "drop-request:1000 port=cdn after=1"; may be repeated',
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="don't print the requests")
    args = parser.parse_args(argv)
    try:
        rules = [faults.parse(text) for text in args.fault]
    except ValueError as error:
        parser.error(str(error))

    with tempfile.TemporaryDirectory(prefix="hub-") as temporary:
        options = {"part_bytes": args.part_bytes} if args.part_bytes else {}
        hub = HubServer(
            args.root or Path(temporary) / "state", args.port, args.port + 1 if args.port else 0,
            None if args.quiet else lambda entry: print(entry, file=sys.stderr, flush=True),
            delay_s=args.delay_ms / 1000, bytes_per_s=args.bytes_per_s, **options,
        )  # fmt: skip
        for rule in rules:
            hub.faults.add(**rule)
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        with hub:
            _print_help(hub, Path(temporary) / "home" if args.root is None else args.root / "client")
            ended.wait()
    return 0


def _print_help(hub, home):
    print(f"# a hub on {hub.endpoint}, its cdn on {hub.cdn_endpoint}; Ctrl-C ends it", flush=True)
    for name, value in hub.env(home).items():
        print(f"export {name}={value}")
    others = {"reads only": accounts.READ_TOKEN, "fine-grained, reads only": accounts.FINE_READ_TOKEN, "bob": accounts.OTHER_TOKEN}
    print("# other tokens:", ", ".join(f"{token} ({what})" for what, token in others.items()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
