"""Operations on action batches: made of what a selector finds, shown, laid out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from adapters.actions import NextStage
from adapters.operations.pipelines import PipelineName, show_batch_state
from base.errors import EXIT_INCOMPLETE
from base.model import Document, PlainText
from base.operations.operation import Caller, Cli, Shell, operation
from base.output import say, write_json, write_line
from base.text import size_text
from fsd import MaterialiseAnswer
from sql import CHOICE_LOADS, PipelineState, SelectorField, opened, read_selector

if TYPE_CHECKING:
    from sql import Place

__all__ = ["opened"]

BatchId = Annotated[int, Field(description="Its number.")]


class CreateRequest(Document):
    """Which nodes."""

    selector: SelectorField = None
    action: Annotated[PlainText | None, Field(description="Only what this action can work on.")] = (
        None
    )
    pipeline: Annotated[PipelineName | None, Field(description="Put it into this pipeline.")] = None
    nodes_max: Annotated[
        int | None,
        Field(ge=1, lt=2**31, description="At most so many: the next that the action did not do."),
    ] = None


class Created(Document):
    """A sealed batch."""

    action_batch_id: int
    nodes: int
    size_bytes: int


def _show_created(made: Created, _asked: CreateRequest) -> None:
    say(f"{made.nodes:,} nodes, {size_text(made.size_bytes)}")
    write_line(str(made.action_batch_id))


@operation(
    "batch.create",
    role="operator",
    kind="change",
    route="POST /batches",
    cli=Cli(
        metavars={
            "selector": "FILE", "action": "NAME", "pipeline": "NAME", "nodes_max": "COUNT",
        },
        loads=CHOICE_LOADS,
        show=_show_created,
        example="drystone batch create --selector cats.yaml --action image_probe",
    ),
)  # fmt: skip
def create(place: Place, caller: Caller, asked: CreateRequest) -> Created:
    """Make an action batch of what a selector finds now, and seal it.

    Without a selector it is all that the action can work on. A sealed batch never changes.
    """
    from adapters.actions import contract_named, make_batch

    contract = contract_named(place.config_path, asked.action) if asked.action else None
    selector = None if asked.selector is None else read_selector(asked.selector)
    database = place.database
    batch = make_batch(database, selector, contract=contract, nodes_max=asked.nodes_max)
    made = database.action_context.batch(batch)
    if asked.pipeline is not None:
        database.pipelines.enrol(asked.pipeline, [batch], caller.name)
    return Created(action_batch_id=batch, nodes=made.nodes, size_bytes=made.size_bytes)


class OneBatch(Document):
    """Which action batch."""

    batch: BatchId


class BatchState(PipelineState):
    """What a batch holds, what was done to it, and what it comes to next in its pipelines."""

    size_bytes: int
    next: list[NextStage]


def _show_batch(state: BatchState, _asked: OneBatch) -> None:
    sealed = "not sealed" if state.seal_date is None else f"sealed {state.seal_date:%Y-%m-%d %H:%M}"
    size = size_text(state.size_bytes)
    write_line(
        f"action batch {state.action_batch_id}: {state.node_count:,} nodes, {size}, {sealed}"
    )
    show_batch_state(state)


@operation(
    "batch.show",
    role="viewer",
    kind="question",
    route="GET /batches/{batch}",
    cli=Cli(positional=("batch",), metavars={"batch": "BATCH"}, show=_show_batch),
)
def show(place: Place, _caller: Caller, asked: OneBatch) -> BatchState:
    """Tell what an action batch holds, what was done to it, and where it stands in pipelines."""
    from adapters.actions import next_stage

    database = place.database
    return BatchState(
        **dict(database.actions.pipeline_state(asked.batch)),
        size_bytes=database.action_context.batch(asked.batch).size_bytes,
        next=next_stage(database, asked.batch),
    )


# ---- Laid out by hand ----------------------------------------------------------------------------


class FreeRequest(OneBatch):
    """Which stage."""

    layout: Annotated[str, Field(description="Name of the folder below the batch.")]


class StageRequest(FreeRequest):
    """Which nodes are laid out, and how."""

    node: Annotated[
        list[int] | None, Field(description="Only this node; may be given several times.")
    ] = None
    mode: Annotated[Literal["copy", "view"], Field(description="A copy in 3C, or a view.")] = "copy"


class Staged(MaterialiseAnswer):
    """A stage, and the nodes that are left out: deleted, black-listed or without bytes."""

    left_out: list[dict[str, Any]]


@operation(
    "batch.free",
    role="operator",
    kind="change",
    route="DELETE /batches/{batch}/stages/{layout:path}",
    cli=Cli(
        command="batch stage --free",
        is_shown=False,
        show=lambda gone, _: say(f"3c/{gone.batch}/{gone.layout} is free"),
    ),
)
def free(place: Place, _caller: Caller, asked: FreeRequest) -> FreeRequest:
    """Free it instead."""
    from adapters.audit.care import store_client

    store_client(place.config_path).release_stage(str(asked.batch), asked.layout)
    return asked


def _finish_stage(shell: Shell, made: Staged, _asked: StageRequest) -> int:
    if shell.is_json:
        write_json(made)
    else:
        say(f"{made.expected_files:,} files, {size_text(made.expected_bytes)}")
        for one in made.left_out:
            say(f"  left out: node {one['node_id']}, {one['reason']}")
        write_line(made.target_root)
    return EXIT_INCOMPLETE if made.left_out else 0


@operation(
    "batch.stage",
    role="admin",
    kind="change",
    route="POST /batches/{batch}/stages",
    cli=Cli(
        positional=("batch",),
        metavars={"batch": "BATCH", "layout": "ID", "node": "ID", "mode": "[copy|view]"},
        switches={"free": free},
        finish=_finish_stage,
    ),
    is_private=True,
)
def stage(place: Place, _caller: Caller, asked: StageRequest) -> Staged:
    """Lay the nodes of a sealed batch out as 3c/BATCH/LAYOUT/NODE.EXTENSION, by hand.

    Runs of actions do that themselves. It stays until it is freed. Exit code 3 when nodes are left
    out: deleted, black-listed or without bytes.
    """
    from adapters.actions import stage_nodes
    from adapters.audit.care import store_client

    made, left_out = stage_nodes(
        store_client(place.config_path), place.database, asked.batch, asked.layout, asked.node,
        asked.mode,
    )  # fmt: skip
    return Staged(**dict(made), left_out=[one._asdict() for one in left_out])
