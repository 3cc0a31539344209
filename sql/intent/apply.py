"""Applying write-intents: it owns the transaction in which one happens, all of it or nothing.

    names looked up -> rows staged by COPY -> lock -> nodes, metadata, edges merged -> recorded

Staging takes no lock. The merge is done by one intent at a time: one advisory lock, held to the
end of the transaction. That costs parallelism in the database (the Python half still runs beside
another's merge), and buys that no two intents can deadlock, race for a node, or see a tree that
another is changing; every statement after the lock sees all that was merged before.
"""

from __future__ import annotations

from typing import Any

import psycopg

from sql.core.errors import BusyError, IntentError
from sql.core.lock_waits import limit_lock_waits
from sql.core.statements import statements
from sql.events.event_book import add_event
from sql.intent.apply_draft import Draft, load_vocabulary
from sql.intent.apply_merge import merge, subject_of
from sql.intent.apply_stage import stage
from sql.intent.intent import IntentResult, WriteIntent, digest_of

__all__ = ["IntentResult", "apply_intent"]

TURN_TIMEOUT_S = 900.0
"""So long an intent waits for the merges before it; one of a million rows takes a minute."""
LOCK_TIMEOUT_S = 60.0
"""So long a merge, for which all others wait, waits for a lock of somebody who is no intent."""

KINDS_TOLD_MAX = 100
"""So many relationships are named in the event of an intent's edges."""

_SQL = statements("apply")


def apply_intent(connection: psycopg.Connection[Any], intent: WriteIntent) -> IntentResult:
    """Write an intent, or return what it did when it was applied before.

    Durable when this returns, if the connection was in no transaction; else with that one.
    Raises IntentError, with nothing written, when anything in it is unknown or contradictory, and
    BusyError when somebody else keeps what it needs locked. The isolation must be READ COMMITTED,
    as sql/core/connections.py makes it.
    """
    digest = digest_of(intent)
    with connection.transaction():
        former = _former(connection, intent, digest)
        if former is not None:
            return former
        draft = Draft(intent, load_vocabulary(connection, intent))
        stage(connection, draft)
        _take_turn(connection)
        connection.execute(_SQL["memory"])
        # Somebody may have applied it while we staged.
        former = _former(connection, intent, digest)
        if former is not None:
            return former
        return _merged(connection, draft, digest)


def _take_turn(connection: psycopg.Connection[Any]) -> None:
    with limit_lock_waits(connection, TURN_TIMEOUT_S):
        try:
            connection.execute(_SQL["lock"])
        except psycopg.errors.LockNotAvailable as error:
            raise BusyError(
                f"other write-intents have been written for {TURN_TIMEOUT_S:g} s, or one of them "
                "hangs; nothing was written, apply this one again later"
            ) from error


def _merged(connection: psycopg.Connection[Any], draft: Draft, digest: bytes) -> IntentResult:
    intent = draft.intent
    with limit_lock_waits(connection, LOCK_TIMEOUT_S):
        try:
            result = merge(connection, draft)
            _tell_created(connection, intent, result)
            given = [intent.intent_id, digest, result.model_dump_json()]
            connection.execute(_SQL["record"], given)
        except psycopg.errors.LockNotAvailable as error:
            raise BusyError(
                f"a table has been locked by somebody else for {LOCK_TIMEOUT_S:g} s (see pg_locks "
                "in `drystone db psql`); nothing was written, apply the write-intent again later"
            ) from error
    return result


def _tell_created(
    connection: psycopg.Connection[Any], intent: WriteIntent, result: IntentResult
) -> None:
    # One for the whole intent, which may bring a million.
    counts = result.model_dump(
        include={"nodes_new", "nodes_existing", "observations_new", "edges_new"}
    )
    named = {"intent_id": intent.intent_id, "batch": intent.ingest_batch}
    if result.nodes_new:
        add_event(connection, "node.created", subject_of(intent), {**named, **counts})
    if result.edges_new:
        kinds = sorted({edge.relationship for edge in intent.edges})[:KINDS_TOLD_MAX]
        document = {**named, "edges_new": result.edges_new, "relationships": kinds}
        add_event(connection, "relationship.created", subject_of(intent), document)


def _former(
    connection: psycopg.Connection[Any], intent: WriteIntent, digest: bytes
) -> IntentResult | None:
    row = connection.execute(_SQL["former"], [intent.intent_id]).fetchone()
    if row is None:
        return None
    if row[0] != digest:
        raise IntentError(
            [f"intent_id: {intent.intent_id!r} was applied with other content; take another id"]
        )
    return IntentResult.model_validate_json(row[1]).model_copy(update={"repeated": True})
