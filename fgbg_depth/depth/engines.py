"""Which engine and arithmetic run a network: what there is, what goes together, and what `auto` means here.

    engine    precision on the CPU    on CUDA             on MPS
    torch     fp32, bf16              fp32, bf16, fp16    fp32, fp16
    openvino  fp32, bf16              -                   -

openvino is for DenseDepth networks; other models of `transformers` run on torch. The choice moves the last bits of depth, or more, so
it is made before the first row and recorded. Why there is no fp16 on the CPU and no int8: docs/depth_engines.md.
"""

import importlib.util
from dataclasses import dataclass

import torch

from fgbg_depth.errors import DepthModelError, UsageError

AUTO = "auto"
TORCH, OPENVINO = "torch", "openvino"
FP32, BF16, FP16 = "fp32", "bf16", "fp16"
ENGINES = (AUTO, TORCH, OPENVINO)
PRECISIONS = (AUTO, FP32, BF16, FP16)
TORCH_TYPES = {FP32: torch.float32, BF16: torch.bfloat16, FP16: torch.float16}
POSSIBLE = {
    (TORCH, "cpu"): (FP32, BF16),  # fp16 runs too, slower than fp32
    (TORCH, "cuda"): (FP32, BF16, FP16),
    (TORCH, "mps"): (FP32, FP16),
    (OPENVINO, "cpu"): (FP32, BF16),
}
INSTALL_OPENVINO = 'pip install "fgbg-depth[openvino]"'


@dataclass(frozen=True)
class Choice:
    """What runs a network.

    Attributes:
        engine, precision: never `auto`.
        reason: one sentence, the same on each machine of a kind.
    """

    engine: str
    precision: str
    reason: str


AS_BEFORE = Choice(TORCH, FP32, "as asked for")


class MissingEngineError(DepthModelError, ImportError):
    """An engine that was asked for isn't installed."""


def choose(engine, precision, device, densedepth=True):
    """Settle engine and precision.

    Args:
        engine: one of `ENGINES`.
        precision: one of `PRECISIONS`.
        device: torch device.
        densedepth: whether the network is a DenseDepth.

    Returns:
        Choice.

    Raises:
        UsageError: an unknown word, or two that don't go together; the message says what is possible.
        MissingEngineError: openvino was asked for and isn't installed.
    """
    for what, value, choices in (("engine", engine, ENGINES), ("precision", precision, PRECISIONS)):
        if value not in choices:
            raise UsageError(f"Depth {what} {value!r} is unknown. Expected one of: {', '.join(choices)}.")
    reasons = []
    if precision == AUTO:
        precision, reason = _best_precision(engine, device)
        reasons.append(reason)
    if engine == AUTO:
        engine, reason = _best_engine(precision, device, densedepth)
        reasons.append(reason)
    _check_pair(engine, precision, device, densedepth)
    if engine == OPENVINO and not has_openvino():
        raise MissingEngineError(
            f"Depth engine {OPENVINO!r} isn't installed. Install it with: {INSTALL_OPENVINO}, or use the engine {TORCH!r}.", name=OPENVINO
        )
    return Choice(engine, precision, "; ".join(reasons) or "as asked for")


def has_openvino():
    """Whether the package is there; it isn't imported."""
    return importlib.util.find_spec("openvino") is not None


def has_fast_bf16():
    """Whether the processor multiplies bfloat16 in hardware."""
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(check() for check in checks if check is not None)


def _best_precision(engine, device):
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported():
            return BF16, "bf16: the GPU has it"
        return FP16, "fp16: the GPU has no bf16"
    if device.type == "mps":
        return FP16, "fp16: half the memory traffic"
    if has_fast_bf16():
        return BF16, "bf16: the processor has instructions for it"
    return FP32, "fp32: the processor has no instructions for bf16"


def _best_engine(precision, device, densedepth):
    if not densedepth or (OPENVINO, device.type) not in POSSIBLE or precision not in POSSIBLE[OPENVINO, device.type]:
        return TORCH, f"torch: the engine for such a model and precision on {device.type}"
    if precision == FP32:
        return TORCH, "torch: quickest in fp32"
    if has_openvino():
        return OPENVINO, f"openvino: quickest in {precision}"
    return TORCH, "torch: openvino isn't installed"


def _check_pair(engine, precision, device, densedepth):
    if not densedepth and engine != TORCH:
        raise UsageError(f"Depth engine {engine!r} runs DenseDepth networks only. Use the engine {TORCH!r} for this model.")
    possible = POSSIBLE.get((engine, device.type))
    if possible is None:
        raise UsageError(f"Depth engine {engine!r} doesn't run on {device.type}. Use the engine {TORCH!r}, or the device cpu.")
    if precision not in possible:
        raise UsageError(
            f"Depth precision {precision!r} isn't possible with the engine {engine!r} on {device.type}. Expected one of: "
            f"{', '.join(possible)}."
        )
