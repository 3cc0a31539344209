"""Conditions on what was said about a node: it owns metadata, source metadata and results.

Pure. Each block is one EXISTS over one table, so that one row has to fulfil all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from psycopg.sql import SQL, Composable, Identifier

from base.mistakes import suggestion
from sql.selector.compile_columns import column_terms, like_pattern
from sql.selector.compile_scope import Build, Scope
from sql.selector.compile_terms import FALSE, Term, among, both, look_up, range_terms, time_terms
from sql.selector.selector import ColumnMatch, Condition, Metadata


def observation_terms(scope: Scope, condition: Condition, path: str) -> Iterator[Term]:
    """Yield the terms of the blocks that a condition has."""
    build = scope.build
    if condition.metadata is not None:
        row = build.alias("metadata")
        parts = list(_common(row, condition.metadata, f"{path}.metadata", build))
        yield _exists(scope, "common_metadata", row, parts)
    if condition.source_metadata is not None:
        block, where = condition.source_metadata, f"{path}.source_metadata"
        look_up(build, [block.source], build.vocabulary.sources, f"{where}.source", "source")
        yield _declared(scope, f"meta_{block.source}", block.columns, where)
    if condition.result is not None:
        block, where = condition.result, f"{path}.result"
        look_up(build, [block.action], build.vocabulary.actions, f"{where}.action", "action")
        yield _declared(scope, f"result_{block.action}", block.columns, where)


def _exists(scope: Scope, table: str, row: Identifier, parts: list[Composable]) -> Term:
    own = SQL("{}.node_id = {}").format(row, scope.node_id)
    statement = SQL("EXISTS (SELECT FROM {} AS {} WHERE {})")
    return Term(statement.format(Identifier(table), row, both([own, *parts])))


def _common(row: Identifier, wanted: Metadata, path: str, build: Build) -> Iterator[Composable]:
    def column(name: str) -> Composable:
        return SQL("{}.{}").format(row, Identifier(name))

    if wanted.source is not None:
        known = build.vocabulary.sources
        found = look_up(build, wanted.source, known, f"{path}.source", "source")
        yield among(column("source_id"), [number for number, _ in found], build)
    for name, flag in (("is_raw", wanted.is_raw), ("is_root", wanted.is_root)):
        if flag is not None:
            yield column(name) if flag else SQL("NOT {}").format(column(name))
    if wanted.title is not None:
        exact, part = wanted.title.equals, wanted.title.contains
        patterns = [like_pattern(exact, before=False, after=False)] if exact is not None else []
        patterns += [like_pattern(part)] if part is not None else []
        for pattern in patterns:
            yield SQL("{} ILIKE {}").format(column("title"), build.bind(pattern))
    if wanted.view is not None:
        yield from range_terms(column("view"), wanted.view, build)
    if wanted.update_time is not None:
        yield from time_terms(column("update_time"), wanted.update_time, build)
    if wanted.download_time is not None:
        yield from time_terms(column("download_time"), wanted.download_time, build)
    if wanted.author is not None:
        if wanted.author.equals is not None:
            yield among(column("author_description"), wanted.author.equals, build)
        if wanted.author.prefix is not None:
            prefix = build.bind(like_pattern(wanted.author.prefix, before=False))
            yield SQL("{} LIKE {}").format(column("author_description"), prefix)
    if wanted.user is not None:
        yield among(column("user"), wanted.user, build)


def _declared(scope: Scope, table: str, columns: Mapping[str, ColumnMatch], path: str) -> Term:
    build, row = scope.build, scope.build.alias("row")
    known = build.vocabulary.tables.get(table)
    if known is None:
        build.complain(path, f"the table {table[:100]!a} is not declared, so it cannot be asked")
        return Term(FALSE)
    parts: list[Composable] = []
    for name, match in columns.items():
        where = f"{path}.columns.{name[:100]!a}".replace("'", "")
        if name not in known:
            build.complain(where, f"{table} has no such column{suggestion(name, known)}")
            continue
        column = SQL("{}.{}").format(row, Identifier(name))
        parts += column_terms(column, known[name], match, where, build)
    return _exists(scope, table, row, parts)
