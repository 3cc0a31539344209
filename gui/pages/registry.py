"""Which pages there are: it owns their order in the navigation."""

from __future__ import annotations

from gui.desk import Desk
from gui.pages import (
    account,
    backups,
    dataset,
    dataset_diff,
    dataset_new,
    datasets,
    explorer,
    gates,
    label_task,
    labelling,
    node,
    overview,
    pipelines,
    pipelines_batch,
    run,
    runs,
    scheduler,
    scheduler_schedule,
    scheduler_start,
    storage,
    users,
)
from gui.run_desk import RunDesk


def register_pages(desk: Desk) -> None:
    """Make all pages known to NiceGUI; their order here is that of the navigation."""
    overview.register(desk)
    work = RunDesk(desk)
    for module in (scheduler, scheduler_start, scheduler_schedule, runs, run, pipelines,
                   pipelines_batch, gates):  # fmt: skip
        module.register(desk, work)
    explorer.register(desk)
    node.register(desk)
    labelling.register(desk, work)
    label_task.register(desk, work)
    datasets.register(desk, work)
    dataset_new.register(desk)
    dataset_diff.register(desk)
    dataset.register(desk, work)
    storage.register(desk)
    backups.register(desk)
    users.register(desk)
    account.register(desk)
