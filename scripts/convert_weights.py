"""Converts a Keras DenseDepth file: the same as `fgbg-depth convert-weights`.

python scripts/convert_weights.py nyu.h5 OUT
"""

import sys

from fgbg_depth.cli import main

if __name__ == "__main__":
    sys.exit(main(["convert-weights", *sys.argv[1:]]))
