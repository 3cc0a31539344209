"""Workflows for tests, loaded by workers from `workflow_modules`: files tell what they did."""

from __future__ import annotations

import os
import time
from typing import Any

from pydantic import BaseModel

from jobs import PermanentError, SpaceError, Step, StepResult, TaskContext, WaitError, Workflow

POLL_S = 0.01


class TrialParameters(BaseModel):
    """`folder` takes the traces; `hold` lets parts wait there for a file `go`."""

    folder: str
    parts: int = 2
    hold: bool = False
    fail_parts: tuple[int, ...] = ()
    fail_tries: int = 99
    tag: str = ""
    size: int = 0


def trace(context: TaskContext, what: str) -> None:
    """Leave an empty file, made whole at once, that says what was done in which attempt."""
    name = f"{what}.{context.part}.{context.token}.{os.getpid()}"
    with open(os.path.join(context.parameters["folder"], name), "x", encoding="ascii"):
        pass


def plan(context: TaskContext) -> StepResult:
    trace(context, "plan")
    parts = [{"number": number} for number in range(1, context.parameters["parts"] + 1)]
    return StepResult({"parts": len(parts)}, parts=parts, pass_on={"planned": True})


def work(context: TaskContext) -> StepResult:
    trace(context, "work")
    parameters = context.parameters
    print(f"part {context.part} \x1b[31mred")
    if context.part in parameters["fail_parts"] and context.token <= parameters["fail_tries"]:
        raise RuntimeError(f"part {context.part} is broken {parameters['tag']}".rstrip())
    while parameters["hold"] and not os.path.exists(os.path.join(parameters["folder"], "go")):
        context.check_cancelled()
        context.progress(1, 2, "steps", "holding")
        time.sleep(POLL_S)
    assert context.spec["planned"] and context.spec["number"] == context.part
    return StepResult({"number": context.part}, pass_on={"worked": context.part})


def after(context: TaskContext) -> dict[str, Any]:
    # The effect of the part, which may be tried twice and must be there once.
    key = f"{context.run_id}-{context.part}"
    assert context.spec["worked"] == context.part
    context.database.events.add("trial", key, {}, once_key=key)
    return {"part": context.part}


def finish(context: TaskContext) -> dict[str, Any]:
    trace(context, "finish")
    results = context.database.runs.results(context.run_id, "after")
    return {"parts": sorted(one.part for one in results if one.state == "done")}


def wait_for_room(context: TaskContext) -> None:
    if not os.path.exists(os.path.join(context.parameters["folder"], "room")):
        raise SpaceError("the stage area is full")


def wait_for_labels(context: TaskContext) -> None:
    if not os.path.exists(os.path.join(context.parameters["folder"], "labels")):
        raise WaitError("2 labels are missing")


def refuse(_context: TaskContext) -> None:
    raise PermanentError("this can never work")


def nothing(_context: TaskContext) -> None:
    return None


def stubborn(context: TaskContext) -> None:
    """Hold on and never ask whether to stop."""
    trace(context, "stubborn")
    while not os.path.exists(os.path.join(context.parameters["folder"], "go")):
        time.sleep(POLL_S)


def short(_context: TaskContext) -> None:
    """Take a twentieth of a second."""
    time.sleep(0.05)


def size_of(_config_path: str, parameters: dict[str, Any]) -> int | None:
    return parameters["size"] if parameters["size"] >= 0 else None


def simple(name: str, *steps: Step) -> Workflow:
    return Workflow(name, "For tests", steps, TrialParameters)


WORKFLOWS = (
    simple(
        "trial",
        Step("plan", plan, queue="io", backoff_s=0.1, attempts_max=20),
        Step("work", work, queue="cpu", per_part=True, backoff_s=0.1, attempts_max=20),
        Step("after", after, queue="io", per_part=True, backoff_s=0.1, attempts_max=20),
        Step("finish", finish, queue="io", always=True, backoff_s=0.1, attempts_max=20),
    ),
    simple(
        "fragile",
        Step("plan", plan, queue="io"),
        Step("work", work, queue="cpu", per_part=True, attempts_max=2, backoff_s=0.05),
        Step("after", after, queue="io", per_part=True),
        Step("finish", finish, queue="io", always=True),
    ),
    simple("room", Step("wait", wait_for_room)),
    simple("room_cpu", Step("wait", wait_for_room, queue="cpu")),
    simple("labels", Step("wait", wait_for_labels)),
    simple("short", Step("short", short)),
    Workflow(
        "sized", "For tests", (Step("nothing", nothing),), TrialParameters, size_bytes=size_of
    ),
    Workflow(
        "sized_bulk",
        "For tests",
        (Step("nothing", nothing),),
        TrialParameters,
        size_bytes=size_of,
        is_bulk=True,
    ),
    simple("refuse", Step("refuse", refuse)),
    simple("nothing", Step("nothing", nothing)),
    simple("tidy", Step("tidy", nothing, queue="io")),
    simple("stubborn", Step("stubborn", stubborn)),
    simple("infer", Step("infer", nothing, queue="gpu", gate="gpu")),
    simple("approved", Step("look", nothing), Step("write", nothing, gate="approval")),
)
