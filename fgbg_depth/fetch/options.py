"""How pictures are fetched, and what came of it."""

from dataclasses import dataclass
from pathlib import Path

from .. import __version__
from ..assets.pictures import DEFAULT_MAX_PIXELS
from ..errors import UsageError

PRODUCT = "fgbg-depth"  # the token that robots.txt and X-Robots-Tag know us by
NAMES = ("line", "file", "url", "reason")  # of a failure


@dataclass(frozen=True)
class FetchOptions:
    """How pictures are fetched.

    Attributes:
        workers: pictures under way at once.
        per_host: of these, at most so many from one host.
        delay_s: least time between two requests to one host [s]; a Crawl-delay counts when it is longer.
        retries: further tries after a failure that may pass.
        timeout_s: longest wait for a connection, or for the next bytes [s].
        max_bytes: bound on the size of a file.
        max_pixels: bound on the size of a picture.
        contact: an address or a link that the User-Agent names, as some hosts ask for.
        permitted: hosts whose owners let you fetch: neither their robots.txt nor their opt-out headers count.
    """

    workers: int = 8
    per_host: int = 2
    delay_s: float = 0.0
    retries: int = 4
    timeout_s: float = 30.0
    max_bytes: int = 50_000_000
    max_pixels: int = DEFAULT_MAX_PIXELS
    contact: str = ""
    permitted: tuple = ()

    def __post_init__(self):
        for name, least in (("workers", 1), ("per_host", 1), ("retries", 0), ("delay_s", 0), ("max_bytes", 1), ("max_pixels", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}, expected at least {least}")
        if not self.timeout_s > 0:
            raise UsageError(f"timeout_s is {self.timeout_s}, expected more than 0")
        if not self.contact.isprintable() or not self.contact.isascii():
            raise UsageError("the contact has letters that an HTTP header can't hold; use plain ASCII")

    @property
    def agent(self):
        """The User-Agent header."""
        return f"{PRODUCT}/{__version__}" + (f" ({self.contact})" if self.contact else "")


@dataclass(frozen=True)
class FetchReport:
    """What a run did: pictures fetched now and kept from before, bytes received, seconds, `failed` (line, file, url, reason), notes."""

    folder: Path
    fetched: int
    kept: int
    received_bytes: int
    seconds: float
    failed: tuple
    notes: tuple

    def as_dict(self):
        """As JSON values."""
        return {
            "folder": str(self.folder),
            "fetched": self.fetched,
            "kept": self.kept,
            "failed": [dict(zip(NAMES, one, strict=True)) for one in self.failed],
            "bytes": self.received_bytes,
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
        }
