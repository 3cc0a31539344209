"""Values of candidates: it owns the statements that find labels, metadata and boxes.

Beside the selector's compiler the only place that composes SQL: column names come from declared
tables, everything else is bound. A name that the database does not have is a UsageError.
"""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from base.errors import UsageError
from base.mistakes import suggestion
from sql.core.declared import DeclaredTable, declared_tables, schema_of
from sql.datasets.dataset_question import BoxQuestion, DatasetQuestion, NearQuestion, ValueQuestion
from sql.selector.compile_columns import like_pattern

_FIELDS: dict[str, LiteralString] = {
    "title": "row.title",
    "user": 'row."user"',
    "author": "row.author_description",
    "view": "row.view",
    "update_time": "row.update_time",
    "download_time": "row.download_time",
    "source": "(SELECT source.description FROM source WHERE source.source_id = row.source_id)",
}

# From a candidate to the node whose values count.
_HOPS: dict[str, tuple[LiteralString, LiteralString]] = {
    "node": ("", "candidate.node_id"),
    "parent": (
        " JOIN edge ON edge.child_node_id = candidate.node_id"
        " JOIN relationship USING (relationship_id)",
        "edge.parent_node_id",
    ),
    "tree_root": ("", "candidate.root_id"),
}
_LIVE: dict[str, LiteralString] = {
    "node": "candidate.reason IS NULL",
    "parent": "candidate.reason IS NULL AND relationship.forms_tree",
    "tree_root": "candidate.reason IS NULL",
}


def found_values(connection: psycopg.Connection[Any], wanted: ValueQuestion) -> Composed:
    """Return the statement of (node_id, value, place) for all candidates; place 0 comes first.

    A value has the type of its column; each element of an array is a value.
    """
    if wanted.kind == "tree":
        return _named_ancestors(wanted)
    table, value, place, element = _column(connection, wanted)
    hop, target = _HOPS[wanted.of]
    return SQL(
        "SELECT candidate.node_id, {value} AS value, {place} AS place FROM candidate{hop}"
        " JOIN {table} AS row ON row.node_id = {target}{element}"
        " WHERE {live} AND {value} IS NOT NULL"
    ).format(
        value=value,
        place=place,
        hop=SQL(hop),
        table=Identifier(table),
        target=SQL(target),
        element=element,
        live=SQL(_LIVE[wanted.of]),
    )


def _column(
    connection: psycopg.Connection[Any], wanted: ValueQuestion
) -> tuple[str, Composable, Composable, Composable]:
    """Return the table, the value, the place, and a join that takes an array apart."""
    if wanted.kind == "metadata":
        return "common_metadata", SQL(_FIELDS[wanted.column]), SQL("row.metadata_id"), SQL("")
    kind = "result" if wanted.kind == "result" else "meta"
    table = _declared(connection, kind, wanted.name)
    column = Identifier("row", wanted.column)
    if _type(table, wanted.column).endswith("[]"):
        lateral = SQL(" CROSS JOIN LATERAL unnest({}) AS element (value)").format(column)
        return table.table_name, SQL("element.value"), SQL("row.id"), lateral
    return table.table_name, column, SQL("row.id"), SQL("")


def _named_ancestors(wanted: ValueQuestion) -> Composed:
    """The nearest level of ancestors whose description begins with the prefix."""
    prefix = wanted.name.rstrip(":") + ":"
    return SQL(
        "SELECT node_id, value, 0::bigint AS place FROM ("
        " WITH RECURSIVE above (node_id, at, depth) AS ("
        "  SELECT node_id, node_id, 0 FROM candidate WHERE reason IS NULL"
        "  UNION SELECT above.node_id, edge.parent_node_id, above.depth + 1"
        "  FROM above JOIN edge ON edge.child_node_id = above.at WHERE above.depth < {within}"
        " ) SELECT above.node_id, substr(asset.description, {length}) AS value,"
        "  rank() OVER (PARTITION BY above.node_id ORDER BY above.depth) AS nearness"
        "  FROM above JOIN virtual_asset AS asset ON asset.node_id = above.at"
        "  WHERE asset.description LIKE {pattern}"
        ") AS named WHERE nearness = 1"
    ).format(
        within=Literal(wanted.within),
        length=Literal(len(prefix) + 1),
        pattern=Literal(like_pattern(prefix, before=False)),
    )


