"""The hub: two listeners over one store, with faults, a log, a slow link, and what a test wants to do to it from outside."""

import contextlib
import secrets
import threading
from dataclasses import dataclass

from . import accounts, cdn, checks, routes_discussions, routes_files, routes_refs, routes_repos, routes_upload, xet
from .faults import Faults
from .listener import Listener
from .log import Log
from .routing import Router
from .shaping import Link
from .signing import Signer
from .store import Store
from .wire import HubError


@dataclass
class Options:
    """How the hub behaves; may be changed while it runs."""

    page_size: int = 1000  # rows of a tree listing, as on the Hub; small in tests of paging
    paths_info_limit: int = 1000  # paths in one paths-info call
    part_bytes: int = 50 * 2**20  # larger objects are sent in parts of this size
    commit_limit_bytes: int = 10**9
    commit_limit_files: int = 25_000  # large files in one commit
    url_lifetime_s: float = 3600.0  # of signed URLs
    delay_s: float = 0.0  # before every answer, on both ports
    xet: bool = False  # take large files by Xet, too; see `xet`
    bytes_per_s: float | None = None  # each way, shared by all connections of both ports; None: no limit


class HubServer:
    """A hub on loopback. Use it as a context manager, or call `start` and `stop`.

    Args:
        root: folder of its state; a hub started again on the same folder knows everything that the last one did.
        port, cdn_port: 0 takes free ones; to restart under the same URLs give those of the first one.
        on_request: function called with each finished log entry.
        options: fields of `Options`.

    Attributes:
        endpoint, cdn_endpoint: URLs of the two ports.
        token: of alice, who may write; others are in `hub.accounts`.
        faults: see `faults`; `log`: see `log`; `options`: see `Options`.
        refused: {sha256: message}: large objects that the hub won't take.
        problems: tracebacks of mistakes in the emulator itself.
    """

    def __init__(self, root, port=0, cdn_port=0, on_request=None, **options):
        self.options = Options(**options)
        self.store = Store(root)
        self.faults, self.log = Faults(), Log(on_request)
        self.refused, self.problems = {}, []
        self.token = accounts.OWNER_TOKEN
        self.check_key = secrets.token_hex(16)
        self.stopping = threading.Event()
        self.uplink, self.downlink = Link(self.options.bytes_per_s), Link(self.options.bytes_per_s)
        self._uploads, self._lock = 0, threading.Lock()
        self._routers = {"hub": Router(), "cdn": cdn.router}
        for module in (routes_repos, routes_refs, routes_files, routes_upload, routes_discussions, xet):
            self._routers["hub"].include(module.router)
        self._hub, self._cdn = Listener("hub", port, self), Listener("cdn", cdn_port, self)
        self.endpoint, self.cdn_endpoint = self._hub.url, self._cdn.url
        self.port, self.cdn_port = self._hub.server_port, self._cdn.server_port

    @property
    def signer(self):
        return Signer(self.store.key, self.options.url_lifetime_s)

    @property
    def delay_s(self):
        return self.options.delay_s

    def start(self):
        self._hub.start()
        self._cdn.start()
        return self

    def stop(self):
        """End both ports and every connection; requests that hang are let go."""
        self.stopping.set()
        self._hub.stop()
        self._cdn.stop()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, error, trace):
        self.stop()
        # A mistake of the emulator must not pass for a fault of the network.
        if error is None and self.problems:
            raise AssertionError("the emulator failed inside:\n" + "\n".join(self.problems))

    def serve(self, request):
        """Answer one request; the listeners call it."""
        if request.port == "hub":
            authorization = request.headers.get("Authorization")
            request.who = accounts.CHECKER if request.is_check else accounts.identify(authorization)
        return self._routers[request.port].serve(self, request)

    def next_upload(self):
        """A number for a multipart upload, unique within this run."""
        with self._lock:
            self._uploads += 1
            return f"{self._uploads}-{self.check_key}"

    def set_speed(self, delay_s=None, bytes_per_s=None):
        """Make the network slow: seconds before each answer, bytes per second each way; None leaves a value as it is."""
        if delay_s is not None:
            self.options.delay_s = delay_s
        if bytes_per_s is not None:
            self.options.bytes_per_s = self.uplink.bytes_per_s = self.downlink.bytes_per_s = bytes_per_s

    # What tests do behind the client's back.

    def repo(self, repo_id, kind="datasets"):
        """A `repo.Repo`: head(), tags, files(revision), read(path, revision), titles(), write(changes).

        Raises:
            KeyError: there is none.
        """
        found = self.store.find(kind, repo_id)
        if found is None:
            raise KeyError(f"no {kind[:-1]} {repo_id!r}")
        return found

    def has_repo(self, repo_id, kind="datasets"):
        return self.store.find(kind, repo_id) is not None

    def create_repo(self, repo_id, kind="datasets", private=False):
        """Make a repo as its owner would, and give it."""
        repo = self.store.create(kind, repo_id, private, repo_id.partition("/")[0])
        if repo is None:
            raise HubError(409, f"{kind} {repo_id} exists")
        return repo

    @contextlib.contextmanager
    def commit_in_progress(self, repo_id, kind="datasets"):
        """While the block runs every commit to the repo is refused with 409."""
        with self.repo(repo_id, kind).commit_lock:
            yield

    def check(self):
        """Check everything that must always hold (see `checks`).

        Raises:
            AssertionError: with all that was found wrong.
        """
        found = [*self.problems, *checks.find_problems(self)]
        assert not found, "the hub's state is wrong:\n" + "\n".join(found)

    def env(self, home, token=accounts.OWNER_TOKEN):
        """Environment variables for a client in another process.

        Args:
            home: folder for its caches, one for each test.
            token: None for nobody.
        """
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_TOKEN": token or "",
            "HF_HUB_OFFLINE": "0",
            "HF_DATASETS_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "0" if self.options.xet else "1",  # it is a protocol of its own and has no way back to this one
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1,localhost",
        }
