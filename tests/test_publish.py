"""Publishing with the real client against the emulated Hub: what is sent, what is said, what is refused."""

import hashlib
import json
import os
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import publishing
import pytest
from conftest import run_cli
from hub import ClientError, HubServer, RealClient, accounts, faults
from publishing import add_words, assert_main_is_whole, assert_same_as_folder, card_on_hub, copy_of, first_set, publish_set, second_set

LARGE_BYTES = 200_000_000  # far above what a client that reads whole files could hide
LOAD_SETTINGS = {"datasets.config": {"USE_PARQUET_EXPORT": False}}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with HubServer(tmp_path_factory.mktemp("hub"), part_bytes=60_000, page_size=7) as hub:
        yield hub


@pytest.fixture(scope="module")
def client(hub, tmp_path_factory):
    with RealClient(hub, tmp_path_factory.mktemp("home"), settings={**publishing.SETTINGS, **LOAD_SETTINGS}) as client:
        yield client


@pytest.fixture(scope="module")
def second_client(hub, tmp_path_factory):
    with RealClient(hub, tmp_path_factory.mktemp("home2"), settings=publishing.SETTINGS) as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_wrong_inside(hub):
    mark = hub.log.mark()
    yield
    hub.faults.clear()
    hub.check()
    assert not hub.log.unrouted(mark)


@pytest.fixture
def name(request):
    return "alice/" + request.node.name.removeprefix("test_").translate(str.maketrans("_[]", "---"))[:60].strip("-")


@pytest.fixture
def first(tmp_path):
    return copy_of(first_set(), tmp_path / "first")


@pytest.fixture
def second(tmp_path):
    return copy_of(second_set(), tmp_path / "second")


def writes(hub, mark):
    """Requests that could change something."""
    return [e for e in hub.log.filter(since=mark) if e.method not in ("GET", "HEAD") and not e.path.endswith("/validate-yaml")]


def sent(hub, mark):
    """sha256 of the large objects that arrived, each once."""
    uploads = hub.log.blob_uploads(mark)
    assert set(uploads.values()) <= {1}, "a blob was sent twice"
    return {sha for sha, _ in uploads}


def shas(folder, *paths):
    return {hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in paths}


def refused(client, *args, **words):
    with pytest.raises(ClientError) as caught:
        client.run(publish_set, *args, **words)
    return caught.value


def test_the_first_version(hub, client, name, first):
    done = client.run(publish_set, first, name, message="Five rooms.")
    repo = hub.repo(name)
    assert (done["version"], done["tagged"], done["changed"]) == ("v1.0.0", ("v1.0.0",), True)
    assert repo.tags == {"v1.0.0": repo.head()} and done["commit"] == repo.head()
    assert repo.titles() == ["v1.0.0: it is the first version", "initial commit"]
    assert not repo.private
    assert_same_as_folder(repo, first)  # the folder has the published card, with its list of versions
    assert "**v1.0.0** (2026-03-04): It is the first version. Five rooms." in card_on_hub(repo)
    rows = json.loads((first / "manifest.json").read_text())["files"]
    count = sum(f["rows"] for f in rows.values() if f.get("config") == "default")
    assert client.run(publishing.load_rows, name) == client.run(publishing.load_rows, name, "metadata", "v1.0.0") == {"train": count}
    assert client.run(publishing.load_rows, name, "backgrounds") == {"train": 3}


def test_the_second_publish_sends_nothing(hub, client, name, first):
    before = client.run(publish_set, first, name)
    card = (first / "README.md").read_bytes()
    mark = hub.log.mark()
    done = client.run(publish_set, first, name, today="2027-12-31")
    assert (done["changed"], done["version"], done["commit"], done["tagged"]) == (False, "v1.0.0", before["commit"], ())
    assert writes(hub, mark) == []
    assert (first / "README.md").read_bytes() == card


