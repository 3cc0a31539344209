"""One node with all its surroundings: it owns `drystone node show`, and changes nothing.

Where its bytes lie now is the store's knowledge (`drystone head KEY`), not ours.
"""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier
from pydantic import BaseModel, ConfigDict

from base.errors import UsageError
from sql.core.declared import declared_tables
from sql.core.errors import NotFoundError
from sql.core.repository import value_of
from sql.core.statements import statements
from sql.intent.intent import key_of
from sql.selector.values import BIGINT_MAX

LISTED_MAX = 100
"""So many rows of each kind are told; an author may have a million posts."""

_SQL = statements("node")
_KEY = re.compile(r"[0-9a-f]{64}")

Row = dict[str, Any]


class NodeReport(BaseModel):
    """A node, what was said about it over time, and what it hangs together with.

    At most so many rows of each kind as were asked for, the newest of what was said, in the order
    in which it was said; an edge's row has the count of all in `edges`.
    """

    model_config = ConfigDict(frozen=True)

    node: Row
    breadcrumb: list[Row]
    metadata: list[Row]
    declared: dict[str, list[Row]]
    parents: list[Row]
    children: list[Row]
    ingest_batches: list[Row]
    actions: list[Row]
    archive_locations: list[Row]


def node_report(
    connection: psycopg.Connection[Any], name: str, rows_max: int = LISTED_MAX
) -> NodeReport:
    """Report on the node with this key, node_id or canonical description."""
    with connection.cursor(row_factory=dict_row) as cursor:
        node = _find(cursor, name)
        given = {"node_id": node["node_id"], "limit": rows_max}
        if value_of(connection, _SQL["sees_tree"]):
            node |= cursor.execute(_SQL["tree"], given).fetchone() or {}

        def rows(query: str) -> list[Row]:
            return cursor.execute(_SQL[query], given).fetchall()

        return NodeReport(
            node=node,
            breadcrumb=rows("breadcrumb"),
            metadata=rows("metadata")[::-1],
            declared=_declared(cursor, connection, given),
            parents=rows("parents"),
            children=rows("children"),
            ingest_batches=rows("ingest_batches")[::-1],
            actions=rows("actions")[::-1],
            archive_locations=rows("archive_locations"),
        )


def _find(cursor: psycopg.Cursor[Row], name: str) -> Row:
    node_id, key = None, None
    if _KEY.fullmatch(name.lower()):
        key = name.lower()
    elif name.isascii() and name.isdecimal() and int(name[:20]) <= BIGINT_MAX:
        node_id = int(name[:20])
    else:
        try:
            key = key_of(name)
        except UnicodeEncodeError:
            raise UsageError(f"{name!a} is no valid text") from None
    given = {"node_id": node_id, "sha256": bytes.fromhex(key) if key else None}
    row = cursor.execute(_SQL["find"], given).fetchone()
    if row is None:
        raise NotFoundError(
            f"there is no node {name!a}; name one by its key (64 hex digits), its node_id or its "
            "description, such as twitter:user:783214"
        )
    return row


def _declared(
    cursor: psycopg.Cursor[Row], connection: psycopg.Connection[Any], given: Row
) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for table in declared_tables(connection):
        own = ["download_time"] if table.kind == "source" else ["action_event_id"]
        columns = [Identifier(name) for name in [*own, *(c.name for c in table.columns)]]
        statement = SQL(
            "SELECT {} FROM {} WHERE node_id = %(node_id)s ORDER BY id DESC LIMIT %(limit)s"
        ).format(SQL(", ").join(columns), Identifier(table.table_name))
        rows = cursor.execute(statement, given).fetchall()
        if rows:
            found[table.table_name] = [
                {name: v.hex() if isinstance(v, bytes) else v for name, v in row.items()}
                for row in reversed(rows)
            ]
    return found
