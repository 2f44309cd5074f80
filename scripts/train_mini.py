"""Train the small depth network `densedepth-mini` on rooms with exact depth, with cut-outs pasted in.

    python scripts/train_mini.py --rooms rooms/train --foregrounds assets/fg --out densedepth-mini --minutes 75
    python scripts/train_mini.py ... --resume        go on after an interruption

The same data, seed, steps, threads, library versions and kind of processor give the same weights. Progress goes to stderr.
"""

import argparse
import sys

import torch

from fgbg_depth.depth.training.loop import Settings, Trainer
from fgbg_depth.depth.training.mini import EMBEDDED_NAME, begin_with, check_target, new_model, write_folder
from fgbg_depth.depth.training.paste import load_cutouts
from fgbg_depth.depth.training.rooms import load_rooms
from fgbg_depth.errors import FgbgDepthError, UsageError


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rooms", required=True, help="folder of NNNNN_V.jpg and NNNNN_V.png (16-bit millimetres)")
    parser.add_argument("--foregrounds", required=True, help="folder of RGBA cut-outs; one in five is left to the evaluation")
    parser.add_argument("--out", required=True, help="folder to write the model to")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=int, help="length of the run [steps]; repeatable")
    length.add_argument("--minutes", type=float, help="length of the run [min]; the number of steps is logged")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="torch threads (they move the last bit)")
    parser.add_argument("--batch-size", type=int, default=Settings.batch_size)
    parser.add_argument("--peak-lr", type=float, default=Settings.peak_lr)
    parser.add_argument("--gradient-weight", type=float, default=Settings.gradient_weight, help="of the loss's gradient term: edges")
    parser.add_argument("--paste-share", type=float, default=Settings.paste_share, help="share of pictures with a cut-out")
    parser.add_argument("--init", metavar="MODEL", help=f"begin with the weights of {EMBEDDED_NAME} or of a folder")
    parser.add_argument("--fp32", action="store_true", help="no bfloat16; slower, more so with AMX")
    parser.add_argument("--checkpoint", help="checkpoint file (default: OUT.checkpoint.safetensors)")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    return parser.parse_args(argv)


def run(args):
    if args.threads < 1:
        raise UsageError(f"--threads {args.threads}: must be at least 1")
    settings = Settings(
        seed=args.seed,
        steps=args.steps,
        minutes=args.minutes,
        batch_size=args.batch_size,
        peak_lr=args.peak_lr,
        gradient_weight=args.gradient_weight,
        paste_share=args.paste_share,
        bfloat16=not args.fp32,
    )
    torch.set_num_threads(args.threads)
    check_target(args.out)
    checkpoint = args.checkpoint or f"{args.out.rstrip('/')}.checkpoint.safetensors"
    rooms, watch = load_rooms(args.rooms, "train"), load_rooms(args.rooms, "watch")
    cutouts = load_cutouts(args.foregrounds, held_out=False)
    model = new_model(args.seed)
    if args.init:
        begin_with(model, args.init)
    trainer = Trainer(model, new_model(args.seed), settings)
    if args.resume:
        trainer.resume(checkpoint)
    values = sum(p.numel() for p in trainer.model.parameters())
    log(f"{len(rooms)} views to train on, {len(watch)} to watch, {len(cutouts)} cut-outs; {values / 1e6:.2f} million values")
    trainer.train(rooms, cutouts, watch, checkpoint, log)
    write_folder(trainer.average, args.out)
    log(f"{args.out}: written after {trainer.step} steps and {trainer.elapsed_s / 60:.1f} minutes")


def log(line):
    print(line, file=sys.stderr, flush=True)


def main(argv=None):
    try:
        run(parse(argv))
    except FgbgDepthError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; the same command with --resume goes on from the last checkpoint", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
