"""What else is done with published sets: list the versions, compare, verify, roll back; and publishing a depth model."""

import json
import re
import shutil
import struct
from pathlib import Path

import publishing
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub import RealClient, accounts, faults
from publishing import add_words, assert_main_is_whole, card_on_hub, copy_of, first_set, publish_set, run_main, second_set

NAME = "alice/set"
CLIENT_OPTIONS = {"settings": publishing.SETTINGS}
pytestmark = pytest.mark.usefixtures("folders", "hub_stays_sound", "hub_knows_every_path")


@pytest.fixture(scope="module")
def folders(hub, client, tmp_path_factory):
    """The published folders of v1.0.0 and v1.1.0."""
    home = tmp_path_factory.mktemp("sets")
    first, second = copy_of(first_set(), home / "first"), copy_of(second_set(), home / "second")
    client.run(publish_set, first, NAME, message="Five rooms.")
    client.run(publish_set, second, NAME)
    return first, second


def good(client, *words):
    code, out, err = client.run(run_main, *words)
    assert code == 0, err
    return out


def bad(client, *words):
    code, out, err = client.run(run_main, *words)
    assert code in (1, 2) and "Traceback" not in err, (code, out, err)
    return code, out, err


def data_reads(hub, mark):
    """Requests for the content of data files and asset tables."""
    return [e for e in hub.log.filter(since=mark) if re.search(r"resolve/.*/(data|backgrounds|foregrounds)/", e.target) or e.port == "cdn"]


def keys_of(folder):
    return sorted(k for p in (folder / "metadata").rglob("*.parquet") for k in pq.read_table(p).column("key").to_pylist())


# versions


def test_the_versions_are_listed(hub, client):
    lines = good(client, "versions", NAME).splitlines()
    tags = hub.repo(NAME).tags
    assert lines == [
        f"v1.1.0     2026-03-04 {tags['v1.1.0'][:8]}  4 rows and 1 background were added.",
        f"v1.0.0     2026-03-04 {tags['v1.0.0'][:8]}  It is the first version. Five rooms.",
    ]
    told = json.loads(good(client, "versions", NAME, "--json"))
    assert [(v["version"], v["commit"]) for v in told] == sorted(tags.items(), reverse=True)


def test_versions_of_a_set_without_any_and_of_none(hub, client):
    hub.create_repo("alice/empty")
    assert "has no version yet" in good(client, "versions", "alice/empty")
    code, _, err = bad(client, "versions", "alice/nothing")
    assert code == 2 and "isn't there, or this token may not see it" in err


# diff


def test_two_folders_and_two_versions_differ_alike(hub, client, folders):
    first, second = folders
    new = sorted(set(keys_of(second)) - set(keys_of(first)))
    assert len(new) == 4
    for pair in (folders, (f"{NAME}@v1.0.0", f"{NAME}@v1.1.0"), (first, NAME)):
        mark = hub.log.mark()
        told = json.loads(good(client, "diff", *pair, "--json"))
        assert (told["added"], told["removed"], told["changed"], told["columns"]) == (new, [], [], {})
        assert told["same"] == len(keys_of(first)) and told["not_compared"] == 0 and told["same_recipe"]
        assert not [e for e in data_reads(hub, mark) if "/data/" in e.target]
    text = good(client, "diff", f"{NAME}@v1.1.0", f"{NAME}@v1.0.0")
    assert text.startswith(f"0 rows added\n4 rows removed\n  - {new[0]}\n") and f"{told['same']} rows are the same" in text


def rewrite(path, change):
    """Write a Parquet file of a set anew with one table function applied; footer and schema stay."""
    with pq.ParquetFile(path) as file:
        table, metadata = file.read(), file.schema_arrow.metadata
        extra = {k: v for k, v in file.metadata.metadata.items() if k != b"ARROW:schema"}
    pq.write_table(change(table).replace_schema_metadata({**(metadata or {}), **extra}), path)


