"""The nodes that grants reach: derived from grants and edges, behind the writing of both.

Neither a grant nor a write-intent waits for it. It is read on after them, in parts, by whoever
comes first: the one who wrote, another one, or the scheduler. Whether a grant still holds is asked
of the grant itself, so that taking one back waits for nothing. What leaves a collection is taken
out by the write-intent that removes the edge.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sql.core.statements import statements

if TYPE_CHECKING:
    import psycopg

    from sql.core.transactions import Transactions

ROWS_AT_ONCE = 20_000
"""So many edges, or nodes, are read in one transaction: about a second."""

_SQL = statements("rights")


def read_all(database: Transactions, limit_s: float = float("inf")) -> None:
    """Note what is not noted, until it is, or for so long."""
    deadline = time.monotonic() + limit_s
    while read_on(database) and time.monotonic() < deadline:
        pass


def read_on(database: Transactions, rows_at_once: int = ROWS_AT_ONCE) -> bool:
    """Note a part of what grants reach and is not noted; False when there is nothing more.

    One transaction, durable when this returns; killed, it is as if it had not begun.
    """
    with database.connection() as connection:
        # One at a time, or an edge could pass between two who each look at one of its ends.
        row = connection.execute(_SQL["lock_progress"]).fetchone()
        assert row is not None
        has_grants, newest = connection.execute(_SQL["live"]).fetchone() or (False, 0)
        if not has_grants:
            if newest > row[0]:
                connection.execute(_SQL["set_progress"], {"edge_id": newest})
            return _count(connection, "forget", rows_at_once) > 0
        given = {"edge_id": row[0], "rows": rows_at_once}
        if newest > row[0]:
            connection.execute(_SQL["read_edges"], given)
            return True
        if connection.execute(_SQL["read_batch"], given).fetchone() is not None:
            return True
        noted = connection.execute(_SQL["note"], given).fetchone()
        return bool(noted and noted[0]) or _count(connection, "forget", rows_at_once) > 0


def _count(connection: psycopg.Connection[Any], name: str, rows: int) -> int:
    return connection.execute(_SQL[name], {"rows": rows}).rowcount
