"""Signed URLs of the cdn: whoever holds one may do the one thing it names, until it expires, without a token."""

import hashlib
import hmac
import time
import urllib.parse

from .wire import HubError


class Signer:
    """Signs and checks; the key outlives the server, so a URL handed out before a restart still works."""

    def __init__(self, key, lifetime_s):
        self._key, self.lifetime_s = key, lifetime_s

    def url(self, base, action, path, **fields):
        """A signed URL.

        Args:
            base: http://host:port.
            action: what it allows, such as "get" or "put".
            path: path of the URL.
            fields: of the query; they can't be changed later.
        """
        fields = {**{k: str(v) for k, v in fields.items()}, "X-Action": action, "X-Expires": f"{time.time() + self.lifetime_s:.3f}"}
        return f"{base}{path}?{urllib.parse.urlencode({**fields, 'X-Signature': self._sign(path, fields)})}"

    def check(self, request, action):
        """The fields of a signed request.

        Raises:
            HubError: 403, it isn't signed, was signed for something else, or is too old.
        """
        fields = dict(urllib.parse.parse_qsl(request.query))
        signature = fields.pop("X-Signature", "")
        if not hmac.compare_digest(signature, self._sign(request.path, fields)) or fields.get("X-Action") != action:
            raise HubError(403, "SignatureDoesNotMatch: the URL isn't signed for this")
        if float(fields["X-Expires"]) < time.time():
            raise HubError(403, "Request has expired")
        return fields

    def _sign(self, path, fields):
        text = "\n".join([path, *(f"{key}={fields[key]}" for key in sorted(fields))])
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()
