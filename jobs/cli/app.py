"""The commands of the scheduler: it owns the list of its groups; each lives in its own module."""

from __future__ import annotations

import typer

from jobs.cli.gpu import gpu_app
from jobs.cli.jobs import app as together_app
from jobs.cli.label import label_app
from jobs.cli.queue import queue_app
from jobs.cli.run import approve, run_app
from jobs.cli.schedule import schedule_app
from jobs.cli.worker import app as worker_commands

app = typer.Typer()
# Not a group `jobs`: that is the store's list of what its engine does.
run_app.add_typer(together_app)
app.add_typer(run_app, name="run")
app.add_typer(queue_app, name="queue")
app.add_typer(gpu_app, name="gpu")
app.add_typer(schedule_app, name="schedule")
app.add_typer(label_app, name="label")
app.add_typer(worker_commands)
app.command("approve")(approve)
