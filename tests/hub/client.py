"""The real client in a process of its own, which lives as long as the helper: start-up is paid once for many calls.

`huggingface_hub` and `datasets` read the endpoint and the token when they are imported, and pytest's own process is set to
offline, so calls to the hub are made over there:

    with RealClient(hub, tmp_path) as client:
        commit = client.run(upload, "alice/set", folder)      # a function at the top level of a test module

The function's module must not import `huggingface_hub` or `datasets` at its top; arguments and results must be picklable.
"""

import importlib
import multiprocessing
import os
import traceback
from concurrent.futures import ProcessPoolExecutor


class ClientError(Exception):
    """What the client raised over there.

    Attributes:
        kind: name of the exception's class; kinds: names of its base classes too.
        status: HTTP status that it carries, or None.
        text: its message.
        causes: "Kind: message" of the exceptions behind it, the nearest first.
    """

    def __init__(self, facts):
        super().__init__(f"{facts['kind']}: {facts['text']}\n{facts['trace']}")
        self.kind, self.kinds, self.status = facts["kind"], facts["kinds"], facts["status"]
        self.text, self.causes = facts["text"], facts["causes"]


class RealClient:
    """A process with the real client against a hub.

    Args:
        hub: HubServer, already with its URLs.
        home: folder for the client's caches.
        token: None for nobody.
        settings: {module: {name: value}} set after the module's first import, such as retry pauses that would only cost time.
        env: further environment variables.
    """

    def __init__(self, hub, home, settings=None, env=None, **kwargs):
        variables = {**hub.env(home, **kwargs), **(env or {})}
        spawn = multiprocessing.get_context("spawn")  # a fork would inherit pytest's modules and its offline mode
        self._pool = ProcessPoolExecutor(1, spawn, initializer=_prepare, initargs=(variables, settings or {}))

    def start(self, function, *args, **kwargs):
        """Begin a call; gives a Future whose result is that of `run`."""
        return self._pool.submit(_guarded, function, args, kwargs)

    def run(self, function, *args, **kwargs):
        """Call a function over there and give its result.

        Raises:
            ClientError: it raised an exception.
        """
        return self.result(self.start(function, *args, **kwargs))

    def result(self, future, timeout_s=120):
        """The result of a call that `start` began; raises ClientError as `run` does."""
        good, value = future.result(timeout_s)
        if not good:
            raise ClientError(value)
        return value

    def close(self):
        self._pool.shutdown()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _prepare(variables, settings):
    os.environ.update(variables)
    for module, values in settings.items():
        found = importlib.import_module(module)
        for name, value in values.items():
            if not hasattr(found, name):
                raise AttributeError(f"{module} has no {name}")
            setattr(found, name, value)


def _guarded(function, args, kwargs):
    """The result, or facts about the exception: many exceptions of the client can't be sent between processes."""
    try:
        return True, function(*args, **kwargs)
    except Exception as error:
        return False, {
            "kind": type(error).__name__,
            "kinds": [c.__name__ for c in type(error).__mro__],
            "status": getattr(getattr(error, "response", None), "status_code", None),
            "text": str(error),
            "causes": list(_causes(error)),
            "trace": traceback.format_exc(),
        }


def _causes(error):
    while error := error.__cause__ or error.__context__:
        yield f"{type(error).__name__}: {error}"
