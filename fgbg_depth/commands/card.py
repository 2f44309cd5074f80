"""`fgbg-depth card`: make a set's README.md and contact sheets again from its files."""

from pathlib import Path


def add_card_arguments(parser):
    """Add the arguments of `card` to an argparse parser."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="a finished set")
    parser.add_argument("--check", action="store_true", help="write nothing; list where the card differs from the data, exit code 1 if it does")
    parser.add_argument("--no-sheets", action="store_true", help="leave the contact sheets in DIR/assets as they are")


def run_card(args):
    """Run `card`. Returns the exit code; errors are raised as FgbgDepthError."""
    from fgbg_depth.card import CARD_NAME, card_differences, write_card  # late: it loads huggingface_hub
    from fgbg_depth.files import locked
    from fgbg_depth.manifest import read_manifest
    from fgbg_depth.sheets import write_sheets

    read_manifest(args.folder)  # refuses a folder that holds no finished set before anything is made in it
    if args.check:
        differences = card_differences(args.folder)
        for line in differences:
            print(line)
        if not differences:
            print(f"{args.folder / CARD_NAME} agrees with the data")
        return 1 if differences else 0
    with locked(args.folder):
        if not args.no_sheets:
            write_sheets(args.folder)
        write_card(args.folder)
    print(f"{args.folder / CARD_NAME} written; text outside of the marked parts was kept")
    return 0
