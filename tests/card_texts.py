"""Reading the card of a set: its YAML block, its parts, the cells of its tables; and how many rows the files have."""

import re

import pyarrow.parquet as pq
import yaml

PARTS = ["summary", "pictures", "sizes", "statistics", "columns", "usage", "depth", "splits", "recipe", "sources", "people", "limits"]
PARTS += ["citation"]


def card_of(folder):
    """(dict of the YAML block, body) of a set's card."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    _, block, body = text.split("---\n", 2)
    return yaml.safe_load(block), body


def cells_of(part):
    """Rows of all tables in a part, as lists of texts, heads and rules left out."""
    lines = [line for line in part.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rules = [i for i, row in enumerate(rows) if all(re.fullmatch("-+:?", cell) for cell in row)]
    return [row for i, row in enumerate(rows) if i not in rules and i + 1 not in rules]


def rows_in(folder, pattern):
    """Number of rows of all Parquet files like a pattern."""
    return sum(pq.read_metadata(path).num_rows for path in folder.glob(pattern))