def test_after_an_append_only_what_is_new_is_sent(hub, client, name, first, second):
    client.run(publish_set, first, name)
    mark = hub.log.mark()
    done = client.run(publish_set, second, name)
    new = ("backgrounds/b001.parquet", "data/train/b001-00000.parquet", "metadata/train/b001.parquet")
    assert (done["version"], done["reason"]) == ("v1.1.0", "4 rows and 1 background were added")
    assert (tuple(done["add"]), done["drop"]) == (new, [])
    assert set(done["change"]) == {"README.md", "manifest.json", "stats.json"}
    assert sent(hub, mark) == shas(second, *new)
    assert len(hub.log.commits(mark)) == 1
    repo = hub.repo(name)
    assert_same_as_folder(repo, second)
    assert repo.read("manifest.json", "v1.0.0") == (first / "manifest.json").read_bytes()
    card = card_on_hub(repo)
    assert card.index("**v1.1.0**") < card.index("**v1.0.0**")
    old, now = (client.run(publishing.load_rows, name, revision=r)["train"] for r in ("v1.0.0", "v1.1.0"))
    assert now == old + 4


def test_after_a_card_edit_only_the_card_is_sent(hub, client, name, first):
    client.run(publish_set, first, name)
    add_words(first, "These rooms are small.")
    mark = hub.log.mark()
    done = client.run(publish_set, first, name, message="Said how small.")
    assert (done["version"], done["add"], done["change"], done["drop"]) == ("v1.0.1", [], ["README.md"], [])
    assert sent(hub, mark) == set()
    assert "These rooms are small." in card_on_hub(hub.repo(name)) and "These rooms" not in card_on_hub(hub.repo(name), "v1.0.0")
    assert_same_as_folder(hub.repo(name), first)


def test_large_files_go_in_parts(hub, client, name, first):
    mark = hub.log.mark()
    client.run(publish_set, first, name)
    parts = [part for _, part in hub.log.blob_uploads(mark)]
    assert None in parts and 2 in parts
    assert_same_as_folder(hub.repo(name), first)


def test_a_plan_sends_nothing(hub, client, name, first, second):
    card, mark = (first / "README.md").read_bytes(), hub.log.mark()
    told = client.run(publish_set, first, name, plan=True)
    assert (told["version"], told["exists"], told["latest"], told["drop"]) == ("v1.0.0", False, None, [])
    assert told["bytes_to_send"] >= sum((first / path).stat().st_size for path in told["add"])
    assert writes(hub, mark) == [] and not hub.has_repo(name) and (first / "README.md").read_bytes() == card
    client.run(publish_set, first, name)
    mark = hub.log.mark()
    told = client.run(publish_set, second, name, plan=True)
    done = client.run(publish_set, first, name, plan=True)
    assert (told["version"], told["exists"], told["latest"]) == ("v1.1.0", True, "v1.0.0")
    assert done["version"] is None and writes(hub, mark) == []
    assert hub.repo(name).tags.keys() == {"v1.0.0"}


def test_a_plan_needs_no_token(hub, client, tmp_path, name, first, second):
    client.run(publish_set, first, name)
    with RealClient(hub, tmp_path / "home", token=None, settings=publishing.SETTINGS) as nobody:
        told = nobody.run(publish_set, second, name, plan=True)
        assert told["version"] == "v1.1.0" and "there is no token for the Hub" in told["notes"][0]


def test_a_private_set(hub, client, name, first):
    client.run(publish_set, first, name, private=True)
    assert hub.repo(name).private
    client.run(publish_set, first, name)
    assert hub.repo(name).private


def test_private_for_a_public_repository_is_only_noted(hub, client, name, first):
    client.run(publish_set, first, name)
    done = client.run(publish_set, first, name, private=True)
    assert not hub.repo(name).private and "is public" in done["notes"][0]


