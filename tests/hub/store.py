"""All repositories of a hub in one folder, found by kind and name."""

import hashlib
import json
import secrets
import shutil
import threading
from pathlib import Path

from .repo import Repo, write_json


class Store:
    """The folder of a hub: `index.json` (kind/name -> folder), `key` (for signed URLs), `repos/<uid>/`."""

    def __init__(self, root):
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self._lock, self._open = threading.Lock(), {}
        self._index_path = self.root / "index.json"
        self._index = json.loads(self._index_path.read_text()) if self._index_path.exists() else {"made": 0, "repos": {}}
        key = self.root / "key"
        if not key.exists():
            key.write_bytes(secrets.token_bytes(32))
        self.key = key.read_bytes()
        for uid in self._index["repos"].values():
            # Single uploads that a kill broke off; parts of multipart uploads are folders and stay.
            for path in (self.root / "repos" / uid / "incoming").iterdir():
                if path.is_file():
                    path.unlink()

    def create(self, kind, repo_id, private, author):
        """A new Repo, or None if the name is taken."""
        with self._lock:
            if self._find(kind, repo_id):
                return None
            self._index["made"] += 1
            uid = hashlib.sha256(f"{kind}/{repo_id}#{self._index['made']}".encode()).hexdigest()[:24]
            repo = self._open[uid] = Repo.create(self.root / "repos" / uid, repo_id, kind, private, author)
            self._index["repos"][f"{kind}/{repo_id}"] = uid
            write_json(self._index_path, self._index)
            return repo

    def find(self, kind, repo_id):
        """The Repo of a name, or None. Names differ only by more than case, as on the Hub."""
        with self._lock:
            return self._find(kind, repo_id)

    def by_uid(self, uid):
        with self._lock:
            return self._get(uid) if uid in self._index["repos"].values() else None

    def all(self):
        with self._lock:
            return [self._get(uid) for _, uid in sorted(self._index["repos"].items())]

    def delete(self, repo):
        with self._lock:
            self._forget(repo)
            write_json(self._index_path, self._index)
            del self._open[repo.uid]
            shutil.rmtree(repo.folder)

    def move(self, repo, repo_id):
        """Rename; False if the new name is taken."""
        with self._lock:
            if self._find(repo.kind, repo_id):
                return False
            self._forget(repo)
            self._index["repos"][f"{repo.kind}/{repo_id}"] = repo.uid
            repo.save(repo_id=repo_id)
            write_json(self._index_path, self._index)
            return True

    def _find(self, kind, repo_id):
        wanted = f"{kind}/{repo_id}".lower()
        uid = next((uid for name, uid in self._index["repos"].items() if name.lower() == wanted), None)
        return self._get(uid) if uid else None

    def _get(self, uid):
        if uid not in self._open:
            self._open[uid] = Repo(self.root / "repos" / uid)
        return self._open[uid]

    def _forget(self, repo):
        self._index["repos"] = {name: uid for name, uid in self._index["repos"].items() if uid != repo.uid}
