"""What the book of actions tells: it owns the shapes of its rows, and no statement."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict

from sql.actions.history import ActionStatus, ActionType
from sql.intent.intent import Key, Text

Outcome = Literal["done", "missing", "failed"]
EventState = Literal["open", "done", "partial", "failed", "cancelled"]
WHOLE_FILE = -1

Model = TypeVar("Model", bound=BaseModel)


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EventDetail(_Document):
    """A run of an action over a batch."""

    event_id: int
    action_id: int
    action: str
    type: ActionType
    action_batch_id: int
    status: ActionStatus
    run_reference: str
    version: int
    contract_digest: str
    parameters: dict[str, Any]
    state: EventState
    start_time: AwareDatetime | None
    end_time: AwareDatetime | None


class PendingNode(_Document):
    """A node that is still to be worked on; a virtual one has 0 bytes."""

    node_id: int
    key: Key
    size_bytes: int


class NodeOutcome(_Document):
    """What became of one input."""

    node_id: int
    outcome: Outcome
    reason: Text | None = None


class SetAside(_Document):
    """An output that could not be understood; `path` is printable, `key` that of its file."""

    path: Text
    record_number: int = WHOLE_FILE
    node_id: int | None = None
    reason: Text
    key: Key | None = None


class SetAsideRow(SetAside):
    """A row of the quarantine as the database has it."""

    quarantine_id: int
    event_id: int
    action: str
    part: int
    store_batch: str | None
    quarantine_time: AwareDatetime
    replay_time: AwareDatetime | None


class SupersededRow(_Document):
    """A result that counts no more; `values` is the whole row as it was."""

    table_name: str
    event_id: int
    values: dict[str, Any]
    superseded_by: str
    supersede_time: AwareDatetime


def canonical_json(value: Any) -> str:
    """Return JSON that is the same for equal values: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def parameters_digest(parameters: Mapping[str, Any]) -> bytes:
    """Return what makes two sets of parameters the same."""
    return hashlib.sha256(canonical_json(dict(parameters)).encode()).digest()


def made(model: type[Model], row: tuple[Any, ...]) -> Model:
    """Return a row whose columns come in the order of the model's fields."""
    return model.model_validate(dict(zip(model.model_fields, row, strict=True)))
