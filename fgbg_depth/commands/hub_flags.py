"""What the commands that talk to the Hub share: the client, its patience, and notes."""

import sys

from ..errors import UsageError


def open_api():
    """A huggingface_hub.HfApi for this process."""
    from ..hub.client import open_api

    return open_api()


def patience():
    """Patience that says on stderr what it waits for."""
    from ..hub.patience import Patience

    return Patience(say=lambda text: print(f"note: {text}", file=sys.stderr, flush=True))


def say_notes(notes):
    """Print notes on stderr."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def at_least_one(flag, value):
    """UsageError for a count below 1; None passes."""
    if value is not None and value < 1:
        raise UsageError(f"{flag} is {value}, expected at least 1")
