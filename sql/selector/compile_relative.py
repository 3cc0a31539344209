"""Conditions on relatives: it owns the ways over edges and trees.

Pure. A relative within several edges can be asked in two ways, and which is quick depends on which
side is the smaller: from each node along its edges (a few lookups per node), or from all relatives
that fulfil the condition, set by set, level by level. Both are bounded joins; a recursive query
over many starting nodes takes minutes where these take a second. What hangs together by tree edges
is found by root_id and component_id alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import LiteralString

from psycopg.sql import SQL, Composable, Identifier

from sql.selector.compile_scope import Scope, base_of
from sql.selector.compile_terms import TRUE, Term, among, look_up
from sql.selector.selector import Condition, DistantRelative, Relative, TreeMate

Compile = Callable[[Scope, Condition, str], Term]

_UP: tuple[LiteralString, LiteralString] = ("child_node_id", "parent_node_id")
_DOWN: tuple[LiteralString, LiteralString] = ("parent_node_id", "child_node_id")
_ELSEWHERE = {
    "node_id", "words", "metadata", "source_metadata", "near", "result", "action", "action_batch",
    "ingest_batch", "dataset", "parent", "child", "ancestor", "descendant",
}  # fmt: skip


def relative_terms(
    scope: Scope, condition: Condition, path: str, compile_inner: Compile
) -> Iterator[Term]:
    """Yield the terms of the relatives that a condition asks for."""
    near = (("parent", condition.parent, _UP), ("child", condition.child, _DOWN))
    for name, relative, way in near:
        if relative is not None:
            yield _near(scope, relative, f"{path}.{name}", way, compile_inner)
    far = (("ancestor", condition.ancestor, _UP), ("descendant", condition.descendant, _DOWN))
    for name, relative, way in far:
        if relative is None:
            continue
        where = f"{path}.{name}"
        if relative.within == 1:
            yield _near(scope, relative, where, way, compile_inner)
        elif scope.build.choose():
            yield _from_relatives(scope, relative, where, way, compile_inner)
        else:
            yield _from_node(scope, relative, where, way, compile_inner)
    mates: tuple[tuple[str, TreeMate | None, LiteralString, LiteralString], ...] = (
        ("tree_root", condition.tree_root, "node_id", "root_id"),
        ("same_tree", condition.same_tree, "root_id", "root_id"),
        ("same_component", condition.same_component, "component_id", "component_id"),
    )
    for name, mate, column, own in mates:
        if mate is not None:
            yield _tree_mate(scope, mate, column, own, f"{path}.{name}.where", compile_inner)


def _tree_mate(
    scope: Scope,
    mate: TreeMate,
    column: LiteralString,
    own: LiteralString,
    path: str,
    compile_inner: Compile,
) -> Term:
    if column == "node_id" and _is_elsewhere(mate.where):
        # All is asked of other tables, by the number that we have.
        return compile_inner(Scope(scope.build, scope.of_node(own)), mate.where, path)
    other = Scope(scope.build, TRUE, "node")
    term = compile_inner(other, mate.where, path)
    statement = SQL("EXISTS (SELECT FROM {} WHERE {} = {} AND {})")
    joined = statement.format(other.tables(), other.of_node(column), scope.of_node(own), term.sql)
    return Term(joined)


def _is_elsewhere(condition: Condition) -> bool:
    """Tell whether a condition needs nothing of the node's own row but its number."""
    inner = [*(condition.all or ()), *(condition.any or ()), condition.negated]
    own = condition.model_fields_set - {"all", "any", "negated"}
    return own <= _ELSEWHERE and all(_is_elsewhere(part) for part in inner if part is not None)


def _near(
    scope: Scope,
    relative: Relative,
    path: str,
    way: tuple[LiteralString, LiteralString],
    compile_inner: Compile,
) -> Term:
    here, there = way
    edge = scope.build.alias("edge")
    other = Scope(scope.build, SQL("{}.{}").format(edge, Identifier(there)))
    term = _inner(other, relative, path, compile_inner)
    statement = SQL("EXISTS (SELECT FROM edge AS {0}{1} WHERE {0}.{2} = {3}{4} AND {5})").format(
        edge,
        other.joins(),
        Identifier(here),
        scope.node_id,
        _related(scope, edge, relative, path),
        term,
    )
    return Term(statement)


