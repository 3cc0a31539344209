"""Tasks over both ways to them: it owns the workflow, the world around a TaskState, no test."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from served_app import Served

from jobs.api.tasks import Tasks, task_routes
from jobs.runs.local_state import LocalTaskState
from jobs.runs.registry import add_workflow
from jobs.runs.task_state import TaskState
from jobs.runs.workflow import Step, Workflow
from sql import Claim, Database


class Anything(BaseModel):
    value: int = 0


def nothing(_context: object) -> None:
    """No step is called here: the suite plays the worker."""


FAR = Workflow(
    name="far",
    description="Steps for other machines",
    steps=(
        Step("plan", nothing, queue="gpu", remote=True, passes_on=("number", "more")),
        Step("do", nothing, queue="gpu", per_part=True, remote=True),
        Step("near", nothing, queue="io"),
    ),
    parameters=Anything,
)
add_workflow(FAR)


@dataclass
class World:
    """A TaskState to try, and what it came to in the database."""

    database: Database
    state: TaskState
    log_dir: str
    made: list[tuple[str, int]] = field(default_factory=list)
    served: Served | None = None

    def start(self, **parameters: Any) -> int:
        """Start a run; returns its first task."""
        key = f"far {parameters} {time.monotonic_ns()}"
        run, _ = self.database.runs.start_run(
            "far", parameters, FAR.first_task(parameters), run_key=key, requested_by="ann"
        )
        return self.database.runs.show(run.run_id).tasks[0].task_id

    def claimed(self, task_id: int) -> Claim:
        claim = self.state.claim(task_id, "w1")
        assert claim is not None
        return claim

    def log(self, claim: Claim) -> bytes:
        name = f"{claim.task_id}-{claim.token}.log"
        with open(os.path.join(self.log_dir, str(claim.run_id), name), "rb") as file:
            return file.read()

    def take_back(self) -> int:
        """Let the scheduler find every worker silent."""
        from jobs.runs.local_state import following

        with self.database.connection() as connection:
            connection.execute("UPDATE run_task SET heartbeat = now() - interval '1 day'")
        return self.database.runs.take_back(30.0, -1e6, following)

    def make_due(self) -> None:
        with self.database.connection() as connection:
            connection.execute("UPDATE run_task SET not_before = now()")


def local(database: Database, log_dir: str, made: list) -> LocalTaskState:
    return LocalTaskState(
        lambda: database, log_dir, lambda queue, count: made.append((queue, count))
    )


def app_over(database: Database, state: TaskState) -> FastAPI:
    """Return the routes of workers as the public port has them, without its guard."""
    from base.operations.routes import add_problems

    app = FastAPI()
    add_problems(app)
    tasks = Tasks("/nowhere", lambda: database, lambda: state)
    app.include_router(task_routes(tasks), prefix="/api/v1")
    return app
