"""A slow network: one link that all connections share, with so many bytes per second each way."""

import threading
import time


class Link:
    """Bandwidth of one direction; `take` returns when the bytes would have gone through."""

    def __init__(self, bytes_per_s=None):
        self.bytes_per_s = bytes_per_s  # None: no limit
        self._lock = threading.Lock()
        self._free_at = 0.0

    def take(self, count_bytes):
        if not self.bytes_per_s:
            return
        with self._lock:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + count_bytes / self.bytes_per_s
            wait_s = self._free_at - now
        time.sleep(wait_s)
