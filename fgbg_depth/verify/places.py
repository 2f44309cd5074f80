"""From a byte of a Parquet file to the row and column that it belongs to."""

import itertools
from bisect import bisect_right

import numpy as np

from ..shards import open_table
from .tables import footer_bytes, group_starts

BLOCK_BYTES = 1 << 20
LENGTH_BYTES = 4  # the length of a PLAIN value stands before it
MAX_OFFSETS = 1_000_000  # beyond that it is no flipped bit, and the rows named so far will do


def name_bytes(damaged, reference, name, found):
    """Find the places of all bytes that differ between a damaged file and the undamaged one.

    Args:
        damaged, reference: paths of two files of one size.
        name: the damaged file, for findings.
        found: Findings; rows that it names already aren't named again.
    """
    with open_table(reference) as table:
        places = Places(table, reference)
    hits = {}
    for offset in itertools.islice(differing_offsets(damaged, reference), MAX_OFFSETS):
        place = places.at(offset)
        first, count = hits.get(place, (offset, 0))
        hits[place] = (first, count + 1)
    for (column, rows, what), (offset, count) in hits.items():
        if rows and found.about(name, column, rows):
            continue
        where = f"{what}: " if what else ""
        number = "1 byte differs" if count == 1 else f"{count:,} bytes differ"
        found.add(name, f"{where}{number} from the file made anew, the first at byte {offset:,}", rows[0] if rows else None, column)


def differing_offsets(one, other):
    """Offsets at which two files of one size differ, ascending."""
    with one.open("rb") as first, other.open("rb") as second:
        start = 0
        while block := first.read(BLOCK_BYTES):
            theirs = second.read(BLOCK_BYTES)
            if block != theirs:
                differ = np.frombuffer(block, np.uint8) != np.frombuffer(theirs, np.uint8)
                yield from (start + np.flatnonzero(differ)).tolist()
            start += len(block)


class Places:
    """What lies at each byte of an undamaged file that this package wrote."""

    def __init__(self, table, path):
        """Args: table: the opened ParquetFile; path: its path."""
        self._starts, self._spans, size = [], [], path.stat().st_size
        self._footer_start = size - footer_bytes(path)
        row_starts = group_starts(table)
        with path.open("rb") as file:
            for group, first in enumerate(row_starts[:-1]):
                self._add_group(table, file, group, range(first, row_starts[group + 1]))

    def _add_group(self, table, file, group, rows):
        facts = table.metadata.row_group(group)
        for c in range(facts.num_columns):
            chunk = facts.column(c)
            column, _, leaf = chunk.path_in_schema.partition(".")
            starts = [chunk.data_page_offset] + ([chunk.dictionary_page_offset] if chunk.has_dictionary_page else [])
            start, stop = min(starts), min(starts) + chunk.total_compressed_size
            if leaf != "bytes":
                self._add(start, stop, column, rows, f"rows {rows[0]} to {rows[-1]}")
                continue
            file.seek(start)
            data, cursor, what = file.read(stop - start), 0, f"rows {rows[0]} to {rows[-1]}, between the values"
            values = table.read_row_group(group, columns=[column]).column(column).to_pylist()
            for row, value in zip(rows, values, strict=True):
                at = data.index(value["bytes"], cursor)
                self._add(start + cursor, start + at - LENGTH_BYTES, column, rows, what)
                cursor = at + len(value["bytes"])
                self._add(start + at - LENGTH_BYTES, start + cursor, column, range(row, row + 1), "")
            self._add(start + cursor, stop, column, rows, what)

    def _add(self, start, stop, column, rows, what):
        if stop > start:
            self._starts.append(start)
            self._spans.append((stop, (column, rows, what)))

    def at(self, offset):
        """(column or None, range of rows or None, words) of a byte; column chunks lie one after the other."""
        i = bisect_right(self._starts, offset) - 1
        if i >= 0 and offset < self._spans[i][0]:
            return self._spans[i][1]
        if offset >= self._footer_start:
            return None, None, "the footer"
        return None, None, "the page index" if i >= 0 else "the magic number at the start"
