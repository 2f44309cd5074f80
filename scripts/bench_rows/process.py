"""Parts of a benchmark in processes of their own: in this environment, or in that of the peers."""

import json
import os
import subprocess
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]
PEERS_PYTHON = SCRIPTS.parent / ".venv-bench" / "bin" / "python"
VERSIONS = (
    "import importlib.metadata as m, json, sys; "
    "print(json.dumps({n: m.version(n) for n in sys.argv[1:] if any(d.name.lower() == n for d in m.distributions())}))"
)


def run(command, **env):
    """Run a part of a benchmark; returns the last line that it printed.

    Args:
        command: its words.
        env: further environment variables.

    Raises:
        RuntimeError: it failed; the text has its last words.
    """
    words = list(map(str, command))
    done = subprocess.run(words, env={**os.environ, **env, "PYTHONPATH": str(SCRIPTS)}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[:6])} ... ended with exit code {done.returncode}:\n{done.stderr[-3000:]}")
    return (done.stdout.strip().splitlines() or [""])[-1]


def versions(python, names):
    """{library: version} of an environment."""
    return json.loads(run([python, "-c", VERSIONS, *names]))


def usable_ways(ways, python):
    """The ways that can be run here.

    Args:
        ways: list of ways, each with `peer`.
        python: interpreter of the peers' environment.

    Returns:
        (list of them, {what is left out: why}).
    """
    if Path(python).is_file():
        return ways, {}
    why = f"no interpreter at {python}; `make bench-env` makes their environment"
    return [way for way in ways if not way.peer], {"peers": why}


def add_flags(parser, ways, rows, work, rounds, rounds_help=None):
    """The flags that the benchmarks have in common.

    Args:
        parser: argparse.ArgumentParser.
        ways: {name: way}.
        rows, work, rounds: defaults of the flags of these names.
        rounds_help: what is to be said of rounds.
    """
    parser.add_argument("--set", type=Path, metavar="DIR", help="a finished set with depth, of which train is used (default: one is made)")
    parser.add_argument("--rows", type=int, default=rows, help="at least so many, of the set that is made")
    parser.add_argument("--work", type=Path, default=work, help="keeps the set and the layouts")
    parser.add_argument("--rounds", type=int, default=rounds, help=rounds_help)
    parser.add_argument("--ways", nargs="+", choices=list(ways), default=list(ways), metavar="WAY", help=f"of {', '.join(ways)}")
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON, help="interpreter of the peers' environment")
    parser.add_argument("--json", action="store_true")
