"""Computed values to SQL: it owns the CASE of each column, over the node of a scope.

Values are only ever parameters, conditions are compiled as those of a selector are, and types come
from the allow-list of declared tables: no text of a document gets into a statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.sql import SQL, Composable, Identifier

from base.errors import UsageError
from sql.core.declared import DeclaredTable
from sql.core.errors import SelectorError
from sql.intent.apply_values import Converter
from sql.selector.compile_condition import condition_term
from sql.selector.compile_scope import Build, Scope
from sql.selector.compile_terms import TRUE
from sql.selector.computed import Computed, selector_of
from sql.selector.select import SETTINGS, Explanation, shown_value
from sql.selector.vocabulary import Vocabulary, load_vocabulary

PLACE = "tagging.computed"
"""How the path of a problem begins."""


def build_for(connection: psycopg.Connection[Any], computed: Mapping[str, Computed]) -> Build:
    """Return a compilation that knows what the conditions name."""
    if not computed:
        return Build(Vocabulary(), ())
    return Build(load_vocabulary(connection, selector_of(computed)), ())


def column_value(build: Build, table: DeclaredTable, name: str, value: Any) -> Composable:
    """Return a value, bound, of the type of its column."""
    column = table.column(name)
    assert column is not None
    # The types are of the allow-list of sql/core/declared.py.
    form = SQL("{}::" + column.type)  # pyright: ignore[reportArgumentType]
    return form.format(build.bind(value))


def computed_columns(
    scope: Scope, table: DeclaredTable, computed: Mapping[str, Computed]
) -> dict[str, Composable]:
    """Return the expression of each column for the node of a scope.

    Raises UsageError for a value that its column cannot hold, SelectorError for a name that the
    database does not have.
    """
    found: dict[str, Composable] = {}
    for name, one in computed.items():
        values = _values(scope.build, table, name, one)
        whens = [
            SQL("WHEN {} THEN {}").format(
                condition_term(scope, case.where, f"{PLACE}.{name}.cases[{number}].where").sql,
                values[f"cases[{number}].then"],
            )
            for number, case in enumerate(one.cases)
        ]
        otherwise = values.get("otherwise", SQL("NULL"))
        found[name] = SQL("CASE {} ELSE {} END").format(SQL(" ").join(whens), otherwise)
    if scope.build.problems:
        raise SelectorError(sorted(set(scope.build.problems)))
    return found


def _values(
    build: Build, table: DeclaredTable, name: str, computed: Computed
) -> dict[str, Composable]:
    converter, problems = Converter.of(table), list[str]()
    place = [column.name for column in table.columns].index(name)
    values: dict[str, Composable] = {}
    for path, value in computed.values():
        cells = converter.row({name: value}, problems, f"{PLACE}.{path}")
        values[path] = column_value(build, table, name, cells[place])
    if problems:
        raise UsageError("\n".join(problems))
    return values


def explain_computed(
    connection: psycopg.Connection[Any], table: DeclaredTable, computed: Mapping[str, Computed]
) -> Explanation:
    """Return the statement that would compute the columns of every node, planned and not run."""
    connection.execute(SETTINGS)
    scope = Scope(build_for(connection, computed), TRUE, "node")
    expressions = computed_columns(scope, table, computed)
    named = [SQL("{} AS {}").format(sql, Identifier(name)) for name, sql in expressions.items()]
    statement = SQL("SELECT {} FROM {}").format(
        SQL(", ").join([scope.node_id, *named]), scope.tables()
    )
    parameters = scope.build.parameters
    explained = SQL("EXPLAIN (FORMAT JSON) {}").format(statement)
    row = connection.execute(explained, parameters).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    lines = connection.execute(SQL("EXPLAIN {}").format(statement), parameters).fetchall()
    return Explanation(
        rows_estimate=plan["Plan Rows"],
        cost=plan["Total Cost"],
        statement=statement.as_string(connection),
        parameters={name: shown_value(value) for name, value in parameters.items()},
        plan="\n".join(line for (line,) in lines),
    )
