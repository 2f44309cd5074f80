"""The shards that a set lacks: which they are, and making them in one process or several.

The files are the state: a shard that is there, under its final name and with the footer of this work, is done.
"""

from .errors import FolderError
from .produce import usable_cores
from .shards import find_tables, own_footer
from .workers import run_shards


def split_shards(job, plan):
    """Tell the shards that are there from those that are missing.

    Args:
        job: produce.Job.
        plan: plan.Plan.

    Returns:
        (there, missing): lists of plan.ShardPlan; a shard is there when its file is.

    Raises:
        FolderError: a file has the footer of other work.
        DataError: a file can't be read.
    """
    there, missing = [], []
    present = {path.relative_to(job.folder).as_posix() for path in find_tables(job.folder, "default")}
    for shard in plan.shards():
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


def make_missing(task, plan, there, missing, options, progress):
    """Make the shards that are missing.

    Args:
        task: what a worker needs, see `workers.run_shards`.
        plan: plan.Plan.
        there, missing: as `split_shards` gives them.
        options: prepare.Options.
        progress: progress.Quiet or a subclass.

    Returns:
        number of rows made.
    """
    made, rows_done = [0], sum(map(len, there))
    with progress.task("make rows", plan.num_rows, rows_done, unit="rows") as bar:

        def on_rows(count):
            made[0] += count
            bar.update(rows_done + made[0], plan.num_rows)

        workers = options.num_workers or (1 if options.device != "cpu" else usable_cores())
        run_shards(task, missing, workers, on_rows, lambda shard: None)
    return made[0]
