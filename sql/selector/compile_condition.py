"""Conditions to SQL: it owns how each part of a condition is asked, for one node in a scope.

Pure. `not` is pushed down to the leaves, so that the planner finds `NOT EXISTS` in a conjunction
and makes an anti join of it, which it does not do with `NOT (a OR b)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg.sql import SQL, Composable, Identifier, Literal

from sql.intent.intent import key_of
from sql.selector.compile_columns import like_pattern
from sql.selector.compile_observation import observation_terms
from sql.selector.compile_places import place_terms
from sql.selector.compile_relative import relative_terms, set_of
from sql.selector.compile_scope import Scope, base_of
from sql.selector.compile_terms import (
    TRUE,
    Term,
    among,
    both,
    conjunction,
    disjunction,
    look_up,
    negation,
    range_terms,
    time_terms,
)
from sql.selector.selector import Condition
from sql.selector.values import DescriptionMatch, words_of

DESCRIPTION_INDEX_LENGTH = 64
"""So many characters of a description are in the index of prefixes."""

_LOCAL = {
    "key", "node_id", "is_virtual", "is_physical", "is_tree_root", "depth", "description",
    "media_type", "extension", "size_bytes", "create_time", "is_deleted", "is_blacklisted",
}  # fmt: skip


def condition_term(scope: Scope, condition: Condition, path: str, negated: bool = False) -> Term:
    """Return the term of a condition, or that of its opposite."""
    terms = [negation(term) if negated else term for term in _leaves(scope, condition, path)]
    if condition.all is not None:
        terms.append(_several(scope, condition.all, f"{path}.all", negated, together=not negated))
    if condition.any is not None:
        terms.append(_several(scope, condition.any, f"{path}.any", negated, together=negated))
    if condition.negated is not None:
        terms.append(condition_term(scope, condition.negated, f"{path}.not", not negated))
    return disjunction(terms) if negated else conjunction(terms)


def _several(
    scope: Scope, conditions: Sequence[Condition], path: str, negated: bool, *, together: bool
) -> Term:
    paths = [f"{path}[{number}]" for number in range(len(conditions))]
    if together or negated or all(map(_is_local, conditions)):
        choice = False
    else:
        choice = scope.build.choose()
    if choice:
        return _union(scope, conditions, paths)
    terms = [
        condition_term(scope, condition, where, negated)
        for condition, where in zip(conditions, paths, strict=True)
    ]
    return conjunction(terms) if together else disjunction(terms)


def _is_local(condition: Condition) -> bool:
    """Tell whether a condition looks only at the node's own row and that of its content."""
    inner = [*(condition.all or ()), *(condition.any or ()), condition.negated]
    own = condition.model_fields_set - {"all", "any", "negated"}
    prefix = condition.description is not None and condition.description.prefix is not None
    return own <= _LOCAL and not prefix and all(_is_local(part) for part in inner if part)


def _union(scope: Scope, conditions: Sequence[Condition], paths: Sequence[str]) -> Term:
    """Ask each alternative for its nodes, instead of each node for its alternatives.

    An OR over other tables is looked up node by node; a union of sets can start at the few.
    """
    sets: list[Composable] = []
    for condition, path in zip(conditions, paths, strict=True):
        direct = set_of(scope, condition, path, condition_term)
        if direct is not None:
            sets.append(SQL("({})").format(direct))
            continue
        inner = Scope(scope.build, TRUE, base_of(condition))
        term = condition_term(inner, condition, path)
        select = SQL("SELECT {} AS node_id FROM {} WHERE {}")
        sets.append(select.format(inner.node_id, inner.tables(), term.sql))
    found = scope.build.alias("union")
    statement = SQL("EXISTS (SELECT FROM ({0}) AS {1} WHERE {1}.node_id = {2})")
    return Term(statement.format(SQL(" UNION ALL ").join(sets), found, scope.node_id))


