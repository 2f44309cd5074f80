"""The shards that a set lacks: which they are, and making them in one process or several.

The files are the state: a shard that is there, under its final name and with the footer of this work, is done.
"""

import contextlib
import time

from .asset_tables import KINDS
from .errors import FolderError, StorageError
from .produce import Made, usable_cores
from .shards import find_tables, own_footer
from .workers import run_shards

VISIBLE_TIMEOUT_S = 120  # file systems that machines share may show a folder's new files a minute late
VISIBLE_POLL_S = 1


def split_shards(job, plan, shards=None):
    """Tell the shards that are there from those that are missing.

    Args:
        job: produce.Job.
        plan: plan.Plan.
        shards: those to look at; None means all of the plan.

    Returns:
        (there, missing): lists of plan.ShardPlan; a shard is there when its file is.

    Raises:
        FolderError: a file has the footer of other work.
        DataError: a file can't be read.
    """
    there, missing = [], []
    present = {path.relative_to(job.folder).as_posix() for path in find_tables(job.folder, "default")}
    for shard in plan.shards() if shards is None else shards:
        if shard.name not in present:
            missing.append(shard)
            continue
        footer = own_footer(job.folder / shard.name)
        if not footer.same_work(job.footer(shard)):
            raise FolderError(
                f"{job.folder / shard.name} belongs to another recipe or asset list (batch {footer.batch}, rows {footer.start} to "
                f"{footer.stop}); move it away, or choose another --out"
            )
        there.append(shard)
    return there, missing


def make_missing(task, there, missing, options, progress):
    """Make the shards that are missing.

    Args:
        task: what a worker needs, see `workers.run_shards`.
        there, missing: as `split_shards` gives them.
        options: prepare.Options.
        progress: progress.Quiet or a subclass.

    Returns:
        produce.Made.
    """
    made, reports, rows_done = [0], [], sum(map(len, there))
    rows_wanted = rows_done + sum(map(len, missing))
    with _crew(task, missing, options, progress) as crew, progress.task("make rows", rows_wanted, rows_done, unit="rows") as bar:

        def on_rows(count):
            made[0] += count
            bar.update(rows_done + made[0], rows_wanted)

        if crew:
            crew.work(missing, lambda _, report: reports.append(report), on_rows)
        else:
            workers = options.num_workers or (1 if options.device != "cpu" else usable_cores())
            run_shards(task, missing, workers, on_rows, lambda _, report: reports.append(report))
    return Made.of(reports)


@contextlib.contextmanager
def _crew(task, missing, options, progress):
    """Workers on other machines, of which one at least has started; None where this one does the work."""
    if options.executor is None:
        yield None
        return
    folder = task.job.folder
    tables = [path for kind in KINDS for path in find_tables(folder, f"{kind}s")]
    with options.executor.crew(task, len(missing), tables) as crew:
        with progress.task("start workers in the cluster", None):
            crew.wait()
        yield crew
    wait_until_visible(folder, missing)


def wait_until_visible(folder, shards):
    """Wait until a folder's listing has the shards that other machines wrote.

    Raises:
        StorageError: it takes too long.
    """
    until = time.monotonic() + VISIBLE_TIMEOUT_S
    while hidden := {folder / shard.name for shard in shards}.difference(find_tables(folder, "default")):
        if time.monotonic() > until:
            raise StorageError(
                f"{len(hidden)} shards that other machines made can't be seen here, such as {min(hidden)}: {folder} has to be on a file "
                f"system that all of them share. Run the same command again to go on"
            )
        time.sleep(VISIBLE_POLL_S)
