"""Publish converted depth weights with their model card: the folder that `convert-weights` writes, to a model repository."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from .. import __version__
from ..card.write import CARD_NAME
from ..errors import CardConflictError, DataError, UsageError
from ..progress import Quiet
from .account import check_write, read_account
from .card_hub import difference as text_difference
from .contents import from_path
from .patience import Patience
from .publish import full_repo_id
from .remote import Remote
from .upload import additions_of, check_metadata, check_published, commit, differences, holds, send_blobs, set_tag

FILES = (CARD_NAME, "config.json", "model.safetensors", "preprocessor_config.json")  # what convert-weights writes, and no others
LENGTH_BYTES = 8  # a safetensors file begins with the length of its JSON header, little endian
MAX_HEADER_BYTES = 100_000_000  # the format's own limit


@dataclass(frozen=True)
class PushedModel:
    """What was done.

    Attributes:
        url: of the repository.
        commit: that main is at now.
        sent: paths that changed; empty when all was there.
        tag: that was set, or None.
    """

    url: str
    commit: str | None
    sent: tuple
    tag: str | None = None


def push_model(folder, repo_id, *, api=None, private=False, tag=None, message="", card=None, plan_only=False, progress=None, patience=None):
    """Publish a converted depth model.

    Args:
        folder: as convert-weights wrote it.
        repo_id: such as "user/densedepth-nyu".
        api: huggingface_hub.HfApi; None makes one from the environment.
        private: make a new repository private.
        tag: name to give the commit, or None; a tag is never moved.
        message: for the commit.
        card: where the Hub's card differs from the folder's: "local" replaces it, "hub" keeps it, None refuses.
        plan_only: work it out and send nothing.
        progress: progress.Quiet or a subclass.
        patience: Patience.

    Returns:
        PushedModel.

    Raises:
        FgbgDepthError: it failed; main is as it was, or holds the whole model.
    """
    from huggingface_hub import HfApi

    api, patience = api or HfApi(), patience or Patience()
    files = read_model(folder)
    account = read_account(api, patience)
    repo_id = full_repo_id(repo_id, account)
    check_write(account, repo_id)
    remote = Remote(api, repo_id, "model", patience)
    snapshot = remote.snapshot()
    files = _with_card(files, remote, snapshot, card)
    paths = tuple(differences(snapshot.files, files))
    if plan_only or not paths:
        if tag and not plan_only:
            set_tag(remote, tag, snapshot.head)
        return PushedModel(remote.url, snapshot.head, paths, tag)
    if CARD_NAME in paths:
        check_metadata(remote, files[CARD_NAME].source.read_text(encoding="utf-8"))
    if not snapshot.exists:
        patience.call("make the repository", api.create_repo, repo_id, repo_type="model", private=private, exist_ok=True)
    additions = additions_of(files, paths)
    send_blobs(remote, additions, progress or Quiet())
    title = message.splitlines()[0] if message else "Converted weights"
    description = f"{message}\n\nPublished by fgbg_depth {__version__}."
    made, _ = commit(remote, additions, snapshot.head or remote.head(), title, description, lambda c: holds(remote, c, files))
    check_published(remote, made, files)
    if tag:
        set_tag(remote, tag, made)
    return PushedModel(remote.url, made, paths, tag)


def read_model(folder):
    """{path: LocalFile} of a converted model.

    Raises:
        UsageError: the folder isn't there, or holds no converted model.
        DataError: a file of it is damaged.
    """
    folder = Path(folder)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise UsageError(
            f"{folder} holds no converted model: {', '.join(missing)} missing; `fgbg-depth convert-weights FILE.h5 {folder}` makes one"
        )
    for name in ("config.json", "preprocessor_config.json"):
        try:
            json.loads((folder / name).read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{folder / name} is no valid JSON: {error}; convert the weights anew") from error
    _check_tensors(folder / "model.safetensors")
    return {name: from_path(name, folder / name) for name in FILES}


def _check_tensors(path):
    """DataError unless the file is as long as its own header says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(LENGTH_BYTES)
        length = struct.unpack("<Q", start)[0] if len(start) == LENGTH_BYTES else 0
        if not 0 < length <= min(size, MAX_HEADER_BYTES):
            raise DataError(f"{path} is no safetensors file; convert the weights anew")
        try:
            header = json.loads(file.read(length))
            end = max(facts["data_offsets"][1] for name, facts in header.items() if name != "__metadata__")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: its header can't be read: {error}; convert the weights anew") from error
    if size != LENGTH_BYTES + length + end:
        raise DataError(f"{path} has {size:,} bytes, its header says {LENGTH_BYTES + length + end:,}; convert the weights anew")


def _with_card(files, remote, snapshot, card):
    """The files, with or without the card, by whose words shall count."""
    there = snapshot.files.get(CARD_NAME)
    if there is None or files[CARD_NAME].same_as(there) or card == "local":
        return files
    if card == "hub":
        return {path: file for path, file in files.items() if path != CARD_NAME}
    raise CardConflictError(
        f"the card of {remote.url} isn't the one in the folder. Replace it with --card local, or keep it with --card hub",
        text_difference(files[CARD_NAME].source.read_text(encoding="utf-8"), remote.card(snapshot.head)),
    )
