"""From a path to a function: routes are declared where they are written, by method and pattern.

A pattern with `{repo}` holds for data sets and models alike; the repo is found, and the user's right to it checked, before the
function is called. All other named parts are single segments of the quoted path and arrive unquoted: a revision such as
`refs%2Fpr%2F1` is one of them.
"""

import re
import urllib.parse

from . import accounts
from .wire import HubError

_REPO = {
    "api": r"/api/(?P<kind>datasets|models)/(?P<repo>[^/]+/[^/]+)",
    # In these a model has no prefix.
    "web": r"/(?:(?P<kind>datasets|models)/)?(?P<repo>(?!api/)[^/]+/[^/]+)",
    "git": r"/(?:(?P<kind>datasets|models)/)?(?P<repo>(?!api/)[^/]+/[^/]+)\.git",
}
_CHECKS = {"read": accounts.check_read, "write": accounts.check_write, "propose": accounts.check_propose}


class Router:
    """All routes of one port."""

    def __init__(self):
        self._routes = []

    def route(self, methods, pattern, needs="read"):
        """Declare a function as a route.

        Args:
            methods: such as "GET HEAD".
            pattern: `{api}`, `{web}` or `{git}` stand for the ways to name a repo, `{name}` for one segment,
                `{name...}` for the rest of the path, [] for an optional part.
            needs: right to the repo, if the path names one: "read", "write", "propose", or "own" if the function checks.
        """
        optional = pattern.replace("[", "(?:").replace("]", ")?")
        for name, regex in _REPO.items():
            optional = optional.replace(f"{{{name}}}", regex)
        regex = re.sub(r"\{(\w+)\.\.\.\}", r"(?P<\1>.+)", optional)
        regex = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", regex))

        def declare(function):
            self._routes.append((frozenset(methods.split()), regex, needs, function))
            return function

        return declare

    def include(self, other):
        self._routes += other._routes

    def serve(self, hub, request):
        """Find the route and call it.

        Raises:
            HubError: 404, no such route; or what the route says.
        """
        for methods, regex, needs, function in self._routes:
            match = regex.fullmatch(request.path) if request.method in methods else None
            if match is None:
                continue
            request.args = {name: urllib.parse.unquote(text) for name, text in match.groupdict().items() if text is not None}
            if "repo" in request.args:
                request.repo = hub.store.find(request.args.get("kind", "models"), request.args["repo"])
                if request.repo is None:
                    raise accounts.no_repo(request.who)
                if needs != "own":
                    _CHECKS[needs](request.who, request.repo)
            return function(hub, request)
        raise HubError(404, f"Cannot {request.method} {request.path}", headers={"X-No-Route": "1"})
