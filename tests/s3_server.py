"""An S3 server on this machine (moto, real HTTP), which can refuse requests or hang up, and what its buckets hold.

Buckets keep all versions of their objects, so that an object that is written again is told from one that was left alone.
"""

import contextlib
import hashlib
import logging
import socket
import threading

import boto3
import s3fs
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.server import MotoRequestHandler
from werkzeug.serving import make_server

SECRET = "wJalrXUtnFEMI-K7MDENG-hidden"
REGION = "us-east-1"
_DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class Server:
    """A server in a thread of this process.

    Attributes:
        fault: function (method, key) -> None, "deny" or "hang up", asked before each request that names an object.
        requests: (method, "bucket/key" or "bucket") of all requests.
    """

    def __init__(self):
        self.fault, self.requests = None, []
        self._moto = DomainDispatcherApplication(create_backend_app)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=MotoRequestHandler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def environment(self):
        """Environment variables of a client."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._server.server_port}",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_MAX_ATTEMPTS": "1",  # s3fs tries again anyway; tests needn't wait longer
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/nowhere/config",
            "AWS_SHARED_CREDENTIALS_FILE": "/nowhere/credentials",
        }

    def _answer(self, environ, start_response):
        name = environ["PATH_INFO"].strip("/")
        self.requests.append((environ["REQUEST_METHOD"], name))
        what = self.fault and "/" in name and self.fault(environ["REQUEST_METHOD"], name.split("/", 1)[1])
        if what == "deny":
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [_DENIED if environ["REQUEST_METHOD"] != "HEAD" else b""]
        if what == "hang up":  # in the middle of the request's body
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0) // 2)
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return self._moto(environ, start_response)

    @contextlib.contextmanager
    def faulty(self, fault):
        """Let a fault happen for a while."""
        self.fault = fault
        try:
            yield
        finally:
            self.fault = None

    def client(self):
        """A boto3 client of this server."""
        keys = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": SECRET, "region_name": REGION}
        return boto3.client("s3", endpoint_url=self.environment["AWS_ENDPOINT_URL"], **keys)

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        s3fs.S3FileSystem.clear_instance_cache()  # or a later server's client would ask this one


class Bucket:
    """A bucket of a server, as tests look at it."""

    def __init__(self, server, name):
        self.name, self._client = name, server.client()
        self._client.create_bucket(Bucket=name)
        self._client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def put(self, key, data):
        self._client.put_object(Bucket=self.name, Key=key, Body=data)

    def get(self, key):
        return self._client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def delete(self, key):
        self._client.delete_object(Bucket=self.name, Key=key)

    def versions(self, folder):
        """{path below a folder: number of the object's version}."""
        listed = self._client.list_object_versions(Bucket=self.name, Prefix=folder + "/").get("Versions", ())
        return {item["Key"].removeprefix(folder + "/"): item["VersionId"] for item in listed if item["IsLatest"]}

    def tree(self, folder):
        """{path below a folder: sha256 of the object}; the digest in an object's metadata has to agree."""
        found = {}
        for name in self.versions(folder):
            answer = self._client.get_object(Bucket=self.name, Key=f"{folder}/{name}")
            found[name] = hashlib.sha256(answer["Body"].read()).hexdigest()
            assert answer["Metadata"].get("sha256", found[name]) == found[name], name
        return found

    def uploads(self):
        """Uploads in parts that were begun and neither completed nor aborted."""
        return self._client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
