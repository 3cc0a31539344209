"""Which pages there are: it owns their order in the navigation."""

from __future__ import annotations

from gui.pages.account import page as account
from gui.pages.backups import page as backups
from gui.pages.datasets import diff as dataset_diff
from gui.pages.datasets import new as dataset_new
from gui.pages.datasets import page as datasets
from gui.pages.datasets import version as dataset
from gui.pages.explorer import node
from gui.pages.explorer import page as explorer
from gui.pages.gates import page as gates
from gui.pages.labelling import page as labelling
from gui.pages.labelling import task as label_task
from gui.pages.overview import page as overview
from gui.pages.pipelines import batch as pipelines_batch
from gui.pages.pipelines import page as pipelines
from gui.pages.runs import page as runs
from gui.pages.runs import run
from gui.pages.runs.desk import RunDesk
from gui.pages.scheduler import page as scheduler
from gui.pages.scheduler import schedule as scheduler_schedule
from gui.pages.scheduler import start as scheduler_start
from gui.pages.storage import page as storage
from gui.pages.users import page as users
from gui.reading.desk import Desk


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
