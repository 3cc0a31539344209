"""What the database believes the store to have: it owns the listing for audits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

ROWS_PER_FETCH = 20_000


def physical_contents(connection: psycopg.Connection[Any]) -> Iterator[tuple[str, int]]:
    """Yield key (hexadecimal) and size in bytes of every physical content, in no order.

    Deleted (type A) and black-listed ones too: their bytes are in the store all the same. Not those
    that were purged, nor those of a purge that has not ended.
    """
    query = """
        SELECT encode(node.sha256, 'hex'), physical_content.file_size_bytes
        FROM physical_content JOIN node USING (node_id)
        WHERE delete_reason IS NULL
    """
    with connection.cursor(name="physical_contents") as cursor:
        cursor.itersize = ROWS_PER_FETCH
        yield from cursor.execute(query)
