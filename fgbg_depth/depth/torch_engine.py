"""Runs a DenseDepth network with torch: the quick form on the CPU, the plain one in channels-last order on a GPU."""

from contextlib import contextmanager

import torch

from fgbg_depth.depth.engines import TORCH_TYPES
from fgbg_depth.depth.fast import speed_up
from fgbg_depth.errors import DepthModelError

OUT_OF_MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory")  # of MPS and of the CPU, which raise RuntimeError
FIRST_BATCH, LARGEST_BATCH = 8, 256  # batches tried on a GPU; above, nothing is gained and a shard would be padded too far
CPU_BATCH = 16


class TorchRunner:
    """One network on one device.

    Args:
        model: DenseDepthForDepthEstimation in float32.
        size: (height, width) of the input [pixels].
        device: torch device.
        precision: "fp32", "bf16" or "fp16".
    """

    def __init__(self, model, size, device, precision):
        self._device, self._dtype = torch.device(device), TORCH_TYPES[precision]
        if self._device.type == "cpu":
            self._raw = speed_up(model, size, self._dtype).raw
        else:
            self._raw = model.to(device=self._device, dtype=self._dtype, memory_format=torch.channels_last).raw

    def __call__(self, pixel_values):
        """(N, 3, H, W) float32 array in [0, 1] to the raw output (N, H/2, W/2) float32 array.

        Raises:
            DepthModelError: not enough memory for such a batch.
        """
        batch = torch.from_numpy(pixel_values)
        with out_of_memory_explained(len(batch)), torch.inference_mode():
            if self._device.type == "cuda":
                batch = batch.pin_memory().to(self._device, non_blocking=True)
            batch = batch.to(device=self._device, memory_format=torch.channels_last)
            if self._device.type != "cpu":
                batch = batch.to(self._dtype)
            return self._raw(batch)[:, 0].float().cpu().numpy()


def is_out_of_memory(error):
    """Whether an exception of torch says that memory ran out."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in OUT_OF_MEMORY_WORDS)


@contextmanager
def out_of_memory_explained(batch_size):
    """Turn torch's out-of-memory errors into one that says what to do."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise DepthModelError(
            f"Out of memory: the depth network can't take {batch_size} pictures at a time here. Free the device's memory and run the same "
            "command again (finished shards are kept), or use a smaller depth_batch in a new folder."
        ) from error


def find_batch_size(run, device):
    """The batch size for `auto`: on the CPU a constant, on a GPU half of what its memory holds, as other work may come.

    Args:
        run: function of a batch size that runs the network once, and fails as torch does when memory runs out.
        device: torch device.

    Returns:
        int.

    Raises:
        DepthModelError: not even one picture fits.
    """
    if torch.device(device).type == "cpu":
        return CPU_BATCH
    size, good = FIRST_BATCH, 0
    while size <= LARGEST_BATCH:
        if not _fits(run, size, device):
            break
        good, size = size, size * 2
    if good:
        return good if good == LARGEST_BATCH else max(1, good // 2)
    while size > 1:
        size //= 2
        if _fits(run, size, device):
            return size
    raise DepthModelError(
        f"Out of memory: the depth network can't take a single picture on {device}. Free the device's memory, or use the device cpu."
    )


def _fits(run, size, device):
    try:
        run(size)
    except Exception as error:
        cause = error.__cause__ if isinstance(error, DepthModelError) else error
        if cause is None or not is_out_of_memory(cause):
            raise
        return False
    finally:
        if torch.device(device).type == "cuda":
            torch.cuda.empty_cache()
    return True
