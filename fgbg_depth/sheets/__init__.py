"""Contact sheets and plots: pictures of what is in a set. `write.py` is where to begin."""