def found_boxes(connection: psycopg.Connection[Any], wanted: BoxQuestion) -> Composed:
    """Return the statement of (node_id, boxes): boxes as JSON arrays, of known classes only.

    Each is [class number, x, y, width, height, confidence or null], as the columns have them.
    """
    table = _declared(connection, "result", wanted.action)
    names = [wanted.x, wanted.y, wanted.width, wanted.height]
    for name in names:
        if _type(table, name) not in ("bigint", "integer", "double precision"):
            raise UsageError(f"boxes.{name}: the column is no number, but {_type(table, name)}")
    columns: list[Composable] = [Identifier("row", name) for name in names]
    finite = [SQL("{} IS NOT NULL").format(column) for column in columns]
    confidence: Composable = SQL("NULL")
    _type(table, wanted.label)
    if wanted.confidence:
        _type(table, wanted.confidence)
        confidence = Identifier("row", wanted.confidence)
        if wanted.confidence_min is not None:
            least = Literal(wanted.confidence_min)
            finite.append(SQL("{} >= {}").format(confidence, least))
    return SQL(
        "SELECT row.node_id, jsonb_agg(jsonb_build_array("
        "class_list.number, {numbers}, {confidence}) ORDER BY row.id) AS boxes"
        " FROM candidate JOIN {table} AS row USING (node_id)"
        " LEFT JOIN label_map AS mapped ON mapped.value = {label}::text"
        " JOIN class_list ON class_list.class = CASE WHEN mapped.value IS NULL"
        " THEN {label}::text ELSE mapped.class END"
        " WHERE candidate.reason IS NULL AND {finite} GROUP BY row.node_id"
    ).format(
        numbers=SQL(", ").join(columns),
        confidence=confidence,
        table=Identifier(table.table_name),
        label=Identifier("row", wanted.label),
        finite=SQL(" AND ").join(finite),
    )


def found_near(connection: psycopg.Connection[Any], wanted: NearQuestion) -> Composed:
    """Return the statement of (node_id, value): equal values look alike."""
    if wanted.action:
        question = ValueQuestion("result", wanted.action, wanted.column)
        found = found_values(connection, question)
        return SQL(
            "SELECT node_id, dense_rank() OVER (ORDER BY value)::bigint AS value FROM ({}) AS found"
        ).format(found)
    known = connection.execute(
        "SELECT DISTINCT description FROM relationship ORDER BY 1", prepare=False
    ).fetchall()
    names = [name for (name,) in known]
    if wanted.relationship not in names:
        raise UsageError(
            f"near_duplicates.relationship: there is no {wanted.relationship!a}"
            f"{suggestion(wanted.relationship, names)}"
        )
    # Both ends of an edge get the edge's own value.
    side = (
        "SELECT candidate.node_id, edge.edge_id AS value FROM candidate"
        " JOIN edge ON edge.{side} = candidate.node_id JOIN relationship USING (relationship_id)"
        " WHERE candidate.reason IS NULL AND relationship.description = {name}"
    )
    sides = ("parent_node_id", "child_node_id")
    return SQL(" UNION ALL ").join(
        SQL(side).format(side=Identifier(one), name=Literal(wanted.relationship)) for one in sides
    )


def rows_statement(question: DatasetQuestion, sample: int | None) -> Composed:
    """Return the statement that streams the members, or a few of each split and class."""
    joins: list[Composable] = []
    pairs: list[Composable] = []
    for number, name in enumerate(question.values):
        table = Identifier(f"value_{number}")
        joins.append(SQL(" LEFT JOIN {} USING (node_id)").format(table))
        pairs += [SQL("{}").format(name), SQL("{}.value").format(table)]
    values = (
        SQL("jsonb_strip_nulls(jsonb_build_object({}))").format(SQL(", ").join(pairs))
        if pairs
        else SQL("NULL")
    )
    boxes: Composable = SQL("NULL")
    if question.boxes is not None:
        joins.append(SQL(" LEFT JOIN node_box USING (node_id)"))
        boxes = SQL("node_box.boxes")
    members: Composable = SQL("member")
    if sample is not None:
        members = SQL(
            "(SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY split, class"
            " ORDER BY sha256) AS place FROM member) AS placed WHERE place <= {})"
        ).format(sample)
    return SQL(
        "SELECT member.node_id, member.sha256, member.size_bytes, member.file_extension_id,"
        " member.split, member.class, member.all_classes, member.component_id, {}, {}"
        " FROM {} AS member{} ORDER BY member.split, member.sha256"
    ).format(values, boxes, members, SQL("").join(joins))


def _declared(connection: psycopg.Connection[Any], kind: str, name: str) -> DeclaredTable:
    table = schema_of(connection, f"{kind}_{name}")
    if table is None:
        known = [
            one.table_name.removeprefix(f"{kind}_")
            for one in declared_tables(connection)
            if one.table_name.startswith(f"{kind}_")
        ]
        what = "action with results" if kind == "result" else "source with metadata"
        raise UsageError(f"there is no {what} {name!a}{suggestion(name, known)}")
    return table


def _type(table: DeclaredTable, name: str) -> str:
    column = table.column(name)
    if column is None:
        names = [one.name for one in table.columns]
        raise UsageError(f"{table.table_name} has no column {name!a}{suggestion(name, names)}")
    return column.type
