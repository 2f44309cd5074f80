"""The flags of `generate` and `annotate` that say which machines do the work."""

import contextlib
import io
import sys

from ..errors import UsageError

EXECUTORS = ("local", "ray")
_OF_RAY = ("ray_address", "ray_gpus_per_actor", "ray_cpus_per_actor", "ray_resource")


def add_arguments(parser):
    """Add the flags to a parser, which has --workers and --device already."""
    group = parser.add_argument_group("machines", "where the work is done")
    group.add_argument(
        "--executor", choices=EXECUTORS, default="local", help="processes of this machine (default), or workers in a running Ray cluster"
    )
    group.add_argument("--ray-address", metavar="HOST:PORT", help="the cluster (default: RAY_ADDRESS, or the one on this machine)")
    group.add_argument(
        "--ray-gpus-per-actor", metavar="N", type=float, help="GPUs of a worker, parts are possible (default: 1 with --device cuda, else 0)"
    )
    group.add_argument("--ray-cpus-per-actor", metavar="N", type=float, help="cores of a worker (default: 1, or 2 with a GPU)")
    group.add_argument(
        "--ray-resource", metavar="NAME=AMOUNT", action="append", help="another resource of a worker, as nodes declare it; may be repeated"
    )


@contextlib.contextmanager
def executor_from(args):
    """The connected ray_cluster.executor.RayExecutor that the flags ask for, or None for this machine.

    Raises:
        UsageError: flags don't go together, or there is no such cluster.
    """
    if args.executor != "ray":
        given = [name for name in _OF_RAY if getattr(args, name) is not None]
        if given:
            raise UsageError(f"--{given[0].replace('_', '-')} is of use only with --executor ray")
        yield None
        return
    from ..ray_cluster.executor import RayExecutor

    if args.workers is not None and args.workers < 1:
        raise UsageError(f"--workers is {args.workers}, expected at least 1")
    resources = dict(map(_resource, args.ray_resource or ()))
    wanted = args.ray_address, args.workers, args.ray_gpus_per_actor, args.ray_cpus_per_actor, resources, args.device
    # Ray prints what it notices of workers, their regular end too, to stdout, where results go; it keeps logs of its own.
    with contextlib.redirect_stdout(_Nowhere()), RayExecutor(*wanted, on_death=_say_death) as executor:
        yield executor


class _Nowhere(io.TextIOBase):
    def write(self, text):
        return len(text)


def _say_death(words):
    print(f"note: {words}", file=sys.stderr)


def _resource(text):
    name, _, amount = text.partition("=")
    try:
        if not name or name in ("CPU", "GPU"):
            raise ValueError
        return name, float(amount)
    except ValueError:
        raise UsageError(f"--ray-resource is {text!r}, expected NAME=AMOUNT, such as big_memory=1") from None
