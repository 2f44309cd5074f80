"""Keyed hashes and permutations: the only source of chance in a data set.

Everything random here is a pure function of a 64-bit key, written out in integer arithmetic. Library
generators may change their streams between versions, and a stream makes row n depend on row n - 1; a keyed
function does neither, so any row can be rebuilt alone, in any order, by any worker, for ever.

`mix64` is the output function of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014).
"""

import hashlib

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd: the Weyl increment of SplitMix64
_MUL_1 = np.uint64(0xBF58476D1CE4E5B9)
_MUL_2 = np.uint64(0x94D049BB133111EB)


def key64(*parts):
    """Hash a sequence of strings and integers to one 64-bit key.

    Args:
        parts: str or int values. Their order, types and borders count: ("ab", "c") and ("a", "bc") differ.

    Returns:
        int in [0, 2**64).
    """
    return int.from_bytes(hashlib.sha256(_frame(parts)).digest()[:8], "little")


def _frame(parts):
    framed = []
    for part in parts:
        if isinstance(part, bool) or not isinstance(part, (str, int)):
            raise TypeError(f"a key is made of str and int, not {type(part).__name__}")
        data = part.encode() if isinstance(part, str) else str(part).encode()
        framed.append(b"%c%d:%s" % (b"s" if isinstance(part, str) else b"i", len(data), data))
    return b"".join(framed)


def mix64(values):
    """Mix 64-bit integers well: neighbouring inputs give unrelated outputs.

    Args:
        values: uint64 array (or scalar) of any shape.

    Returns:
        uint64 array of the same shape; the map is one to one.
    """
    z = np.asarray(values, dtype=np.uint64)
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * _MUL_1
        z = (z ^ (z >> np.uint64(27))) * _MUL_2
        return z ^ (z >> np.uint64(31))


def counter_hash(key, counter):
    """The `counter`-th random 64-bit integer of `key`; both may be uint64 arrays that broadcast."""
    with np.errstate(over="ignore"):
        start = np.asarray(key, dtype=np.uint64)
        steps = np.asarray(counter, dtype=np.uint64) + np.uint64(1)
        return mix64(mix64(start) + steps * GOLDEN)


def unit_interval(bits):
    """Map uint64 values to float64 in [0, 1), with 53 random bits."""
    return (np.asarray(bits, dtype=np.uint64) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(count, key):
    """A keyed permutation of range(count).

    Args:
        count: number of items.
        key: int in [0, 2**64).

    Returns:
        (count,) int64 array that holds each of 0..count-1 once.
    """
    ranks = counter_hash(np.uint64(key), np.arange(count, dtype=np.uint64))
    return np.argsort(ranks, kind="stable")


def first_occurrences(values):
    """Mark the values that their row hasn't shown before.

    Args:
        values: (N, M) integers.

    Returns:
        (N, M) bool.
    """
    order = np.argsort(values, axis=1, kind="stable")
    ranked = np.take_along_axis(values, order, axis=1)
    new = np.ones(values.shape, bool)
    new[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    out = np.empty_like(new)
    np.put_along_axis(out, order, new, axis=1)
    return out