def _leaves(scope: Scope, condition: Condition, path: str) -> Iterator[Term]:
    yield from _node_terms(scope, condition)
    yield from _content_terms(scope, condition, path)
    yield from _words_terms(scope, condition)
    yield from observation_terms(scope, condition, path)
    yield from place_terms(scope, condition)
    yield from _membership_terms(scope, condition, path)
    yield from relative_terms(scope, condition, path, condition_term)


def _node_terms(scope: Scope, condition: Condition) -> Iterator[Term]:
    build = scope.build
    if condition.key is not None:
        yield Term(among(scope.of_node("sha256"), map(bytes.fromhex, condition.key), scope.build))
    if condition.node_id is not None:
        yield Term(among(scope.node_id, condition.node_id, scope.build))
    if condition.is_virtual is not None:
        word = SQL("{}" if condition.is_virtual else "NOT {}")
        yield Term(word.format(scope.of_node("is_virtual")))
    if condition.is_physical is not None and not (
        condition.is_physical and scope.base == "content"
    ):
        word = SQL("{}" if condition.is_physical else "NOT {}")
        yield Term(word.format(scope.of_node("is_physical")))
    if condition.is_tree_root is not None:
        # The same as root_id = node_id, and the planner knows how frequent a depth is.
        word = SQL("{} = 0") if condition.is_tree_root else SQL("{} > 0")
        yield Term(word.format(scope.of_node("depth")))
    if condition.depth is not None:
        yield Term(both(range_terms(scope.of_node("depth"), condition.depth, build)))
    if condition.description is not None:
        yield from _description_terms(scope, condition.description)


def _description_terms(scope: Scope, match: DescriptionMatch) -> Iterator[Term]:
    if match.equals is not None:
        keys = [bytes.fromhex(key_of(text)) for text in match.equals]
        virtual = scope.of_node("is_virtual")
        yield Term(both([among(scope.of_node("sha256"), keys, scope.build), virtual]))
    if match.prefix is not None:
        column, prefix = scope.of_asset("description"), match.prefix
        start = SQL("left({}, {}) LIKE {}").format(
            column,
            Literal(DESCRIPTION_INDEX_LENGTH),
            scope.build.bind(like_pattern(prefix[:DESCRIPTION_INDEX_LENGTH], before=False)),
        )
        parts: list[Composable] = [start]
        if len(prefix) > DESCRIPTION_INDEX_LENGTH:
            whole = scope.build.bind(like_pattern(prefix, before=False))
            parts.append(SQL("{} LIKE {}").format(column, whole))
        yield Term(both(parts), maybe_null=True)


def _content_terms(scope: Scope, condition: Condition, path: str) -> Iterator[Term]:
    build, extensions = scope.build, scope.build.vocabulary.extensions
    if condition.media_type is not None:
        ids = [number for number, kind in extensions.values() if kind in condition.media_type]
        yield Term(among(scope.of_content("file_extension_id"), sorted(ids), scope.build), True)
    if condition.extension is not None:
        names = [name.lower().removeprefix(".") for name in condition.extension]
        rows = look_up(scope.build, names, extensions, f"{path}.extension", "extension")
        ids = [number for number, _ in rows]
        yield Term(among(scope.of_content("file_extension_id"), ids, scope.build), True)
    if condition.size_bytes is not None:
        column = scope.of_content("file_size_bytes")
        yield Term(both(range_terms(column, condition.size_bytes, build)), True)
    if condition.create_time is not None:
        column = scope.of_content("create_time")
        yield Term(both(time_terms(column, condition.create_time, build)), True)
    # Not IS TRUE: the index of the hidden ones is found by the column alone.
    if condition.is_deleted is not None:
        word = SQL("{}" if condition.is_deleted else "{} IS NOT TRUE")
        yield Term(word.format(scope.of_content("is_delete")), condition.is_deleted)
    if condition.is_blacklisted is not None:
        word = SQL("{}" if condition.is_blacklisted else "{} IS NOT TRUE")
        yield Term(word.format(scope.of_content("in_black_list")), condition.is_blacklisted)


_WAYS = {
    "text": ["own", "authored", "credited", "tagged", "member"],
    "author": ["authored", "credited"],
    "tag": ["tagged"],
}
"""From where each kind of word reaches a node: its own, or over these relationships."""