def test_rows_that_go_away_make_a_major_version_and_strangers_stay(hub, client, name, first, second):
    client.run(publish_set, second, name)
    hub.repo(name).write({"notes/mine.txt": b"not ours", "assets/mine.png": b"png"})
    done = client.run(publish_set, first, name)
    assert done["version"] == "v2.0.0" and done["reason"].startswith("rows go away")
    gone = ["backgrounds/b001.parquet", "data/train/b001-00000.parquet", "metadata/train/b001.parquet"]
    assert done["drop"] == gone
    files = hub.repo(name).files()
    assert {"notes/mine.txt", "assets/mine.png", ".gitattributes"} < set(files) and not set(gone) & set(files)
    assert set(gone) < set(hub.repo(name).files("v1.0.0"))
    assert_main_is_whole(hub.repo(name))


def test_numbers_of_ones_own(hub, client, name, first, second):
    assert client.run(publish_set, second, name, version="v0.9.0")["version"] == "v0.9.0"
    mark = hub.log.mark()
    assert "no longer part of the set" in refused(client, first, name, version="v0.9.1").text
    assert "isn't above v0.9.0" in refused(client, first, name, version="v0.1.0").text
    assert "nothing has changed since v0.9.0" in refused(client, second, name, version="v3.0.0").text
    assert writes(hub, mark) == []
    assert client.run(publish_set, first, name, version="v4.0.0")["version"] == "v4.0.0"


def test_words_from_the_hub_are_kept_and_come_back(hub, client, name, first, second):
    fresh = copy_of(second, second.parent / "fresh")
    client.run(publish_set, first, name)
    repo = hub.repo(name)
    repo.write({"README.md": card_on_hub(repo).replace("## Citation", "## Citation\n\nedited").replace(
        "<!-- fgbg-depth:end summary -->\n", "<!-- fgbg-depth:end summary -->\n\nWords from the Hub.\n").encode()})  # fmt: skip
    done = client.run(publish_set, second, name)
    assert done["notes"] == ("the generated part 'citation' of the card was edited on the Hub; it is made again from the data",)
    assert "Words from the Hub." in card_on_hub(repo) and "edited" not in card_on_hub(repo)
    assert_same_as_folder(repo, second)  # they came back into the folder, so the next version keeps them
    add_words(second, "Words from here.", after="statistics")
    client.run(publish_set, second, name)
    assert "Words from the Hub." in card_on_hub(repo) and "Words from here." in card_on_hub(repo)
    # A folder that was made anew has never seen either text, and takes nothing away.
    assert client.run(publish_set, fresh, name)["changed"] is False
    assert_same_as_folder(repo, fresh)


def test_words_on_both_sides_are_refused_with_the_difference(hub, client, name, first):
    client.run(publish_set, first, name)
    repo = hub.repo(name)
    other = copy_of(first, first.parent / "other")
    add_words(other, "Words from the Hub.")
    repo.write({"README.md": (other / "README.md").read_bytes()})
    add_words(first, "Words from here.")
    mark = hub.log.mark()
    error = refused(client, first, name)
    assert error.kind == "CardConflictError" and "--card local" in error.text
    assert writes(hub, mark) == []
    client.run(publish_set, first, name, card="local")
    assert "Words from here." in card_on_hub(repo) and "Words from the Hub." not in card_on_hub(repo)


def test_a_list_of_versions_that_was_taken_away_comes_back(hub, client, name, first, second):
    client.run(publish_set, first, name)
    repo = hub.repo(name)
    card = card_on_hub(repo)
    start, stop = card.index("<!-- fgbg-depth:begin changelog -->"), card.index("<!-- fgbg-depth:end changelog -->")
    repo.write({"README.md": (card[:start] + card[stop + len("<!-- fgbg-depth:end changelog -->\n") :]).encode()})
    assert client.run(publish_set, second, name)["version"] == "v1.1.0"
    assert "**v1.1.0**" in card_on_hub(repo) and "**v1.0.0**" in card_on_hub(repo)
    repo.write({"README.md": None})
    assert client.run(publish_set, second, name)["version"] == "v1.1.1"
    assert "**v1.0.0**" in card_on_hub(repo)


