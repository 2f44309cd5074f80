"""Requests without the client, for what the client would never send."""

import http.client
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
