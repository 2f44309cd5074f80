"""The exceptions of fgbg_depth, and the exit code that each one has on the command line.

    FgbgDepthError                 exit 1: the data are bad, or the work failed
    ├── UsageError                 exit 2: a flag, a path or a call is wrong
    │   └── RecipeError            exit 2: a recipe holds an unknown key or an impossible value
    ├── AssetError                 some source pictures can't be used; each is named with its reason
    ├── PlanError                  the assets and the recipe don't go together
    ├── CodecError                 a stored picture can't be decoded, or an array can't be stored
    ├── FolderError                the output folder is locked, or another recipe or asset list made it
    ├── StorageError               the disk is full or can't be written; S3 refuses something or can't be reached
    ├── DataError                  a finished set is damaged or doesn't agree with itself
    ├── HubError                   the Hub refused something, or can't be reached; a second run goes on
    │   ├── TokenError             exit 2: no token, a wrong one, or one that may not write there
    │   ├── ConflictError          somebody else changed the repository, or holds the tag
    │   └── CardConflictError      the card was edited on the Hub and here, in the same place
    ├── CutoutModelError           a segmentation model is missing, unknown or unusable
    └── DepthModelError            a depth model is missing, unknown or unusable
        └── WeightsError           a weight file has missing, unknown or unsound tensors

Every message says what was found, where, what was expected and what to do about it.
"""


class FgbgDepthError(Exception):
    """Base of all errors that this package raises on purpose."""

    exit_code = 1


class UsageError(FgbgDepthError, ValueError):
    """A flag, a path or a call is wrong; nothing was begun."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe holds an unknown key, a wrong type or an impossible value."""


class AssetError(FgbgDepthError):
    """Some source pictures can't be used.

    Attributes:
        problems: list of (path, reason) pairs, in the order of the paths.
    """

    def __init__(self, message, problems=()):
        super().__init__(message)
        self.problems = list(problems)


class PlanError(FgbgDepthError):
    """The assets and the recipe don't go together (too few groups, too few placements)."""


class CodecError(FgbgDepthError):
    """A stored picture can't be decoded, or an array can't be stored."""


class FolderError(FgbgDepthError):
    """The output folder is in use, or belongs to another recipe or asset list."""


class StorageError(FgbgDepthError):
    """The disk is full or can't be written; or S3 refuses something, or can't be reached. Finished files are kept."""


class DataError(FgbgDepthError):
    """A finished set is damaged or doesn't agree with itself."""


class HubError(FgbgDepthError):
    """The Hub refused something, or can't be reached. What was sent stays there, and a second run goes on."""


class TokenError(HubError):
    """There is no token, it is wrong, or it may not write there; nothing was sent."""

    exit_code = 2


class ConflictError(HubError):
    """Somebody else changed the repository meanwhile, or a tag is in use for another commit."""


class CardConflictError(HubError):
    """The card was edited on the Hub and here in the same place.

    Attributes:
        difference: unified diff from the text here to the text on the Hub.
    """

    def __init__(self, message, difference=""):
        super().__init__(message)
        self.difference = difference


class CutoutModelError(FgbgDepthError):
    """A segmentation model is missing, unknown or unusable."""


class DepthModelError(FgbgDepthError):
    """A depth model is missing, unknown or unusable."""


class WeightsError(DepthModelError):
    """A weight file has missing, unknown or unsound tensors."""
