"""Content-defined chunks: the cuts are Xet's own, whatever way they are found."""

import sys
from itertools import pairwise

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path[:0] = [str(ROOT / "scripts")]

from version_bench import chunking  # noqa: E402
from version_bench.chunking import GEAR, MAX_TIMES, MIN_PART, TARGET_BYTES, Store, find_cuts, new_bytes  # noqa: E402

KIB = 1024
SMALL_TARGET = MIN_PART * 64  # the smallest: chunks of 64 to 1,024 bytes
# A pattern that ends a chunk wherever one may end; from the tests of huggingface/xet-core, deduplication/src/chunking.rs.
PATTERN = bytes(
    [
        154, 52, 42, 34, 159, 75, 126, 224, 70, 236, 12, 196, 79, 236, 178, 124, 127, 50, 99, 178, 44, 176, 174,
        126, 250, 235, 205, 174, 252, 122, 35, 10, 20, 101, 214, 69, 193, 8, 115, 105, 158, 228, 120, 111, 136,
        162, 198, 251, 211, 183, 253, 252, 164, 147, 63, 16, 186, 162, 117, 23, 170, 36, 205, 187, 174, 76, 210,
        174, 211, 175, 12, 173, 145, 59, 2, 70, 222, 181, 159, 227, 182, 156, 189, 51, 226, 106, 24, 50, 183, 157,
        140, 10, 8, 23, 212, 70, 10, 234, 23, 33, 219, 254, 39, 236, 70, 49, 191, 116, 9, 115, 15, 101, 26, 159,
        165, 220, 15, 170, 56, 125, 92, 163, 94, 235, 38, 40, 49, 81,
    ]
)  # fmt: skip


