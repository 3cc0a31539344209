"""The words of nodes: derived from titles and descriptions, behind the writing of these.

A write-intent does not wait for words. They are read on after it, by whoever comes first: the one
who wrote it, another one, or the scheduler; rows are read in the order in which they were written,
and how far is kept beside the words, in the same transaction. The function `nodes_with_words` of
migration 0017 is the one place where words become nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sql.core.statements import statements

if TYPE_CHECKING:
    from sql.core.transactions import Transactions

ROWS_AT_ONCE = 20_000
"""So many observations are read in one transaction: a second or two."""

_SQL = statements("words")


def read_on(database: Transactions, rows_at_once: int = ROWS_AT_ONCE) -> bool:
    """Make the words of what was written since; False when there is nothing more to read.

    One transaction, durable when this returns; killed, it is as if it had not begun.
    """
    with database.connection() as connection:
        far = connection.execute(_SQL["lock"]).fetchone()
        assert far is not None
        given = {"metadata_id": far[0], "record_id": far[1], "rows": rows_at_once}
        row = connection.execute(_SQL["read_on"], given).fetchone()
    assert row is not None
    return bool(row[0])
