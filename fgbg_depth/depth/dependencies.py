"""The optional packages of the depth part, and the error for one that isn't there."""

from contextlib import contextmanager

from fgbg_depth.errors import DepthModelError

PACKAGES = ("torch", "transformers", "safetensors", "h5py")
INSTALL_COMMAND = 'pip install "fgbg-depth[depth]"'


class MissingDependencyError(DepthModelError, ImportError):
    """A package of the depth part isn't installed."""


@contextmanager
def depth_packages():
    """Turn the ImportError of a missing depth package into one that says what to install.

    Raises:
        MissingDependencyError (an ImportError too): one of `PACKAGES` can't be imported.
    """
    try:
        yield
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package not in PACKAGES:
            raise
        raise MissingDependencyError(
            f"Depth models need the package {package}, which can't be imported here ({error}). "
            f"Install it with: {INSTALL_COMMAND}",
            name=error.name,
        ) from error
