"""Actions and their history: it owns action batches, events, pipelines, and where they stand.

An action batch is filled, sealed and only then worked on. Where it stands in a pipeline is derived
(the view pipeline_batch) and never written. Running anything is the scheduler's part.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import numpy as np
import psycopg
from psycopg import errors
from pydantic import AwareDatetime

from base.errors import UsageError
from base.model import Document
from sql.core.bigints import write_bigints
from sql.core.errors import NotFoundError
from sql.core.repository import Repository, rows_of, value_of
from sql.core.statements import statements

ActionType = Literal["AC0", "AC1", "AC2", "AC3", "AC4", "AC5"]
ActionStatus = Literal["waiting", "running", "done", "failed", "cancelled"]

_SQL = statements("history")


class ActionEvent(Document):
    """One run of an action over a batch."""

    event_id: int
    action_id: int
    action: str
    status: ActionStatus
    start_time: AwareDatetime | None
    end_time: AwareDatetime | None


class KnownAction(NamedTuple):
    """An action as it was declared."""

    action_id: int
    name: str
    type: ActionType


class StageState(Document):
    """One stage of a pipeline: done when its action is done for every node of the batch.

    Nodes that are deleted, purged or black-listed are not waited for.
    """

    stage_id: int
    action_id: int
    action: str
    nodes_done: int
    done: bool


class PipelineProgress(Document):
    """Where the batch stands in one pipeline; `current_stage` is None when all stages are done."""

    pipeline_id: int
    pipeline: str
    current_stage: int | None
    stages: tuple[StageState, ...]


class PipelineState(Document):
    """An action batch, the pipelines it is in, and all that happened to it."""

    action_batch_id: int
    create_date: AwareDatetime
    seal_date: AwareDatetime | None
    node_count: int
    pipelines: tuple[PipelineProgress, ...]
    events: tuple[ActionEvent, ...]


class ActionHistory(Repository):
    """Actions and their events in one database."""

    def declare_action(self, action_id: int, name: str, action_type: ActionType) -> bool:
        """Make an action known; False when it was. UsageError when it means another."""
        wanted = KnownAction(action_id, name, action_type)
        with self._database.connection() as connection:
            try:
                new = connection.execute(_SQL["declare_action"], wanted).rowcount == 1
            except (errors.CheckViolation, errors.NumericValueOutOfRange) as error:
                raise UsageError(
                    f"action {action_id} {name!r} of type {action_type} is refused"
                ) from error
            for known in rows_of(connection, KnownAction, _SQL["action"], [action_id, name]):
                if known != wanted:
                    raise UsageError(
                        f"action {known.action_id} is {known.name!r} of type {known.type} already; "
                        "take another number and name"
                    )
        return new

    def is_declared(self, name: str) -> bool:
        """Tell whether an action is known, by its name; before its first run it is not."""
        with self._database.connection() as connection:
            return bool(rows_of(connection, KnownAction, _SQL["action"], [None, name]))

    def record_action_history(
        self,
        action_id: int,
        action_batch_id: int,
        status: ActionStatus,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
    ) -> int:
        """Record a run of an action over a sealed batch; returns the id of the event."""
        with self._database.connection() as connection:
            return record_action_history(
                connection, action_id, action_batch_id, status, start_time, end_time
            )

    def change_action_history(
        self,
        event_id: int,
        status: ActionStatus,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
    ) -> None:
        """Change the status of a run, and its times where they are given."""
        with self._database.connection() as connection:
            change_action_history(connection, event_id, status, start_time, end_time)

    def pipeline_state(self, action_batch_id: int) -> PipelineState:
        """Return where a batch stands in all pipelines it is in, and its history."""
        with self._database.reading() as connection:
            create_date, seal_date = _batch(connection, action_batch_id)
            pipelines = connection.execute(_SQL["pipelines"], [action_batch_id]).fetchall()
            return PipelineState(
                action_batch_id=action_batch_id,
                create_date=create_date,
                seal_date=seal_date,
                node_count=value_of(connection, _SQL["node_count"], [action_batch_id]),
                pipelines=tuple(
                    PipelineProgress(
                        pipeline_id=pipeline_id,
                        pipeline=name,
                        current_stage=current_stage,
                        stages=stage_states(connection, action_batch_id, pipeline_id),
                    )
                    for pipeline_id, name, current_stage in pipelines
                ),
                events=tuple(rows_of(connection, ActionEvent, _SQL["events"], [action_batch_id])),
            )


def declare_pipeline(
    connection: psycopg.Connection[Any], name: str, action_ids: Sequence[int]
) -> int:
    """Make a pipeline of these actions in this order, and return its id; idempotent.

    Raises UsageError when it is known with other actions, when one comes twice or is unknown.
    """
    if not action_ids or len(set(action_ids)) != len(action_ids):
        raise UsageError(f"pipeline {name!r} needs at least one action, and each only once")
    new = connection.execute(_SQL["insert_pipeline"], [name]).rowcount == 1
    pipeline_id: int = value_of(connection, _SQL["pipeline"], [name])
    if not new:
        known = [action_id for (action_id,) in connection.execute(_SQL["stages"], [pipeline_id])]
        if known != list(action_ids):
            raise UsageError(f"pipeline {name!r} has the actions {known}; take another name")
        return pipeline_id
    try:
        connection.execute(_SQL["insert_stages"], [pipeline_id, list(action_ids)])
    except errors.ForeignKeyViolation as error:
        raise UsageError(f"pipeline {name!r} names an action that nobody declared") from error
    return pipeline_id


def create_action_batch(connection: psycopg.Connection[Any]) -> int:
    """Begin an action batch; returns its id."""
    return value_of(connection, _SQL["create_batch"])


def add_to_action_batch(
    connection: psycopg.Connection[Any], action_batch_id: int, node_ids: Iterable[int]
) -> int:
    """Add nodes and return how many are new in it; UsageError when it is sealed."""
    _, seal_date = _batch(connection, action_batch_id, change=True)
    if seal_date is not None:
        raise UsageError(
            f"action batch {action_batch_id} was sealed at {seal_date}; make another batch"
        )
    connection.execute(_SQL["make_given"])
    write_bigints(connection, "given_node", (np.fromiter(node_ids, np.int64),))
    unknown = connection.execute(_SQL["unknown_given"], prepare=False).fetchall()
    if unknown:
        raise NotFoundError(f"there are no nodes {', '.join(str(node) for (node,) in unknown)}")
    count = connection.execute(_SQL["add_given"], [action_batch_id], prepare=False).rowcount
    connection.execute(_SQL["drop_given"])
    return count


def seal_action_batch(connection: psycopg.Connection[Any], action_batch_id: int) -> datetime:
    """Seal a batch for ever and return when; sealing again returns the first time."""
    _batch(connection, action_batch_id, change=True)
    connection.execute(_SQL["seal"], [action_batch_id])
    _, seal_date = _batch(connection, action_batch_id)
    assert seal_date is not None
    return seal_date


def record_action_history(
    connection: psycopg.Connection[Any],
    action_id: int,
    action_batch_id: int,
    status: ActionStatus,
    start_time: datetime | None = None,
    end_time: datetime | None = None,
) -> int:
    """Record a run of an action over a sealed batch; returns the id of the event.

    `done` is done for every node, unless the run says what became of each (`ActionBook`).
    """
    _, seal_date = _batch(connection, action_batch_id)
    if seal_date is None:
        raise UsageError(f"action batch {action_batch_id} is not sealed; seal it before it runs")
    _check_times(start_time, end_time)
    given = (action_id, action_batch_id, start_time, end_time, status)
    try:
        event_id: int = value_of(connection, _SQL["insert_event"], given)
    except errors.ForeignKeyViolation as error:
        raise NotFoundError(f"there is no action {action_id}; declare it first") from error
    except errors.CheckViolation as error:
        raise UsageError(f"there is no status {status!r}") from error
    if status == "done":
        connection.execute(_SQL["done_for_all"], [event_id])
    return event_id


def change_action_history(
    connection: psycopg.Connection[Any],
    event_id: int,
    status: ActionStatus,
    start_time: datetime | None = None,
    end_time: datetime | None = None,
) -> None:
    """Bring a recorded run up to date; a time that is None stays as it is.

    Raises UsageError when the run has ended otherwise: what runs again is another event.
    """
    _check_times(start_time, end_time)
    given = {
        "event_id": event_id, "status": status, "start_time": start_time, "end_time": end_time,
    }  # fmt: skip
    try:
        changed = connection.execute(_SQL["change_event"], given).rowcount
    except errors.CheckViolation as error:
        raise UsageError(f"there is no status {status!r}, or it ended before it began") from error
    if changed:
        if status == "done":
            connection.execute(_SQL["done_for_all"], [event_id])
        return
    known = value_of(connection, _SQL["event_status"], [event_id])
    if known is None:
        raise NotFoundError(f"there is no event {event_id}")
    raise UsageError(f"event {event_id} is {known} and cannot become {status}; record another run")


def stage_states(
    connection: psycopg.Connection[Any], action_batch_id: int, pipeline_id: int
) -> tuple[StageState, ...]:
    """Return the stages of a pipeline for a batch."""
    given = {"action_batch_id": action_batch_id, "pipeline_id": pipeline_id}
    return tuple(
        StageState(
            stage_id=stage_id,
            action_id=action_id,
            action=name,
            nodes_done=nodes_done,
            done=nodes_open == 0,
        )
        for stage_id, action_id, name, nodes_done, nodes_open in connection.execute(
            _SQL["stage_counts"], given
        )
    )


def _batch(
    connection: psycopg.Connection[Any], action_batch_id: int, *, change: bool = False
) -> tuple[datetime, datetime | None]:
    statement = _SQL["batch_to_change" if change else "batch"]
    row = connection.execute(statement, [action_batch_id]).fetchone()
    if row is None:
        raise NotFoundError(f"there is no action batch {action_batch_id}")
    return row


def _check_times(start_time: datetime | None, end_time: datetime | None) -> None:
    for time in (start_time, end_time):
        if time is not None and time.utcoffset() is None:
            raise UsageError(f"{time} has no zone; say in which it is")
    if start_time is not None and end_time is not None and end_time < start_time:
        raise UsageError(f"a run cannot end ({end_time}) before it began ({start_time})")