def test_changed_pictures_are_found_byte_by_byte(client, folders, tmp_path):
    first = folders[0]
    other = copy_of(first, tmp_path / "other")
    path = other / "data/train/b000-00000.parquet"
    keys = pq.read_table(path).column("key").to_pylist()

    def swap(table):
        masks = table.column("mask").combine_chunks().to_pylist()
        masks[0], masks[1] = masks[1], masks[0]
        position = table.column_names.index("mask")
        return table.set_column(position, table.field(position), pa.array(masks, table.field(position).type))

    rewrite(path, swap)
    relist(other)
    told = json.loads(good(client, "diff", first, other, "--json"))
    assert told["changed"] == sorted(keys[:2]) and told["columns"] == {"mask": 2} and told["added"] == told["removed"] == []
    # Against the Hub the pictures aren't at hand, and that is said.
    told = json.loads(good(client, "diff", f"{NAME}@v1.0.0", other, "--json"))
    assert told["changed"] == [] and told["not_compared"] == len(keys)
    assert f"the pictures of {len(keys)} rows weren't compared" in good(client, "diff", f"{NAME}@v1.0.0", other)


def relist(folder):
    """Make manifest.json fit the files."""
    from fgbg_depth.manifest import build_manifest, manifest_text, read_manifest

    facts = {k: v for k, v in read_manifest(folder).items() if k not in ("files", "format")}
    (folder / "manifest.json").write_text(manifest_text(build_manifest(folder, facts)))


def test_changed_numbers_are_found_by_column(client, folders, tmp_path):
    first = folders[0]
    other = copy_of(first, tmp_path / "other")
    path = next((other / "metadata").rglob("*.parquet"))

    def change(table):
        areas = [0.5, *table.column("mask_area").to_pylist()[1:]]
        position = table.column_names.index("mask_area")
        return table.set_column(position, table.field(position), pa.array(areas, table.field(position).type))

    rewrite(path, change)
    relist(other)
    told = json.loads(good(client, "diff", first, other, "--json"))
    assert len(told["changed"]) == 1 and told["columns"] == {"mask_area": 1}


def test_what_cannot_be_compared(hub, client, folders, tmp_path):
    hub.create_repo("alice/no-set")
    for name, code, words in [
        ("nonsense", 2, "neither a folder nor a repo id"),
        (f"{NAME}@v9.9.9", 2, "has no revision 'v9.9.9'"),
        ("alice/no-set", 1, "holds no set of this kind"),
        ("alice/nowhere", 2, "isn't there"),
        (tmp_path, 1, "manifest.json is missing"),
        (folders[0] / "README.md", 2, "is a file"),
    ]:
        found, _, err = bad(client, "diff", folders[0], name)
        assert (found, words in err) == (code, True), err


# verify


def test_a_version_is_verified_without_a_download(hub, client, folders):
    mark = hub.log.mark()
    out = good(client, "verify", NAME, "--revision", "v1.0.0")
    assert f"{NAME} at v1.0.0 is good: 7 files" in out
    assert f"{len(keys_of(folders[0]))} rows" in out
    assert "is good" in good(client, "verify", NAME)
    assert "is good" in good(client, "verify", f"{NAME}@v1.1.0")
    assert data_reads(hub, mark) == []


def test_a_full_verify_downloads_and_decodes(hub, client):
    mark = hub.log.mark()
    assert "is good" in good(client, "verify", NAME, "--revision", "v1.1.0", "--full", "--rebuild", "2", "--workers", "1", "--quiet")
    assert data_reads(hub, mark)


DAMAGE = {
    "other bytes": ({"data/train/b000-00000.parquet": b"PAR1 something else"}, "data/train/b000-00000.parquet: has 19 bytes"),
    "gone": ({"foregrounds/b000.parquet": None}, "foregrounds/b000.parquet: is missing"),
    "stats": ({"stats.json": "same length"}, "stats.json: has sha256"),
    "strange": ({"data/train/x.parquet": b"PAR1"}, "data/train/x.parquet: isn't listed"),
    "script": ({"damaged.py": b"1"}, "damaged.py: keeps `datasets` from loading"),
    "card": ({"README.md": None}, "README.md: is missing"),
    "manifest": ({"manifest.json": b"{}"}, "manifest.json: is missing, or can't be read"),
}


