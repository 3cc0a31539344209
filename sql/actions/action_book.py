"""Actions: what is kept about runs of UA_2, their history (table 11) and more.

Events, which nodes are done by which work, results by SQL alone. Work is the same when action,
version and parameters are: what was done once is not done again, by whatever batch or pipeline.
Every call is one transaction and may be made again after a crash. Results and children come by
write-intents, never from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from base.errors import UsageError
from sql.actions.action_rows import (
    EventDetail,
    EventState,
    NodeOutcome,
    Outcome,
    PendingNode,
    canonical_json,
    parameters_digest,
)
from sql.actions.history import (
    ActionHistory,
    ActionStatus,
    change_action_history,
    record_action_history,
)
from sql.core.errors import NotFoundError
from sql.core.repository import row_of, value_of
from sql.core.statements import statements

if TYPE_CHECKING:
    from sql.core.declared import DeclaredTable
    from sql.intent.intent import IntentResult
    from sql.selector.computed import Computed
    from sql.selector.select import Explanation

_SQL = statements("actions")
_ENDED: dict[EventState, ActionStatus] = {
    "done": "done",
    # Not done for the batch: a stage of a pipeline waits for every node of it.
    "partial": "failed",
    "failed": "failed",
    "cancelled": "cancelled",
}


class ActionBook(ActionHistory):
    """What is kept about actions in one database."""

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
            known_id = value_of(connection, _SQL["event_of_run"], [run_reference])
            if known_id is not None:
                event = _event(connection, known_id)
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
            event_id = record_action_history(
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
            event_id = value_of(connection, _SQL["event_of_run"], [run_reference])
            return None if event_id is None else _event(connection, event_id)

    def event(self, event_id: int) -> EventDetail:
        """Return one event; NotFoundError when there is none of this number."""
        with self._database.reading() as connection:
            return _event(connection, event_id)

    def end_event(self, event_id: int, *, cancelled: bool = False) -> EventState:
        """End an event as its nodes say, and return how; an ended one stays as it is.

        done: every node of the batch is, by this event or an equal one; partial: some are.
        """
        with self._database.connection() as connection:
            known: EventState | None = value_of(connection, _SQL["event_to_change"], [event_id])
            if known is None:
                raise NotFoundError(f"there is no event {event_id}")
            if known != "open":
                return known
            event = _event(connection, event_id)
            state = "cancelled" if cancelled else _state(connection, event)
            connection.execute(_SQL["set_state"], [state, event_id])
            end = max(datetime.now(UTC), event.start_time or datetime.now(UTC))
            change_action_history(connection, event_id, _ENDED[state], None, end)
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
        return self._stream(PendingNode, _SQL["pending"], given)

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
        return self._stream(NodeOutcome, _SQL["outcomes"], given)

    # ---- Results ---------------------------------------------------------------------------------

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
        return self._value(_SQL["intent_applied"], [intent_id])


def _event(connection: psycopg.Connection[Any], event_id: int) -> EventDetail:
    found = row_of(connection, EventDetail, _SQL["event"], [event_id])
    if found is None:
        raise NotFoundError(f"there is no event {event_id} of a contract")
    return found


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
