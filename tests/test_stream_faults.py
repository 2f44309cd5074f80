"""`fgbg_depth.stream` when requests fail: every one of them once, each kind of fault, and those that never end."""

import dataclasses
import time

import pytest
from hub import faults
from streams import FEW_WAITS, digest, noise_set, read, read_until_it_fails, stored_rows

TIMEOUT_S = 0.7  # of a read, so that a hub that says nothing costs little
CLIENT_OPTIONS = {"settings": {"fgbg_depth.streaming.hub_files": {"WAITS_S": FEW_WAITS, "TIMEOUT_S": TIMEOUT_S}}}
REPO = "alice/noise"
SHORT = 3_000  # bytes, less than any range
WAITS = len(FEW_WAITS)
KINDS = {
    "408": lambda: faults.status(408),
    "429": lambda: faults.rate_limit(0),
    "500": lambda: faults.status(500),
    "502": lambda: faults.status(502),
    "503": lambda: faults.status(503),
    "504": lambda: faults.status(504),
    "no answer": lambda: faults.drop(),
    "answer lost": lambda: faults.lose_response(),
    "cut before the body": lambda: faults.drop_response(0),
    "cut in the body": lambda: faults.drop_response(SHORT),
    "reset": lambda: faults.drop_request(0),
    "silence": lambda: faults.hang(3 * TIMEOUT_S),
}
AT_THE_CDN = {
    "400": lambda: faults.status(400, "AuthorizationQueryParametersError"),
    "403": lambda: faults.status(403, "Request has expired"),
    "another range": lambda: faults.Action("another range", after=another_range),
    "less than asked for": lambda: faults.Action("less", after=less),
    "the whole file": lambda: faults.Action("whole", after=whole_file),
}


def another_range(response):
    """The bytes that come a little later, and a header that says so."""
    body = response.body
    if body.start + SHORT >= body.stop:
        return response
    size = response.headers["Content-Range"].split("/")[1]
    headers = {**response.headers, "Content-Range": f"bytes {body.start + SHORT}-{body.stop - 1}/{size}"}
    return dataclasses.replace(response, headers=headers, body=dataclasses.replace(body, start=body.start + SHORT))


def less(response):
    """The first part of the range only, as a server may do."""
    body = response.body
    stop = min(body.stop, body.start + SHORT)
    headers = {**response.headers, "Content-Range": f"bytes {body.start}-{stop - 1}/{response.headers['Content-Range'].split('/')[1]}"}
    return dataclasses.replace(response, headers=headers, body=dataclasses.replace(body, stop=stop))


def whole_file(response):
    """All of the file, as from a server that knows no ranges."""
    headers = {name: value for name, value in response.headers.items() if name != "Content-Range"}
    size = response.body.path.stat().st_size
    return dataclasses.replace(response, status=200, headers=headers, body=dataclasses.replace(response.body, start=0, stop=size))


@pytest.fixture(autouse=True)
def sound(hub_stays_sound, hub_knows_every_path):
    """After each test."""


@pytest.fixture(scope="module", autouse=True)
def noise(hub):
    repo = hub.create_repo(REPO)
    repo.write_folder(noise_set())
    return repo


@pytest.fixture(scope="module")
def expected():
    return [digest(row) for row in stored_rows(noise_set())]


@pytest.fixture(scope="module")
def num_requests(hub, client, noise, expected):
    """Requests of a pass: (to the hub, to the cdn)."""
    mark = hub.log.mark()
    assert client.run(read, REPO)[0] == expected
    return len(hub.log.filter(port="hub", since=mark)), len(hub.log.filter(port="cdn", since=mark))


def fail_each_once(hub, client, expected, action, count, **where):
    for number in range(count):
        rule = hub.faults.add(action(), after=number, **where)
        found, _, error, _ = client.run(read_until_it_fails, REPO)
        assert (error, found == expected) == (None, True), (number, rule.struck)
        assert rule.fired == 1, number
        hub.faults.clear()


@pytest.mark.parametrize("kind", KINDS)
def test_every_request_fails_once(hub, client, expected, num_requests, kind):
    fail_each_once(hub, client, expected, KINDS[kind], sum(num_requests))


@pytest.mark.parametrize("kind", AT_THE_CDN)
def test_every_answer_of_the_cdn_is_wrong_once(hub, client, expected, num_requests, kind):
    fail_each_once(hub, client, expected, AT_THE_CDN[kind], num_requests[1], port="cdn")


@pytest.mark.parametrize("kind", ["the whole file", "less than asked for"])
def test_a_server_with_ways_of_its_own(hub, client, expected, kind):
    hub.faults.add(AT_THE_CDN[kind](), port="cdn", count=None)
    assert client.run(read, REPO)[0] == expected


