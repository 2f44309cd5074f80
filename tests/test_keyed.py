"""Keyed hashes and permutations: known answers, and that they are what their names say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbg_depth.keyed import counter_hash, first_occurrences, key64, mix64, permutation, unit_interval

KEYS = st.integers(0, 2**64 - 1)


def test_splitmix64_reference_stream():
    # The published test vector of SplitMix64 for seed 1234567: its state steps by the golden ratio, then is mixed.
    state, golden = 1234567, 0x9E3779B97F4A7C15
    states = [(state + (i + 1) * golden) % 2**64 for i in range(5)]
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert mix64(np.array(states, np.uint64)).tolist() == expected


def test_key64_frames_its_parts():
    keys = [key64("ab", "c"), key64("a", "bc"), key64("abc"), key64("ab", "c", ""), key64(1), key64("1"), key64(11), key64(1, 1)]
    assert len(set(keys)) == len(keys)
    assert key64("cell", 0) == key64("cell", 0)


def test_key64_refuses_what_has_no_one_text():
    for part in (1.5, None, True, b"x"):
        with pytest.raises(TypeError, match="str and int"):
            key64(part)


@given(count=st.integers(0, 500), key=KEYS)
def test_permutation_holds_each_number_once(count, key):
    assert sorted(permutation(count, key)) == list(range(count))


def test_counter_hash_is_uniform_and_keys_are_independent():
    # Chi-square of 100 cells over 40,000 draws: mean 99, deviation 14; of the pairs of two neighbouring counters too.
    for draws in (counter_hash(np.uint64(5), np.arange(40_000)), counter_hash(np.arange(40_000), 7)):
        counts = np.bincount((draws % np.uint64(100)).astype(int), minlength=100)
        assert ((counts - 400) ** 2 / 400).sum() < 99 + 5 * 14
    first, second = (counter_hash(np.arange(40_000), n) % np.uint64(10) for n in (0, 1))
    counts = np.bincount((first * np.uint64(10) + second).astype(int), minlength=100)
    assert ((counts - 400) ** 2 / 400).sum() < 99 + 5 * 14


@given(st.lists(st.lists(st.integers(0, 5), min_size=7, max_size=7), min_size=1, max_size=5))
def test_first_occurrences(rows):
    expected = [[value not in row[:i] for i, value in enumerate(row)] for row in rows]
    assert first_occurrences(np.array(rows)).tolist() == expected


def test_unit_interval_ends():
    values = unit_interval(np.array([0, 2**64 - 1], np.uint64))
    assert values[0] == 0.0
    assert 1 - 2**-52 < values[1] < 1.0
