"""Batches that can be gone on with exactly: after a stop no row is lost, none comes twice, and the samples look as they would have.

Rows on disk are read in an order that is arithmetic on (seed, epoch), so that a state is two numbers, nothing is read again to get to it,
and the number of workers may be another one afterwards. A stream's order lies in its workers; their state is torchdata's to keep
(`StatefulDataLoader`), and belongs to their number.
"""

import copy
import warnings

import torch
from torch.utils.data import DataLoader, IterableDataset

from ..errors import UsageError
from ..keyed import key64, permutation
from .chance import torch_seed
from .collate import Collate


class Loader:
    """An iterable of batches, one epoch for each `for`; after a stop, or a `break`, the next one is the rest of that epoch.

    Args:
        rows: what `open_rows` gives, or any map-style or iterable data set whose rows `collate` takes.
        batch_size: rows of a batch.
        collate: makes a batch of a list of rows; its `transform`, if any, is told the epoch.
        num_workers: processes that decode; 0 decodes here.
        shuffle: for rows on disk, True unless said otherwise. A stream is shuffled where it is opened, so here it must be None.
        seed: of the order.
        drop_last: leave out a last batch that is smaller.
        node: (rank, number of nodes): this one's share of rows on disk, as many for each. For streams take
            `datasets.distributed.split_dataset_by_node`.
        words: more for torch's DataLoader, such as `pin_memory` or `prefetch_factor`.

    Attributes:
        epoch: the one under way, or the next one.
        batch: batches of it that were given.

    Raises:
        UsageError: an argument makes no sense for these rows.
    """

    def __init__(self, rows, batch_size=32, *, collate=None, num_workers=0, shuffle=None, seed=0, drop_last=False, node=(0, 1), **words):
        self.rows, self.batch_size, self.collate = rows, batch_size, collate or Collate()
        self.num_workers, self.seed, self.drop_last, self.words = num_workers, seed, drop_last, words
        self.is_stream = isinstance(rows, IterableDataset) or not hasattr(rows, "__getitem__")
        self.shuffle, self.node = shuffle is None or bool(shuffle), tuple(node)
        if self.is_stream and shuffle is not None:
            raise UsageError("a stream is shuffled where it is opened: open_rows(..., streaming=True, shuffle_seed=)")
        if self.is_stream and self.node != (0, 1):
            raise UsageError("a stream is dealt out by datasets.distributed.split_dataset_by_node(rows, rank, world_size)")
        if not 0 <= self.node[0] < self.node[1] or batch_size < 1:
            raise UsageError(f"node {self.node}, batch_size {batch_size}: expected 0 <= rank < nodes, and at least one row in a batch")
        self.epoch, self.batch, self._stream_state, self._running = 0, 0, None, None

    def __len__(self):
        """Batches of a whole epoch."""
        if self.is_stream:
            raise TypeError("a stream's batches can't be counted; its rows are in rows.info.splits")
        return self._count()

    def __iter__(self):
        if self._running is not None:  # somebody left the last `for` early
            self._stream_state = self._running.state_dict()
        self._tell_epoch()
        for batch in self._open():
            self.batch += 1
            yield batch
        self.epoch, self.batch, self._stream_state, self._running = self.epoch + 1, 0, None, None

    def state_dict(self):
        """What `load_state_dict` goes on from: after the last batch that was given. Plain values; of a stream nested dicts."""
        state = {"epoch": self.epoch, "batch": self.batch, "made_for": self._made_for()}
        if self.is_stream and self.batch:  # at the start of an epoch there is nothing to say
            state["stream"] = self._running.state_dict() if self._running is not None else self._stream_state
        return state

    def load_state_dict(self, state):
        """Go on from a state.

        Raises:
            UsageError: it was saved by a loader that gives other batches.
        """
        mine, other = self._made_for(), state["made_for"]
        differ = [name for name in mine if mine[name] != other.get(name)]
        if differ:
            name = differ[0]
            raise UsageError(f"this state was saved with {name} {other.get(name)}, here it is {mine[name]}: other batches would come")
        self.epoch, self.batch = state["epoch"], state["batch"]
        self._stream_state, self._running = state.get("stream"), None

    def _made_for(self):
        """What the sequence of batches depends on."""
        same = {"batch_size": self.batch_size, "drop_last": self.drop_last}
        if self.is_stream:
            return {**same, "num_workers": self.num_workers}
        return {**same, "rows": len(self.rows), "shuffle": self.shuffle, "seed": self.seed, "node": list(self.node)}

    def _tell_epoch(self):
        transform = getattr(self.collate, "transform", None)
        for what in (transform, self.rows if self.is_stream else None):
            if hasattr(what, "set_epoch"):
                what.set_epoch(self.epoch)

    def _open(self):
        # A generator of its own: the number that workers' seeds begin with isn't drawn from the trainer's.
        generator = torch.Generator().manual_seed(torch_seed("workers", self.seed, self.epoch))
        words = {"collate_fn": self.collate, "num_workers": self.num_workers, "generator": generator, **self.words}
        if not self.is_stream:
            return DataLoader(self.rows, batch_sampler=self._batches(), **words)
        from torchdata.stateful_dataloader import StatefulDataLoader

        with warnings.catch_warnings():  # torchdata 0.11 calls what torch 2.13 no longer wants called
            warnings.filterwarnings("ignore", message="'set_vital' is deprecated", category=UserWarning)
            loader = StatefulDataLoader(_Stream(self.rows), batch_size=self.batch_size, drop_last=self.drop_last, **words)
        if self._stream_state is not None:
            loader.load_state_dict(self._stream_state)
        self._running = loader
        return loader

    def _count(self):
        rows = len(self.rows) // self.node[1]
        return rows // self.batch_size if self.drop_last else -(-rows // self.batch_size)

    def _batches(self):
        """Row numbers of the batches that are left of this epoch."""
        rows = len(self.rows)
        order = permutation(rows, key64("order", self.seed, self.epoch)).tolist() if self.shuffle else list(range(rows))
        rank, nodes = self.node
        mine = order[rank : rows - rows % nodes : nodes]
        return [mine[i * self.batch_size : (i + 1) * self.batch_size] for i in range(self.batch, self._count())]


class _Stream(IterableDataset):
    """A stream that knows where it is after `load_state_dict` and before its first row.

    `datasets` then tells the start, so a second stop before each worker had given a batch would send those workers back there.
    """

    def __init__(self, rows):
        self._rows, self._loaded = rows, None

    def __iter__(self):
        for row in self._rows:
            self._loaded = None
            yield row

    def state_dict(self):
        return self._rows.state_dict() if self._loaded is None else self._loaded

    def load_state_dict(self, state):
        self._loaded = copy.deepcopy(state)  # the stream goes on to write into what it was given
        self._rows.load_state_dict(state)
