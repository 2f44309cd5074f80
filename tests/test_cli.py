"""The command line as a process: what SIGTERM does to it, and what it leaves behind."""

import multiprocessing
import os
import signal
import time

import pytest

from fgbg_depth import cli

PATIENCE_S = 30  # a process that was told to end and is still there after so long hangs
fork = multiprocessing.get_context("fork")


def test_a_command_leaves_the_handler_of_sigterm_as_it_was(capsys):
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(["--version"]) == 0
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_interrupts_the_process_of_the_command():
    with pytest.raises(KeyboardInterrupt), cli.terminate_as_interrupt():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PATIENCE_S)


def test_sigterm_ends_a_process_forked_off_by_a_library():
    """A pool waits for the end of workers that it told to end; one that took it for Ctrl-C may live on, and the pool with it."""
    with cli.terminate_as_interrupt():
        worker = fork.Process(target=_deaf_to_interrupts, daemon=True)
        worker.start()
        time.sleep(0.2)
        worker.terminate()
        worker.join(PATIENCE_S)
        assert worker.exitcode == -signal.SIGTERM


def _deaf_to_interrupts():
    end = time.monotonic() + 2 * PATIENCE_S
    while time.monotonic() < end:
        try:
            time.sleep(PATIENCE_S)
        except KeyboardInterrupt:
            continue
