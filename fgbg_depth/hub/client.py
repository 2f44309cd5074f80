"""The client of this process: an HfApi with timeouts and without chatter of its own."""

from .patience import use_timeouts


def open_api():
    """A huggingface_hub.HfApi that takes endpoint and token from the usual places."""
    from huggingface_hub import HfApi
    from huggingface_hub.utils import logging

    use_timeouts()
    logging.set_verbosity_error()  # its warnings about retries show addresses that are signed
    return HfApi()