def cuts_byte_by_byte(data, target):
    """The specification's rule, one byte after the other, with Python's integers."""
    table, mask = [int(value) for value in GEAR], (target - 1) << (64 - (target.bit_length() - 1))
    cuts, start, state = [], 0, 0
    for place, byte in enumerate(data):
        state = (state * 2 + table[byte]) % 2**64
        size = place + 1 - start
        if size >= target * MAX_TIMES or (size >= target // MIN_PART and state & mask == 0):
            cuts.append(place + 1)
            start, state = place + 1, 0
    return cuts if start == len(data) else [*cuts, len(data)]


def splitmix64_bytes(count, seed):
    """Random bytes as xet-core's tests make them: SplitMix64, eight bytes a number, little-endian."""
    states = np.uint64(seed) + np.arange(1, count // 8 + 2, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (states ^ (states >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))).astype("<u8").tobytes()[:count]


def random_bytes(count, seed=0):
    return np.random.default_rng(seed).bytes(count)


# --- against Xet's own tests ---


def test_cuts_of_random_bytes_are_those_of_xet_core():
    data = splitmix64_bytes(1_000_000, 0)
    assert (data[0], data[127], data[111111]) == (175, 132, 118)
    assert find_cuts(data) == [
        84493, 134421, 144853, 243318, 271793, 336457, 467529, 494581, 582000, 596735, 616815, 653164, 678202, 724510, 815591, 827760,
        958832, 991092, 1000000,
    ]  # fmt: skip


def test_cuts_of_one_byte_repeated_are_those_of_xet_core():
    assert find_cuts(bytes([59]) * 1_000_000) == [*range(131072, 1_000_000, 131072), 1_000_000]


@pytest.mark.parametrize(
    "padding, at_11111, cuts",
    [
        (0, 236, [8256, 16448, 24640, 32832, 41024, 49216, 57408, 65536]),
        (1, 50, [8320, 16576, 24832, 33088, 41344, 49600, 57856, 65536]),
        (12, 252, [8324, 16584, 24844, 33104, 41364, 49624, 57884, 65536]),
        (24, 124, [8272, 16480, 24688, 32896, 41104, 49312, 57520, 65536]),
        (29, 163, [8228, 16549, 24870, 33191, 41512, 49833, 58154, 65536]),
        (45, 105, [8195, 16499, 24803, 33107, 41411, 49715, 58019, 65536]),
    ],
)
def test_cuts_of_many_possible_ends_are_those_of_xet_core(padding, at_11111, cuts):
    data = PATTERN + bytes(padding)
    data = (data * (65536 // len(data) + 1))[:65536]
    assert data[11111] == at_11111
    assert find_cuts(data) == cuts


def test_sizes_are_those_of_xet():
    assert (TARGET_BYTES // MIN_PART, TARGET_BYTES, TARGET_BYTES * MAX_TIMES) == (8 * KIB, 64 * KIB, 128 * KIB)
    assert len(GEAR) == len(set(GEAR.tolist())) == 256


def test_the_table_is_the_one_of_the_installed_client():
    from importlib.util import find_spec
    from pathlib import Path

    folder = Path(find_spec("hf_xet").origin).parent
    libraries = [path.read_bytes() for path in folder.iterdir() if path.suffix in (".so", ".pyd")]
    assert any(GEAR.astype("<u8").tobytes() in library for library in libraries)


# --- against a plain loop ---


@st.composite
def contents(draw):
    """Bytes with repeats, runs and patterns, of up to some small chunks."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    parts = []
    for kind in draw(st.lists(st.sampled_from(["random", "few", "run", "pattern", "again"]), max_size=8)):
        count = draw(st.integers(0, 1500))
        if kind == "random":
            parts.append(rng.bytes(count))
        elif kind == "few":
            parts.append(rng.integers(0, 3, count, np.uint8).tobytes())
        elif kind == "run":
            parts.append(bytes([draw(st.integers(0, 255))]) * count)
        elif kind == "pattern":
            parts.append(PATTERN[: max(1, count % len(PATTERN))] * (count // 100))
        elif parts:
            parts.append(draw(st.sampled_from(parts)))
    return b"".join(parts)


@settings(max_examples=150, deadline=None)
@given(contents(), st.sampled_from([SMALL_TARGET, 2 * SMALL_TARGET]), st.sampled_from([64, 100, 1000, 64 * KIB]))
def test_cuts_are_those_of_the_plain_rule(data, target, block_bytes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunking, "BLOCK_BYTES", block_bytes)
        assert find_cuts(data, target) == cuts_byte_by_byte(data, target)


@pytest.mark.parametrize("count", [8 * KIB - 1, 8 * KIB, 64 * KIB, 64 * KIB + 1, 300_000])
def test_cuts_at_the_real_size_are_those_of_the_plain_rule(count):
    data = random_bytes(count, seed=count)
    assert find_cuts(data) == cuts_byte_by_byte(data, TARGET_BYTES)


@settings(max_examples=100, deadline=None)
@given(contents())
def test_chunks_cover_the_bytes_and_keep_their_bounds(data):
    cuts = find_cuts(data, SMALL_TARGET)
    lengths = [b - a for a, b in pairwise([0, *cuts])]
    assert sum(lengths) == len(data)
    assert all(64 <= length <= 1024 for length in lengths[:-1])
    assert all(0 < length <= 1024 for length in lengths[-1:])
    assert find_cuts(bytearray(data), SMALL_TARGET) == cuts


def test_no_bytes_have_no_chunks():
    assert find_cuts(b"") == []


@pytest.mark.parametrize("target", [0, 1, 1000, SMALL_TARGET // 2, SMALL_TARGET + 1])
def test_impossible_targets_are_refused(target):
    with pytest.raises(ValueError, match="power of two"):
        find_cuts(b"abc", target)


# --- what is new to a store ---


def test_cuts_come_together_again_behind_an_insertion():
    data, words = random_bytes(2_000_000), b"some words more"
    before = find_cuts(data)
    after = find_cuts(data[:700_000] + words + data[700_000:])
    assert [cut for cut in after if cut <= 700_000] == [cut for cut in before if cut <= 700_000]
    shifted = {cut + len(words) for cut in before if cut > 700_000}
    assert len(shifted - set(after)) <= 3


@pytest.mark.parametrize("change", ["insert", "remove", "overwrite"])
def test_a_small_change_makes_few_bytes_new(change):
    data = random_bytes(3_000_000, seed=1)
    rest = {"insert": data[1_000_000:], "remove": data[1_000_100:], "overwrite": bytes(100) + data[1_000_100:]}[change]
    store = Store()
    assert store.add(data) == len(data)
    changed = data[:1_000_000] + (b"new" if change == "insert" else b"") + rest
    assert 0 < store.add(changed) <= 4 * TARGET_BYTES * MAX_TIMES
    assert store.add(changed) == store.add(data) == 0


def test_chunks_are_found_in_other_files_and_repeats_count_once(tmp_path):
    first, second = random_bytes(500_000, seed=2), random_bytes(400_000, seed=3)
    paths = [tmp_path / name for name in ("first", "second", "both")]
    for path, data in zip(paths, (first, second, first + second), strict=True):
        path.write_bytes(data)
    assert new_bytes(paths[:2], [paths[0]]) == 0
    assert new_bytes(paths[:1], [paths[1], paths[1]]) == len(second)
    seam = new_bytes(paths[:2], [paths[2]])
    assert 0 < seam <= 3 * TARGET_BYTES * MAX_TIMES
    assert new_bytes([], paths[:1]) == len(first)
    assert new_bytes(paths, []) == 0
