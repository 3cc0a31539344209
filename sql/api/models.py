"""The documents of the HTTP API alone: it owns requests and answers that Python does not need."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sql.selector.values import Moment

Id = Annotated[int, Field(ge=0, le=2**63 - 1)]
ActionId = Annotated[int, Field(ge=0, le=2**31 - 1)]
Status = Literal["waiting", "running", "done", "failed", "cancelled"]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NodeAnswer(_Document):
    """One line of a query's answer; size, extension and media type are null without bytes.

    A query that fails after its first line ends with the line `{"problem": ...}`.
    """

    node_id: int
    key: str
    size_bytes: int | None
    extension: str | None
    media_type: str | None
    description: str | None = None


class HistoryRequest(_Document):
    """One run of an action over a sealed action batch."""

    action_id: ActionId
    action_batch_id: Id
    status: Status
    start_time: Moment | None = None
    end_time: Moment | None = None


class HistoryChange(_Document):
    """What became of a run; a time that is null stays as it is."""

    status: Status
    start_time: Moment | None = None
    end_time: Moment | None = None


class HistoryAnswer(_Document):
    """The recorded run."""

    event_id: int
