"""Train a small network that finds the pasted object and the depth of a picture: an example to read and to change.

    python scripts/train_example.py demo/set --out run            # a folder, or a repo id on the Hub
    python scripts/train_example.py user/set --streaming --resume  # goes on after the last finished epoch, as if never stopped

Writes run/curve.png and run/checkpoint*; prints mask IoU and delta1 of the depth on validation.
"""

import argparse
import json
import math
import os
import sys
from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from fgbg_depth.errors import FgbgDepthError, UsageError
from fgbg_depth.progress import for_stream
from fgbg_depth.training import Collate, CopyPaste, JointTransform, Loader, Normalise, open_rows

WIDTHS = (16, 32, 48, 64, 64)  # channels at 1/2, 1/4, 1/8, 1/16, 1/32 of the size
DEEPEST = 2 ** len(WIDTHS)  # sides have to be multiples of it
DEPTH_WEIGHT = 0.3  # of the depth's error in the loss
DELTA1 = 1.25  # a pixel counts when predicted / true depth, or its inverse, is below: Eigen et al., NeurIPS 2014


class TwoHeads(nn.Module):
    """A U-Net (Ronneberger et al., MICCAI 2015) with two maps: logits of the mask, metres; (N, 1, H, W)."""

    def __init__(self):
        super().__init__()
        inner = (12, *WIDTHS)  # 12: 2 x 2 pixels packed into channels
        self.down = nn.ModuleList(convolutions(i, o) for i, o in zip(inner, WIDTHS, strict=False))
        self.up = nn.ModuleList(convolutions(i + o, o) for o, i in pairwise(WIDTHS))
        self.last = nn.Conv2d(WIDTHS[0], 8, 3, padding=1)

    def forward(self, images):
        height, width = images.shape[-2:]
        x, skips = F.pixel_unshuffle(F.pad(images, (0, -width % DEEPEST, 0, -height % DEEPEST), mode="replicate"), 2), []
        # bfloat16 takes half the time on GPUs, and on processors with AMX.
        with torch.autocast(images.device.type, torch.bfloat16):
            for block in self.down:
                x = block(F.max_pool2d(x, 2) if skips else x)
                skips.append(x)
            for block, skip in zip(reversed(self.up), reversed(skips[:-1]), strict=True):
                x = block(torch.cat([F.interpolate(x, scale_factor=2, mode="bilinear"), skip], 1))
        mask, log_depth = F.pixel_shuffle(self.last(x.float()), 2)[..., :height, :width].split(1, 1)
        return mask, log_depth.clamp(-5, 5).exp()


def convolutions(inputs, outputs):
    layers = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def loss_of(logits, depth, batch):
    """Cross entropy and overlap (Dice) of the mask, and the depth's mean absolute error in logarithms: of ratios, as delta1 counts them."""
    mask, chance = batch["mask"], logits.sigmoid() * batch["known"]
    dice = 1 - (2 * (chance * mask).sum() + 1) / (chance.sum() + mask.sum() + 1)  # 1: so that empty masks have one
    error = (depth.log() - batch["depth"].clamp(min=0.01).log()).abs().mean((1, 2, 3), keepdim=True)
    error = (error * batch["kept"]).sum() / batch["kept"].sum().clamp(min=1)
    return F.binary_cross_entropy_with_logits(logits, mask, weight=batch["known"]) + dice + DEPTH_WEIGHT * error


@torch.no_grad()
def evaluate(model, loader, normalise):
    """{"iou": of all masks together, "delta1": part of all pixels}."""
    model.eval()
    both = either = good = pixels = 0
    for batch in map(normalise, loader):
        logits, depth = model(batch["image"])
        found, mask = logits > 0, batch["mask"] > 0.5
        both, either = both + int((found & mask).sum()), either + int((found | mask).sum())
        ratio, pixels = depth / batch["depth"].clamp(min=0.01), pixels + depth.numel()
        good += int((torch.maximum(ratio, 1 / ratio) < DELTA1).sum())
    return {"iou": both / max(1, either), "delta1": good / max(1, pixels)}


