"""Purges of ingest batches: hides their nodes before the store deletes, and judges them after.

    begin     nodes hidden, batch `purging`         one transaction, before the store is asked
    (store)   the batches' objects are deleted      those that nothing else refers to
    finish    kept nodes shown again, results and thumbnails of the others gone, batch `purged`

A crash leaves the batch `purging`: nothing that might be gone is shown, and the same again goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import psycopg
from psycopg.sql import SQL, Identifier

from sql.core.statements import statements
from sql.intent import ingest_state

KEYS_PER_FETCH = 20_000

_SQL = statements("purge")


def begin_purge(connection: psycopg.Connection[Any], name: str) -> int:
    """Hide what a batch brought; returns how many nodes that are now. NotFoundError without one.

    What other batches brought too is hidden as well, until `show_kept` knows that its bytes stay.
    """
    state = ingest_state.ingest_batch(connection, name).state
    if state != "purging":
        # What it was before, should the store refuse.
        ingest_state.set_ingest_state(connection, name, "purging", state)
    return connection.execute(_SQL["hide"], [name]).rowcount


def hidden_keys(connection: psycopg.Connection[Any], name: str) -> Iterator[list[str]]:
    """Yield the keys (hexadecimal) of a batch's nodes that are hidden for a purge, some at a time.

    Within one snapshot: those that are shown again meanwhile come all the same.
    """
    with connection.cursor(name="hidden_keys") as cursor:
        cursor.execute(_SQL["hidden"], [name])
        while rows := cursor.fetchmany(KEYS_PER_FETCH):
            yield [key for (key,) in rows]


def show_kept(connection: psycopg.Connection[Any], keys: Sequence[str]) -> int:
    """Show nodes again whose bytes the store has still, as they were before; returns how many."""
    return connection.execute(_SQL["show"], [[bytes.fromhex(key) for key in keys]]).rowcount


def give_up_purge(connection: psycopg.Connection[Any], name: str) -> None:
    """Let a batch be what it was before `begin_purge`; its nodes have been shown again."""
    batch = ingest_state.ingest_batch(connection, name)
    if batch.state == "purging" and batch.state_reason:
        former = cast(ingest_state.IngestState, batch.state_reason)
        ingest_state.set_ingest_state(connection, name, former)


def finish_purge(connection: psycopg.Connection[Any], name: str) -> None:
    """Remove results and thumbnails of what is hidden still, and end the purge."""
    for (table,) in connection.execute(_SQL["result_tables"]).fetchall():
        connection.execute(
            SQL(
                "DELETE FROM {} AS result USING physical_content AS content,"
                " ingest_batch_node AS member, ingest_batch AS batch"
                " WHERE batch.name = %s AND member.ingest_batch_id = batch.ingest_batch_id"
                " AND content.node_id = member.node_id AND content.delete_reason IS NOT NULL"
                " AND result.node_id = content.node_id"
            ).format(Identifier(table)),
            [name],
        )
    connection.execute(_SQL["forget_thumbnails"], [name])
    ingest_state.set_ingest_state(connection, name, "purged")
