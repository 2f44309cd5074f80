"""Render furnished rooms with exact depth, to train the small depth network on: NNNNN_V.jpg and NNNNN_V.png (16-bit millimetres).

    pip install 'fgbg-depth[rooms]'
    python scripts/render_rooms.py --out rooms/train --rooms 300 --first 10000 --furniture BlendSwap-CC-0.sh3f --panoramas PICTURES

The same seed, number, furniture, panoramas and library versions give the same room, whatever else is made. After an interruption the same
command goes on; a room is there whole or not. Progress goes to stderr. Furniture: `scripts/rooms/catalogue.py` says where it comes from.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent)]  # the package `rooms` beside this file

from rooms.catalogue import DEFAULT_FILE, Catalogue  # noqa: E402
from rooms.files import check_range, clean, missing_rooms  # noqa: E402
from rooms.work import Job, list_panoramas, make_rooms  # noqa: E402

from fgbg_depth.errors import FgbgDepthError, UsageError  # noqa: E402
from fgbg_depth.files import locked  # noqa: E402


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, help="folder to write to; rooms that are there already stay")
    parser.add_argument("--rooms", type=int, required=True, help="how many")
    parser.add_argument("--first", type=int, default=10_000, help="number of the first room (default 10000)")
    parser.add_argument("--views", type=int, default=Job.views, help=f"of each room (default {Job.views})")
    parser.add_argument("--seed", type=int, default=Job.seed)
    parser.add_argument("--size", type=int, default=Job.size_px, help=f"side of a picture [pixels] (default {Job.size_px})")
    parser.add_argument("--samples", type=int, default=Job.samples, help=f"for each pixel, before the denoiser (default {Job.samples})")
    parser.add_argument("--jobs", type=int, default=1, help="processes, each with one thread; they don't change the pictures")
    parser.add_argument("--furniture", default=str(DEFAULT_FILE), help=f"BlendSwap-CC-0.sh3f (default {DEFAULT_FILE})")
    parser.add_argument("--panoramas", nargs="*", default=[], help="pictures, or folders of them, for windows and wall pictures")
    return parser.parse_args(argv)


def run(args):
    check_range(args.first, args.rooms, args.views)
    for name in ("size", "samples", "jobs"):
        if getattr(args, name) < 1:
            raise UsageError(f"--{name} {getattr(args, name)}: must be at least 1")
    Catalogue(args.furniture)  # a missing file is an error before anything begins
    job = Job(args.out, args.furniture, list_panoramas(args.panoramas), args.seed, args.views, args.size, args.samples)
    with locked(args.out):
        clean(args.out)
        todo = missing_rooms(args.out, args.first, args.rooms, args.views)
        log(f"{args.out}: {args.rooms - len(todo)} of {args.rooms} rooms are there, {len(todo)} to make")
        if todo:
            watch(make_rooms(job, todo, args.jobs), len(todo), args.views)


def watch(finished, total, views):
    """A line for each room: how far, how fast, how long still."""
    begin_s = time.monotonic()
    for done, (room, (kind, mood, attempts)) in enumerate(finished, 1):
        each_s = (time.monotonic() - begin_s) / done
        again = f", attempt {attempts}" if attempts > 1 else ""
        hours, minutes = divmod(round((total - done) * each_s / 60), 60)
        log(f"{done}/{total} room {room} ({kind}, {mood}{again})  {each_s / views:.1f} s a view, {hours} h {minutes:02d} min left")


def log(line):
    print(line, file=sys.stderr, flush=True)


def main(argv=None):
    try:
        run(parse(argv))
    except FgbgDepthError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