def test_faults_in_plenty(hub, client, expected):
    """Each file and each third range fails, some of them twice, in several ways."""
    kinds = ["503", "reset", "429", "no answer", "504", "answer lost", "500"]
    for number in range(4):
        for kind in (kinds[number], kinds[-number]):
            hub.faults.add(KINDS[kind](), path=rf"b000-0000{number}\.parquet")
        hub.faults.add(KINDS["cut in the body"](), port="cdn", after=3 * number)
    found, _ = client.run(read, REPO, shuffle_seed=3)
    assert found == client.run(read, str(noise_set()), shuffle_seed=3)[0] != expected


def test_a_connection_that_always_breaks_is_enough_while_bytes_come(hub, client, expected):
    """Each connection ends after 100 kB; what came is kept, so the pass is no longer than that of the bytes."""
    hub.faults.add(faults.drop_response(100_000), port="cdn", count=None)
    mark = hub.log.mark()
    assert client.run(read, REPO)[0] == expected
    size = sum(path.stat().st_size for path in (noise_set() / "data" / "train").iterdir())
    assert sum(e.bytes_out for e in hub.log.filter(port="cdn", since=mark)) < 1.3 * size


PLACES = {
    "manifest": {"path": r"/manifest\.json"},
    "recipe": {"path": r"/recipe\.toml"},
    "hub": {"path": r"b000-00002\.parquet"},
    "cdn": {"port": "cdn", "after": 4},
}


@pytest.mark.parametrize("kind", ["503", "no answer", "silence"])
@pytest.mark.parametrize("place", PLACES)
def test_what_always_fails_ends_with_words_and_a_state(hub, client, expected, kind, place):
    rule = hub.faults.add(KINDS[kind](), count=None, **PLACES[place])
    found, state, error, _ = client.run(read_until_it_fails, REPO)
    asked = {"manifest": "manifest.json", "recipe": "recipe.toml", "hub": "b000-00002.parquet"}.get(place, ".parquet")
    assert error.startswith("HubError: ") and asked in error and REPO in error
    assert f"after {WAITS + 1} tries" in error or place == "cdn"
    assert "go on from the last state_dict() with load_state_dict()" in error
    assert "X-Signature" not in error and hub.token not in error
    assert found == expected[: len(found)]
    assert WAITS + 1 <= rule.fired <= 6 * (WAITS + 1)  # threads that read ahead try too
    hub.faults.clear()
    if place in ("hub", "cdn"):
        assert found
        assert found + client.run(read, REPO, state=state)[0] == expected


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ((401, "Invalid credentials in Authorization header"), "TokenError", "log in with `hf auth login`"),
        ((403, "Forbidden"), "TokenError", "refuses to show"),
        ((403, "Access is restricted", None, "GatedRepo"), "TokenError", "is gated"),
        ((404, "Repository not found", None, "RepoNotFound"), "UsageError", "isn't there, or this token may not see it"),
        ((404, "Invalid rev id", None, "RevisionNotFound"), "UsageError", "has no revision"),
        ((404, "Entry not found", None, "EntryNotFound"), "DataError", "isn't in"),
        ((410, "Gone"), "HubError", "410"),
    ],
)
def test_a_refusal_in_the_middle_is_told_at_once(hub, client, expected, answer, kind, words):
    rule = hub.faults.add(faults.status(*answer), path=r"resolve/.*b000-00003\.parquet", count=None)
    found, state, error, _ = client.run(read_until_it_fails, REPO)
    assert error.startswith(f"{kind}: ") and words in error
    assert rule.fired <= 2  # once for the footer that was asked for ahead, once for the rows
    assert found == expected[:140]
    hub.faults.clear()
    assert client.run(read, REPO, state=state)[0] == expected[140:]


def test_a_repository_that_goes_away(hub, client, expected):
    repo = hub.create_repo("alice/gone")
    repo.write_folder(noise_set())

    def delete(request):
        if "b000-00002" in request.path and hub.has_repo("alice/gone"):
            hub.store.delete(repo)

    hub.faults.watch(delete)
    found, _, error, _ = client.run(read_until_it_fails, "alice/gone")
    assert error.startswith("UsageError: ") and "isn't there" in error
    assert found == expected[: len(found)] and len(found) >= 20


@pytest.mark.parametrize("place", ["manifest", "cdn"])
def test_the_hub_says_how_long_to_wait(hub, client, expected, place):
    hub.faults.add(faults.rate_limit(1), **PLACES[place])
    started = time.monotonic()
    assert client.run(read, REPO)[0] == expected
    assert time.monotonic() - started >= 1


def test_a_wrong_range_every_time_is_never_taken_for_rows(hub, client, expected):
    hub.faults.add(AT_THE_CDN["another range"](), port="cdn", count=None)
    found, _, error, _ = client.run(read_until_it_fails, REPO)
    assert found == [] and error.startswith("HubError: ") and "asked for bytes" in error


def test_an_address_that_is_always_refused(hub, client):
    rule = hub.faults.add(faults.status(403, "SignatureDoesNotMatch"), port="cdn", count=None)
    found, _, error, _ = client.run(read_until_it_fails, REPO)
    assert found == [] and error.startswith("HubError: ") and "403" in error and "after 3 tries" in error
    assert rule.fired == 3