TOKENS = {
    "missing": (None, "alice", "there is no token for the Hub"),
    "wrong": (accounts.WRONG_TOKEN, "alice", "doesn't know this token"),
    "read": (accounts.READ_TOKEN, "alice", "it may only read"),
    "fine_read": (accounts.FINE_READ_TOKEN, "alice", "no write permission for alice/"),
    "foreign": (accounts.OTHER_TOKEN, "alice", "alice is neither bob nor one of the organisations of bob"),
    "reader_of_organisation": (accounts.OTHER_TOKEN, "studio", "bob may only read in studio"),
    "broken": ("not a\ttoken\x00", "alice", ""),
}


@pytest.mark.parametrize("case", TOKENS)
def test_a_token_that_cannot_write_is_refused_before_anything_is_sent(hub, tmp_path, first, case):
    token, namespace, words = TOKENS[case]
    env = {**os.environ, **hub.env(tmp_path / "home", token=None if case == "broken" else token)}
    if case == "broken":
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "token").write_text("tok\u00e9n-with-letters-that-none-has")
        del env["HF_TOKEN"]
    mark = hub.log.mark()
    done = run_cli("publish", first, "--repo", f"{namespace}/token-{case.replace('_', '-')}", "--trust", "--quiet", check=False, env=env)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr and "Nothing was sent" in done.stderr and "Traceback" not in done.stderr
    assert "with-letters" not in done.stderr + done.stdout and (token is None or token not in done.stderr + done.stdout)
    assert writes(hub, mark) == []


def test_a_fine_grained_token_and_an_organisation(hub, tmp_path, first, second):
    with RealClient(hub, tmp_path / "home", token=accounts.FINE_WRITE_TOKEN, settings=publishing.SETTINGS) as client:
        assert client.run(publish_set, first, "alice/fine")["version"] == "v1.0.0"
        assert "no write permission" in refused(client, first, "studio/fine").text
    with RealClient(hub, tmp_path / "home", settings=publishing.SETTINGS) as client:
        assert client.run(publish_set, second, "studio/fine")["version"] == "v1.0.0"
        assert client.run(publish_set, first, "bare-name")["url"].endswith("/datasets/alice/bare-name")


def test_the_command(hub, tmp_path, name, first, second):
    env = {**os.environ, **hub.env(tmp_path / "home")}
    plan = run_cli("publish", first, "--repo", name, "--plan", env=env)
    assert "(would be made): v1.0.0, because it is the first version" in plan.stdout and "nothing was sent now" in plan.stdout
    done = run_cli("publish", first, "--repo", name, "--message", "Hello.", env=env)  # with the full check
    assert f"{name}: v1.0.0, because it is the first version: 15 files new" in done.stdout and "check rows" in done.stderr
    script = [sys.executable, "scripts/publish.py", str(second), "--repo", name, "--trust", "--json"]
    made = json.loads(run_script(script, env).stdout)
    assert (made["version"], made["keep"], made["latest"]) == ("v1.1.0", 12, "v1.0.0")
    again = run_cli("publish", second, "--repo", name, "--trust", "--quiet", env=env)
    assert again.stdout.strip() == f"{hub.endpoint}/datasets/{name} holds all of this already, as v1.1.0; nothing was sent"
    assert again.stderr == ""
    assert accounts.OWNER_TOKEN not in plan.stdout + plan.stderr + done.stdout + done.stderr
    assert not any(accounts.OWNER_TOKEN.encode() in p.read_bytes() for p in second.rglob("*") if p.is_file())


def run_script(command, env):
    import subprocess

    from conftest import ROOT

    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("check", ["trust", "full"])
def test_a_damaged_folder_is_not_sent(hub, client, name, first, check):
    path = first / "data/train/b000-00000.parquet"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    mark = hub.log.mark()
    error = refused(client, first, name, check=check)
    assert error.kind == "DataError" and "b000-00000.parquet" in error.text
    assert writes(hub, mark) == [] and not hub.has_repo(name)


