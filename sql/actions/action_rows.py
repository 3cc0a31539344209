"""What the book of actions tells: it owns the shapes of its rows, and no statement."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import AwareDatetime

from base.model import Document, JsonObject
from sql.actions.history import ActionStatus, ActionType
from sql.intent.intent import Key, Text

Outcome = Literal["done", "missing", "failed"]
EventState = Literal["open", "done", "partial", "failed", "cancelled"]


class EventDetail(Document):
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
    parameters: JsonObject
    state: EventState
    start_time: AwareDatetime | None
    end_time: AwareDatetime | None


class PendingNode(Document):
    """A node that is still to be worked on; a virtual one has 0 bytes."""

    node_id: int
    key: Key
    size_bytes: int


class NodeOutcome(Document):
    """What became of one input."""

    node_id: int
    outcome: Outcome
    reason: Text | None = None


def canonical_json(value: Any) -> str:
    """Return JSON that is the same for equal values: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def parameters_digest(parameters: Mapping[str, Any]) -> bytes:
    """Return what makes two sets of parameters the same."""
    return hashlib.sha256(canonical_json(dict(parameters)).encode()).digest()
