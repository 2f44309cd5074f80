"""Source pictures: found, checked to the last byte, decoded to plain sRGB, and given ids. `scan.py` is where to begin."""
