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

from sql.apply_draft import Draft, load_vocabulary
from sql.apply_merge import merge
from sql.apply_stage import stage
from sql.errors import IntentError
from sql.intent import IntentResult, WriteIntent, digest_of
from sql.statements import statements

__all__ = ["IntentResult", "apply_intent"]

_SQL = statements("apply")


def apply_intent(connection: psycopg.Connection[Any], intent: WriteIntent) -> IntentResult:
    """Write an intent, or return what it did when it was applied before.

    Durable when this returns, if the connection was in no transaction; else with that one.
    Raises IntentError, with nothing written, when anything in it is unknown or contradictory.
    The isolation must be READ COMMITTED, PostgreSQL's default.
    """
    digest = digest_of(intent)
    with connection.transaction():
        former = _former(connection, intent, digest)
        if former is not None:
            return former
        draft = Draft(intent, load_vocabulary(connection, intent))
        stage(connection, draft)
        connection.execute(_SQL["lock"])
        connection.execute(_SQL["memory"])
        # Somebody may have applied it while we staged.
        former = _former(connection, intent, digest)
        if former is not None:
            return former
        result = merge(connection, draft)
        connection.execute(_SQL["record"], [intent.intent_id, digest, result.model_dump_json()])
    return result


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