def test_damage_on_the_hub_is_found(hub, client, folders, tmp_path):
    client.run(publish_set, copy_of(first_set(), tmp_path / "set"), "alice/damaged")
    repo = hub.repo("alice/damaged")
    whole = {path: repo.read(path) for path in repo.files()}
    for case, (changes, words) in DAMAGE.items():
        changes = {path: _of_same_length(whole[path]) if data == "same length" else data for path, data in changes.items()}
        repo.write(changes, case)
        code, out, _ = bad(client, "verify", "alice/damaged")
        assert code == 1 and words in out, (case, out)
        repo.write({path: whole.get(path) for path in changes})
        assert "is good" in good(client, "verify", "alice/damaged")


def _of_same_length(data):
    return data.replace(b"0", b"1")


def test_wrong_use_of_verify(client, folders):
    for words, text in [
        ((folders[0], "--revision", "v1.0.0"), "--revision and --full are for sets on the Hub"),
        ((NAME, "--rebuild", "3"), "add --full to download"),
        ((NAME, "--revision", "v7.0.0"), "has no revision"),
    ]:
        code, _, err = bad(client, "verify", *words)
        assert code == 2 and text in err


# rollback


@pytest.fixture
def rolling(hub, client, repo_id, first, second):
    """(name, repo) of a set with v1.0.0 and v1.1.0."""
    client.run(publish_set, first, repo_id)
    add_words(second, "Words of the second.")
    client.run(publish_set, second, repo_id)
    return repo_id, hub.repo(repo_id)


def test_an_old_version_comes_back_as_a_new_one(hub, client, rolling, tmp_path):
    name, repo = rolling
    mark, before = hub.log.mark(), dict(repo.tags)
    text = good(client, "rollback", name, "--to", "v1.0.0", "--plan")
    assert "would make v2.0.0: the content of v1.0.0, 3 files brought back, 3 dropped" in text
    assert repo.tags == before and not hub.log.commits(mark)
    text = good(client, "rollback", name, "--to", "v1.0.0", "--message", "The new room was wrong.")
    assert "is now v2.0.0" in text
    assert not hub.log.blob_uploads(mark)
    assert {k: v for k, v in repo.tags.items() if k != "v2.0.0"} == before and repo.tags["v2.0.0"] == repo.head()
    old, new = repo.files("v1.0.0"), repo.files("v2.0.0")
    assert {p: f for p, f in new.items() if p != "README.md"} == {p: f for p, f in old.items() if p != "README.md"}
    card = card_on_hub(repo)
    assert "Words of the second." not in card
    assert re.findall(r"^\*\*(v\S+)\*\*", card, re.MULTILINE) == ["v2.0.0", "v1.1.0", "v1.0.0"]
    assert "The content of v1.0.0 is back. The new room was wrong." in card
    assert_main_is_whole(repo)
    assert "is good" in good(client, "verify", name, "--revision", "v2.0.0")
    # And forward again; and publishing goes on from there.
    assert "is now v3.0.0" in good(client, "rollback", name, "--to", "v1.1.0")
    assert "Words of the second." in card_on_hub(repo)
    third = copy_of(first_set(), tmp_path / "third")
    assert client.run(publish_set, third, name)["version"] == "v4.0.0"


def test_a_rollback_that_makes_no_sense_is_refused(client, rolling):
    name, _ = rolling
    for words, text in [
        ((name, "--to", "v1.1.0"), "holds the content of v1.1.0 already"),
        ((name, "--to", "v9.0.0"), "has no version 'v9.0.0'; it has: v1.0.0, v1.1.0"),
        ((name, "--to", "main"), "has no version 'main'"),
        (("alice/nowhere", "--to", "v1.0.0"), "isn't there"),
    ]:
        code, _, err = bad(client, "rollback", *words)
        assert code == 2 and text in err


def test_a_rollback_needs_a_token_that_writes(hub, rolling, tmp_path):
    name, repo = rolling
    before = repo.head()
    with RealClient(hub, tmp_path / "home", token=accounts.READ_TOKEN, settings=publishing.SETTINGS) as reader:
        code, _, err = bad(reader, "rollback", name, "--to", "v1.0.0")
        assert code == 2 and "may only read" in err and repo.head() == before


def roll_back(repo, to):
    from fgbg_depth.hub.patience import Patience
    from fgbg_depth.hub.rollback import rollback

    return rollback(repo, to, patience=Patience(sleep=publishing.QuickTime().sleep)).__dict__


