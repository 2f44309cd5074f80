"""States of `fgbg_depth.stream`: each names the very next row."""

import json
import pickle

import pytest
from datasets.distributed import split_dataset_by_node
from streams import NUM_ROWS, keys, make_noise_set, noise_set, open_keys

from fgbg_depth import stream
from fgbg_depth.errors import UsageError

SEEDS = pytest.mark.parametrize("seed", [None, 7], ids=["in order", "shuffled"])


# States.


@SEEDS
@pytest.mark.parametrize("epoch", [0, 1])
def test_a_state_names_the_next_row_wherever_it_is_taken(seed, epoch, all_keys):
    data = open_keys(seed, epoch)
    whole, states = [], [data.state_dict()]
    for row in data:
        whole.append(row["key"])
        states.append(data.state_dict())
    assert sorted(whole) == all_keys
    for cut, state in enumerate(states):
        again = open_keys(seed, epoch)
        again.load_state_dict(state)
        assert keys(again) == whole[cut:]


@SEEDS
@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.map(lambda row: {"n": len(row["key"])}),
        lambda data: data.filter(lambda row: not row["key"].endswith("3")),
        lambda data: data.take(101),
        lambda data: data.skip(33),
        lambda data: data.with_format("numpy"),
        lambda data: split_dataset_by_node(data, rank=1, world_size=3),
        lambda data: split_dataset_by_node(data, rank=1, world_size=5),
        lambda data: data.shard(num_shards=4, index=2),
    ],
    ids=["map", "filter", "take", "skip", "format", "nodes", "nodes that don't divide", "shard"],
)
def test_states_hold_behind_other_steps(seed, change):
    whole = keys(change(open_keys(seed)))
    for cut in {0, 1, 7, 19, 20, 21, len(whole) // 2, len(whole) - 1, len(whole)}:
        data = change(open_keys(seed))
        rows = iter(data)
        before = [next(rows)["key"] for _ in range(min(cut, len(whole)))]
        state = data.state_dict()
        rows.close()
        again = change(open_keys(seed))
        again.load_state_dict(state)
        assert before + keys(again) == whole, cut


def test_a_state_goes_through_json_and_pickle(all_keys):
    data = open_keys(3)
    rows = iter(data)
    before = [next(rows)["key"] for _ in range(50)]
    for state in (json.loads(json.dumps(data.state_dict())), pickle.loads(pickle.dumps(data.state_dict()))):
        again = open_keys(3)
        again.load_state_dict(state)
        assert sorted(before + keys(again)) == all_keys


def test_a_state_of_other_rows_is_refused(tmp_path):
    data = open_keys(3)
    rows = iter(data)
    next(rows)
    state = data.state_dict()
    other = make_noise_set(tmp_path / "other", seed=1)
    wrong = [open_keys(4), open_keys(None), open_keys(3, folder=other), stream(noise_set(), "validation", shuffle_seed=3)]
    wrong.append(split_dataset_by_node(open_keys(3), rank=0, world_size=2))
    for data in wrong:
        data.load_state_dict(state)
        with pytest.raises(UsageError, match=r"another sequence of rows.*Open the stream as it was then"):
            next(iter(data))
    right = open_keys(3, folder=make_noise_set(tmp_path / "same"))  # the same content elsewhere
    right.load_state_dict(state)
    assert len(keys(right)) == NUM_ROWS - 1


def test_columns_may_change_between_state_and_resume(all_keys):
    data = open_keys()
    rows = iter(data)
    [next(rows) for _ in range(25)]
    again = stream(noise_set(), columns=["key", "image"])
    again.load_state_dict(data.state_dict())
    assert keys(again) == all_keys[25:]


@pytest.mark.parametrize("recipe_rows", [7, 13, 50, 1000])
def test_units_that_are_no_row_groups_give_the_same_rows(recipe_rows, tmp_path, all_keys):
    folder = make_noise_set(tmp_path / "set", recipe_rows=recipe_rows)
    data = stream(folder, columns=["key"])
    assert keys(data) == all_keys
    for cut in range(0, NUM_ROWS, 5):
        data = stream(folder, columns=["key"])
        rows = iter(data)
        [next(rows) for _ in range(cut)]
        again = stream(folder, columns=["key"])
        again.load_state_dict(data.state_dict())
        assert keys(again) == all_keys[cut:]
        rows.close()


@pytest.mark.parametrize("text", ["rows_per_group = 0\n", "rows_per_group = 'x'\n", "[[\n", ""])
def test_a_recipe_that_cannot_be_read_costs_no_rows(text, noise_copy, all_keys):
    from fgbg_depth.manifest import build_manifest, manifest_text

    (noise_copy / "recipe.toml").write_text(text)
    (noise_copy / "manifest.json").write_text(manifest_text(build_manifest(noise_copy, {})))
    assert keys(stream(noise_copy, columns=["key"])) == all_keys
