"""The loading script for its tests: its class, whole data sets by it, and a set on the emulated Hub."""

import contextlib
import sys

from conftest import ROOT
from describe_rows import describe
from hub import HubServer
from small_sets import small_set

SCRIPT = ROOT / "builder" / "fgbg_depth.py"
sys.path.insert(0, str(ROOT))
from builder.fgbg_depth import FgbgDepth  # noqa: E402 - a script, no part of the installed package

__all__ = ["SCRIPT", "FgbgDepth", "described", "plain_set_on_a_hub", "prepared"]


def prepared(builder, **options):
    """All splits, downloaded and prepared by a builder."""
    builder.download_and_prepare(**options)
    return builder.as_dataset()


def described(loaded):
    """{split: its description} of loaded splits or streams."""
    return {split: describe(data) for split, data in loaded.items()}


@contextlib.contextmanager
def plain_set_on_a_hub(folder):
    """A hub with the set "plain" as v1.0.0 of alice/set."""
    with HubServer(folder / "hub") as hub:
        repo = hub.create_repo("alice/set")
        repo.write_folder(small_set("plain"))
        repo.tag("v1.0.0")
        yield hub