def _from_node(
    scope: Scope,
    relative: DistantRelative,
    path: str,
    way: tuple[LiteralString, LiteralString],
    compile_inner: Compile,
) -> Term:
    """Follow the edges of each node, and look at whom they lead to."""
    here, there = way
    levels: list[Composable] = []
    for level in range(1, relative.within + 1):
        edges = [scope.build.alias("edge") for _ in range(level)]
        tables = [SQL("edge AS {}").format(edges[0])]
        for former, edge in itertools.pairwise(edges):
            tables.append(
                SQL("JOIN edge AS {0} ON {0}.{1} = {2}.{3}{4}").format(
                    edge,
                    Identifier(here),
                    former,
                    Identifier(there),
                    _related(scope, edge, relative, path),
                )
            )
        levels.append(
            SQL("SELECT {0}.{1} AS node_id FROM {2} WHERE {3}.{4} = {5}{6}").format(
                edges[-1],
                Identifier(there),
                SQL(" ").join(tables),
                edges[0],
                Identifier(here),
                scope.node_id,
                _related(scope, edges[0], relative, path),
            )
        )
    reached = scope.build.alias("reached")
    other = Scope(scope.build, SQL("{}.node_id").format(reached))
    term = _inner(other, relative, path, compile_inner)
    statement = SQL("EXISTS (SELECT FROM ({}) AS {}{} WHERE {})").format(
        SQL(" UNION ALL ").join(levels), reached, other.joins(), term
    )
    return Term(statement)


def _from_relatives(
    scope: Scope,
    relative: DistantRelative,
    path: str,
    way: tuple[LiteralString, LiteralString],
    compile_inner: Compile,
) -> Term:
    found = scope.build.alias("found")
    statement = SQL("EXISTS (SELECT FROM ({0}) AS {1} WHERE {1}.node_id = {2})").format(
        _kin(scope, relative, path, way, compile_inner), found, scope.node_id
    )
    return Term(statement)


def set_of(
    scope: Scope, condition: Condition, path: str, compile_inner: Compile
) -> Composable | None:
    """Return the set of nodes of a condition that asks for one distant relative and no more."""
    fields = condition.model_fields_set
    if fields == {"ancestor"} and condition.ancestor is not None:
        return _kin(scope, condition.ancestor, f"{path}.ancestor", _UP, compile_inner)
    if fields == {"descendant"} and condition.descendant is not None:
        return _kin(scope, condition.descendant, f"{path}.descendant", _DOWN, compile_inner)
    return None


def _kin(
    scope: Scope,
    relative: DistantRelative,
    path: str,
    way: tuple[LiteralString, LiteralString],
    compile_inner: Compile,
) -> Composable:
    """Find all relatives first, and go from them towards the nodes, one set per level."""
    here, there = way
    other = Scope(scope.build, TRUE, base_of(relative.where))
    term = _inner(other, relative, path, compile_inner)
    start = scope.build.alias("level")
    parts: list[Composable] = [
        SQL("{} AS (SELECT {} AS node_id FROM {} WHERE {})").format(
            start, other.node_id, other.tables(), term
        )
    ]
    levels: list[Composable] = []
    former = start
    for number in range(1, relative.within + 1):
        level, edge = scope.build.alias("level"), scope.build.alias("edge")
        parts.append(
            SQL(
                "{0} AS (SELECT {6} {1}.{2} AS node_id FROM {3} JOIN edge AS {1}"
                " ON {1}.{4} = {3}.node_id{5})"
            ).format(
                level,
                edge,
                Identifier(here),
                former,
                Identifier(there),
                _related(scope, edge, relative, path),
                # Paths multiply from level to level; behind the last one nobody counts them.
                SQL("DISTINCT" if number < relative.within else ""),
            )
        )
        levels.append(SQL("SELECT node_id FROM {}").format(level))
        former = level
    return SQL("WITH {} {}").format(SQL(", ").join(parts), SQL(" UNION ALL ").join(levels))


def _inner(other: Scope, relative: Relative, path: str, compile_inner: Compile) -> Composable:
    if relative.where is None:
        return TRUE
    return compile_inner(other, relative.where, f"{path}.where").sql


def _related(scope: Scope, edge: Identifier, relative: Relative, path: str) -> Composable:
    """Return ` AND` and the term for the edge's relationship; nothing when any will do."""
    if relative.relationship is None:
        return SQL("")
    known = scope.build.vocabulary.relationships
    found = look_up(
        scope.build, relative.relationship, known, f"{path}.relationship", "relationship"
    )
    ids = sorted({number for numbers in found for number in numbers})
    column = SQL("{}.relationship_id").format(edge)
    return SQL(" AND {}").format(among(column, ids, scope.build))
