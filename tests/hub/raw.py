"""Requests without the client, for what the client would never send."""

import http.client
import json
import urllib.parse

from .accounts import OWNER_TOKEN

TIMEOUT_S = 20


def ask(hub, method, url, body=None, token=OWNER_TOKEN, headers=()):
    """Send one request on a connection of its own.

    Args:
        hub: HubServer.
        url: a path on the hub's port, or a whole URL.
        body: bytes, str, or an iterable of bytes, which is sent in chunks.
        token: None sends none.

    Returns:
        (status, headers, body).
    """
    parts = urllib.parse.urlsplit(url if "://" in url else hub.endpoint + url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_S)
    headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **dict(headers)}
    try:
        connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def ask_batch(hub, repo_id, oid, size, **kwargs):
    """What the hub says about sending one large object to a dataset; `kwargs` are those of `ask`."""
    body = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": oid, "size": size}], "hash_algo": "sha256"}
    url = f"/datasets/{repo_id}.git/info/lfs/objects/batch"
    _, _, data = ask(hub, "POST", url, json.dumps({**body, "ref": {"name": "main"}}), **kwargs)
    return json.loads(data)["objects"][0]


def send_commit(hub, repo_id, *lines, revision="main", **kwargs):
    """Send a dataset a commit made of these lines behind a header; the answer of `ask`, whose `kwargs` these are."""
    header = {"key": "header", "value": {"summary": "raw", "description": ""}}
    body = "\n".join(json.dumps(line) for line in (header, *lines))
    return ask(hub, "POST", f"/api/datasets/{repo_id}/commit/{revision}", body, **kwargs)
