"""The training loop: seeded, resumable, with averaged weights, and a schedule that fits a number of steps or minutes.

The learning rate warms up, stays level, and falls along a cosine to zero; the last part sees calmer pictures. A run by
minutes becomes a run by steps when the fall begins: the number of steps then follows from those done so far and is logged,
so `--steps` with that number repeats it. One checkpoint file (safetensors, renamed into place) holds everything that the
next step needs.
"""

import json
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from fgbg_depth.depth.training.augment import PASTE_SHARE
from fgbg_depth.depth.training.batches import batches_ahead
from fgbg_depth.depth.training.losses import GRADIENT, depth_loss, log_depth
from fgbg_depth.depth.training.measure import measure_rooms
from fgbg_depth.errors import UsageError, WeightsError

CALM_SHARE = 0.2  # last part of a run that sees calm pictures: the weights settle on the rooms' own fields of view


@dataclass(frozen=True)
class Settings:
    """Everything that decides the weights, beside data, architecture and library versions.

    Attributes:
        seed: of initial weights, order and augmentation.
        steps: total number of steps; None: by `minutes`.
        minutes: wall-clock training time [min]; None: by `steps`.
        batch_size: pictures for each step.
        peak_lr: level learning rate of AdamW.
        weight_decay: AdamW's, on convolution kernels only.
        warmup_steps: steps of linear warm-up.
        fall_share: last part of the run, in which the rate falls.
        ema_decay: decay of the averaged weights for each step.
        clip_norm: largest gradient norm.
        gradient_weight: of the loss's gradient term.
        paste_share: share of pictures with a cut-out.
        bfloat16: run the network in bfloat16 (several times faster on processors with AMX); weights and loss stay float32.
        data_threads: threads that make batches; changes nothing else.
        save_s, watch_s: time between checkpoints, and between measurements on the watch rooms [s].
    """

    seed: int = 0
    steps: int | None = None
    minutes: float | None = None
    batch_size: int = 16
    peak_lr: float = 1.5e-3
    weight_decay: float = 0.05
    warmup_steps: int = 300
    fall_share: float = 0.6
    ema_decay: float = 0.999
    clip_norm: float = 1.0
    gradient_weight: float = GRADIENT
    paste_share: float = PASTE_SHARE
    bfloat16: bool = True
    data_threads: int = 1
    save_s: float = 120.0
    watch_s: float = 300.0

    def __post_init__(self):
        if (self.steps is None) == (self.minutes is None):
            raise UsageError("give either a number of steps or a number of minutes, and not both")
        if (self.minutes if self.steps is None else self.steps) <= 0 or self.batch_size < 2:
            raise UsageError(f"steps {self.steps}, minutes {self.minutes}: must be above 0; batch {self.batch_size}: at least 2")


# What must be equal for a run to go on; the others only decide when something is written.
RESUMED = (
    *("seed", "batch_size", "peak_lr", "weight_decay", "warmup_steps", "fall_share", "ema_decay", "clip_norm", "bfloat16"),
    *("gradient_weight", "paste_share"),
)


def learning_rate(step, total, settings):
    """Learning rate of a step.

    Args:
        step: int from 0.
        total: number of steps, or None while it isn't known (before the fall).
    """
    rate = settings.peak_lr * min(1.0, (step + 1) / settings.warmup_steps)
    if total is None:
        return rate
    left = (total - step) / max(1.0, settings.fall_share * total)
    return rate * (0.5 - 0.5 * math.cos(math.pi * min(1.0, left)))


