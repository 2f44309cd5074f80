"""Asset ids: valid for any file name, unique, independent of order, kept for ever."""

import hashlib
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbg_depth.assets.ids import MAX_ID_CHARS, assign_ids, safe_id
from fgbg_depth.errors import AssetError

VALID = re.compile(r"[a-z0-9](?:[a-z0-9-]|_(?!_))*(?<![_-])")
NAMES = st.one_of(
    st.text(min_size=1, max_size=12),
    st.sampled_from(["cat", "Cat", "cat.", "c a t", "CON", "a" * 80, "a" * 81, "__", "-", "日本", "é", "e\u0301", "cat-1"]),
)


def sha(text):
    return hashlib.sha256(str(text).encode("utf-8", "surrogatepass")).hexdigest()


def is_valid(asset_id):
    return VALID.fullmatch(asset_id) is not None and len(asset_id) <= MAX_ID_CHARS


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("hdri_apartment_01", "hdri_apartment_01"),
        ("fluent_1f3c3-1f3fe-200d-2642", "fluent_1f3c3-1f3fe-200d-2642"),
        ("peep_02_WalkingBW", "peep_02_walkingbw"),
        ("My Photo (1).final", "my-photo-1-final"),
        ("Ünïcødé Straße", "unicode-strasse"),
        ("ﬁne…", "fine"),
        ("a__b___c", "a_b_c"),
        ("_-x-_", "x"),
        ("写真", "asset"),
        ("写真 7", "7"),
        ("!!!", "asset"),
        ("CON", "asset-con"),
        ("lpt1", "asset-lpt1"),
        ("console", "console"),
        ("x" * 70, "x" * 64),
        ("x" * 63 + "_y", "x" * 63),
        ("\udcff.tmp", "tmp"),
    ],
)
def test_known_ids(stem, expected):
    assert safe_id(stem) == expected


@given(st.text())
def test_any_text_gives_a_valid_stable_id(stem):
    asset_id = safe_id(stem)
    assert is_valid(asset_id)
    assert safe_id(asset_id) == asset_id
    assert safe_id(stem.upper().lower()) == safe_id(stem.upper()).lower()


def test_first_in_path_order_keeps_the_plain_id():
    files = {"b/cat.png": sha(1), "a/Cat.jpg": sha(2), "cat.webp": sha(3), "dog.png": sha(4)}
    assert assign_ids(files) == {
        "a/Cat.jpg": "cat",
        "b/cat.png": f"cat-{sha(1)[:8]}",
        "cat.webp": f"cat-{sha(3)[:8]}",
        "dog.png": "dog",
    }


def test_long_names_stay_within_the_bound():
    ids = assign_ids({f"{i}/{'x' * 90}.png": sha(i) for i in range(3)})
    assert all(map(is_valid, ids.values())) and len(set(ids.values())) == 3


def test_known_pictures_keep_their_ids_and_newcomers_take_none_of_them():
    taken = {"cat": sha("old cat"), "tree": sha("lost tree"), "dog-1": sha("dog")}
    files = {"a/cat.png": sha("new cat"), "b/cat.png": sha("old cat"), "tree.png": sha("new tree"), "wolf.png": sha("dog")}
    assert assign_ids(files, taken) == {
        "a/cat.png": f"cat-{sha('new cat')[:8]}",
        "b/cat.png": "cat",
        "tree.png": f"tree-{sha('new tree')[:8]}",
        "wolf.png": "dog-1",
    }


def test_a_stem_that_looks_like_a_made_id():
    made = f"cat-{sha(2)[:8]}"
    ids = assign_ids({f"a/{made}.png": sha(1), "b/cat.png": sha(3), "c/cat.png": sha(2)})
    assert ids == {f"a/{made}.png": made, "b/cat.png": "cat", "c/cat.png": f"cat-{sha(2)[:16]}"}


def test_no_free_id_is_an_error():
    taken = {"cat": sha(1), **{f"cat-{sha(2)[:digits]}": sha(digits) for digits in (8, 16, 32, 56)}}
    with pytest.raises(AssetError, match=r"no free id for 'cat.png'.*rename"):
        assign_ids({"cat.png": sha(2)}, taken)


@given(st.sets(NAMES, max_size=12), st.sets(NAMES, max_size=6), st.randoms(use_true_random=False))
def test_ids_are_unique_whatever_the_order(names, old_names, rng):
    taken = {asset_id: sha(f"old {file}") for file, asset_id in assign_ids({n: sha(f"old {n}") for n in old_names}).items()}
    known = sorted(old_names)[: len(old_names) // 2]
    files = {f"{i % 3}/{name}.png": sha(name) for i, name in enumerate(sorted(names))}
    files |= {f"again/{name}.png": sha(f"old {name}") for name in known}
    ids = assign_ids(files, taken)
    assert len(set(ids.values())) == len(files) and all(map(is_valid, ids.values()))
    for file, asset_id in ids.items():
        assert taken.get(asset_id, files[file]) == files[file]
    shuffled = list(files.items())
    random.Random(rng.random()).shuffle(shuffled)
    assert assign_ids(dict(shuffled), taken) == ids
