"""A small Hugging Face Hub on loopback: a real HTTP server that the real client talks to. State is kept in a folder.

In a test (`tests/` is on sys.path there, so the package is called `hub`):

    from hub import HubServer, faults

    with HubServer(tmp_path / "hub") as hub:
        env = {**os.environ, **hub.env(tmp_path / "home")}            # HF_ENDPOINT, HF_TOKEN, HF_HOME, no xet, not offline
        subprocess.run([sys.executable, "-m", "fgbg_depth", "publish", folder, "--repo", "alice/set"], env=env, check=True)
        mark = hub.log.mark()
        ...                                                           # publish again
        assert not hub.log.blob_uploads(mark) and not hub.log.commits(mark)
        hub.faults.add(faults.status(503), method="POST", path="/commit/")
        hub.repo("alice/set").write({"README.md": b"..."})            # somebody else's commit
        hub.check()                                                   # all hashes, refs and served files are right

By hand: `python -m tests.hub --root DIR`, which prints the environment variables for a client. Calls of the client from a
test without a command line in between: `hub.client.RealClient`.

Who is who: alice owns `alice/...` and writes to the organisation `studio`; bob owns `bob/...`. Tokens are in `accounts`.

The modules, each importing only from those before it:

    wire, shaping, log, faults, listener        HTTP: requests, answers, byte counts, faults, slow links
    git, patterns, cards, signing, accounts     ids, .gitattributes, YAML of cards, signed URLs, rights
    repo, store, commits, pulls                 state on disk: blobs, commits, refs, pull requests
    routing, routes_*, cdn                      what is answered to which path
    checks, server, client                      what must always hold; the whole; the client in its own process

As strict as the Hub: a stale parent is 412, a second commit at the same time or an existing tag 409, bad YAML 400, an object whose
hash or size isn't the announced one 400, a commit of an object that never came 400, a write without the right to it 401 or 403.
Not there: downloads by xet, git itself, spaces, redirects from old names of a repo, copies between repos.
"""

from .client import ClientError, RealClient
from .server import HubServer, Options

__all__ = ["ClientError", "HubServer", "Options", "RealClient"]
