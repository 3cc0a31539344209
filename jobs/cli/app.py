"""The commands of the scheduler: it owns the list of its groups; each lives in its own module."""

from __future__ import annotations

import typer

from base.operations.commands import OperationGroup
from base.options import add_gone
from jobs.cli.worker import app as worker_commands

RUNS = "jobs.runs.operations"
QUEUES = "jobs.runs.queue_operations"
SCHEDULES = "jobs.scheduler.operations"

app = typer.Typer()


def _group(name: str, words: str, *modules: str) -> OperationGroup:
    group = OperationGroup(name, *modules, no_args_is_help=True, help=words)
    app.add_typer(group, name=name)
    return group


# Not a group `jobs`: that is the store's list of what its engine does.
run_app = _group(
    "run", "Runs of workflows: ingests, actions, backups.", RUNS, "jobs.runs.alert_operations"
)
add_gone(
    run_app,
    "serve",
    "the public port (`drystone api`, which `up` starts) takes workers too: give them --api "
    "http://HOST:8420 and a token (`drystone token create NAME --owner ACCOUNT --scope worker`)",
)
_group("queue", "Queues: what runs, what waits, how many.", QUEUES)
_group("gpu", "GPU machines, and the tasks that wait for them.", QUEUES)
_group("schedule", "What the clock asks for, and when.", SCHEDULES)
_group("label", "What people are asked, and what they answer.", "jobs.runs.label_operations")
_group("webhook", "Who is told of events over HTTP.", "jobs.runs.webhook_operations")
_group("view", "Saved views of the explorer.", "jobs.api.views")
app.add_typer(worker_commands)
app.add_typer(OperationGroup("approve", RUNS))
