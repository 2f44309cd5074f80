"""torch's chance by keys: a function of what it is drawn for, not of what was drawn before."""

import contextlib

import torch

from ..keyed import key64

_BITS63 = (1 << 63) - 1  # torch takes seeds as signed 64 bits


def torch_seed(*parts):
    """A seed for torch's generators from strings and integers; see `keyed.key64`."""
    return key64(*parts) & _BITS63


@contextlib.contextmanager
def chance(*parts):
    """torch's own generator begins with the seed of `parts` inside, and is as it was outside."""
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(torch_seed(*parts))
    try:
        yield
    finally:
        torch.set_rng_state(state)
