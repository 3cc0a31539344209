"""Workflows for workers on other machines, loaded from `workflow_modules`."""

from __future__ import annotations

import os
import time
from typing import Any

from pydantic import BaseModel

from base.errors import DrystoneError
from jobs import Step, StepResult, TaskContext, Workflow
from jobs.runs.local_state import program_log

POLL_S = 0.01


class FarParameters(BaseModel):
    """`stage` is a folder below the stage area, as the server calls it."""

    stage: str
    hold: bool = False
    tag: str = ""


def plan(context: TaskContext) -> StepResult:
    folder = context.parameters["stage"]
    return StepResult(parts=[{"input": f"{folder}/input", "output": f"{folder}/output-{n}"}
                             for n in (1, 2)])  # fmt: skip


def compute(context: TaskContext) -> StepResult:
    """Read the input and write an output, far from the database."""
    with open(context.spec["input"], encoding="utf-8") as file:
        text = file.read()
    try:
        reached = str(context.database)
    except DrystoneError as error:
        reached = str(error)
    print(f"computing part {context.part} \x1b[31m \udcff".encode(errors="surrogateescape"))
    context.log("x" * 100_000)
    with open(program_log(context.log_path), "w", encoding="utf-8") as program:
        program.write(f"said by the program of part {context.part}\n")
    pid_file = context.spec["output"] + f".{context.token}.pid"
    with open(pid_file + ".tmp", "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    os.rename(pid_file + ".tmp", pid_file)
    go = os.path.join(os.path.dirname(context.spec["input"]), "go")
    while context.parameters["hold"] and not os.path.exists(go):
        context.check_cancelled()
        context.progress(1, 2, "steps", "holding")
        time.sleep(POLL_S)
    with open(context.spec["output"], "w", encoding="utf-8") as file:
        file.write(text.upper())
    return StepResult(
        {"wrote": context.spec["output"], "database": reached, "config": context.config_path},
        pass_on={"wrote": context.spec["output"]},
    )


def collect(context: TaskContext) -> dict[str, Any]:
    """Read what was written, beside the database."""
    with open(context.spec["wrote"], encoding="utf-8") as file:
        return {"text": file.read(), "here": context.database is not None}


WORKFLOWS = (
    Workflow(
        name="far_away",
        description="Compute elsewhere",
        steps=(
            Step("plan", plan, queue="io"),
            Step(
                "compute",
                compute,
                queue="gpu",
                per_part=True,
                backoff_s=0.1,
                remote=True,
                passes_on=("wrote",),
            ),
            Step("collect", collect, queue="io", per_part=True),
        ),
        parameters=FarParameters,
    ),
    Workflow(
        name="far_alone",
        description="Elsewhere from its beginning to its end",
        steps=(Step("think", lambda context: {"at": context.task_id}, queue="gpu", remote=True),),
        parameters=FarParameters,
    ),
    Workflow(
        name="near_by",
        description="Compute here only, on the queue of the others",
        steps=(Step("collect", lambda context: {"pid": os.getpid()}, queue="gpu"),),
        parameters=FarParameters,
    ),
)
