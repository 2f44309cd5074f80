"""An S3 server with a bucket, made once for a test session, and one set in a folder and in the bucket. Each test takes names of its own.

The variables that name the server are set for the modules that ask for it, and for no other.
"""

import contextlib
import subprocess
import sys

import pytest
from real_runs import call_good, environment, generate, tree

HEAVY = ("s3fs", "aiobotocore", "botocore", "aiohttp")


@contextlib.contextmanager
def _reached(server):
    """What runs in this block finds the server."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        patch.delenv("AWS_PROFILE", raising=False)
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        yield


@pytest.fixture(scope="session")
def s3_machine():
    """(Server, Bucket); nothing finds them yet."""
    from s3_server import Bucket, Server

    server = Server()
    yield server, Bucket(server, "sets")
    server.stop()


@pytest.fixture(scope="module")
def s3_server(s3_machine):
    """The Server, which this process and those that it starts find."""
    with _reached(s3_machine[0]):
        yield s3_machine[0]


@pytest.fixture(scope="module")
def s3_bucket(s3_machine, s3_server):
    """Its Bucket."""
    return s3_machine[1]


@pytest.fixture(scope="session")
def s3_local(pictures, tmp_path_factory):
    """(folder, names of heavy modules that making it loaded): the set that S3 has to hold too."""
    folder = tmp_path_factory.mktemp("local") / "set"
    code = f"import sys; from fgbg_depth import cli; print(cli.main(sys.argv[1:]), *[m for m in {HEAVY} if m in sys.modules])"
    words = [sys.executable, "-c", code, *map(str, generate(pictures, folder))]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment())
    code, *loaded = done.stdout.splitlines()[-1].split()
    assert code == "0", done.stderr
    return folder, loaded


@pytest.fixture(scope="session")
def s3_remote(s3_machine, pictures):
    """URL of a finished set. Nobody may change it."""
    server, bucket = s3_machine
    with _reached(server):
        call_good(*generate(pictures, url := f"s3://{bucket.name}/finished/set"))
    return url


def files_of(folder):
    """{path: sha256} of the files of a local folder."""
    return {name: sha256 for name, sha256 in tree(folder).items() if sha256 != "folder"}