def test_an_unfinished_folder_is_not_sent(client, name, first, tmp_path):
    (first / "data/train/b000-00000.parquet").unlink()
    assert "is missing, and manifest.json lists it" in refused(client, first, name).text
    assert "is missing" in refused(client, tmp_path, name).text
    assert "expected USER/SET" in refused(client, first, "a/b/c").text
    assert "is no folder" in refused(client, tmp_path / "nowhere", name).text


def test_what_would_spoil_the_set_is_refused(hub, client, name, first):
    client.run(publish_set, first, name)
    repo, base = hub.repo(name), name.split("/")[1]
    add_words(first, "More.")
    repo.write({f"{base}.py": b"print()"})
    assert f"holds {base}.py" in refused(client, first, name).text
    repo.write({f"{base}.py": None, "data/train/other.parquet": b"PAR1"})
    assert "data/train/other.parquet: they would be loaded as rows" in refused(client, first, name).text
    repo.write({"data/train/other.parquet": None})
    assert client.run(publish_set, first, name)["version"] == "v1.0.1"


def test_what_somebody_deleted_on_main_comes_back(hub, client, name, first):
    client.run(publish_set, first, name)
    hub.repo(name).write({"data/train/b000-00000.parquet": None})
    mark = hub.log.mark()
    assert client.run(publish_set, first, name)["version"] == "v1.0.1"
    assert sent(hub, mark) == set()  # the blob is still stored there
    assert_same_as_folder(hub.repo(name), first)


def test_bad_yaml_is_refused_before_the_blobs(hub, client, name, first):
    path = first / "README.md"
    path.write_text(path.read_text().replace("---\n", "---\nviewer_title: 5\n", 1))
    mark = hub.log.mark()
    assert 'README.md: "viewer_title" must be a string' in refused(client, first, name).text
    assert writes(hub, mark) == []


def test_a_commit_without_its_tag_gets_it(hub, client, name, first, second):
    done = client.run(publish_set, first, name)
    repo = hub.repo(name)
    repo.save(tags={})
    mark = hub.log.mark()
    again = client.run(publish_set, first, name)
    assert (again["tagged"], again["changed"], again["version"]) == (("v1.0.0",), False, "v1.0.0")
    assert [e.path.rsplit("/", 2)[1] for e in writes(hub, mark)] == ["tag"]
    assert repo.tags == {"v1.0.0": done["commit"]}
    # With other content at hand the lost tag comes first, on its own commit.
    repo.save(tags={})
    repo.write({"notes.txt": b"meanwhile"})
    third = client.run(publish_set, second, name)
    assert third["tagged"] == ("v1.0.0", "v1.1.0") and repo.tags["v1.0.0"] == done["commit"] and repo.tags["v1.1.0"] == repo.head()


def test_a_tag_is_never_moved(hub, client, name, first, second):
    client.run(publish_set, first, name)
    repo = hub.repo(name)
    elsewhere = repo.head()

    def take_the_tag(request):
        repo.save(tags={**repo.state["tags"], "v1.1.0": {**next(iter(repo.state["tags"].values())), "commit": elsewhere}})

    hub.faults.add(faults.call(take_the_tag), method="POST", path="/tag/")
    error = refused(client, second, name)
    assert error.kind == "ConflictError" and "never moved" in error.text
    assert repo.tags["v1.1.0"] == elsewhere


def test_a_pull_request(hub, client, name, first, second):
    client.run(publish_set, first, name)
    repo, card = hub.repo(name), (second / "README.md").read_bytes()
    head = repo.head()
    done = client.run(publish_set, second, name, as_pull_request=True)
    assert done["pull_request"] == f"{hub.endpoint}/datasets/{name}/discussions/1" and done["tagged"] == ()
    assert repo.head() == head and repo.tags.keys() == {"v1.0.0"}
    assert (second / "README.md").read_bytes() == card  # nothing is published yet
    mark = hub.log.mark()
    again = client.run(publish_set, second, name, as_pull_request=True)
    assert again["pull_request"] == done["pull_request"] and not hub.log.commits(mark) and not hub.log.blob_uploads(mark)
    client.run(merge_pull_request, name, 1)
    merged = client.run(publish_set, second, name)
    assert (merged["changed"], merged["tagged"], merged["version"]) == (False, ("v1.1.0",), "v1.1.0")
    assert repo.tags["v1.1.0"] == repo.head() and repo.head() != head
    assert_same_as_folder(repo, second)


