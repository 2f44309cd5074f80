"""Run all tests in two pytest processes side by side: `python tests/run_halves.py [words for pytest ...]`.

Two whole processes rather than workers that are handed tests one by one: nothing hangs when a test takes its process with it, and what
a session makes once (sets, weights, a cluster) is made once in each. Whose files belong to the first half stands below; all others, new
ones too, belong to the second. The seconds that are told at the end show whether the halves are still alike.

The first half prints as it goes; what the second one says is shown whole when both have ended. The exit code is 0 only when both halves
are good. Ctrl-C, SIGTERM or SIGHUP is handed to both, which end as pytest does; a second one kills them. A test that hangs is ended by
pytest's `faulthandler_timeout`.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent
# By the beginnings of their names. Those that need the large reference weights, and those that need the same noise sets, are together.
FIRST = (
    *("test_annotate", "test_bad_depth", "test_builder", "test_card", "test_convert", "test_croissant", "test_cutout", "test_drop"),
    *("test_generate", "test_hub", "test_load", "test_original", "test_parts", "test_readme", "test_sheets", "test_train_example"),
    *("test_verify", "test_wheel"),
)
OK, FAILED, NO_TESTS, INTERRUPTED = 0, 1, 5, 130  # exit codes: the first three are pytest's
END_S = 120  # after a signal: pytest tears fixtures down, a cluster and servers among them
NAMES = ("first half", "second half")
POLL_S = 0.2


def halves(folder=TESTS):
    """Paths of the test files of each half, sorted."""
    files = sorted(str(path) for path in Path(folder).glob("test_*.py"))
    first = [path for path in files if Path(path).name.startswith(FIRST)]
    return first, [path for path in files if path not in first]


def run(groups, words=()):
    """Run groups of test files side by side.

    Args:
        groups: two lists of paths.
        words: further arguments of pytest.

    Returns:
        the exit code.
    """
    with tempfile.TemporaryFile() as log:
        processes, begun_s, took_s = [], time.monotonic(), {}
        try:
            for number, files in enumerate(groups):
                processes.append(start(files, words, number, log if number else None))
            while len(took_s) < len(processes):
                for number, process in enumerate(processes):
                    if number not in took_s and process.poll() is not None:
                        took_s[number] = time.monotonic() - begun_s
                time.sleep(POLL_S)
        finally:
            end(processes)  # nothing is left to do for those that have ended
            log.seek(0)
            say(f"\n=== the second half ===\n{log.read().decode(errors='replace')}")
    codes = [process.returncode for process in processes]
    for number, code in enumerate(codes):
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        say(f"{NAMES[number]}: {len(groups[number])} files, {took_s[number]:.0f} s, {how}\n")
    return together(codes)


def together(codes):
    """One exit code: that of pytest when both say the same; a half that has none of the chosen tests doesn't count."""
    codes = {code if code >= 0 else FAILED for code in codes}
    if len(codes) > 1:
        codes -= {OK, NO_TESTS} if codes - {OK, NO_TESTS} else {NO_TESTS}
    return codes.pop() if len(codes) == 1 else FAILED


def start(files, words, number, log):
    """Start pytest in a process group of its own: a signal of the terminal reaches it once, through `run`."""
    own_cache = f"cache_dir=.pytest_cache/half-{number + 1}"  # both would write which tests failed
    command = [sys.executable, "-m", "pytest", "-o", own_cache, *words, *files]
    environment = {"OMP_NUM_THREADS": "1", **os.environ}  # of torch and BLAS: more threads than cores would wait for each other
    streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT if log else None}
    return subprocess.Popen(command, cwd=TESTS.parent, env=environment, start_new_session=True, **streams)


def end(processes):
    """Hand Ctrl-C to those that still run, wait for them, and kill what doesn't end or when asked again."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    try:
        until = time.monotonic() + END_S
        for process in processes:
            process.wait(max(0, until - time.monotonic()))
    except (KeyboardInterrupt, subprocess.TimeoutExpired):
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        return run(halves(), sys.argv[1:])
    except KeyboardInterrupt:
        say("stopped; both halves have ended\n")
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
