"""Publishing where others write too: tags, pull requests, commits from elsewhere, two publishers at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import publishing
import pytest
from hub import ClientError, RealClient, accounts, faults
from publishing import (
    add_words,
    assert_main_is_whole,
    assert_same_as_folder,
    card_on_hub,
    copy_of,
    publish_set,
    refused,
    sent,
    shas,
    writes,
)

from fgbg_depth.hub.behind import batches_left_out

HUB_OPTIONS = {"part_bytes": 60_000, "page_size": 7}
CLIENT_OPTIONS = {"settings": publishing.SETTINGS}
pytestmark = pytest.mark.usefixtures("hub_stays_sound", "hub_knows_every_path")


@pytest.fixture(scope="module")
def second_client(hub, tmp_path_factory):
    with RealClient(hub, tmp_path_factory.mktemp("home2"), settings=publishing.SETTINGS) as client:
        yield client


# --- tags ---


def test_a_commit_without_its_tag_gets_it(hub, client, repo_id, first, second):
    done = client.run(publish_set, first, repo_id)
    repo = hub.repo(repo_id)
    repo.save(tags={})
    mark = hub.log.mark()
    again = client.run(publish_set, first, repo_id)
    assert (again["tagged"], again["changed"], again["version"]) == (("v1.0.0",), False, "v1.0.0")
    assert [e.path.rsplit("/", 2)[1] for e in writes(hub, mark)] == ["tag"]
    assert repo.tags == {"v1.0.0": done["commit"]}
    # With other content at hand the lost tag comes first, on its own commit.
    repo.save(tags={})
    repo.write({"notes.txt": b"meanwhile"})
    third = client.run(publish_set, second, repo_id)
    assert third["tagged"] == ("v1.0.0", "v1.1.0") and repo.tags["v1.0.0"] == done["commit"] and repo.tags["v1.1.0"] == repo.head()


def test_a_tag_is_never_moved(hub, client, repo_id, first, second):
    client.run(publish_set, first, repo_id)
    repo = hub.repo(repo_id)
    elsewhere = repo.head()

    def take_the_tag(request):
        repo.save(tags={**repo.state["tags"], "v1.1.0": {**next(iter(repo.state["tags"].values())), "commit": elsewhere}})

    hub.faults.add(faults.call(take_the_tag), method="POST", path="/tag/")
    error = refused(client, second, repo_id)
    assert error.kind == "ConflictError" and "never moved" in error.text
    assert repo.tags["v1.1.0"] == elsewhere


# --- pull requests ---


def test_a_pull_request(hub, client, repo_id, first, second):
    client.run(publish_set, first, repo_id)
    repo, card = hub.repo(repo_id), (second / "README.md").read_bytes()
    head = repo.head()
    done = client.run(publish_set, second, repo_id, as_pull_request=True)
    assert done["pull_request"] == f"{hub.endpoint}/datasets/{repo_id}/discussions/1" and done["tagged"] == ()
    assert repo.head() == head and repo.tags.keys() == {"v1.0.0"}
    assert (second / "README.md").read_bytes() == card  # nothing is published yet
    mark = hub.log.mark()
    again = client.run(publish_set, second, repo_id, as_pull_request=True)
    assert again["pull_request"] == done["pull_request"] and not hub.log.commits(mark) and not hub.log.blob_uploads(mark)
    client.run(merge_pull_request, repo_id, 1)
    merged = client.run(publish_set, second, repo_id)
    assert (merged["changed"], merged["tagged"], merged["version"]) == (False, ("v1.1.0",), "v1.1.0")
    assert repo.tags["v1.1.0"] == repo.head() and repo.head() != head
    assert_same_as_folder(repo, second)


def merge_pull_request(repo, number):
    from huggingface_hub import HfApi

    HfApi().merge_pull_request(repo, number, repo_type="dataset")


def test_a_pull_request_to_somebody_elses_set(hub, client, tmp_path, repo_id, first, second):
    client.run(publish_set, first, repo_id)
    with RealClient(hub, tmp_path / "home", token=accounts.OTHER_TOKEN, settings=publishing.SETTINGS) as bob:
        assert bob.run(publish_set, second, repo_id, as_pull_request=True)["pull_request"]
    assert hub.repo(repo_id).tags.keys() == {"v1.0.0"}


# --- commits at the same time ---


def test_a_commit_from_elsewhere_while_sending(hub, client, repo_id, first, second):
    client.run(publish_set, first, repo_id)
    repo, mark = hub.repo(repo_id), hub.log.mark()
    hub.faults.add(faults.call(lambda request: repo.write({"notes.txt": b"hi"}, "a note", "bob")), method="POST", path="/commit/")
    error = refused(client, second, repo_id)
    assert error.kind == "ConflictError" and "bob committed 'a note'" in error.text and "Run the same command again" in error.text
    assert_main_is_whole(repo)
    assert repo.titles()[0] == "a note" and repo.tags.keys() == {"v1.0.0"}
    assert client.run(publish_set, second, repo_id)["version"] == "v1.1.0"
    assert repo.read("notes.txt") == b"hi"
    assert sent(hub, mark) == shas(second, "backgrounds/b001.parquet", "data/train/b001-00000.parquet", "metadata/train/b001.parquet")


def test_another_commit_in_progress_is_waited_for(hub, client, repo_id, first, second):
    client.run(publish_set, first, repo_id)
    refusal = faults.status(409, "Another commit operation is in progress for this repository.")
    hub.faults.add(refusal, method="POST", path="/commit/", count=3)
    assert len(client.run(publish_set, second, repo_id)["said"]) == 3
    add_words(second, "More.")
    with hub.commit_in_progress(repo_id):
        error = refused(client, second, repo_id)
    assert error.kind == "ConflictError" and "busy with another change" in error.text


def race(hub, clients, folders, repo_id):
    """Two publishers whose commits arrive at the same moment; gives [result or ClientError]."""
    barrier = threading.Barrier(2, timeout=60)
    waiting = [faults.call(lambda request: barrier.wait(), "wait for the other") for _ in range(2)]
    for action in waiting:
        hub.faults.add(action, method="POST", path="/commit/")
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(client.run, publish_set, folder, repo_id) for client, folder in zip(clients, folders, strict=True)]
        return [run.exception() or run.result() for run in runs]


def test_two_publishers_at_once(hub, client, second_client, repo_id, first, second):
    client.run(publish_set, first, repo_id)
    add_words(first, "Words of the other one.")
    outcomes = race(hub, (client, second_client), (second, first), repo_id)
    lost = [o for o in outcomes if isinstance(o, ClientError)]
    won = [o for o in outcomes if isinstance(o, dict)]
    assert len(won) == len(lost) == 1 and lost[0].kind == "ConflictError"
    repo = hub.repo(repo_id)
    assert_main_is_whole(repo)
    assert repo.tags.keys() == {"v1.0.0", won[0]["version"]} and repo.tags[won[0]["version"]] == repo.head()
    # Whoever sent words is told that rows came meanwhile, and whoever sent rows goes on; nothing of either is lost.
    if lost[0] is outcomes[0]:
        done = client.run(publish_set, second, repo_id)
        assert done["changed"] and repo.tags[done["version"]] == repo.head()
        assert "Words of the other one." in card_on_hub(repo)
        assert_same_as_folder(repo, second)
    else:
        assert "published v1.1.0 since, with 4 rows" in refused(second_client, first, repo_id).text
        assert_same_as_folder(repo, second)


def test_rows_of_others_never_go_away_unasked(hub, client, repo_id, first, second):
    """Somebody appended and published; a folder that comes from the version before would take those rows out of main."""
    client.run(publish_set, first, repo_id)
    behind = copy_of(first, first.parent / "behind")
    client.run(publish_set, second, repo_id)
    add_words(behind, "Words.")
    mark = hub.log.mark()
    for plan in (True, False):
        error = refused(client, behind, repo_id, plan=plan)
        assert error.kind == "ConflictError"
        for words in ("comes from v1.0.0", "published v1.1.0 since, with 4 rows", f"hf download {repo_id}", "--version v2.0.0"):
            assert words in error.text
    assert writes(hub, mark) == []
    # Who adds to what is there goes on.
    add_words(second, "More words.")
    assert client.run(publish_set, second, repo_id)["version"] == "v1.1.1"
    done = client.run(publish_set, behind, repo_id, version="v2.0.0", card="local")
    assert done["version"] == "v2.0.0" and "data/train/b001-00000.parquet" in done["drop"]
    # A rollback takes nothing away that a folder of the versions before would miss.
    assert client.run(publish_set, second, repo_id)["version"] == "v2.1.0"


@pytest.mark.parametrize(
    ("main", "new", "expected"),
    [
        ({"0": "a"}, {"0": "a"}, []),
        ({"0": "a", "1": "b"}, {"0": "a", "1": "b"}, []),  # the same pictures, perhaps with other depth
        ({"0": "a", "1": "b"}, {"0": "a"}, [1]),
        ({"0": "a", "1": "b"}, {"0": "a", "1": "c"}, [1]),  # both appended
        ({"0": "a", "1": "b", "10": "d", "2": "c"}, {"0": "a"}, [1, 2, 10]),
        ({"0": "x"}, {"0": "a"}, [0]),
        ({}, {"0": "a"}, []),
    ],
)
def test_batches_that_came_meanwhile(main, new, expected):
    assert batches_left_out({"asset_lists": {"0": "a"}}, {"asset_lists": main}, {"asset_lists": new}) == expected


def test_two_publishers_of_the_same_set_at_once(hub, client, second_client, repo_id, first, second):
    client.run(publish_set, first, repo_id)
    twin = copy_of(second, second.parent / "twin")
    outcomes = race(hub, (client, second_client), (second, twin), repo_id)
    assert [o["version"] for o in outcomes] == ["v1.1.0", "v1.1.0"]
    repo = hub.repo(repo_id)
    assert repo.titles()[:2] == ["v1.1.0: 4 rows and 1 background were added", "v1.0.0: it is the first version"]
    assert repo.tags["v1.1.0"] == repo.head()


def test_two_publishers_of_a_new_set_at_once(hub, client, second_client, repo_id, first, second):
    """The other one is quicker: between our look at the place, which was empty, and our making of the repository."""
    hub.faults.add(faults.call(lambda request: second_client.run(publish_set, first, repo_id)), method="POST", path="/api/repos/create")
    error = refused(client, second, repo_id)
    assert error.kind == "ConflictError" and "somebody else made it at the same time" in error.text
    assert_same_as_folder(hub.repo(repo_id), first)
    assert client.run(publish_set, second, repo_id)["version"] == "v1.1.0"
