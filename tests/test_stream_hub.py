"""`fgbg_depth.stream` from the emulated Hub with the real client: rows, requests and bytes, tokens, versions that change meanwhile."""

import publishing
import pytest
from hub import ClientError, HubServer, RealClient, accounts
from small_sets import NAMES, small_set
from streams import QUICK, call_named, digest, keys, make_noise_set, noise_set, read, stored_rows

from fgbg_depth import schema

CLIENT_OPTIONS = {"settings": QUICK}
TAIL_BYTES, SMALL_FILE_BYTES = 80 << 10, 1 << 18
GROUP_BYTES = 20 * (4_400 + 4_400)  # of the noise set, about


@pytest.fixture(autouse=True)
def sound(hub_stays_sound, hub_knows_every_path):
    """After each test."""


@pytest.fixture(scope="module")
def noise(hub):
    """Repo id of the noise set."""
    hub.create_repo("alice/noise").write_folder(noise_set())
    return "alice/noise"


@pytest.fixture(scope="module")
def expected():
    return [digest(row) for row in stored_rows(noise_set())]


def data_requests(hub, mark):
    """Requests for data files: (those to the hub, those to the cdn)."""
    asked = [e for e in hub.log.filter(since=mark) if e.path.endswith(".parquet") or e.port == "cdn"]
    return [e for e in asked if e.port == "hub"], [e for e in asked if e.port == "cdn"]


@pytest.mark.parametrize("name", NAMES)
def test_every_table_comes_as_from_the_folder(hub, client, repo_id, name):
    hub.create_repo(repo_id).write_folder(small_set(name))
    for config in schema.CONFIGS:
        for split in ["train"] if config.endswith("s") or name == "one_split" else ["train", "validation", "test"]:
            words = {"split": split, "config": config}
            assert client.run(read, repo_id, **words)[0] == client.run(read, str(small_set(name)), **words)[0] != []
    assert not hub.log.auth_on_cdn()


# What it costs.


def test_the_first_row_is_cheap(hub, client, noise, expected):
    mark = hub.log.mark()
    assert client.run(read, noise, stop=1)[0] == expected[:1]
    first = (noise_set() / "data" / "train" / "b000-00000.parquet").stat().st_size
    assert first < SMALL_FILE_BYTES  # it comes whole, with its footer
    asked = [f"{e.method} {e.path.rsplit('/')[-1]}" for e in hub.log.filter(since=mark)]
    assert asked[:3] == ["GET manifest.json", "GET recipe.toml", "GET b000-00000.parquet"]
    assert len(asked) == 4
    assert first <= hub.log.bytes_out(mark) < first + 6_000


def test_a_first_row_from_large_row_groups_takes_one_of_them(hub, client, tmp_path, expected):
    """Of a file above the limit for small ones only the footer and one row group are read."""
    folder = make_noise_set(tmp_path / "set")
    hub.create_repo("alice/large").write_folder(folder)
    _, state = client.run(read, "alice/large", stop=20)
    mark = hub.log.mark()
    assert client.run(read, "alice/large", stop=1, state=state)[0] == expected[20:21]
    asked, sent = data_requests(hub, mark)
    assert sum(e.bytes_out for e in sent) < (20 * 9_000) + TAIL_BYTES + GROUP_BYTES * 1.3  # the first file too, for the features
    assert (len(asked), len(sent)) == (2, 3)


def test_a_batch_of_32_reads_nothing_ahead(hub, client, noise, expected):
    mark = hub.log.mark()
    assert client.run(read, noise, stop=32)[0] == expected[:32]
    assert hub.log.bytes_out(mark) < 2.4 * GROUP_BYTES + TAIL_BYTES


def test_a_pass_reads_each_byte_once_and_asks_the_hub_once_for_a_file(hub, client, noise, expected):
    mark = hub.log.mark()
    assert client.run(read, noise)[0] == expected
    asked, sent = data_requests(hub, mark)
    size = sum(path.stat().st_size for path in (noise_set() / "data" / "train").iterdir())
    assert len(asked) == len({e.path for e in asked}) == 4
    assert sum(e.bytes_out for e in sent) < size + 3 * TAIL_BYTES
    assert len(sent) <= 1 + 3 * 4


def test_a_shuffled_pass_reads_no_more(hub, client, noise, expected):
    mark = hub.log.mark()
    found, _ = client.run(read, noise, shuffle_seed=1)
    assert sorted(found) == sorted(expected) and found != expected
    asked, sent = data_requests(hub, mark)
    size = sum(path.stat().st_size for path in (noise_set() / "data" / "train").iterdir())
    assert len(asked) == 4 and sum(e.bytes_out for e in sent) < size + 4 * TAIL_BYTES


