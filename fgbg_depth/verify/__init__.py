"""Check a finished set, byte by byte and picture by picture, and say what is wrong, where, and how to mend it.

basis: what the set ought to be (recipe, asset lists, plan).
listing: the files that there are; manifest, recipe.toml, stats.json and card.
tables: the shell of a Parquet file (hash, footer, schema, row groups).
rows, pictures, metadata_rows, asset_rows: what lies in the tables, row by row.
together: what concerns all tables together.
recount: the statistics, counted anew from all pixels.
rebuild, model, anew: rows made anew from the asset tables, depth too.
explain, places, blame: where the damage of a file is.
run: all of it, in several processes.
"""

from .findings import Finding, Report
from .run import verify_set

__all__ = ["Finding", "Report", "verify_set"]
