"""Pipelines: it owns their files, and which stage of one a batch comes to next.

A pipeline is actions in a line, each with a gate and parameters of its own:

    pipeline: 1
    name: pictures
    advance: manual
    stages:
      - action: image_probe
      - action: multi_size
        gate: approval
        parameters: {sizes: "800x600"}

Another branch is another sealed batch, made by a selector. A batch is in a pipeline once it is
enrolled; where it stands there is derived from what was done (table 12c) and never written. With
`advance: auto` the scheduler begins each stage that comes next, once; gates hold
either way. A gate belongs to the action for as long as the pipeline is declared: whoever runs
that action, over whatever nodes, has done the stage for them, so every run of it is asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError

from adapters.actions.contract.contract import Name, Part
from adapters.actions.contract.parameters import checked_parameters
from adapters.actions.contract.place import (
    DOCUMENT_BYTES_MAX,
    Problem,
    ProblemError,
    problem_at,
    problems_of,
    read_placed,
)
from adapters.records.errors import ContractError
from base.documents import Placed
from base.errors import UsageError
from base.mistakes import suggestion
from base.text import safe_text

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract
    from sql import Database

STAGES_MAX = 100

Gate = Literal["none", "gpu_ready", "approval"]
Value = str | int | float | bool


class PipelineStep(Part):
    """One stage: an action, and what is asked for before it runs, beside the contract's gate."""

    action: Name
    gate: Gate = "none"
    """Must open too; none keeps what the contract says."""
    parameters: dict[Name, Value] = Field(default_factory=dict[str, Value])


class Pipeline(Part):
    """Actions in a line."""

    pipeline: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,60}$")]
    description: str = ""
    advance: Literal["auto", "manual"] = "manual"
    """Whether the next stage of an enrolled batch begins by itself."""
    stages: Annotated[tuple[PipelineStep, ...], Field(min_length=1, max_length=STAGES_MAX)]


class NextStage(Part):
    """What a batch comes to next in a pipeline."""

    pipeline: str
    stage_id: int
    """From 1."""
    stages: int
    action: str
    gate: Gate = "none"
    """Must open before it runs, beside the gate of the contract itself."""
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])


def check_pipeline(
    data: bytes | str, contracts: Mapping[str, LoadedContract]
) -> tuple[Pipeline | None, list[Problem]]:
    """Read a pipeline; returns it, or every mistake."""
    try:
        placed = read_placed(data)
    except ProblemError as error:
        return None, [error.problem]
    if not isinstance(placed.value, dict):
        return None, [Problem(1, "the document", "a pipeline is a mapping: begin with `name: `")]
    try:
        pipeline = Pipeline.model_validate(placed.value)
    except ValidationError as error:
        return None, problems_of(placed, error, Pipeline)
    problems = _problems(placed, pipeline, contracts)
    return (None if problems else pipeline), problems


def _problems(
    placed: Placed, pipeline: Pipeline, contracts: Mapping[str, LoadedContract]
) -> list[Problem]:
    problems: list[Problem] = []
    seen: set[str] = set()
    for number, step in enumerate(pipeline.stages):
        place = ("stages", number)
        loaded = contracts.get(step.action)
        if step.action in seen:
            reason = f"{step.action} is a stage already; an action stands in a pipeline once"
            problems.append(problem_at(placed, (*place, "action"), reason))
        seen.add(step.action)
        if loaded is None:
            reason = f"there is no action {step.action}" + suggestion(step.action, contracts)
            problems.append(problem_at(placed, (*place, "action"), reason))
            continue
        try:
            checked_parameters(loaded.contract, step.parameters)
        except UsageError as error:
            problems.append(problem_at(placed, (*place, "parameters"), str(error)))
        if step.gate == "gpu_ready" and loaded.contract.run_spec is None:
            reason = f"{step.action} runs no program, so it waits for no machine"
            problems.append(problem_at(placed, (*place, "gate"), reason))
    return problems


def load_pipeline(path: str, contracts: Mapping[str, LoadedContract]) -> Pipeline:
    """Read a pipeline file. ContractError with every mistake as `line N, key.path: reason`."""
    try:
        with open(path, "rb") as file:
            data = file.read(DOCUMENT_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"{safe_text(path)} cannot be read: {error.strerror}") from None
    pipeline, problems = check_pipeline(data, contracts)
    if pipeline is None:
        raise ContractError(safe_text(path), [str(problem) for problem in problems])
    return pipeline


def declare_pipeline(
    database: Database, pipeline: Pipeline, contracts: Mapping[str, LoadedContract]
) -> int:
    """Make a pipeline and its actions known; returns its id.

    Gates and parameters may be others each time; other actions under its name are refused.
    """
    from adapters.actions.contract.registry import declare_contract

    for step in pipeline.stages:
        declare_contract(database, contracts[step.action])
    action_ids = [contracts[step.action].contract.action_id for step in pipeline.stages]
    document = json.dumps(pipeline.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return database.action_context.declare_pipeline(pipeline.name, action_ids, document)


def declared_pipelines(database: Database) -> dict[str, Pipeline]:
    """Return all pipelines of a database by name; one without a document has no gates."""
    return {
        row.name: Pipeline.model_validate_json(row.document)
        if row.document
        else Pipeline.model_construct(
            name=row.name, stages=tuple(PipelineStep(action=name) for name in row.actions)
        )
        for row in database.action_context.pipelines()
    }


def gates_of_action(database: Database, action: str) -> frozenset[Gate]:
    """Return what the declared pipelines ask for before this action runs, beside its contract."""
    return frozenset(
        step.gate
        for pipeline in declared_pipelines(database).values()
        for step in pipeline.stages
        if step.action == action and step.gate != "none"
    )


def next_stage(
    database: Database, action_batch_id: int, pipeline: str | None = None
) -> list[NextStage]:
    """Return what a sealed batch comes to next, in each pipeline that it is in.

    With `pipeline` only in that one, which the batch need not be in: a fresh one comes to the first
    stage that no other batch did for its nodes. A pipeline that is complete is not in the list.
    """
    known = declared_pipelines(database)
    if pipeline is not None and pipeline not in known:
        hint = suggestion(pipeline, known)
        raise UsageError(f"there is no pipeline {pipeline[:100]!a}{hint}")
    if pipeline is not None:
        stage_id = database.action_context.first_open_stage(pipeline, action_batch_id)
        return [] if stage_id is None else [_stage(known[pipeline], stage_id)]
    return [
        _stage(known[progress.pipeline], progress.current_stage)
        for progress in database.actions.pipeline_state(action_batch_id).pipelines
        if progress.current_stage is not None
    ]


def _stage(pipeline: Pipeline, stage_id: int) -> NextStage:
    step = pipeline.stages[stage_id - 1]
    return NextStage(
        pipeline=pipeline.name,
        stage_id=stage_id,
        stages=len(pipeline.stages),
        action=step.action,
        gate=step.gate,
        parameters=dict(step.parameters),
    )