def merge_pull_request(repo, number):
    from huggingface_hub import HfApi

    HfApi().merge_pull_request(repo, number, repo_type="dataset")


def test_a_pull_request_to_somebody_elses_set(hub, client, tmp_path, name, first, second):
    client.run(publish_set, first, name)
    with RealClient(hub, tmp_path / "home", token=accounts.OTHER_TOKEN, settings=publishing.SETTINGS) as bob:
        assert bob.run(publish_set, second, name, as_pull_request=True)["pull_request"]
    assert hub.repo(name).tags.keys() == {"v1.0.0"}


def test_a_commit_from_elsewhere_while_sending(hub, client, name, first, second):
    client.run(publish_set, first, name)
    repo, mark = hub.repo(name), hub.log.mark()
    hub.faults.add(faults.call(lambda request: repo.write({"notes.txt": b"hi"}, "a note", "bob")), method="POST", path="/commit/")
    error = refused(client, second, name)
    assert error.kind == "ConflictError" and "bob committed 'a note'" in error.text and "Run the same command again" in error.text
    assert_main_is_whole(repo)
    assert repo.titles()[0] == "a note" and repo.tags.keys() == {"v1.0.0"}
    assert client.run(publish_set, second, name)["version"] == "v1.1.0"
    assert repo.read("notes.txt") == b"hi"
    assert sent(hub, mark) == shas(second, "backgrounds/b001.parquet", "data/train/b001-00000.parquet", "metadata/train/b001.parquet")


def test_another_commit_in_progress_is_waited_for(hub, client, name, first, second):
    client.run(publish_set, first, name)
    refusal = faults.status(409, "Another commit operation is in progress for this repository.")
    hub.faults.add(refusal, method="POST", path="/commit/", count=3)
    assert len(client.run(publish_set, second, name)["said"]) == 3
    add_words(second, "More.")
    with hub.commit_in_progress(name):
        error = refused(client, second, name)
    assert error.kind == "ConflictError" and "busy with another change" in error.text


def test_a_commit_that_is_too_large(hub, client, name, first):
    limit, hub.options.commit_limit_files = hub.options.commit_limit_files, 3
    try:
        error = refused(client, first, name)
    finally:
        hub.options.commit_limit_files = limit
    assert error.kind == "HubError" and "rows_per_shard" in error.text and "413" in error.text
    assert set(hub.repo(name).files()) == {".gitattributes"}
    mark = hub.log.mark()
    assert client.run(publish_set, first, name)["version"] == "v1.0.0"
    assert sent(hub, mark) == set()


def test_a_blob_that_the_hub_refuses(hub, client, name, first):
    sha = next(iter(shas(first, "foregrounds/b000.parquet")))
    hub.refused[sha] = "virus found"
    try:
        assert "virus found" in refused(client, first, name).text
    finally:
        del hub.refused[sha]
    assert set(hub.repo(name).files()) == {".gitattributes"}
    assert client.run(publish_set, first, name)["version"] == "v1.0.0"


def race(hub, clients, folders, name):
    """Two publishers whose commits arrive at the same moment; gives [result or ClientError]."""
    barrier = threading.Barrier(2, timeout=60)
    waiting = [faults.call(lambda request: barrier.wait(), "wait for the other") for _ in range(2)]
    for action in waiting:
        hub.faults.add(action, method="POST", path="/commit/")
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(client.run, publish_set, folder, name) for client, folder in zip(clients, folders, strict=True)]
        return [run.exception() or run.result() for run in runs]


