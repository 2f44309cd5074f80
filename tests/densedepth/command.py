"""Runs `convert-weights`: as a process of its own, or quicker in this one."""

import argparse
import contextlib
import io
import json
import subprocess
import sys

import pytest

from fgbg_depth.commands.convert import add_arguments, run
from fgbg_depth.errors import WeightsError

NEVER_WRITTEN = "was declared but never written"  # how a file without values fails once all else is right


def command_line(*words):
    """`python -m fgbg_depth convert-weights WORDS`, as a CompletedProcess with text output."""
    command = [sys.executable, "-m", "fgbg_depth", "convert-weights", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def convert_weights(source, out, *flags):
    """The same verb in this process. Returns the report; errors come as exceptions."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        code = run(parser.parse_args([str(source), str(out), "--json", *flags]))
    assert code == 0
    return json.loads(output.getvalue())


def refused(path, message, *flags, error=WeightsError):
    """The file is refused with this message, and nothing is left behind."""
    out = path.parent.parent / "made" / "out"
    with pytest.raises(error, match=message) as caught:
        convert_weights(path, out, *flags)
    assert str(path) in str(caught.value)
    assert not out.parent.exists()