def test_columns_that_are_not_wanted_are_not_sent(hub, client, noise):
    mark = hub.log.mark()
    assert client.run(read, noise, columns=["key"], per_row="key")[0] == keys(stored_rows(noise_set(), columns=["key"]))
    small = hub.log.bytes_out(mark)
    mark = hub.log.mark()
    client.run(read, noise, columns=["mask"])
    size = sum(path.stat().st_size for path in (noise_set() / "data" / "train").iterdir())
    first = (noise_set() / "data" / "train" / "b000-00000.parquet").stat().st_size
    assert small < first + 3 * (TAIL_BYTES + 10_000)
    assert hub.log.bytes_out(mark) < 0.75 * size


def test_metadata_takes_few_requests(hub, client, noise):
    mark = hub.log.mark()
    found, _ = client.run(read, noise, config="metadata", per_row="key")
    assert found == keys(stored_rows(noise_set(), columns=["key"]))
    assert len(hub.log.filter(since=mark)) == 3
    assert hub.log.bytes_out(mark) < 0.02 * sum(path.stat().st_size for path in (noise_set() / "data").rglob("*.parquet"))


def test_going_on_reads_one_row_group_again_at_most(hub, client, noise, expected):
    _, state = client.run(read, noise, stop=75)
    mark = hub.log.mark()
    assert client.run(read, noise, state=state)[0] == expected[75:]
    _, sent = data_requests(hub, mark)
    files = [path.stat().st_size for path in sorted((noise_set() / "data" / "train").iterdir())]
    rest = files[0] + GROUP_BYTES * 1.2 + files[2] + files[3]  # the first file for the features
    assert sum(e.bytes_out for e in sent) < rest + 3 * TAIL_BYTES


def test_the_next_stream_of_a_process_starts_from_the_newest_commit(hub, client, repo_id, tmp_path):
    repo = hub.create_repo(repo_id)
    repo.write_folder(noise_set())
    before = client.run(read, repo_id)[0]
    repo.write_folder(make_noise_set(tmp_path / "other", seed=1))
    assert client.run(read, repo_id)[0] != before


# Versions.


def test_a_push_in_the_middle_of_an_epoch_changes_nothing(hub, client, repo_id, tmp_path, expected):
    repo = hub.create_repo(repo_id)
    first = repo.write_folder(noise_set())
    other = make_noise_set(tmp_path / "other", seed=1)

    def push(request):
        if "b000-00002" in request.path and repo.head() == first:
            repo.write_folder(other)

    hub.faults.watch(push)
    found, state = client.run(read, repo_id, stop=100)
    assert repo.head() != first
    assert found == expected[:100]
    with pytest.raises(ClientError, match=f"of revision {first}") as caught:
        client.run(read, repo_id, state=state)
    assert caught.value.kind == "UsageError"
    assert client.run(read, repo_id, state=state, revision=first)[0] == expected[100:]
    assert client.run(read, repo_id)[0] == [digest(row) for row in stored_rows(other)]


def test_old_versions_stay_readable(hub, client, repo_id, tmp_path, expected):
    repo = hub.create_repo(repo_id)
    repo.write_folder(noise_set())
    repo.tag("v1.0.0")
    repo.write_folder(make_noise_set(tmp_path / "other", seed=1))
    repo.tag("v2.0.0")
    assert client.run(read, repo_id, revision="v1.0.0")[0] == expected != client.run(read, repo_id, revision="v2.0.0")[0]
    with pytest.raises(ClientError, match=r"has no revision 'v3\.0\.0'; `fgbg-depth versions") as caught:
        client.run(read, repo_id, revision="v3.0.0")
    assert caught.value.kind == "UsageError"


def test_a_published_set_is_streamed_by_version(hub, client, repo_id, first, second):
    client.run(publishing.publish_set, first, repo_id)
    client.run(publishing.publish_set, second, repo_id)
    old, new = (client.run(read, repo_id, revision=revision)[0] for revision in ("v1.0.0", None))
    assert old == [digest(row) for row in stored_rows(first)]
    assert new == [digest(row) for row in stored_rows(second)]
    assert len(new) == len(old) + 4


# Who may read.


@pytest.fixture
def private(hub, repo_id):
    repo = hub.create_repo(repo_id, private=True)
    repo.write_folder(noise_set())
    return repo


