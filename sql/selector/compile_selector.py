"""Selector to SQL: it owns the statements that list, count and page the nodes of a selector.

Pure: a document and the database's vocabulary in, a composed statement and its parameters out.
Values are only ever parameters; identifiers are those written here and those of declared tables.

Some conditions can be asked in two ways of equal meaning; `choices` has one flag for each of them,
in the order of the document, and whoever runs the statement may compare what they would cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from psycopg.sql import SQL, Composable, Composed, Identifier

from sql.core.errors import SelectorError
from sql.selector.compile_condition import condition_term
from sql.selector.compile_scope import Build, Scope, base_of
from sql.selector.compile_terms import TRUE, both
from sql.selector.selector import Condition, Order, Selector
from sql.selector.vocabulary import Vocabulary

Form = Literal["rows", "described rows", "keys", "aggregate"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement with named parameters, and how many choices it has."""

    statement: Composed
    parameters: dict[str, Any]
    choice_count: int


def compile_selector(
    selector: Selector,
    vocabulary: Vocabulary,
    form: Form = "rows",
    choices: Sequence[bool] = (),
    only: Condition | None = None,
    grants: Sequence[int] | None = None,
) -> Compiled:
    """Compile a selector; raises SelectorError when it names what the database does not have.

    `only` is asked of the nodes that the selector, with its limit and sample, has chosen. With
    `grants` it is for a guest, who sees what these reach: that no policy lets anything else through
    is so without it, but a policy is asked row by row, and this can be where a plan begins.

    Columns of rows: node_id, sha256, size, extension id (both NULL without bytes) and, when
    described, the description. Of an aggregate: extension id, count, size.
    """
    build = Build(vocabulary, choices, grants)
    if form == "aggregate":
        statement = _aggregate(build, selector, only)
    else:
        statement = _rows(build, selector, form, only)
    if build.problems:
        raise SelectorError(sorted(set(build.problems)))
    return Compiled(SQL("{}").format(statement), build.parameters, build.choice_count)


def _rows(
    build: Build, selector: Selector, form: Form, only: Condition | None = None
) -> Composable:
    if only is not None:
        return _rows_of_chosen(build, selector, form, only)
    if selector.sample is not None:
        return _sampled_rows(build, selector, form)
    scope = _root(build, selector)
    where = _where(scope, selector)
    order = _order(scope, selector)
    if form == "rows" and scope.base == "content" and "node" not in scope.needs and not order:
        return _keys_last(scope, where)
    return _select(scope, form, where, order, selector.limit)


def _rows_of_chosen(build: Build, selector: Selector, form: Form, only: Condition) -> Composable:
    chosen, outer = build.alias("chosen"), Scope(build, TRUE, "node")
    inside = SQL("{} IN (SELECT {}.node_id FROM ({}) AS {})").format(
        outer.node_id, chosen, _rows(build, selector, "keys"), chosen
    )
    where = both([inside, condition_term(outer, only, "only").sql])
    return _select(outer, form, where, (), None)


def _keys_last(scope: Scope, where: Composable) -> Composable:
    """Fetch the keys of what was found, after every condition; OFFSET keeps the order of that.

    The planner guesses what relatives leave over, and would rather look up every candidate's key.
    """
    found, node = scope.build.alias("found"), scope.build.alias("node")
    return SQL(
        "SELECT {0}.node_id, {1}.sha256, {0}.file_size_bytes, {0}.file_extension_id FROM ("
        "SELECT {2}.node_id, {2}.file_size_bytes, {2}.file_extension_id FROM {3} WHERE {4} OFFSET 0"
        ") AS {0} JOIN node AS {1} ON {1}.node_id = {0}.node_id"
    ).format(found, node, scope.content, scope.tables(), where)


def _sampled_rows(build: Build, selector: Selector, form: Form) -> Composable:
    """Choose by an order that only the seed and the bytes decide, then sort and cut those."""
    assert selector.sample is not None
    inner, outer = _root(build, selector), Scope(build, TRUE, "node")
    where = _where(inner, selector)
    seed = build.bind(b"%d:" % selector.sample.seed)

    def lot(scope: Scope) -> Composable:
        return SQL("sha256({}::bytea || {})").format(seed, scope.of_node("sha256"))

    drawn = [lot(inner), inner.node_id]
    chosen = SQL("{} IN (SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT {})").format(
        outer.node_id,
        inner.node_id,
        inner.tables(),
        where,
        SQL(", ").join(drawn),
        build.bind(selector.sample.count),
    )
    order = _order(outer, selector) if selector.order else [lot(outer), outer.node_id]
    return _select(outer, form, chosen, order, selector.limit)


