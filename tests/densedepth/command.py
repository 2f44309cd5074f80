"""Runs `convert-weights`: as a process of its own, or quicker in this one."""

import argparse
import contextlib
import io
import json
import subprocess
import sys

from fgbg_depth.commands.convert import add_arguments, run


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
