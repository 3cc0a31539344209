"""Staging: it owns how the rows of an intent come into temporary tables, by binary COPY.

Nobody else sees these tables, so this takes no lock; it is also where the time of Python goes
(1 us for a row of numbers, 3 us for a row of metadata with its hash).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from sql.core.errors import IntentError
from sql.core.statements import statements
from sql.intent.apply_draft import PHYSICAL, VIRTUAL, Draft
from sql.intent.apply_values import Converter, common_hash
from sql.intent.intent import key_of

Write = Callable[[Sequence[Any]], None]

_SQL = statements("apply")


def stage(connection: psycopg.Connection[Any], draft: Draft) -> None:
    """Fill the tables intent_*; raises IntentError for values that do not fit their columns."""
    intent = draft.intent
    _stage_nodes(connection, draft)
    if intent.common_metadata:
        _stage_common(connection, draft)
    problems: list[str] = []
    for name in draft.vocabulary.tables:
        _stage_declared(connection, draft, name, problems)
    if problems:
        raise IntentError(problems)
    if intent.edges:
        _stage_edges(connection, draft)
    if intent.removed_edges:
        with _copy(connection, "removed", "int4 int4 int4 text") as write:
            for row in intent.removed_edges:
                ends = draft.number(row.parent), draft.number(row.child)
                write((*ends, row.action_id, row.relationship))
    if intent.archive_locations:
        with _copy(connection, "archive", "int4 int4 text") as write:
            for place, row in enumerate(intent.archive_locations):
                write((draft.number(row.key), place, row.filepath))
    if intent.flags:
        _stage_flags(connection, draft)
    if intent.superseded_results:
        with _copy(connection, "superseded", "int4 text int8") as write:
            for row in intent.superseded_results:
                write((draft.number(row.key), "result_" + row.action, row.action_event_id))
    if intent.superseded_metadata:
        _stage_superseded_metadata(connection, draft)
    # Last: only now every node that the intent names has its number.
    with _copy(connection, "key", "int4 bytea int2") as write:
        kinds = draft.kinds
        for key, number in draft.numbers.items():
            write((number, bytes.fromhex(key), kinds[number] if number < len(kinds) else 0))
    connection.execute("ANALYZE intent_key")


def intent_tables(draft: Draft) -> list[str]:
    """Return the tables that `stage` makes for this intent."""
    intent = draft.intent
    wanted = {
        "intent_virtual": intent.virtual_nodes,
        "intent_physical": intent.physical_nodes,
        "intent_common": intent.common_metadata,
        "intent_edge": intent.edges,
        "intent_removed": intent.removed_edges,
        "intent_archive": intent.archive_locations,
        "intent_flag": intent.flags,
        "intent_superseded": intent.superseded_results,
        "intent_former": intent.superseded_metadata,
    }
    named = [name for name, rows in wanted.items() if rows]
    return ["intent_key", *named, *("intent_" + name for name in draft.vocabulary.tables)]


@contextmanager
def _copy(connection: psycopg.Connection[Any], name: str, types: str) -> Generator[Write]:
    """Make the table intent_NAME and yield the function that writes a row into it."""
    connection.execute(_SQL["make_" + name])
    with _copy_into(connection, "intent_" + name, types.split()) as write:
        yield write


@contextmanager
def _copy_into(
    connection: psycopg.Connection[Any], table: str, types: Sequence[str]
) -> Generator[Write]:
    statement = sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(sql.Identifier(table))
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(types)
        yield copy.write_row


def _stage_nodes(connection: psycopg.Connection[Any], draft: Draft) -> None:
    kinds = draft.kinds
    if draft.intent.virtual_nodes:
        with _copy(connection, "virtual", "int4 text") as write:
            for node in draft.intent.virtual_nodes:
                number = draft.number(key_of(node.description))
                if number == len(kinds):
                    kinds.append(VIRTUAL)
                    write((number, node.description))
    if draft.intent.physical_nodes:
        with _copy(connection, "physical", "int4 int4 int8 int2") as write:
            _stage_physical(draft, write)


def _stage_physical(draft: Draft, write: Write) -> None:
    kinds, file_types = draft.kinds, draft.vocabulary.file_types
    sizes: dict[int, int] = {}
    problems: list[str] = []
    for place, node in enumerate(draft.intent.physical_nodes):
        number = draft.number(node.key)
        if number == len(kinds):
            kinds.append(PHYSICAL)
        kinds[number] |= PHYSICAL
        if number not in sizes:
            sizes[number] = node.size_bytes
            write((number, place, node.size_bytes, file_types[node.extension]))
        elif sizes[number] != node.size_bytes:
            problems.append(size_problem(place, node.size_bytes, sizes[number]))
    if problems:
        raise IntentError(problems)


def size_problem(place: int, size_bytes: int, known_bytes: int) -> str:
    """Say that one hash cannot have two sizes."""
    return (
        f"physical_nodes[{place}].size_bytes: {size_bytes}, but the bytes with this sha256 are "
        f"{known_bytes} long"
    )


def _stage_common(connection: psycopg.Connection[Any], draft: Draft) -> None:
    sources = draft.vocabulary.sources
    types = "int4 int4 bool bool text int8 timestamptz timestamptz text text text bytea"
    with _copy(connection, "common", types) as write:
        for row in draft.intent.common_metadata:
            write(
                (
                    draft.number(row.key),
                    sources[row.source],
                    row.is_raw,
                    row.is_root,
                    row.title,
                    row.view,
                    row.update_time,
                    row.download_time,
                    row.author_description,
                    row.user,
                    row.raw_metadata,
                    common_hash(row),
                )
            )


def _stage_declared(
    connection: psycopg.Connection[Any], draft: Draft, name: str, problems: list[str]
) -> None:
    """Stage the rows of one declared table, as it is but without its surrogate key."""
    converter = draft.vocabulary.tables[name]
    is_source = name.startswith("meta_")
    staged = "intent_" + name
    # No declared column can have a name that begins with _.
    fixed = (
        "_number integer, download_time timestamptz, observation_hash bytea"
        if is_source
        else "_number integer, action_event_id bigint"
    )
    columns = sql.SQL("").join(
        # The types are of the allow-list of sql/core/declared.py.
        sql.SQL(", {} {}").format(sql.Identifier(column), sql.SQL(column_type))  # pyright: ignore[reportArgumentType]
        for column, column_type in zip(converter.names, converter.types, strict=True)
    )
    connection.execute(
        sql.SQL("CREATE TEMPORARY TABLE {} ({}{}) ON COMMIT DROP").format(
            sql.Identifier(staged), sql.SQL(fixed), columns
        )
    )
    types = ["int4", "timestamptz", "bytea"] if is_source else ["int4", "int8"]
    write_rows = _write_observations if is_source else _write_results
    with _copy_into(connection, staged, [*types, *converter.types]) as write:
        write_rows(draft, converter, write, problems)


def _write_observations(
    draft: Draft, converter: Converter, write: Write, problems: list[str]
) -> None:
    source = converter.table_name.removeprefix("meta_")
    for place, row in enumerate(draft.intent.source_metadata):
        if row.source == source:
            cells = converter.row(row.values, problems, f"source_metadata[{place}].values")
            time = row.download_time
            write((draft.number(row.key), time, converter.hash(cells, time), *cells))


def _stage_superseded_metadata(connection: psycopg.Connection[Any], draft: Draft) -> None:
    """Stage the hashes that these rows have; what a column refuses now it never held."""
    with _copy(connection, "former", "int4 text bytea") as write:
        for row in draft.intent.superseded_metadata:
            converter, problems = draft.vocabulary.tables["meta_" + row.source], list[str]()
            cells = converter.row(row.values, problems, "")
            if not problems:
                found = converter.hash(cells, row.download_time)
                write((draft.number(row.key), converter.table_name, found))


def _write_results(draft: Draft, converter: Converter, write: Write, problems: list[str]) -> None:
    action = converter.table_name.removeprefix("result_")
    for place, row in enumerate(draft.intent.results):
        if row.action == action:
            cells = converter.row(row.values, problems, f"results[{place}].values")
            write((draft.number(row.key), row.action_event_id, *cells))


def _stage_edges(connection: psycopg.Connection[Any], draft: Draft) -> None:
    meanings = draft.meanings
    with _copy(connection, "edge", "int4 int4 int4 int4 int4") as write:
        for place, edge in enumerate(draft.intent.edges):
            parent, child = draft.number(edge.parent), draft.number(edge.child)
            meaning = meanings.setdefault((edge.action_id, edge.relationship), len(meanings))
            draft.parents.append(parent)
            draft.children.append(child)
            draft.edge_meanings.append(meaning)
            write((place, parent, child, meaning, edge.position))


def _stage_flags(connection: psycopg.Connection[Any], draft: Draft) -> None:
    """One row for each node; of several in the intent the last word counts."""
    merged: dict[int, tuple[int, bool | None, bool | None]] = {}
    for place, row in enumerate(draft.intent.flags):
        number = draft.number(row.key)
        _, black, deleted = merged.get(number, (0, None, None))
        black = black if row.in_black_list is None else row.in_black_list
        merged[number] = place, black, deleted if row.is_delete is None else row.is_delete
    with _copy(connection, "flag", "int4 int4 bool bool") as write:
        for number, flags in merged.items():
            write((number, *flags))