@pytest.mark.parametrize("kind", ["status", "drop", "lose_response"])
def test_faults_of_a_rollback(hub, client, rolling, kind):
    name, repo = rolling
    make = {"status": lambda: faults.status(503), "drop": faults.drop, "lose_response": faults.lose_response}[kind]
    rules = [
        hub.faults.add(make(), method="POST", path=path) for path in ("/commit/", "/tag/", "/paths-info/", "/preupload/", "/validate-yaml")
    ]
    assert client.run(roll_back, name, "v1.0.0")["version"] == "v2.0.0"
    assert all(rule.fired for rule in rules)
    assert repo.tags["v2.0.0"] == repo.head() and len(repo.titles()) == 4
    assert_main_is_whole(repo)


# push-model


@pytest.fixture
def model(tmp_path):
    """A folder as convert-weights writes it, with the small weights of the package and a card."""
    from fgbg_depth.depth.locate import embedded_folder

    folder = tmp_path / "model"
    shutil.copytree(embedded_folder(), folder)
    card = "---\nlibrary_name: transformers\npipeline_tag: depth-estimation\n---\n\n# DenseDepth, converted\n"
    (folder / "README.md").write_text(card)
    (folder / "nyu.h5").write_bytes(b"not to be sent")
    return folder


def test_a_model_is_published(hub, client, model, tmp_path):
    name = "alice/densedepth"
    assert "would be sent" in good(client, "push-model", model, "--repo", name, "--plan")
    assert not hub.has_repo(name, "models")
    assert "published" in good(client, "push-model", model, "--repo", name, "--tag", "v1.0.0", "--quiet")
    repo = hub.repo(name, "models")
    assert set(repo.files()) == {".gitattributes", "README.md", "config.json", "model.safetensors", "preprocessor_config.json"}
    assert repo.tags == {"v1.0.0": repo.head()} and repo.read("model.safetensors") == (model / "model.safetensors").read_bytes()
    mark = hub.log.mark()
    assert "holds all of this already; nothing was sent" in good(client, "push-model", model, "--repo", name, "--quiet")
    assert not hub.log.blob_uploads(mark) and not hub.log.commits(mark)
    assert client.run(estimate_from_hub, name) == 64


def estimate_from_hub(name):
    """Side of a depth map that the published model predicts."""
    import numpy as np

    import fgbg_depth

    return fgbg_depth.load_depth_estimator(name).predict(np.zeros((1, 64, 64, 3), np.uint8)).shape[1]


def test_a_model_card_that_differs(hub, client, model):
    name = "alice/card"
    good(client, "push-model", model, "--repo", name, "--quiet")
    repo = hub.repo(name, "models")
    repo.write({"README.md": b"---\nlicense: mit\n---\n# Edited on the Hub\n"})
    code, out, err = bad(client, "push-model", model, "--repo", name, "--quiet")
    assert code == 1 and "+# Edited on the Hub" in out and "--card local" in err
    assert "nothing was sent" in good(client, "push-model", model, "--repo", name, "--quiet", "--card", "hub")
    assert "README.md published" in good(client, "push-model", model, "--repo", name, "--quiet", "--card", "local")


def test_a_folder_that_holds_no_sound_model_is_refused(hub, client, model, tmp_path):
    weights = (model / "model.safetensors").read_bytes()
    cases = [
        (lambda: (model / "model.safetensors").write_bytes(weights[:-1]), "its header says"),
        (lambda: (model / "model.safetensors").write_bytes(b"\x80\x04pickle"), "is no safetensors file"),
        (lambda: (model / "model.safetensors").write_bytes(struct.pack("<Q", 4) + b"{]{]"), "header can't be read"),
        (lambda: (model / "config.json").write_text("{"), "no valid JSON"),
        (lambda: (model / "config.json").unlink(), "config.json missing"),
    ]
    mark = hub.log.mark()
    for damage, words in cases:
        damage()
        assert words in bad(client, "push-model", model, "--repo", "alice/unsound")[2]
    assert len(hub.log.filter(since=mark)) == 0
    assert Path(model).is_dir()
