"""The card of a set, README.md: its numbers come from the set's files. `write.py` is where to begin."""
