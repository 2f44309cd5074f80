"""`fgbg-depth publish` from a checkout: python scripts/publish.py DIR --repo USER/SET"""

import sys

from fgbg_depth.cli import main

if __name__ == "__main__":
    sys.exit(main(["publish", *sys.argv[1:]]))
