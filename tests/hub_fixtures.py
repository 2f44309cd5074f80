"""Fixtures of the tests that talk to the emulated Hub.

A test file may say what its hub and its client are like: `HUB_OPTIONS` are keyword arguments of hub.HubServer, `CLIENT_OPTIONS`
those of hub.RealClient.
"""

import re

import publishing
import pytest
from hub import HubServer, RealClient
from hub_files import write_folder

MAX_NAME_CHARS = 60  # of a repository; the Hub takes 96


@pytest.fixture(scope="module")
def hub(request, tmp_path_factory):
    """A hub for the tests of one file."""
    with HubServer(tmp_path_factory.mktemp("hub"), **getattr(request.module, "HUB_OPTIONS", {})) as hub:
        yield hub


@pytest.fixture(scope="module")
def client(request, hub, tmp_path_factory):
    """The real client in a process of its own, for the tests of one file."""
    with RealClient(hub, tmp_path_factory.mktemp("home"), **getattr(request.module, "CLIENT_OPTIONS", {})) as client:
        yield client


@pytest.fixture
def hub_stays_sound(hub):
    """The test leaves a hub in which everything holds; faults that it told the hub end with it."""
    yield
    hub.faults.clear()
    hub.check()


@pytest.fixture
def hub_knows_every_path(hub):
    """No request of the test goes to a path that the hub doesn't know."""
    mark = hub.log.mark()
    yield
    assert not hub.log.unrouted(mark)


@pytest.fixture
def repo_id(request):
    """Name of a repository of alice, like that of the test; it isn't made."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    return f"alice/{name[:MAX_NAME_CHARS].strip('-')}"


@pytest.fixture
def repo(hub, repo_id):
    """An empty repository of that name, as the hub sees it."""
    return hub.create_repo(repo_id)


@pytest.fixture
def folder_to_send(tmp_path):
    """A small folder for the client's own upload: a card and three large files."""
    return write_folder(tmp_path / "set")


@pytest.fixture
def first(tmp_path):
    """A folder to publish, which may be changed: `publishing.first_set`."""
    return publishing.copy_of(publishing.first_set(), tmp_path / "first")


@pytest.fixture
def second(tmp_path):
    """The same set with one background more: `publishing.second_set`."""
    return publishing.copy_of(publishing.second_set(), tmp_path / "second")