def test_two_publishers_at_once(hub, client, second_client, name, first, second):
    client.run(publish_set, first, name)
    add_words(first, "Words of the other one.")
    outcomes = race(hub, (client, second_client), (second, first), name)
    lost = [o for o in outcomes if isinstance(o, ClientError)]
    won = [o for o in outcomes if isinstance(o, dict)]
    assert len(won) == len(lost) == 1 and lost[0].kind == "ConflictError"
    repo = hub.repo(name)
    assert_main_is_whole(repo)
    assert repo.tags.keys() == {"v1.0.0", won[0]["version"]} and repo.tags[won[0]["version"]] == repo.head()
    # The other one goes on; nothing of either is lost.
    loser = (second, first)[outcomes.index(lost[0])]
    clients = (client, second_client)
    done = clients[outcomes.index(lost[0])].run(publish_set, loser, name)
    assert done["changed"] and repo.tags[done["version"]] == repo.head()
    assert "Words of the other one." in card_on_hub(repo)
    if loser == second:
        assert_same_as_folder(repo, second)


def test_two_publishers_of_the_same_set_at_once(hub, client, second_client, name, first, second):
    client.run(publish_set, first, name)
    twin = copy_of(second, second.parent / "twin")
    outcomes = race(hub, (client, second_client), (second, twin), name)
    assert [o["version"] for o in outcomes] == ["v1.1.0", "v1.1.0"]
    repo = hub.repo(name)
    assert repo.titles()[:2] == ["v1.1.0: 4 rows and 1 background were added", "v1.0.0: it is the first version"]
    assert repo.tags["v1.1.0"] == repo.head()


def test_two_publishers_of_a_new_set_at_once(hub, client, second_client, name, first, second):
    """The other one is quicker: between our look at the place, which was empty, and our making of the repository."""
    hub.faults.add(faults.call(lambda request: second_client.run(publish_set, first, name)), method="POST", path="/api/repos/create")
    error = refused(client, second, name)
    assert error.kind == "ConflictError" and "somebody else made it at the same time" in error.text
    assert_same_as_folder(hub.repo(name), first)
    assert client.run(publish_set, second, name)["version"] == "v1.1.0"


def test_a_folder_that_cannot_be_written(hub, client, name, first, tmp_path):
    """As root may write anywhere, the permission is taken away by a stand-in for `os.access`."""
    done = client.run(publish_read_only, first, name)
    assert done["version"] == "v1.0.0" and "can't be written" in done["notes"][0]
    assert (first / "README.md").read_bytes() != hub.repo(name).read("README.md")
    assert client.run(publish_set, first, name)["changed"] is False
    assert_same_as_folder(hub.repo(name), first)


def publish_read_only(folder, name):
    import os
    from unittest import mock

    with mock.patch.object(os, "access", lambda path, mode: False):
        return publish_set(folder, name)


def test_memory_stays_flat(hub, tmp_path, name):
    hub.create_repo(name)
    path, block = tmp_path / "large.parquet", hashlib.shake_128(b"x").digest(1_000_000)
    with path.open("wb") as file:
        for _ in range(LARGE_BYTES // len(block)):
            file.write(block)
    limit, hub.options.part_bytes = hub.options.part_bytes, 50_000_000
    try:
        with RealClient(hub, tmp_path / "home", settings=publishing.SETTINGS) as client:
            grown = client.run(send_and_measure, name, path)
    finally:
        hub.options.part_bytes = limit
    assert grown < LARGE_BYTES / 4
    shutil.rmtree(hub.repo(name).folder / "large")
    (hub.repo(name).folder / "large").mkdir()


def send_and_measure(repo, path):
    """Bytes by which the process grew at its largest while it hashed and sent a file."""
    import resource

    from huggingface_hub import HfApi

    from fgbg_depth.hub.contents import from_path
    from fgbg_depth.hub.remote import Remote
    from fgbg_depth.hub.upload import additions_of, send_blobs
    from fgbg_depth.progress import Quiet

    remote = Remote(HfApi(), repo)
    remote.tree(remote.head())  # whatever is loaded late is there now
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    file = from_path("data/large.parquet", Path(path))
    send_blobs(remote, additions_of({file.path: file}, [file.path]), Quiet())
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
