"""Thumbnails as a workflow: it owns the steps that have the missing ones made, part by part."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from adapters import SpaceError as StoreSpaceError
from adapters import make_thumbnails
from jobs.core.errors import SpaceError
from jobs.runs.workflow import Step, StepResult, TaskContext, Workflow


class ThumbnailParameters(BaseModel):
    """How many nodes one part has; parts are made by as many workers as there are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    part_nodes: Annotated[int, Field(ge=1, le=1_000_000)] = 5_000


def plan(context: TaskContext) -> StepResult:
    """Cut what has no thumbnail into parts."""
    size = ThumbnailParameters.model_validate(context.parameters).part_nodes
    ranges = context.database.thumbnails.ranges(size)
    nodes = sum(one.nodes for one in ranges)
    context.log(f"{nodes:,} images and videos have no thumbnail yet")
    return StepResult({"nodes": nodes}, [one._asdict() for one in ranges])


def make(context: TaskContext) -> StepResult:
    """Make the thumbnails of a part; `partial` when the store could not give some originals."""
    spec = context.spec
    try:
        report = make_thumbnails(
            context.config_path,
            context.database,
            spec["first"],
            spec["last"],
            name=f"task-{context.task_id}",
            progress=lambda done: context.progress(done, spec["nodes"], "pictures"),
            cancelled=context.cancelled,
        )
    except StoreSpaceError as error:
        raise SpaceError(str(error)) from error
    context.check_cancelled()
    values = report._asdict()
    if report.away:
        error = f"the store could not give {report.away:,} originals; run it again later"
        return StepResult(values, state="partial", error=error)
    return StepResult(values)


WORKFLOW = Workflow(
    name="thumbnails",
    description="Make the thumbnails that are missing, and keep them in the store",
    steps=(Step("plan", plan, queue="cpu"), Step("make", make, queue="cpu", per_part=True)),
    parameters=ThumbnailParameters,
    is_bulk=True,
    key=lambda _parameters: "thumbnails",
)
