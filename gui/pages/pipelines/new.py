"""Forms of batches and pipelines: which nodes for which action, and which actions in a line."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from nicegui import ui
from pydantic import BaseModel, Field, model_validator
from pydantic.config import JsonDict

from gui.core.filters import Document, document_of
from gui.reading.desk import Desk
from gui.reading.views import SavedSelectors, saved_selectors
from gui.widgets.acts import Choices, act, ask, operate
from gui.widgets.blocks import many
from gui.widgets.frame import visitor

NODES = ("view", "selector")
ADVANCE: JsonDict = {"manual": "when somebody says so", "auto": "by itself"}


class NewBatch(BaseModel):
    """A batch that is to be made; nodes that were chosen before are not asked for."""

    view: Annotated[str | None, Field(title="Files of the saved view")] = None
    selector: Annotated[
        str | None,
        Field(title="Or of the selector", description="the button YAML of the explorer writes one",
              json_schema_extra={"format": "yaml"}),
    ] = None  # fmt: skip
    action: Annotated[
        str | None,
        Field(title="For the action", description="only what it can work on; needed if no files "
              "are named above"),
    ] = None  # fmt: skip
    nodes_max: Annotated[
        int | None,
        Field(title="At most so many files", ge=1, lt=2**31,
              description="the next of which the action is not done yet, the oldest first"),
    ] = None  # fmt: skip
    pipeline: Annotated[str | None, Field(title="Put into the pipeline")] = None

    @model_validator(mode="after")
    def _one_choice(self) -> NewBatch:
        if self.view is not None and self.selector is not None:
            raise ValueError("choose a saved view, or write a selector, not both")
        return self


class NewPipeline(BaseModel):
    """A pipeline that is to be declared."""

    name: Annotated[str, Field(title="Name, such as pictures", min_length=1, max_length=63)]
    description: Annotated[str, Field(title="What it is for", max_length=1_000)]
    actions: Annotated[
        list[str],
        Field(title="Actions, one a line, the first one first", min_length=1, max_length=50),
    ]
    advance: Annotated[
        Literal["manual", "auto"],
        Field(title="The next stage begins", json_schema_extra={"choices": ADVANCE}),
    ] = "manual"


class Offer(NamedTuple):
    """What can be chosen."""

    views: SavedSelectors
    actions: Choices
    pipelines: Choices


async def ask_for_batch(desk: Desk, chosen: Document | None = None, words: str = "") -> None:
    """Ask which batch is to be made, make it, and lead to it."""
    offer: Offer | None = await act(desk, "operator", "", _read, desk, visitor().user_id)
    if offer is None:
        return
    views = tuple((name, name) for name, _ in offer.views)
    told = await ask(
        f"Make a batch of {words}" if words else "Make a batch",
        NewBatch,
        "Make the batch",
        lines=["A batch is sealed when it is made: actions run over it, and it never changes."],
        fields=[name for name in NewBatch.model_fields if chosen is None or name not in NODES],
        offers={"view": views, "action": offer.actions, "pipeline": offer.pipelines},
        classes="wide",
    )
    if told is None:
        return
    values: dict[str, Any] = told.model_dump(exclude_none=True, exclude=set(NODES))
    if chosen is not None:
        values["selector"] = chosen
    elif told.view is not None:
        values["selector"] = dict(offer.views)[told.view]
    elif told.selector is not None:
        values["selector"] = document_of(told.selector)
    made = await operate(desk, "batch.create", values, lambda one: many(one.nodes, "file"))
    if made is not None:
        ui.navigate.to(f"/pipelines/batch/{made.action_batch_id}")


async def ask_for_pipeline(desk: Desk) -> None:
    """Ask for a pipeline, and declare it."""
    offer: Offer | None = await act(desk, "operator", "", _read, desk, visitor().user_id)
    if offer is None:
        return
    names = ", ".join(str(name) for name, _ in offer.actions if name)
    told = await ask(
        "Write a pipeline", NewPipeline, "Declare it", lines=[f"There are the actions {names}."]
    )
    if told is None:
        return
    document = {
        "pipeline": 1,
        "name": told.name,
        "description": told.description,
        "advance": told.advance,
        "stages": [{"action": name} for name in told.actions],
    }
    await operate(desk, "pipeline.declare", {"pipeline": document}, f"{told.name} is declared")


def _read(desk: Desk, user_id: int) -> Offer:
    from adapters.actions import contracts, declared_pipelines

    known = contracts(desk.config.config_path)
    actions = tuple((name, f"{name}: {one.contract.description}") for name, one in known.items())
    pipelines = tuple((name, name) for name in declared_pipelines(desk.database()))
    return Offer(
        saved_selectors(desk, user_id),
        ((None, "not said"), *actions),
        ((None, "none"), *pipelines),
    )
