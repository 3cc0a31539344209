"""The merge: it owns the statements that bring staged rows into the tables, under one lock.

Each table has one statement. Nodes come first, with their derived columns right from the start;
everything else refers to them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
from psycopg import sql

from sql.core.bigints import Int64s, read_bigints, write_bigints
from sql.core.errors import IntentError, SqlError
from sql.core.statements import statements
from sql.events.event_book import add_event
from sql.intent import tree
from sql.intent.apply_draft import Draft
from sql.intent.apply_stage import intent_tables, size_problem
from sql.intent.intent import IntentResult, WriteIntent

_SQL = statements("apply")
_TREE_SQL = statements("tree")


def merge(connection: psycopg.Connection[Any], draft: Draft) -> IntentResult:
    """Write what was staged; raises IntentError for nodes that nobody has."""
    intent = draft.intent
    new_from = _number_nodes(connection, draft)
    existing, *values = read_bigints(connection, _SQL["existing"], 5)
    known = tree.Values(*values)
    _check_nodes(connection, draft, existing)
    relationship_ids = _declare_relationships(connection, draft)
    growth = _grow(connection, draft, relationship_ids, existing, known, new_from)
    nodes_new = len(draft.numbers) - len(existing)
    _insert_nodes(connection, growth, nodes_new)
    if len(existing):
        _run(connection, "widen_nodes")
    if intent.virtual_nodes:
        _run(connection, "insert_virtual")
    if intent.physical_nodes:
        _run(connection, "insert_physical")
    superseded = _supersede_results(connection, draft) if intent.superseded_results else 0
    forgotten = _forget_observations(connection, draft) if intent.superseded_metadata else 0
    observations_new, results_new = _insert_observations(connection, draft)
    if draft.vocabulary.ingest_batch_id is not None:
        _insert_observation_batches(connection, draft)
    edges_removed = _remove_edges(connection) if intent.removed_edges else 0
    edges_new, positions_new = _insert_edges(connection, draft, growth, relationship_ids)
    tree.carry_out(connection, growth)
    rows_new = results_new + positions_new + _insert_others(connection, draft)
    cycles = _named(connection, draft, growth, new_from)
    _drop_tables(connection, draft)
    return IntentResult(
        intent_id=intent.intent_id,
        nodes_new=nodes_new,
        nodes_existing=len(draft.kinds) - nodes_new,
        observations_new=observations_new,
        observations_existing=len(intent.common_metadata)
        + len(intent.source_metadata)
        - observations_new,
        edges_new=edges_new,
        edges_existing=len(intent.edges) - edges_new - len(growth.dropped),
        rows_new=rows_new,
        results_superseded=superseded,
        observations_superseded=forgotten,
        edges_removed=edges_removed,
        cycles=cycles,
    )


def _run(connection: psycopg.Connection[Any], name: str, parameters: Any = None) -> int:
    """Execute one statement; returns the number of rows. Temporary tables suit no prepared plan."""
    return connection.execute(_SQL[name], parameters, prepare=False).rowcount


def _number_nodes(connection: psycopg.Connection[Any], draft: Draft) -> int:
    """Give every node its node_id, existing or new; returns where the new ones start."""
    row = connection.execute(_SQL["reserve_ids"], [max(len(draft.numbers), 1)]).fetchone()
    assert row is not None
    new_from = row[0] - max(len(draft.numbers), 1) + 1
    _run(connection, "make_node")
    _run(connection, "fill_node", {"new_from": new_from})
    connection.execute("ANALYZE intent_node")
    return new_from


def _check_nodes(connection: psycopg.Connection[Any], draft: Draft, existing: Int64s) -> None:
    """Refuse keys that nobody has, other sizes, and flags and packages of what has no bytes."""
    intent, problems = draft.intent, list[str]()
    found = set(existing[existing >= len(draft.kinds)].tolist())
    if len(draft.kinds) + len(found) < len(draft.numbers):
        problems += _unknown_nodes(draft, found)
    if intent.physical_nodes:
        for place, size in connection.execute(_SQL["other_sizes"], prepare=False):
            problems.append(size_problem(place, intent.physical_nodes[place].size_bytes, size))
    # A node of this intent gets its bytes' row only later, but is known to be physical.
    own = {node.key for node in intent.physical_nodes} if intent.archive_locations else set[str]()
    own |= {node.key for node in intent.physical_nodes} if intent.flags else set[str]()
    for name, rows in (("archive", intent.archive_locations), ("flag", intent.flags)):
        if not rows:
            continue
        for (place,) in connection.execute(_SQL["not_physical_" + name], prepare=False):
            if rows[place].key not in own:
                field = "archive_locations" if name == "archive" else "flags"
                problems.append(f"{field}[{place}].key: no physical node has this key")
    if problems:
        raise IntentError(list(dict.fromkeys(problems)))


def _unknown_nodes(draft: Draft, found: set[int]) -> list[str]:
    """Return the path of every row that names a node which does not exist."""

    def unknown(key: str) -> bool:
        number = draft.numbers[key]
        return number >= len(draft.kinds) and number not in found

    problems: list[str] = []
    for name in (
        "common_metadata", "source_metadata", "results", "superseded_results", "archive_locations",
        "flags",
    ):  # fmt: skip
        for place, row in enumerate(getattr(draft.intent, name)):
            if unknown(row.key):
                problems.append(f"{name}[{place}].key: no node has this key")
    for name in ("edges", "removed_edges"):
        for place, edge in enumerate(getattr(draft.intent, name)):
            for end in ("parent", "child"):
                if unknown(getattr(edge, end)):
                    problems.append(f"{name}[{place}].{end}: no node has this key")
    return problems


def _declare_relationships(connection: psycopg.Connection[Any], draft: Draft) -> list[int]:
    """Return the relationship_id of each meaning of the edges."""
    for row in draft.intent.relationships:
        given = (row.action_id, row.description, row.forms_tree)
        _run(connection, "declare_relationship", given)
    words = list(draft.meanings) + [
        (row.action_id, row.description) for row in draft.intent.relationships
    ]
    columns = [[word[0] for word in words], [word[1] for word in words]]
    rows = connection.execute(_SQL["relationship_ids"], columns).fetchall()
    known = draft.vocabulary.relationships
    problems = [
        f"relationships: {word[1]!r} of action {word[0]} was just declared with forms_tree "
        f"{forms_tree}; take another word for another meaning"
        for word, (_, forms_tree) in zip(words, rows, strict=True)
        if known[word] != forms_tree
    ]
    if problems:
        raise IntentError(problems)
    return [row[0] for row in rows[: len(draft.meanings)]]


def _grow(
    connection: psycopg.Connection[Any],
    draft: Draft,
    relationship_ids: list[int],
    existing: Int64s,
    known: tree.Values,
    new_from: int,
) -> tree.Growth:
    known_tree = draft.vocabulary.relationships
    forms_tree = np.array([known_tree[word] for word in draft.meanings], np.bool_)
    if not forms_tree.any():
        return tree.Growth()
    node_ids = np.arange(new_from, new_from + len(draft.numbers))
    node_ids[existing] = known.node_id
    ordinal = np.flatnonzero(forms_tree[np.array(draft.edge_meanings)])
    parent = node_ids[np.array(draft.parents)[ordinal]]
    child = node_ids[np.array(draft.children)[ordinal]]
    if ((parent < new_from) & (child < new_from)).any():
        parameters = {"relationships": relationship_ids}
        (there,) = read_bigints(connection, _TREE_SQL["known_edges"], 1, parameters)
        fresh = ~np.isin(ordinal, there)
        ordinal, parent, child = ordinal[fresh], parent[fresh], child[fresh]
    return tree.grow(connection, tree.TreeEdges(ordinal, parent, child), known, new_from)


def _insert_nodes(connection: psycopg.Connection[Any], growth: tree.Growth, count: int) -> None:
    placed = growth.placed
    if len(placed.node_id):
        _run(connection, "make_place")
        columns = (placed.node_id, placed.root_id, placed.component_id, placed.depth)
        write_bigints(connection, "intent_place", columns)
        connection.execute("ANALYZE intent_place")
        written = _run(connection, "insert_nodes")
        connection.execute("DROP TABLE intent_place")
    else:
        written = _run(connection, "insert_lone_nodes") if count else 0
    if written != count:
        raise SqlError(f"{written} nodes were written instead of {count}; nothing was done")


def _insert_observations(connection: psycopg.Connection[Any], draft: Draft) -> tuple[int, int]:
    """Return how many observations and results are new."""
    observations = _run(connection, "insert_common") if draft.intent.common_metadata else 0
    results = 0
    for name, converter in draft.vocabulary.tables.items():
        is_source = name.startswith("meta_")
        fixed = ("download_time", "observation_hash") if is_source else ("action_event_id",)
        columns = sql.SQL(", ").join(map(sql.Identifier, (*fixed, *converter.names)))
        statement = sql.SQL(
            "INSERT INTO {} (node_id, {}) "
            "SELECT intent_node.node_id, {} FROM {} AS given "
            "JOIN intent_node ON intent_node.number = given._number"
            " ON CONFLICT DO NOTHING"
        ).format(
            sql.Identifier(name),
            columns,
            sql.SQL(", ").join(
                sql.Identifier("given", column) for column in (*fixed, *converter.names)
            ),
            sql.Identifier("intent_" + name),
        )
        count = connection.execute(statement, prepare=False).rowcount
        observations, results = observations + count * is_source, results + count * (not is_source)
    return observations, results


def _forget_observations(connection: psycopg.Connection[Any], draft: Draft) -> int:
    """Remove rows that are made anew, and who brought them; before the new ones come."""
    count = 0
    for source in sorted({row.source for row in draft.intent.superseded_metadata}):
        name = "meta_" + source
        statement = sql.SQL(
            "DELETE FROM {} AS known USING intent_former AS given JOIN intent_node USING (number) "
            "WHERE given.table_name = %s AND known.node_id = intent_node.node_id "
            "AND known.observation_hash = given.observation_hash"
        ).format(sql.Identifier(name))
        count += connection.execute(statement, [name], prepare=False).rowcount
        _run(connection, "forget_batches", [name, draft.vocabulary.sources[source]])
    return count


def _insert_observation_batches(connection: psycopg.Connection[Any], draft: Draft) -> None:
    """Note for every observation, new or known, that this batch brought it."""
    batch = draft.vocabulary.ingest_batch_id
    if draft.intent.common_metadata:
        _run(connection, "insert_common_batches", [batch])
    for name in draft.vocabulary.tables:
        if name.startswith("meta_"):
            statement = sql.SQL(
                "INSERT INTO observation_batch"
                " (node_id, ingest_batch_id, source_id, observation_hash) "
                "SELECT intent_node.node_id, %s, %s, given.observation_hash FROM {} AS given "
                "JOIN intent_node ON intent_node.number = given._number "
                "ORDER BY intent_node.node_id ON CONFLICT DO NOTHING"
            ).format(sql.Identifier("intent_" + name))
            source = draft.vocabulary.sources[name.removeprefix("meta_")]
            connection.execute(statement, [batch, source], prepare=False)


def _supersede_results(connection: psycopg.Connection[Any], draft: Draft) -> int:
    """Move what was found before, with the same parameters, out of the tables of results."""
    names = {"result_" + row.action for row in draft.intent.superseded_results}
    count = 0
    for name in sorted(names):
        statement = sql.SQL(
            "WITH gone AS (DELETE FROM {} AS former USING intent_superseded AS given "
            "JOIN intent_node USING (number) WHERE given.table_name = %s "
            "AND former.node_id = intent_node.node_id "
            "AND (SELECT parameters_digest FROM action_event_detail AS detail"
            " WHERE detail.action_event_id = former.action_event_id) IS NOT DISTINCT FROM "
            "(SELECT parameters_digest FROM action_event_detail AS detail"
            " WHERE detail.action_event_id = given.action_event_id) RETURNING former.*) "
            "INSERT INTO superseded_result"
            " (table_name, node_id, action_event_id, document, superseded_by) "
            "SELECT %s, gone.node_id, gone.action_event_id, row_to_json(gone)::text, %s FROM gone"
        ).format(sql.Identifier(name))
        given = [name, name, draft.intent.intent_id]
        count += connection.execute(statement, given, prepare=False).rowcount
    return count


def _remove_edges(connection: psycopg.Connection[Any]) -> int:
    removed = _run(connection, "remove_edges")
    if removed:
        _run(connection, "lock_rights")
        _run(connection, "withdraw_rights")
    return removed


def _insert_edges(
    connection: psycopg.Connection[Any],
    draft: Draft,
    growth: tree.Growth,
    relationship_ids: list[int],
) -> tuple[int, int]:
    """Return how many edges are new, and how many known ones got their position."""
    count = len(draft.intent.edges) - len(growth.dropped)
    if len(growth.dropped):
        _run(connection, "drop_edges", [growth.dropped.tolist()])
    if not count:
        return 0, 0
    relationships = {"relationships": relationship_ids}
    inserted = _run(connection, "insert_edges", relationships)
    if inserted == count:
        return inserted, 0
    return inserted, _run(connection, "fill_positions", relationships)


def _insert_others(connection: psycopg.Connection[Any], draft: Draft) -> int:
    rows = 0
    if draft.intent.archive_locations:
        rows += _run(connection, "insert_archive")
    if draft.intent.flags:
        rows += _set_flags(connection, draft.intent)
    if draft.vocabulary.ingest_batch_id is not None:
        rows += _run(connection, "insert_members", [draft.vocabulary.ingest_batch_id])
        _run(connection, "reach_members", [draft.vocabulary.ingest_batch_id])
    return rows


def _set_flags(connection: psycopg.Connection[Any], intent: WriteIntent) -> int:
    row = connection.execute(_SQL["set_flags"], prepare=False).fetchone()
    assert row is not None
    changed, deleted, restored = row
    for kind, count in (("node.deleted", deleted), ("node.restored", restored)):
        if count:
            document = {"intent_id": intent.intent_id, "batch": intent.ingest_batch, "nodes": count}
            add_event(connection, kind, subject_of(intent), document)
    return changed


def subject_of(intent: WriteIntent) -> str:
    """Return what the events of an intent are about: its batch, or itself where it has none."""
    return f"batch {intent.ingest_batch}" if intent.ingest_batch else f"intent {intent.intent_id}"


def _named(
    connection: psycopg.Connection[Any], draft: Draft, growth: tree.Growth, new_from: int
) -> tuple[tuple[str, ...], ...]:
    """Turn the node ids along cycles into keys."""
    if not growth.cycles:
        return ()
    keys = list(draft.numbers)
    ids = {node_id for cycle in growth.cycles for node_id in cycle}
    old = {"nodes": [node_id for node_id in ids if node_id < new_from]}
    names = dict(connection.execute(_TREE_SQL["hex_keys"], old).fetchall())
    names |= {node_id: keys[node_id - new_from] for node_id in ids if node_id >= new_from}
    return tuple(tuple(names[node_id] for node_id in cycle) for cycle in growth.cycles)


def _drop_tables(connection: psycopg.Connection[Any], draft: Draft) -> None:
    """Make room for another intent in the same transaction; a failure drops them with the rest."""
    names = [*intent_tables(draft), "intent_node"]
    tables = sql.SQL(", ").join(map(sql.Identifier, names))
    connection.execute(sql.SQL("DROP TABLE {}").format(tables))