def _select(
    scope: Scope, form: Form, where: Composable, order: Sequence[Composable], limit: int | None
) -> Composable:
    columns = [scope.node_id]
    if form != "keys":
        columns += [scope.of_content("file_size_bytes"), scope.of_content("file_extension_id")]
    columns.insert(1, scope.of_node("sha256"))
    if form == "described rows":
        columns.append(scope.of_asset("description"))
    parts: list[Composable] = [
        SQL("SELECT {} FROM {} WHERE {}").format(SQL(", ").join(columns), scope.tables(), where)
    ]
    if order:
        parts.append(SQL("ORDER BY {}").format(SQL(", ").join(order)))
    if limit is not None:
        parts.append(SQL("LIMIT {}").format(scope.build.bind(limit)))
    return SQL(" ").join(parts)


def _aggregate(build: Build, selector: Selector, only: Condition | None) -> Composable:
    if only is not None or selector.sample is not None or selector.limit is not None:
        rows = _rows(build, selector, "rows", only)
        return SQL(
            "SELECT file_extension_id, count(*), sum(file_size_bytes)::bigint"
            " FROM ({}) AS chosen GROUP BY 1"
        ).format(rows)
    scope = _root(build, selector)
    where = _where(scope, selector)
    size, extension = scope.of_content("file_size_bytes"), scope.of_content("file_extension_id")
    return SQL("SELECT {0}, count(*), sum({1})::bigint FROM {2} WHERE {3} GROUP BY 1").format(
        extension, size, scope.tables(), where
    )


def _root(build: Build, selector: Selector) -> Scope:
    return Scope(build, TRUE, base_of(selector.where))


def _where(scope: Scope, selector: Selector) -> Composable:
    parts: list[Composable] = []
    if scope.build.grants is not None:
        parts.append(_reached(scope, scope.build.grants))
    if selector.where is not None:
        parts.append(condition_term(scope, selector.where, "where").sql)
    if not selector.include_deleted:
        parts.append(_hidden(scope, "is_delete"))
    if not selector.include_blacklisted:
        parts.append(_hidden(scope, "in_black_list"))
    if selector.after_node_id is not None:
        parts.append(SQL("{} > {}").format(scope.node_id, scope.build.bind(selector.after_node_id)))
    return both(parts)


def _reached(scope: Scope, grants: Sequence[int]) -> Composable:
    """Return that a node is reached by one of these grants."""
    reach, bind = scope.build.alias("reach"), scope.build.bind
    if len(grants) == 1:
        # Its nodes come in their order from the index: a page reads no more than it has.
        by = SQL("= {}").format(bind(grants[0]))
    else:
        by = SQL("= ANY ({}::bigint[])").format(bind(list(grants)))
    return SQL("{0} IN (SELECT {1}.node_id FROM grant_reach AS {1} WHERE {1}.grant_id {2})").format(
        scope.node_id, reach, by
    )


def _hidden(scope: Scope, column: Literal["is_delete", "in_black_list"]) -> Composable:
    if scope.base == "content":
        return SQL("NOT {}").format(scope.of_content(column))
    return SQL("{} IS NOT TRUE").format(scope.of_content(column))


def _order(scope: Scope, selector: Selector) -> list[Composable]:
    parts = [
        SQL("{} DESC NULLS LAST" if order.descending else "{} NULLS LAST").format(
            _order_column(scope, order)
        )
        for order in selector.order
    ]
    paged = selector.limit is not None or selector.after_node_id is not None
    return [*parts, scope.node_id] if parts or paged else []


def _order_column(scope: Scope, order: Order) -> Composable:
    match order.by:
        case "node_id":
            return scope.node_id
        case "key":
            return scope.of_node("sha256")
        case "depth":
            return scope.of_node("depth")
        case "size_bytes":
            return scope.of_content("file_size_bytes")
        case "create_time":
            return scope.of_content("create_time")
        case "extension":
            extension = scope.of_content("file_extension_id")
            return SQL(
                "(SELECT file_extension FROM file_type WHERE file_extension_id = {})"
            ).format(extension)
        case "title" | "view" | "update_time" | "download_time":
            row = scope.build.alias("metadata")
            return SQL(
                "(SELECT max({0}.{1}) FROM common_metadata AS {0} WHERE {0}.node_id = {2})"
            ).format(row, Identifier(order.by), scope.node_id)