def train(args):
    torch.manual_seed(args.seed)
    torch.set_num_threads(max(1, os.cpu_count() - args.workers))  # more than there are cores left would wait for each other
    normalise = Normalise.of_set(args.set, depth="metres").to(args.device)
    model = TwoHeads().to(args.device, memory_format=torch.channels_last)  # as batches come: a third quicker on processors
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=1e-2)
    rows = open_rows(args.set, "train", args.streaming, shuffle_seed=args.seed if args.streaming else None)
    words = {"batch_size": args.batch_size, "num_workers": args.workers}
    loader = Loader(rows, collate=Collate(JointTransform(seed=args.seed)), seed=args.seed, drop_last=True, **words)
    # Objects over each other's backgrounds: the few backgrounds of a small set would be learnt by heart.
    paste = CopyPaste(normalise, others=4, size=args.size, seed=args.seed)
    held_out = Loader(open_rows(args.set, "validation", args.streaming), **words)
    curve = restore(args.out, model, optimizer, loader) if args.resume else []
    an_epoch = rows.info.splits["train"].num_examples // args.batch_size
    total = max(1, an_epoch * args.epochs)
    with for_stream().task("training", total, done=an_epoch * len(curve), unit="batches") as task:
        for epoch in range(len(curve), args.epochs):
            model.train()
            losses = []
            for batch in loader:
                for group in optimizer.param_groups:  # half a cosine, from the peak to nothing
                    group["lr"] = args.lr * (1 + math.cos(math.pi * (an_epoch * epoch + len(losses)) / total)) / 2
                batch = paste(normalise(batch), epoch, len(losses))
                loss = loss_of(*model(batch["image"]), batch)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
                task.update(an_epoch * epoch + len(losses))
            if not losses:
                raise UsageError(f"{args.set} has fewer rows in train than a batch of {args.batch_size}")
            curve.append({"loss": sum(losses) / len(losses)})
            if epoch + 1 in (*range(0, args.epochs, args.look_every), args.epochs):
                curve[-1] |= evaluate(model, held_out, normalise)
            save(args.out, model, optimizer, loader, curve)
            print(f"epoch {epoch + 1:>3}: " + ", ".join(f"{k} {v:.4f}" for k, v in curve[-1].items()), flush=True)
    return curve


def save(folder, model, optimizer, loader, curve):
    """Weights and the optimizer's moments as safetensors; where the data are, and the curve, as JSON. Both appear whole."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in moments.items()}
    folder.mkdir(parents=True, exist_ok=True)
    name = f"checkpoint-{len(curve):04d}.safetensors"  # a stop between the two writes leaves the older pair
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / name)
    facts = folder / "checkpoint.json.part"
    facts.write_text(json.dumps({"tensors": name, "loader": loader.state_dict(), "curve": curve}))
    facts.replace(folder / "checkpoint.json")
    for old in set(folder.glob("checkpoint-*.safetensors")) - {folder / name}:
        old.unlink()


def restore(folder, model, optimizer, loader):
    """Load what `save` wrote; returns the curve so far."""
    if not (folder / "checkpoint.json").is_file():
        raise UsageError(f"{folder} has no checkpoint.json: nothing to resume; run without --resume first")
    facts = json.loads((folder / "checkpoint.json").read_text())
    tensors = load_file(folder / facts["tensors"])
    model.load_state_dict({name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")})
    state = optimizer.state_dict()
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, number, moment = name.split(".")
            state["state"].setdefault(int(number), {})[moment] = value
    optimizer.load_state_dict(state)
    loader.load_state_dict(facts["loader"])
    return facts["curve"]


def draw(curve, path):
    """Loss, IoU and delta1 of every epoch, as a PNG."""
    from matplotlib.figure import Figure  # without pyplot no screen is needed

    left, right = (figure := Figure(figsize=(9, 3.2), dpi=100, layout="constrained")).subplots(1, 2)
    for number, (name, title) in enumerate({"loss": "loss on train", "iou": "mask IoU", "delta1": "depth delta1"}.items()):
        points = [(epoch, point[name]) for epoch, point in enumerate(curve, 1) if name in point]
        (right if number else left).plot(*zip(*points, strict=True), f"C{number}", label=f"{title}: {points[-1][1]:.2f}")
    left.set(xlabel="epoch", ylim=(0, None))
    right.set(xlabel="epoch", ylim=(0, 1), title="validation")
    figure.legend(loc="outside right upper")
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", help="a set's folder, or a repo id on the Hub")
    parser.add_argument("--out", type=Path, default=Path("run"), help="folder for curve and checkpoint")
    parser.add_argument("--streaming", action="store_true", help="read rows as they come, without a download")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--epochs", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=12)
    parser.add_argument("--size", type=int, default=128, help="side of the pieces to train on [pixels]")
    parser.add_argument("--lr", type=float, default=3e-3, help="peak learning rate")
    parser.add_argument("--look-every", type=int, default=4, help="epochs between two looks at validation")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    try:
        if args.size < 32 or min(args.epochs, args.look_every) < 1:
            raise UsageError(f"--size {args.size}, --epochs {args.epochs}, --look-every {args.look_every}: expected at least 32, 1 and 1")
        curve = train(args)
    except FgbgDepthError as error:
        print(f"train_example: {error}", file=sys.stderr)
        return error.exit_code
    draw(curve, args.out / "curve.png")
    print(f"validation: mask IoU {curve[-1]['iou']:.3f}, depth delta1 {curve[-1]['delta1']:.3f}; curve: {args.out / 'curve.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
