"""Calls of the real client, for `RealClient.run`: each works in the client's process and gives back something plain.

The imports are inside, since `huggingface_hub` and `datasets` must find the hub's environment when they are imported.
"""


def api(method, *args, token=None, **kwargs):
    """HfApi(token=token).method(...), and what it gives in plain values."""
    from huggingface_hub import HfApi

    return plain(getattr(HfApi(token=token), method)(*args, **kwargs))


def commit(repo_id, changes, token=None, repo_type="dataset", **kwargs):
    """create_commit.

    Args:
        changes: {path: bytes, str (a local file), None (delete), or ("copy", source path)}; a deleted folder ends with "/".

    Returns:
        (commit id, url of the pull request or None).
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi

    operations = []
    for path, content in changes.items():
        if content is None:
            operations.append(CommitOperationDelete(path_in_repo=path))
        elif isinstance(content, tuple):
            operations.append(CommitOperationCopy(src_path_in_repo=content[1], path_in_repo=path))
        else:
            operations.append(CommitOperationAdd(path_in_repo=path, path_or_fileobj=content))
    kwargs.setdefault("commit_message", "a commit")
    done = HfApi(token=token).create_commit(repo_id, operations, repo_type=repo_type, **kwargs)
    return done.oid, done.pr_url


def commit_many(commits):
    """Several commits at once, a thread each: {key: (repo_id, changes)} -> {key: commit id, or the exception's name and status}."""
    from concurrent.futures import ThreadPoolExecutor

    def one(item):
        try:
            return commit(*item)[0]
        except Exception as error:
            return type(error).__name__, getattr(getattr(error, "response", None), "status_code", None)

    with ThreadPoolExecutor(len(commits)) as pool:
        return dict(zip(commits, pool.map(one, commits.values()), strict=True))


def download(repo_id, path, repo_type="dataset", **kwargs):
    """hf_hub_download: the file's content."""
    from pathlib import Path

    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(repo_id, path, repo_type=repo_type, **kwargs)).read_bytes()


def snapshot(repo_id, repo_type="dataset", **kwargs):
    """snapshot_download: {path: content} of the folder."""
    from pathlib import Path

    from huggingface_hub import snapshot_download

    folder = Path(snapshot_download(repo_id, repo_type=repo_type, **kwargs))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def glob(pattern, **kwargs):
    """HfFileSystem(skip_instance_cache=True).glob."""
    from huggingface_hub import HfFileSystem

    return sorted(HfFileSystem(skip_instance_cache=True, **kwargs).glob(pattern))


def rows(repo_id, split="train", columns=None, **kwargs):
    """All rows that load_dataset gives, streaming or not, read to the end."""
    from datasets import load_dataset

    found = load_dataset(repo_id, split=split, columns=columns, **kwargs) if columns else load_dataset(repo_id, split=split, **kwargs)
    return list(found)


def push(repo_id, columns, **kwargs):
    """Dataset.from_dict(columns).push_to_hub."""
    from datasets import Dataset

    return Dataset.from_dict(columns).push_to_hub(repo_id, **kwargs).oid


def plain(value):
    """Names and plain values of what the client gives back; a generator is read to its end."""
    if value is None or isinstance(value, str | int | float | bytes | bool):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "__dict__"):
        return {key: plain(item) for key, item in vars(value).items() if not key.startswith("_")}
    return [plain(item) for item in value]
