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
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from fgbg_depth.depth import DenseDepthForDepthEstimation
from fgbg_depth.depth.training.mini import embedded_folder
from fgbg_depth.errors import FgbgDepthError, UsageError
from fgbg_depth.progress import for_stream
from fgbg_depth.training import Collate, JointTransform, Loader, Normalise, open_rows

WIDTHS = (16, 32, 48, 64)  # channels of the maps that are new, at 1/2, 1/4, 1/8, 1/16 of the size
TRAINED_PACE = 0.2  # learning rate of what comes trained, as a part of that of what is new
DELTA1 = 1.25  # a pixel counts when predicted / true depth, or its inverse, is below: Eigen et al., NeurIPS 2014


class TwoHeads(nn.Module):
    """The encoder of densedepth-mini, which knows rooms, and new layers up to two maps: logits of the mask, metres; (N, 1, H, W)."""

    def __init__(self, normalise):
        super().__init__()
        trained = DenseDepthForDepthEstimation.from_pretrained(embedded_folder())
        self.encoder, self.normalise = trained.encoder, normalise
        skips = (*[trained.config.num_init_features] * 2, *trained.config.transition_channels[:2])  # finest first
        above = (*WIDTHS[1:], trained.config.encoder_channels[-1])
        self.up = nn.ModuleList(convolutions(a + s, w) for a, s, w in zip(above, skips, WIDTHS, strict=True))
        self.last = nn.Conv2d(WIDTHS[0] + 12, 8, 3, padding=1)  # 12: the picture itself, 2 x 2 pixels packed into channels

    def forward(self, images):
        height, width = images.shape[-2:]
        pixels = self.normalise.image_of(images)  # the encoder was trained on values of 0 to 1
        pixels = F.pad(pixels, (0, -width % 32, 0, -height % 32), mode="replicate")
        # bfloat16 takes half the time on GPUs, and on processors with AMX.
        with torch.autocast(images.device.type, torch.bfloat16):
            x, skips = self.encoder(pixels)
            for block, skip in zip(reversed(self.up), reversed(skips), strict=True):
                x = block(torch.cat([F.interpolate(x, scale_factor=2, mode="bilinear"), skip], 1))
        x = self.last(torch.cat([x.float(), F.pixel_unshuffle(pixels, 2)], 1))
        mask, log_depth = F.pixel_shuffle(x, 2)[..., :height, :width].split(1, 1)
        return mask, log_depth.clamp(-5, 5).exp()


def convolutions(inputs, outputs):
    layers = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def loss_of(logits, depth, batch):
    """Cross entropy and overlap (Dice) of the mask, and the depth's mean absolute error in logarithms: of ratios, as delta1 counts them."""
    mask, chance = batch["mask"], logits.sigmoid()
    dice = 1 - (2 * (chance * mask).sum() + 1) / (chance.sum() + mask.sum() + 1)  # 1: so that empty masks have one
    error = (depth.log() - batch["depth"].clamp(min=0.01).log()).abs().mean()
    return F.binary_cross_entropy_with_logits(logits, mask) + dice + error


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
    # Channels last, as batches come: a third quicker on processors.
    normalise = Normalise.of_set(args.set, depth="metres").to(args.device)
    model = TwoHeads(normalise).to(args.device, memory_format=torch.channels_last)
    paces = ((model.encoder, TRAINED_PACE), (model.up, 1), (model.last, 1))
    groups = [{"params": list(part.parameters()), "peak": args.lr * pace} for part, pace in paces]
    optimizer = torch.optim.AdamW(groups, lr=args.lr, weight_decay=1e-2)
    # Pieces at the scale that validation has, in other colours, or the few backgrounds of a small set are learnt by heart.
    cuts = JointTransform(args.size, crop="random", jitter=(0.3, 0.3, 0.3, 0.05), seed=args.seed)
    rows = open_rows(args.set, "train", args.streaming, shuffle_seed=args.seed if args.streaming else None)
    loader = Loader(rows, args.batch_size, collate=Collate(cuts), num_workers=args.workers, seed=args.seed, drop_last=True)
    whole = Collate(JointTransform.for_validation())
    held_out = Loader(open_rows(args.set, "validation", args.streaming), args.batch_size, collate=whole, num_workers=args.workers)
    curve = restore(args.out, model, optimizer, loader) if args.resume else []
    total = rows.info.splits["train"].num_examples // args.batch_size * args.epochs
    with for_stream().task("training", total, done=total * len(curve) // args.epochs, unit="batches") as task:
        for epoch in range(len(curve), args.epochs):
            for group in optimizer.param_groups:  # half a cosine, from the peak to nothing
                group["lr"] = group["peak"] * (1 + math.cos(math.pi * epoch / args.epochs)) / 2
            model.train().encoder.eval()  # it keeps the means and deviations that it was trained with
            losses = []
            for batch in map(normalise, loader):
                loss = loss_of(*model(batch["image"]), batch)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
                task.update(total * epoch // args.epochs + len(losses))
            if not losses:
                raise UsageError(f"{args.set} has fewer rows in train than a batch of {args.batch_size}")
            curve.append({"loss": sum(losses) / len(losses), **evaluate(model, held_out, normalise)})
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
    for axes, name, title in ((left, "loss", "loss on train"), (right, "iou", "mask IoU"), (right, "delta1", "depth delta1")):
        axes.plot(range(1, len(curve) + 1), [point[name] for point in curve], label=f"{title}: {curve[-1][name]:.2f}")
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
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--size", type=int, default=128, help="side of the pieces to train on [pixels]")
    parser.add_argument("--lr", type=float, default=2e-3, help="peak learning rate")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    try:
        if args.size < 32 or args.epochs < 1:
            raise UsageError(f"--size {args.size}, --epochs {args.epochs}: expected at least 32 pixels and one epoch")
        curve = train(args)
    except FgbgDepthError as error:
        print(f"train_example: {error}", file=sys.stderr)
        return error.exit_code
    draw(curve, args.out / "curve.png")
    print(f"validation: mask IoU {curve[-1]['iou']:.3f}, depth delta1 {curve[-1]['delta1']:.3f}; curve: {args.out / 'curve.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
