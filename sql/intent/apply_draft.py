"""A write-intent being applied: it owns the numbers of its nodes and what its names mean.

Reading only: names (sources, extensions, relationships, actions, batches) are looked up here, and
what is unknown becomes a problem with its path.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

import psycopg

from sql.core.declared import schema_of
from sql.core.errors import IntentError
from sql.core.statements import statements
from sql.intent.apply_values import Converter
from sql.intent.intent import WriteIntent

VIRTUAL, PHYSICAL = 1, 2

_SQL = statements("apply")


@dataclass(slots=True)
class Vocabulary:
    """What the names of the intent mean in this database."""

    file_types: dict[str, int]
    sources: dict[str, int]
    relationships: dict[tuple[int, str], bool]
    """(action_id, description) to forms_tree, of the database and of the intent."""
    tables: dict[str, Converter]
    """By table name, of the sources and actions that the intent has rows of."""
    ingest_batch_id: int | None


@dataclass(slots=True)
class Draft:
    """An intent and its nodes by number, filled while its rows are staged."""

    intent: WriteIntent
    vocabulary: Vocabulary
    numbers: dict[str, int] = field(default_factory=dict[str, int])
    kinds: list[int] = field(default_factory=list[int])
    """VIRTUAL, PHYSICAL or both for the nodes that the intent declares, which come first."""
    meanings: dict[tuple[int, str], int] = field(default_factory=dict[tuple[int, str], int])
    """(action_id, description) of the edges, numbered."""
    parents: array[int] = field(default_factory=lambda: array("q"))
    children: array[int] = field(default_factory=lambda: array("q"))
    edge_meanings: array[int] = field(default_factory=lambda: array("q"))

    def number(self, key: str) -> int:
        """Return the number of a node, a new one when it is named for the first time."""
        return self.numbers.setdefault(key, len(self.numbers))


def load_vocabulary(connection: psycopg.Connection[Any], intent: WriteIntent) -> Vocabulary:
    """Look up every name; raises IntentError with the path of each that is unknown."""

    def pairs(name: str) -> dict[Any, Any]:
        return {row[0]: row[1] for row in connection.execute(_SQL[name])}

    known = connection.execute(_SQL["relationships"]).fetchall()
    problems: list[str] = []
    vocabulary = Vocabulary(
        file_types=pairs("file_types"),
        sources=pairs("sources"),
        relationships={(action, word): forms_tree for action, word, forms_tree in known},
        tables=_tables(connection, intent),
        ingest_batch_id=_ingest_batch(connection, intent, problems),
    )
    _check_relationships(intent, vocabulary, set(pairs("actions").values()), problems)
    _check_names(intent, vocabulary, problems)
    _check_results(connection, intent, vocabulary, problems)
    if problems:
        raise IntentError(problems)
    return vocabulary


def _tables(connection: psycopg.Connection[Any], intent: WriteIntent) -> dict[str, Converter]:
    described = (*intent.source_metadata, *intent.superseded_metadata)
    names = {"meta_" + row.source for row in described}
    names |= {"result_" + row.action for row in (*intent.results, *intent.superseded_results)}
    found = (schema_of(connection, name) for name in sorted(names))
    return {table.table_name: Converter.of(table) for table in found if table is not None}


def _ingest_batch(
    connection: psycopg.Connection[Any], intent: WriteIntent, problems: list[str]
) -> int | None:
    if intent.ingest_batch is None:
        return None
    row = connection.execute(_SQL["ingest_batch"], [intent.ingest_batch]).fetchone()
    if row is None:
        problems.append(f"ingest_batch: there is no batch {intent.ingest_batch!r}; open it first")
        return None
    return row[0]


def _check_relationships(
    intent: WriteIntent, vocabulary: Vocabulary, actions: set[int], problems: list[str]
) -> None:
    known = vocabulary.relationships
    for place, row in enumerate(intent.relationships):
        path = f"relationships[{place}]"
        if row.action_id not in actions:
            problems.append(f"{path}.action_id: there is no action {row.action_id}; declare it")
        if known.setdefault((row.action_id, row.description), row.forms_tree) != row.forms_tree:
            problems.append(
                f"{path}.forms_tree: {row.description!r} of action {row.action_id} is known with "
                f"{not row.forms_tree}; take another word for another meaning"
            )
    _check_removed(intent, known, problems)
    if {(edge.action_id, edge.relationship) for edge in intent.edges} <= known.keys():
        return
    for place, edge in enumerate(intent.edges):
        if (edge.action_id, edge.relationship) not in known:
            problems.append(
                f"edges[{place}].relationship: action {edge.action_id} has no relationship "
                f"{edge.relationship!r}; declare it in `relationships`"
            )


def _check_removed(
    intent: WriteIntent, known: dict[tuple[int, str], bool], problems: list[str]
) -> None:
    for place, edge in enumerate(intent.removed_edges):
        if known.get((edge.action_id, edge.relationship), True):
            problems.append(
                f"removed_edges[{place}].relationship: {edge.relationship!r} of action "
                f"{edge.action_id} is unknown or forms a tree; edges of trees stay"
            )


def _check_names(intent: WriteIntent, vocabulary: Vocabulary, problems: list[str]) -> None:
    for place, node in enumerate(intent.physical_nodes):
        if node.extension not in vocabulary.file_types:
            problems.append(
                f"physical_nodes[{place}].extension: {node.extension!r} is of no type in "
                "file_type; set the file aside"
            )
    with_table = {name.removeprefix("meta_") for name in vocabulary.tables}
    for name, known in (
        ("common_metadata", vocabulary.sources.keys()),
        ("source_metadata", with_table & vocabulary.sources.keys()),
        ("superseded_metadata", with_table & vocabulary.sources.keys()),
    ):
        for place, row in enumerate(getattr(intent, name)):
            if row.source not in known:
                problems.append(
                    f"{name}[{place}].source: there is no source {row.source!r}; declare its table"
                )


def _check_results(
    connection: psycopg.Connection[Any],
    intent: WriteIntent,
    vocabulary: Vocabulary,
    problems: list[str],
) -> None:
    both = {"results": intent.results, "superseded_results": intent.superseded_results}
    wanted = list({row.action_event_id for rows in both.values() for row in rows})
    if not wanted:
        return
    events = {row[0] for row in connection.execute(_SQL["action_events"], [wanted])}
    for name, rows in both.items():
        for place, row in enumerate(rows):
            if "result_" + row.action not in vocabulary.tables:
                problems.append(
                    f"{name}[{place}].action: {row.action!r} has no table of results; declare it"
                )
            if row.action_event_id not in events:
                problems.append(
                    f"{name}[{place}].action_event_id: there is no event {row.action_event_id}"
                )
