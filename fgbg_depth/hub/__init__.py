"""The Hugging Face Hub: publish a set, push further versions, compare, roll back.

| module | one idea |
| --- | --- |
| `download` | one file of a published set |
| `client` | the client of this process |
| `patience` | which failures are tried again, how long, and what the others mean in plain words |
| `account` | whose token it is and what it may do |
| `contents` | the files of a set on disk, as they are published |
| `remote` | a repository as it is now: files, tags, single small files |
| `difference` | files to add, keep and drop |
| `versions` | the version number, and the reason for it |
| `features` | the features in a card's YAML block, to tell a change of the schema |
| `changelog` | the part of the card that lists the versions |
| `card_hub` | a card edited on both sides |
| `history` | the versions of a published set |
| `release` | what a publish would do, worked out before anything is sent |
| `upload` | blobs first, then one commit, then one tag |
| `publish` | all of it |
| `rollback` | an earlier version as a new one |
| `verify_remote` | a published version against its manifest, without a download |
| `sides`, `diff` | two sets or versions, row by row |
| `model` | converted depth weights |
"""

from .download import download_file

__all__ = ["download_file"]
