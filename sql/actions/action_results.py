"""Results as sets (AC1): it owns tagging a whole batch by SQL, and reading one column of results.

The names of tables and columns are those of declared tables; nothing else gets into a statement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
from psycopg import sql

from base.errors import UsageError
from sql.actions.action_rows import EventDetail, canonical_json, parameters_digest
from sql.core.declared import DeclaredTable, schema_of
from sql.core.errors import IntentError, NotFoundError
from sql.core.statements import statements
from sql.intent.apply_values import Converter
from sql.intent.intent import IntentResult
from sql.selector.compile_computed import build_for, column_value, computed_columns
from sql.selector.compile_scope import Scope
from sql.selector.computed import Computed

ROWS_PER_FETCH = 20_000

_SQL = statements("actions")


def tag_batch(
    connection: psycopg.Connection[Any],
    event: EventDetail,
    values: Mapping[str, Any],
    computed: Mapping[str, Computed],
) -> IntentResult:
    """Give every node of the event's batch that equal work has not done one row of results.

    `values` are those of every node, `computed` those that depend on it, by columns.
    Former rows of the same parameters are superseded, and the nodes are done. It is recorded like a
    write-intent, `action:EVENT:0`, and done once.
    """
    intent_id = f"action:{event.event_id}:0"
    said = [event.event_id, dict(values), *_documents(computed)]
    digest = hashlib.sha256(canonical_json(said).encode()).digest()
    # Who tags by the same event at the same moment waits here, and then finds it done.
    connection.execute(_SQL["event_to_change"], [event.event_id])
    former = connection.execute(_SQL["former_intent"], [intent_id]).fetchone()
    if former is not None:
        if former[0] != digest:
            raise IntentError([f"intent_id: {intent_id!r} was applied with other content"])
        return IntentResult.model_validate_json(former[1]).model_copy(update={"repeated": True})
    table = _declared(connection, event.action)
    problems: list[str] = []
    cells = Converter.of(table).row(dict(values), problems, "values")
    if problems:
        raise UsageError("\n".join(problems))
    given = {
        "event_id": event.event_id, "action_id": event.action_id, "version": event.version,
        "action_batch_id": event.action_batch_id, "table_name": table.table_name,
        "parameters_digest": parameters_digest(event.parameters), "intent_id": intent_id,
    }  # fmt: skip
    connection.execute(_SQL["make_tagged"])
    connection.execute(_SQL["fill_tagged"], given, prepare=False)
    superseded = _supersede(connection, table, given)
    new = _insert(connection, table, event.event_id, cells, computed)
    connection.execute(_SQL["tagged_done"], given, prepare=False)
    connection.execute(_SQL["drop_tagged"])
    result = IntentResult(intent_id=intent_id, rows_new=new, results_superseded=superseded)
    connection.execute(_SQL["record_intent"], [intent_id, digest, result.model_dump_json()])
    return result


def _declared(connection: psycopg.Connection[Any], action: str) -> DeclaredTable:
    table = schema_of(connection, "result_" + action)
    if table is None:
        raise NotFoundError(f"action {action!r} has no table of results; declare its contract")
    return table


def _supersede(
    connection: psycopg.Connection[Any], table: DeclaredTable, given: Mapping[str, Any]
) -> int:
    # The same as for write-intents (sql/intent/apply_merge.py), for all nodes at once.
    statement = sql.SQL(
        "WITH gone AS (DELETE FROM {} AS former USING given_tag "
        "WHERE former.node_id = given_tag.node_id AND former.action_event_id IN"
        " (SELECT detail.action_event_id FROM action_event_detail AS detail"
        " WHERE detail.parameters_digest = %(parameters_digest)s) RETURNING former.*) "
        "INSERT INTO superseded_result"
        " (table_name, node_id, action_event_id, document, superseded_by) "
        "SELECT %(table_name)s, node_id, action_event_id, row_to_json(gone)::text, %(intent_id)s"
        " FROM gone"
    ).format(sql.Identifier(table.table_name))
    return connection.execute(statement, given, prepare=False).rowcount


def _documents(computed: Mapping[str, Computed]) -> list[Any]:
    """Return what is computed as JSON; nothing where nothing is, as before there was any."""
    said = {
        name: one.model_dump(mode="json", by_alias=True, exclude_none=True)
        for name, one in computed.items()
    }
    return [said] if said else []


def _insert(
    connection: psycopg.Connection[Any],
    table: DeclaredTable,
    event_id: int,
    cells: list[Any],
    computed: Mapping[str, Computed],
) -> int:
    build = build_for(connection, computed)
    scope = Scope(build, sql.SQL("given_tag.node_id"))
    expressions = computed_columns(scope, table, computed)
    names = [column.name for column in table.columns]
    columns = sql.SQL(", ").join([sql.Identifier(name) for name in ("action_event_id", *names)])
    values = [
        expressions.get(name) or column_value(build, table, name, cell)
        for name, cell in zip(names, cells, strict=True)
    ]
    statement = sql.SQL(
        "INSERT INTO {} (node_id, {}) SELECT given_tag.node_id, {}::bigint, {} FROM given_tag{}"
        " ORDER BY 1"
    ).format(
        sql.Identifier(table.table_name),
        columns,
        build.bind(event_id),
        sql.SQL(", ").join(values),
        scope.joins(),
    )
    return connection.execute(statement, build.parameters, prepare=False).rowcount


def column_of_batch(
    connection: psycopg.Connection[Any], action_batch_id: int, action: str, column: str
) -> Iterator[tuple[int, str, Any]]:
    """Yield node_id, key and one column of an action's results for the nodes of a batch.

    By node_id; a node without a result, or where it is unknown, has None. Of several rows the
    newest counts.
    """
    table = _declared(connection, action)
    if table.column(column) is None:
        raise NotFoundError(f"{table.table_name} has no column {column!r}")
    statement = sql.SQL(
        "SELECT member.node_id, encode(node.sha256, 'hex'), (SELECT {} FROM {} AS found"
        " WHERE found.node_id = member.node_id ORDER BY found.id DESC LIMIT 1) "
        "FROM action_batch_node AS member JOIN node USING (node_id) "
        "WHERE member.action_batch_id = %s ORDER BY member.node_id"
    ).format(sql.Identifier("found", column), sql.Identifier(table.table_name))
    with connection.cursor("column_of_batch") as cursor:
        cursor.itersize = ROWS_PER_FETCH
        yield from cursor.execute(statement, [action_batch_id])
