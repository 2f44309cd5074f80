"""`fgbg-depth card`: a set's README.md, croissant.json, contact sheets and plots anew, from its files."""

from pathlib import Path

from ..card.write import CARD_NAME, card_differences, write_card
from ..croissant import CROISSANT_NAME, croissant_differs, write_croissant
from ..files import locked
from ..manifest import read_manifest
from ..sheets.write import write_sheets


def add_arguments(parser):
    parser.add_argument("folder", metavar="DIR", type=Path, help="a finished set")
    parser.add_argument("--check", action="store_true", help="write nothing; list where the card differs from the data")
    parser.add_argument("--no-sheets", action="store_true", help="leave the contact sheets and plots in DIR/assets as they are")


def run(args):
    """Write card and sheets, or compare the card with the data: exit code 1 when it differs."""
    read_manifest(args.folder)  # a folder that holds no finished set is refused before anything is made in it
    if args.check:
        differs = croissant_differs(args.folder)
        differences = card_differences(args.folder) + ([f"{CROISSANT_NAME} {differs}"] if differs else [])
        print("\n".join(differences) if differences else f"{args.folder / CARD_NAME} agrees with the data")
        return 1 if differences else 0
    with locked(args.folder):
        if not args.no_sheets:
            write_sheets(args.folder)
        write_croissant(args.folder)
        write_card(args.folder)
    print(f"{args.folder / CARD_NAME} is written; text outside of the marked parts was kept")
    return 0
