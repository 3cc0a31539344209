"""Operations on pipelines: declared, filled with batches, and where these stand."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from adapters.actions import Pipeline
from base.errors import EXIT_INCOMPLETE
from base.model import Document, PlainText
from base.operations.operation import Caller, Cli, Load, NoRequest, operation
from base.output import say, write_line, write_table
from sql import WaitingDataset, opened

if TYPE_CHECKING:
    from adapters.actions import LoadedContract
    from sql import EnrolledBatch, PipelineBatches, PipelineState, Place

__all__ = ["opened"]

PipelineName = Annotated[PlainText, Field(max_length=200, description="Its name.")]


# ---- Declaring -----------------------------------------------------------------------------------


class PipelineRequest(Document):
    """A pipeline as somebody wrote it."""

    pipeline: Annotated[
        Any, Field(description="The pipeline, as YAML.", json_schema_extra={"type": "object"})
    ]


def _file(path: str | None) -> Callable[[Mapping[str, LoadedContract]], Pipeline]:
    """Return what reads a file when the contracts are known: its mistakes are told by line."""
    from adapters.actions import load_pipeline

    return functools.partial(load_pipeline, path or "")


_FILE = {"pipeline": Load(_file)}


def _checked(asked: PipelineRequest, contracts: Mapping[str, LoadedContract]) -> Pipeline:
    from adapters.actions.contract.pipelines import check_pipeline
    from adapters.records.errors import ContractError

    if isinstance(asked.pipeline, functools.partial):
        return asked.pipeline(contracts)
    found, problems = check_pipeline(json.dumps(asked.pipeline), contracts)
    if found is None:
        raise ContractError("the pipeline", [str(problem) for problem in problems])
    return found


def _line(pipeline: Pipeline) -> str:
    line = " -> ".join(
        step.action + (f" [{step.gate}]" if step.gate != "none" else "") for step in pipeline.stages
    )
    return line + (", by itself" if pipeline.advance == "auto" else "")


def _show_checked(found: Pipeline, _asked: PipelineRequest) -> None:
    write_line(f"{found.name} is in order: {_line(found)}")


@operation(
    "pipeline.check",
    role="viewer",
    kind="question",
    route="POST /pipelines/check",
    cli=Cli(
        positional=("pipeline",), metavars={"pipeline": "FILE"}, loads=_FILE, show=_show_checked
    ),
)
def check(place: Place, _caller: Caller, asked: PipelineRequest) -> Pipeline:
    """Explain every mistake of a pipeline."""
    from adapters.actions import contracts

    return _checked(asked, contracts(place.config_path))


class Declared(Pipeline):
    """A pipeline of the database, and the datasets that wait for batches in it."""

    pipeline_id: int
    datasets: list[WaitingDataset]


def _tell_waiting(waiting: Iterable[WaitingDataset]) -> None:
    for one in waiting:
        say(
            f"dataset {one.name} waits for it: its next build leaves out {one.files_left_out:,} of "
            f"{one.files:,} files until it is complete for them"
        )


def _show_declared(made: Declared, _asked: PipelineRequest) -> None:
    write_line(f"{made.name}: {_line(made)}")
    _tell_waiting(made.datasets)


@operation(
    "pipeline.declare",
    role="operator",
    kind="change",
    route="POST /pipelines",
    cli=Cli(
        positional=("pipeline",), metavars={"pipeline": "FILE"}, loads=_FILE, show=_show_declared
    ),
)
def declare(place: Place, _caller: Caller, asked: PipelineRequest) -> Declared:
    """Make a pipeline known to the database; its gates and parameters may change later.

    Nothing is in it, and no dataset asks for it, until a batch is enrolled or a run names it. The
    datasets that wait for batches which are in it already are named.
    """
    from adapters.actions import contracts, declare_pipeline

    known = contracts(place.config_path)
    found = _checked(asked, known)
    number = declare_pipeline(place.database, found, known)
    waiting = place.database.pipelines.waiting_datasets(found.name)
    return Declared(**dict(found), pipeline_id=number, datasets=waiting)


# ---- Batches in them -----------------------------------------------------------------------------


class BatchesRequest(Document):
    """Which action batches of which pipeline."""

    pipeline: PipelineName
    batches: Annotated[list[int], Field(min_length=1, description="Action batches.")]


_OF_BATCHES: dict[str, Any] = {
    "positional": ("pipeline", "batches"),
    "metavars": {"pipeline": "PIPELINE", "batches": "BATCH..."},
}


class Enrolled(Document):
    """How many batches are new in a pipeline, and the datasets that wait for it."""

    enrolled: int
    datasets: list[WaitingDataset]


def _show_enrolled(done: Enrolled, asked: BatchesRequest) -> None:
    write_line(f"{asked.pipeline}: {done.enrolled:,} new in it")
    _tell_waiting(done.datasets)


@operation(
    "pipeline.enrol",
    role="operator",
    kind="change",
    route="POST /pipelines/{pipeline}/enrol",
    cli=Cli(**_OF_BATCHES, show=_show_enrolled),
)
def enrol(place: Place, caller: Caller, asked: BatchesRequest) -> Enrolled:
    """Put sealed action batches into a pipeline, and name the datasets that wait for it.

    A dataset with `require_complete: default` leaves out the files of a batch until every pipeline
    that the batch is in is complete for them. A pipeline with `advance: auto` begins by itself.
    """
    pipelines = place.database.pipelines
    count = pipelines.enrol(asked.pipeline, asked.batches, caller.name)
    return Enrolled(enrolled=count, datasets=pipelines.waiting_datasets(asked.pipeline))


class Withdrawn(Document):
    """How many batches were taken out of a pipeline."""

    withdrawn: int


def _show_withdrawn(done: Withdrawn, asked: BatchesRequest) -> None:
    write_line(f"{asked.pipeline}: {done.withdrawn:,} taken out of it")


@operation(
    "pipeline.withdraw",
    role="operator",
    kind="change",
    route="POST /pipelines/{pipeline}/withdraw",
    cli=Cli(**_OF_BATCHES, show=_show_withdrawn),
)
def withdraw(place: Place, _caller: Caller, asked: BatchesRequest) -> Withdrawn:
    """Take action batches out of a pipeline; what was done for their nodes stays done."""
    place.database.pipelines.withdraw(asked.pipeline, asked.batches)
    return Withdrawn(withdrawn=len(set(asked.batches)))


# ---- Looking -------------------------------------------------------------------------------------


class StateRequest(Document):
    """Which pipeline, or which batch."""

    pipeline: Annotated[PipelineName | None, Field(description="Its name.")] = None
    batch: Annotated[int | None, Field(description="This batch in all its pipelines.")] = None

    @model_validator(mode="after")
    def _one(self) -> StateRequest:
        if (self.pipeline is None) == (self.batch is None):
            raise ValueError("name a pipeline, or a batch with --batch ID")
        return self


def _place_of(one: EnrolledBatch) -> str:
    if one.current_stage is None:
        return "complete"
    stage = one.stages[one.current_stage - 1]
    done = f"{stage.nodes_done:,} of {one.node_count:,} nodes done"
    return f"{stage.stage_id} of {len(one.stages)}: {stage.action}, {done}"


def _show_state(state: Any, asked: StateRequest) -> None:
    if asked.batch is not None:
        show_batch_state(state)
        return
    rows = [
        (str(one.action_batch_id), f"{one.node_count:,}", f"{one.enrol_time:%Y-%m-%d %H:%M}",
         _place_of(one))
        for one in state.batches
    ]  # fmt: skip
    write_table((">batch", ">nodes", "enrolled", "stage"), rows)


def show_batch_state(state: PipelineState) -> None:
    """Write where a batch stands in its pipelines, and what was done to it."""
    if state.pipelines:
        rows = [
            (one.pipeline, str(stage.stage_id), stage.action, f"{stage.nodes_done:,}",
             "done" if stage.done else "next" if stage.stage_id == one.current_stage else "")
            for one in state.pipelines
            for stage in one.stages
        ]  # fmt: skip
        write_table(("pipeline", ">stage", "action", ">nodes done", ""), rows)
    if state.events:
        events = [
            (str(event.event_id), event.action, event.status,
             f"{event.start_time:%Y-%m-%d %H:%M}" if event.start_time else "")
            for event in state.events
        ]  # fmt: skip
        write_table((">event", "action", "status", "started"), events)


@operation(
    "pipeline.state",
    role="viewer",
    kind="question",
    route="GET /pipeline-state",
    cli=Cli(
        positional=("pipeline",),
        metavars={"pipeline": "[PIPELINE]", "batch": "ID"},
        show=_show_state,
        example="drystone pipeline state pictures\n  drystone pipeline state --batch 7",
    ),
)
def state(place: Place, _caller: Caller, asked: StateRequest) -> PipelineBatches | PipelineState:
    """Tell where the batches of a pipeline stand, or where one batch stands in its pipelines."""
    if asked.batch is not None:
        return place.database.actions.pipeline_state(asked.batch)
    return place.database.pipelines.state(asked.pipeline or "")


def _show_pipelines(found: list[Pipeline], _asked: NoRequest) -> None:
    write_table(("pipeline", "stages"), [(one.name, _line(one)) for one in found])


@operation(
    "pipeline.list",
    role="viewer",
    kind="question",
    route="GET /pipelines",
    cli=Cli(show=_show_pipelines),
)
def list_pipelines(place: Place, _caller: Caller, _asked: NoRequest) -> list[Pipeline]:
    """List the pipelines of the database."""
    from adapters.actions import declared_pipelines

    return list(declared_pipelines(place.database).values())


class ShowRequest(Document):
    """Which pipeline."""

    pipeline: PipelineName
    batch: Annotated[int | None, Field(description="Where this batch stands in it.")] = None


class Shown(Pipeline):
    """A pipeline; `next_stage` is the one a batch comes to next, None when it is complete."""

    next_stage: int | None = None


def _show_pipeline(found: Shown, _asked: ShowRequest) -> None:
    rows = [
        (
            str(number),
            step.action,
            step.gate,
            ", ".join(f"{name}={value}" for name, value in step.parameters.items()),
            "next" if number == found.next_stage else "",
        )
        for number, step in enumerate(found.stages, 1)
    ]
    write_table((">stage", "action", "gate", "parameters", ""), rows)


@operation(
    "pipeline.show",
    role="viewer",
    kind="question",
    route="GET /pipelines/{pipeline}",
    cli=Cli(
        positional=("pipeline",),
        metavars={"pipeline": "PIPELINE", "batch": "ID"},
        show=_show_pipeline,
        exit_code=lambda found, _: EXIT_INCOMPLETE if found.next_stage is not None else 0,
    ),
)
def show(place: Place, _caller: Caller, asked: ShowRequest) -> Shown:
    """Tell the stages of a pipeline, their gates and parameters, and what a batch comes to next.

    With --batch the exit code 3 says that the pipeline is not complete for it.
    """
    from adapters.actions import declared_pipelines, next_stage
    from base.errors import UsageError
    from base.mistakes import suggestion

    found = declared_pipelines(place.database)
    name = asked.pipeline
    if name not in found:
        raise UsageError(f"there is no pipeline {name[:100]!a}{suggestion(name, found)}")
    coming = next_stage(place.database, asked.batch, name) if asked.batch is not None else []
    # As it is: a pipeline of before may have no document, and not all that one has today.
    return Shown.model_construct(
        **dict(found[name]), next_stage=coming[0].stage_id if coming else None
    )
