"""The book of actions: it owns what is kept about runs of UA_2 beside their history (table 11).

Events, which nodes are done by which work, outputs that were set aside, results that were
replaced. Work is the same when action, version and parameters are: what was done once is not done
again, by whatever batch or pipeline. Every call is one transaction and may be made again after a
crash. Results and children come by write-intents, never from here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from base.errors import UsageError
from sql.actions import history
from sql.actions.action_rows import (
    EventDetail,
    EventState,
    NodeOutcome,
    Outcome,
    PendingNode,
    SetAside,
    SetAsideRow,
    SupersededRow,
    canonical_json,
    made,
    parameters_digest,
)
from sql.core.errors import NotFoundError
from sql.core.statements import statements
from sql.core.transactions import Transactions

if TYPE_CHECKING:
    from sql.core.declared import DeclaredTable
    from sql.intent.intent import IntentResult
    from sql.selector.computed import Computed
    from sql.selector.select import Explanation

ROWS_PER_FETCH = 5_000

_SQL = statements("actions")
_ENDED: dict[EventState, history.ActionStatus] = {
    "done": "done",
    # Not done for the batch: a stage of a pipeline waits for every node of it.
    "partial": "failed",
    "failed": "failed",
    "cancelled": "cancelled",
}


class ActionBook:
    """What is kept about actions in one database."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    # ---- Events ----------------------------------------------------------------------------------

    def begin_event(
        self,
        action_id: int,
        action_batch_id: int,
        *,
        run_reference: str,
        version: int,
        contract_digest: str,
        parameters: Mapping[str, Any],
    ) -> int:
        """Record that a run began over a sealed batch; the same run again gets the same event.

        Raises UsageError when the run began with another contract, batch or parameters.
        """
        text, digest = canonical_json(dict(parameters)), bytes.fromhex(contract_digest)
        with self._database.connection() as connection:
            connection.execute(_SQL["lock_run"], [run_reference])
            row = connection.execute(_SQL["event_of_run"], [run_reference]).fetchone()
            if row is not None:
                event = _event(connection, row[0])
                if (
                    event.action_id, event.action_batch_id, event.version, event.contract_digest,
                    canonical_json(event.parameters),
                ) != (action_id, action_batch_id, version, contract_digest, text):  # fmt: skip
                    raise UsageError(
                        f"run {run_reference} began with another contract, batch or parameters: "
                        f"put version {event.version} of {event.action} back as it was, or start "
                        "another run"
                    )
                return event.event_id
            event_id = history.record_action_history(
                connection, action_id, action_batch_id, "running", datetime.now(UTC)
            )
            connection.execute(
                _SQL["insert_detail"],
                [event_id, run_reference, version, digest, text, parameters_digest(parameters)],
            )
            return event_id

    def event_of_run(self, run_reference: str) -> EventDetail | None:
        """Return the event that a run began, or None when it began none yet."""
        with self._database.reading() as connection:
            row = connection.execute(_SQL["event_of_run"], [run_reference]).fetchone()
            return None if row is None else _event(connection, row[0])

    def event(self, event_id: int) -> EventDetail:
        """Return one event; NotFoundError when there is none of this number."""
        with self._database.reading() as connection:
            return _event(connection, event_id)

    def end_event(self, event_id: int, *, cancelled: bool = False) -> EventState:
        """End an event as its nodes say, and return how; an ended one stays as it is.

        done: every node of the batch is, by this event or an equal one; partial: some are.
        """
        with self._database.connection() as connection:
            row = connection.execute(_SQL["event_to_change"], [event_id]).fetchone()
            if row is None:
                raise NotFoundError(f"there is no event {event_id}")
            if row[0] != "open":
                return row[0]
            event = _event(connection, event_id)
            state = "cancelled" if cancelled else _state(connection, event)
            connection.execute(_SQL["set_state"], [state, event_id])
            end = max(datetime.now(UTC), event.start_time or datetime.now(UTC))
            history.change_action_history(connection, event_id, _ENDED[state], None, end)
            return state

    # ---- Nodes -----------------------------------------------------------------------------------

    def pending_nodes(
        self, action_id: int, action_batch_id: int, version: int, parameters: Mapping[str, Any]
    ) -> Iterator[PendingNode]:
        """Yield the nodes of a batch that equal work has not done yet, by node_id."""
        given = {
            "action_id": action_id, "action_batch_id": action_batch_id, "version": version,
            "parameters_digest": parameters_digest(parameters),
        }  # fmt: skip
        with self._database.reading() as connection, connection.cursor("pending") as cursor:
            cursor.itersize = ROWS_PER_FETCH
            for node_id, key, size_bytes in cursor.execute(_SQL["pending"], given):
                yield PendingNode.model_construct(node_id=node_id, key=key, size_bytes=size_bytes)

    def record_outcomes(self, event_id: int, part: int, rows: Iterable[NodeOutcome]) -> int:
        """Say what became of inputs; returns how many rows changed. What is done stays done."""
        with self._database.connection() as connection:
            connection.execute(_SQL["make_outcomes"])
            statement = b"COPY given_outcome FROM STDIN (FORMAT binary)"
            with connection.cursor() as cursor, cursor.copy(statement) as copy:
                copy.set_types(["int8", "text", "text"])
                for row in rows:
                    copy.write_row((row.node_id, row.outcome, row.reason))
            given = {"event_id": event_id, "part": part}
            count = connection.execute(_SQL["record_outcomes"], given, prepare=False).rowcount
            connection.execute(_SQL["drop_outcomes"])
            return count

    def outcome_counts(self, event_id: int) -> dict[Outcome, int]:
        """Count the nodes of an event by what became of them."""
        with self._database.reading() as connection:
            return dict(connection.execute(_SQL["outcome_counts"], [event_id]).fetchall())

    def outcomes(
        self, event_id: int, *, outcome: Outcome | None = None, part: int | None = None
    ) -> Iterator[NodeOutcome]:
        """Yield what became of the nodes of an event, by node_id."""
        given = {"event_id": event_id, "outcome": outcome, "part": part}
        with self._database.reading() as connection, connection.cursor("outcomes") as cursor:
            cursor.itersize = ROWS_PER_FETCH
            for row in cursor.execute(_SQL["outcomes"], given):
                yield made(NodeOutcome, row)

    # ---- Quarantine, results ---------------------------------------------------------------------

    def set_aside(
        self, event_id: int, part: int, rows: Iterable[SetAside], store_batch: str | None
    ) -> int:
        """Enter outputs that nobody understood; returns how many are new."""
        with self._database.connection() as connection:
            connection.execute(_SQL["make_set_aside"])
            statement = b"COPY given_row FROM STDIN (FORMAT binary)"
            with connection.cursor() as cursor, cursor.copy(statement) as copy:
                copy.set_types(["text", "int4", "int8", "text", "bytea"])
                for row in rows:
                    key = None if row.key is None else bytes.fromhex(row.key)
                    copy.write_row((row.path, row.record_number, row.node_id, row.reason, key))
            given = {"event_id": event_id, "part": part, "store_batch": store_batch}
            marks = connection.execute(_SQL["set_aside"], given, prepare=False).fetchall()
            connection.execute(_SQL["drop_set_aside"])
            return sum(mark[0] for mark in marks)

    def quarantined(
        self, event_id: int | None = None, *, action: str | None = None, open_only: bool = True
    ) -> list[SetAsideRow]:
        """Return what was set aside, by event, part and path."""
        given = {"event_id": event_id, "action": action, "open_only": open_only}
        with self._database.reading() as connection:
            rows = connection.execute(_SQL["quarantined"], given).fetchall()
        names = (
            "quarantine_id", "event_id", "action", "part", "path", "record_number", "node_id",
            "reason", "key", "store_batch", "quarantine_time", "replay_time",
        )  # fmt: skip
        return [SetAsideRow.model_validate(dict(zip(names, row, strict=True))) for row in rows]

    def mark_replayed(self, quarantine_ids: Iterable[int]) -> int:
        """Close rows that a later reading understood; returns how many were open."""
        with self._database.connection() as connection:
            return connection.execute(_SQL["mark_replayed"], [list(quarantine_ids)]).rowcount

    def tag_batch(
        self,
        event_id: int,
        values: Mapping[str, Any],
        computed: Mapping[str, Computed] | None = None,
    ) -> IntentResult:
        """Give every node of the event's batch one row of results, by SQL alone; done once (AC1).

        Nodes that equal work has done are left out. `computed` are the columns whose value depends
        on the node.
        """
        from sql.actions import action_results

        with self._database.connection() as connection:
            event = _event(connection, event_id)
            return action_results.tag_batch(connection, event, values, computed or {})

    def explain_computed(
        self, table: DeclaredTable, computed: Mapping[str, Computed]
    ) -> Explanation:
        """Return the SQL of computed columns, and what the planner expects of it for all nodes.

        Raises UsageError or SelectorError for what the database cannot compute.
        """
        from sql.selector import compile_computed

        with self._database.reading() as connection:
            return compile_computed.explain_computed(connection, table, computed)

    def column_of_batch(
        self, action_batch_id: int, action: str, column: str
    ) -> Iterator[tuple[int, str, Any]]:
        """Yield node_id, key and one column of an action's results for each node of a batch."""
        from sql.actions import action_results

        with self._database.reading() as connection:
            yield from action_results.column_of_batch(connection, action_batch_id, action, column)

    def intent_applied(self, intent_id: str) -> bool:
        """Tell whether a write-intent of this id was applied."""
        with self._database.reading() as connection:
            row = connection.execute(_SQL["intent_applied"], [intent_id]).fetchone()
        assert row is not None
        return row[0]

    def superseded(self, node_id: int, action: str | None = None) -> list[SupersededRow]:
        """Return the former results of a node, oldest first."""
        table = None if action is None else "result_" + action
        with self._database.reading() as connection:
            given = {"node_id": node_id, "table_name": table}
            rows = connection.execute(_SQL["superseded"], given).fetchall()
        return [
            SupersededRow(
                table_name=row[0], event_id=row[1], values=json.loads(row[2]),
                superseded_by=row[3], supersede_time=row[4],
            )
            for row in rows
        ]  # fmt: skip


def _event(connection: psycopg.Connection[Any], event_id: int) -> EventDetail:
    row = connection.execute(_SQL["event"], [event_id]).fetchone()
    if row is None:
        raise NotFoundError(f"there is no event {event_id} of a contract")
    values = dict(zip(EventDetail.model_fields, row, strict=True))
    return EventDetail.model_validate({**values, "parameters": json.loads(values["parameters"])})


def _state(connection: psycopg.Connection[Any], event: EventDetail) -> EventState:
    given = {
        "action_id": event.action_id, "action_batch_id": event.action_batch_id,
        "version": event.version, "parameters_digest": parameters_digest(event.parameters),
    }  # fmt: skip
    row = connection.execute(_SQL["pending_counts"], given).fetchone()
    assert row is not None
    members, done = row
    if members and members == done:
        return "done"
    return "partial" if done else "failed"
