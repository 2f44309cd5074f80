"""`fgbg-depth generate` from a checkout: python scripts/generate.py --backgrounds DIR --foregrounds DIR --out DIR"""

import sys

from fgbg_depth.cli import main

if __name__ == "__main__":
    sys.exit(main(["generate", *sys.argv[1:]]))
