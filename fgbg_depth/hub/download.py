"""Download single files of a set from the Hub."""

from pathlib import Path

from ..errors import DataError, UsageError


def download_file(repo_id, path, revision=None):
    """Download one file of a data set on the Hub, or take it from the cache.

    Args:
        repo_id: such as "user/set".
        path: of the file in the repo.
        revision: a tag, branch or commit; None takes main.

    Returns:
        pathlib.Path of the local copy.

    Raises:
        UsageError: no such repo or revision.
        DataError: no such file in it, or the Hub can't be reached.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(hf_hub_download(repo_id, path, repo_type="dataset", revision=revision))
    except RevisionNotFoundError as error:
        raise UsageError(f"{repo_id} has no revision {revision!r}") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UsageError(f"{repo_id} is neither a folder here nor a data set on the Hub that you may read") from error
    except (EntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise DataError(f"{path} of {repo_id} can't be downloaded: {type(error).__name__}: {error}") from error
