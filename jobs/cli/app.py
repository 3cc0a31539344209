"""The commands of the scheduler: it owns the list of its groups; each lives in its own module."""

from __future__ import annotations

import typer

from base.operations.commands import OperationGroup
from jobs.cli.jobs import app as together_app
from jobs.cli.label import label_app
from jobs.cli.worker import app as worker_commands

RUNS = "jobs.runs.operations"
QUEUES = "jobs.runs.queue_operations"
SCHEDULES = "jobs.scheduler.operations"

app = typer.Typer()


def _group(name: str, module: str, words: str) -> OperationGroup:
    group = OperationGroup(name, module, no_args_is_help=True, help=words)
    app.add_typer(group, name=name)
    return group


# Not a group `jobs`: that is the store's list of what its engine does.
run_app = _group("run", RUNS, "Runs of workflows: ingests, actions, backups.")
run_app.add_typer(together_app)
_group("queue", QUEUES, "Queues: what runs, what waits, how many.")
_group("gpu", QUEUES, "GPU machines, and the tasks that wait for them.")
_group("schedule", SCHEDULES, "What the clock asks for, and when.")
app.add_typer(label_app, name="label")
app.add_typer(worker_commands)
app.add_typer(OperationGroup("approve", RUNS))
