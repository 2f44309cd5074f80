"""Fixtures of the tests of `fetch`: some pictures, and a server on loopback that serves them."""

import pytest
from picture_files import encode, noise
from picture_server import PictureServer

from fgbg_depth.fetch import run as fetch_run


@pytest.fixture(scope="session")
def photos():
    """Ten different PNGs of about 3 kB."""
    return [encode(noise(30, 34, seed=seed), "PNG") for seed in range(10)]


@pytest.fixture
def server():
    """A PictureServer of one test."""
    server = PictureServer()
    yield server
    server.close()


@pytest.fixture
def quick(monkeypatch):
    """No long pauses between tries."""
    monkeypatch.setattr(fetch_run, "FIRST_WAIT_S", 0.02)