def _words_terms(scope: Scope, condition: Condition) -> Iterator[Term]:
    """Every word by itself: a title may have one, its author's name the other.

    One set of nodes that have all, since the planner knows of none how many it finds, and would
    look through one set for every node of another.
    """
    if condition.words is None:
        return
    build = scope.build
    sets = [
        SQL("SELECT node_id FROM {}(search_query({}), {})").format(
            SQL("nodes_with_words" if build.grants is None else "shown_nodes_with_words"),
            build.bind(word),
            build.bind(ways),
        )
        for kind, ways in _WAYS.items()
        for word in words_of(getattr(condition.words, kind) or "")
    ]
    statement = SQL("EXISTS (SELECT FROM ({0}) AS {1} WHERE {1}.node_id = {2})")
    found = build.alias("words")
    yield Term(statement.format(SQL(" INTERSECT ").join(sets), found, scope.node_id))


def _membership_terms(scope: Scope, condition: Condition, path: str) -> Iterator[Term]:
    vocabulary = scope.build.vocabulary
    if condition.action is not None:
        state = condition.action
        ids = look_up(
            scope.build, (state.name,), vocabulary.actions, f"{path}.action.name", "action"
        )
        done = conjunction([_action_done(scope, number) for number in ids])
        asked = True if state.done is state.failed is None else state.done
        if asked is not None:
            yield done if asked else negation(done)
        if state.failed is not None:
            in_vain = disjunction([_action_in_vain(scope, number) for number in ids])
            failed = conjunction([in_vain, negation(done)])
            yield failed if state.failed else negation(failed)
    if condition.pipeline is not None:
        name = (condition.pipeline.name,)
        found = look_up(
            scope.build, name, vocabulary.pipelines, f"{path}.pipeline.name", "pipeline"
        )
        done = [_action_done(scope, number) for actions in found for number in actions]
        if condition.pipeline.complete:
            yield conjunction(done)
        else:
            yield disjunction([negation(term) for term in done])
    if condition.action_batch is not None:
        yield _member(scope, "action_batch", condition.action_batch)
    if condition.ingest_batch is not None:
        names = condition.ingest_batch
        known = vocabulary.ingest_batches
        yield _member(
            scope,
            "ingest_batch",
            look_up(scope.build, names, known, f"{path}.ingest_batch", "ingest batch"),
        )
    if condition.dataset is not None:
        names, known = condition.dataset, vocabulary.datasets
        found = look_up(scope.build, names, known, f"{path}.dataset", "dataset")
        versions = [number for ids in found for number in ids]
        yield _member(scope, "dataset_version", versions, "dataset_member")


def _action_done(scope: Scope, action_id: int) -> Term:
    done = scope.build.alias("done")
    statement = SQL(
        "EXISTS (SELECT FROM node_action_done AS {0}"
        " WHERE {0}.node_id = {1} AND {0}.action_id = {2})"
    )
    return Term(statement.format(done, scope.node_id, scope.build.bind(action_id)))


def _action_in_vain(scope: Scope, action_id: int) -> Term:
    tried, event = scope.build.alias("tried"), scope.build.alias("event")
    statement = SQL(
        "EXISTS (SELECT FROM action_node AS {0}"
        " JOIN action_event AS {1} ON {1}.id = {0}.action_event_id"
        " WHERE {0}.node_id = {2} AND {0}.outcome <> 'done' AND {1}.action_id = {3})"
    )
    return Term(statement.format(tried, event, scope.node_id, scope.build.bind(action_id)))


def _member(scope: Scope, what: str, ids: Sequence[int], table: str = "") -> Term:
    member = scope.build.alias("member")
    batch = SQL("{}.{}").format(member, Identifier(f"{what}_id"))
    statement = SQL("EXISTS (SELECT FROM {0} AS {1} WHERE {1}.node_id = {2} AND {3})").format(
        Identifier(table or f"{what}_node"), member, scope.node_id, among(batch, ids, scope.build)
    )
    return Term(statement)