class Trainer:
    """Model, averaged model, optimizer and counters of one run; `train` moves them on.

    Args:
        model: DenseDepthForDepthEstimation with its first weights; changed in place.
        average: a second one of the same config; receives the averaged weights.
        settings: Settings.
    """

    def __init__(self, model, average, settings):
        self.model, self.average, self.settings = model, average, settings
        self.step, self.total, self.elapsed_s = 0, settings.steps, 0.0
        average.load_state_dict(model.state_dict())
        average.eval()
        kernels = [p for p in model.parameters() if p.ndim > 1]
        others = [p for p in model.parameters() if p.ndim <= 1]
        groups = [{"params": kernels, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=settings.peak_lr)

    def train(self, rooms, cutouts, watch=None, checkpoint=None, log=print, stop_at=None):
        """Run to the end of the schedule (or to step `stop_at`).

        Args:
            rooms, cutouts: training data. watch: Rooms measured now and then, or None.
            checkpoint: path of the checkpoint file, or None. log: called with one line of text.
        """
        s = self.settings
        source, planned = self._source(rooms, cutouts), self.total
        start_s = time.monotonic() - self.elapsed_s
        saved_s = watched_s = said_s = self.elapsed_s
        sums, count = {}, 0
        self.model.train().to(memory_format=torch.channels_last)
        while self.step != stop_at and not self._is_over():
            if planned != self.total:  # the length was fixed just now, so the queue may hold batches that should be calm
                source.close()
                source, planned = self._source(rooms, cutouts), self.total
            parts = self._one_step(*next(source))
            count += 1
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + value
            self.elapsed_s = time.monotonic() - start_s
            if self.elapsed_s - said_s >= 20.0 or self._is_over():  # a line every 20 s
                losses = " ".join(f"{name} {value / count:.4f}" for name, value in sums.items())
                rate = count * s.batch_size / max(self.elapsed_s - said_s, 1e-9)
                done = f"step {self.step}/{self.total or '?'} {self.elapsed_s / 60:.1f} min lr {self._rate():.2e}"
                log(f"{done} {losses} {rate:.1f} pictures/s")
                sums, count, said_s = {}, 0, self.elapsed_s
            if watch is not None and (self.elapsed_s - watched_s >= s.watch_s or self._is_over()):
                log(f"step {self.step} watch rooms: {_brief(measure_rooms(self.average, watch, bfloat16=s.bfloat16))}")
                watched_s = self.elapsed_s = time.monotonic() - start_s
            if checkpoint and (self.elapsed_s - saved_s >= s.save_s or self._is_over()):
                self.save(checkpoint)
                saved_s = self.elapsed_s
        source.close()

    def _source(self, rooms, cutouts):
        """Batches from the present step on; while the length isn't known, the calm part is far away."""
        s, calm_from = self.settings, math.inf if self.total is None else math.ceil((1.0 - CALM_SHARE) * self.total)
        return batches_ahead(rooms, cutouts, s.seed, self.step, s.batch_size, s.data_threads, calm_from, s.paste_share)

    def _is_over(self):
        """Whether the last step was done; fixes the number of steps when a run by minutes begins its fall."""
        s = self.settings
        if self.total is None and self.elapsed_s >= 60.0 * s.minutes * (1.0 - s.fall_share):
            self.total = max(self.step + 1, math.ceil(self.step / (1.0 - s.fall_share)))
        return self.total is not None and self.step >= self.total

    def _rate(self):
        return learning_rate(self.step, self.total, self.settings)

    def _one_step(self, images, depth_m, valid):
        """Forward, backward, update, average; returns the parts of the loss as floats."""
        s = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=s.bfloat16):
            raw = self.model.raw(to_input(images))
        log_pred = log_depth(raw[:, 0].float(), self.model.config.max_depth_m)
        loss, parts = depth_loss(log_pred, torch.log(torch.from_numpy(depth_m)), torch.from_numpy(valid), s.gradient_weight)
        if not torch.isfinite(loss):
            raise WeightsError(f"the loss became {loss.item()} at step {self.step}; lower the learning rate and begin anew")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), s.clip_norm)
        self.optimizer.step()
        self.step += 1
        self._update_average(min(s.ema_decay, self.step / (self.step + 9.0)))  # short memory while all moves fast
        return {"loss": loss.item(), **parts}

    @torch.no_grad()
    def _update_average(self, decay):
        mine = [v for v in self.average.state_dict().values() if v.is_floating_point()]
        new = [v for v in self.model.state_dict().values() if v.is_floating_point()]
        torch._foreach_lerp_(mine, new, 1.0 - decay)

    def save(self, path):
        """Write the checkpoint to a temporary name, then rename it."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{k}": v for k, v in state.items()}
        head = {"step": self.step, "total": self.total, "elapsed_s": self.elapsed_s, "settings": asdict(self.settings)}
        temporary = Path(f"{path}.tmp")
        save_file({k: v.contiguous() for k, v in tensors.items()}, temporary, metadata={"run": json.dumps(head)})
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)

    def resume(self, path):
        """Go on from a checkpoint.

        Raises:
            UsageError: there is none, or another architecture or other settings made it.
        """
        if not Path(path).is_file():
            raise UsageError(f"{path}: no checkpoint to resume; leave out --resume to begin anew")
        with safe_open(path, "pt") as file:
            head = json.loads(file.metadata()["run"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a dict)
        mine = asdict(self.settings)
        changed = [f"{k} {head['settings'][k]} -> {mine[k]}" for k in RESUMED if head["settings"][k] != mine[k]]
        if changed:
            raise UsageError(f"{path}: made with other settings ({', '.join(changed)}); resume with the same ones")
        part = lambda name: {k[len(name) + 1 :]: v for k, v in tensors.items() if k.startswith(f"{name}.")}  # noqa: E731
        try:
            self.model.load_state_dict(part("model"))
            self.average.load_state_dict(part("average"))
        except RuntimeError as error:
            raise UsageError(f"{path}: made by another architecture ({str(error).splitlines()[1].strip()})") from error
        state = self.optimizer.state_dict()
        for key, tensor in part("adam").items():
            index, name = key.split(".")
            state["state"].setdefault(int(index), {})[name] = tensor
        self.optimizer.load_state_dict(state)
        self.step, self.elapsed_s = head["step"], head["elapsed_s"]
        self.total = self.settings.steps or head["total"]


def to_input(images):
    """(N, H, W, 3) uint8 RGB -> (N, 3, H, W) float32 in [0, 1], channels last in memory."""
    return (torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255.0).contiguous(
        memory_format=torch.channels_last
    )


def _brief(errors):
    plain, aligned = errors["plain"], errors["median_aligned"]
    return f"delta1 {plain['delta1']:.4f} AbsRel {plain['abs_rel']:.4f}, median-aligned {aligned['delta1']:.4f} {aligned['abs_rel']:.4f}"
