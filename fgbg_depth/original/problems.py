"""What couldn't be matched: each file with its reason. Pure bookkeeping."""

from collections import Counter

NAMED = 20_000  # of one reason; a list of that length is read by no one, and memory stays flat


class Problems:
    """Files that are left out, by reason."""

    def __init__(self):
        self._files, self._more = {}, Counter()

    def add(self, file, reason):
        """Note one file."""
        files = self._files.setdefault(reason, [])
        if len(files) < NAMED:
            files.append(file)
        else:
            self._more[reason] += 1

    def __len__(self):
        return sum(map(len, self._files.values())) + self._more.total()

    def counts(self):
        """{reason: number of files}, the largest first."""
        counts = {reason: len(files) + self._more[reason] for reason, files in self._files.items()}
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def listed(self):
        """(file, reason) pairs by reason and file; where there are too many of a reason, the rest is counted."""
        for reason in sorted(self._files):
            yield from ((file, reason) for file in sorted(self._files[reason]))
            if self._more[reason]:
                yield f"and {self._more[reason]:,} more files", reason