def test_a_private_set_needs_the_token(hub, client, private, tmp_path, expected):
    mark = hub.log.mark()
    assert client.run(read, private.repo_id)[0] == expected
    assert not hub.log.auth_on_cdn()
    assert all(e.auth for e in hub.log.filter(since=mark, port="hub"))
    for number, token in enumerate([None, accounts.OTHER_TOKEN, accounts.WRONG_TOKEN]):
        with RealClient(hub, tmp_path / f"home{number}", token=token) as stranger:
            mark = hub.log.mark()
            with pytest.raises(ClientError, match=r"isn't there, or this token may not see it; if it is private, log in|refuses") as caught:
                stranger.run(read, private.repo_id)
            assert caught.value.kind in ("UsageError", "TokenError")
            assert not token or token not in str(caught.value)
            assert len(hub.log.filter(since=mark)) == 1  # nothing is tried again


def test_a_gated_set_tells_what_to_do(hub, tmp_path, repo_id):
    repo = hub.create_repo(repo_id)
    repo.write_folder(noise_set())
    repo.save(gated=True)
    with RealClient(hub, tmp_path / "home", token=None) as stranger:
        with pytest.raises(ClientError, match=r"is gated: ask for access there, then log in") as caught:
            stranger.run(read, repo_id)
        assert caught.value.kind == "TokenError"


def test_what_is_no_set_is_refused(hub, client, repo_id):
    with pytest.raises(ClientError, match="isn't there, or this token may not see it") as caught:
        client.run(read, "alice/nothing-here")
    assert caught.value.kind == "UsageError"
    hub.create_repo(repo_id)
    with pytest.raises(ClientError, match=r"manifest\.json isn't in .* no whole set of fgbg_depth") as caught:
        client.run(read, repo_id)
    assert caught.value.kind == "DataError"


def test_offline_is_told_at_once(hub, tmp_path, noise):
    with RealClient(hub, tmp_path / "home", env={"HF_HUB_OFFLINE": "1"}) as offline:
        with pytest.raises(ClientError, match="HF_HUB_OFFLINE is set, so the Hub can't be reached; unset it") as caught:
            offline.run(read, noise)
        assert caught.value.kind == "HubError"


# Files that aren't those of the manifest.


@pytest.mark.parametrize("size", ["the same size", "another size"])
def test_a_file_that_was_replaced_is_refused(hub, client, repo_id, size):
    repo = hub.create_repo(repo_id)
    repo.write_folder(noise_set())
    path = "data/train/b000-00002.parquet"
    data = bytearray((noise_set() / path).read_bytes())
    data[1000] ^= 1
    repo.write({path: bytes(data) + (b"" if size == "the same size" else b"x")})
    with pytest.raises(ClientError, match=r"b000-00002\.parquet of .* has .*, manifest\.json says .* the file was replaced") as caught:
        client.run(read, repo_id)
    assert caught.value.kind == "DataError"


def test_small_files_outside_of_large_storage_are_read_too(hub, client, repo_id, expected):
    """Where .gitattributes doesn't send Parquet to large storage the hub serves it itself."""
    repo = hub.create_repo(repo_id)
    repo.write({".gitattributes": b""})
    repo.write_folder(noise_set())
    mark = hub.log.mark()
    assert client.run(read, repo_id)[0] == expected
    assert hub.log.filter(since=mark, port="cdn") == []


def test_an_address_that_has_expired_is_asked_for_again(hub, client, noise, expected):
    hub.options.url_lifetime_s = 0.15
    try:
        mark = hub.log.mark()
        assert client.run(call_named, "streams", "read_slowly", noise, 0.01) == expected
    finally:
        hub.options.url_lifetime_s = 3600.0
    assert hub.log.filter(since=mark, port="cdn", status=403)


def test_loader_workers_read_every_row_once(client, noise):
    found = client.run(call_named, "streams", "read_by_workers", noise, num_workers=2)
    assert sorted(found) == keys(stored_rows(noise_set(), columns=["key"])) != found


def test_a_forked_process_shares_no_connection(client, noise, expected):
    """The client of huggingface_hub is closed in forked processes, which hangs if a thread of the parent was just using it."""
    assert client.run(call_named, "streams", "look_at_clients", noise) == [False, True, len(expected)]


def test_a_slow_network_is_filled(tmp_path):
    """50 ms before each answer: requests are under way at the same time, so a pass takes less than their sum."""
    import time

    with HubServer(tmp_path / "hub") as hub, RealClient(hub, tmp_path / "home") as client:
        hub.create_repo("alice/noise").write_folder(noise_set())
        client.run(read, str(noise_set()), stop=1)  # imports
        hub.set_speed(delay_s=0.2)
        mark, started = hub.log.mark(), time.monotonic()
        found, _ = client.run(read, "alice/noise", columns=["key"], per_row="key")
        seconds = time.monotonic() - started
        assert len(found) == 174
        assert seconds < 0.75 * 0.2 * len(hub.log.filter(since=mark))
