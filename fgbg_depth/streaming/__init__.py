"""Streaming: rows of a set on the Hub, or in a folder, without a download.

| module | one idea |
| --- | --- |
| `halt` | a switch that ends what other threads are doing |
| `hub_request` | one GET, piece by piece |
| `hub_files`, `folder_files` | byte ranges of files, whatever happens to the connection |
| `catalog` | which files and rows there are, and the units that they are handed out in |
| `tables` | from units to bytes to rows |
| `ahead` | fetching what comes next, within bounds |
| `rows` | units as `datasets` wants them: order, parts, state |
| `opening` | `stream` |
"""

from .opening import stream

__all__ = ["stream"]
