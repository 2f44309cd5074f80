"""Contact sheets: pictures of what is in a set. `write.py` is where to begin."""
