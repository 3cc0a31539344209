"""Values of candidates: it owns the statements that find labels, metadata and boxes.

Beside the selector's compiler the only place that composes SQL: column names come from declared
tables, everything else is bound. A name that the database does not have is a UsageError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from base.errors import UsageError
from base.mistakes import suggestion
from sql.core.declared import DeclaredTable, declared_tables, schema_of
from sql.datasets.dataset_question import (
    Boxes,
    DatasetQuestion,
    NearDuplicates,
    ResultColumn,
    TreeAncestor,
    ValueSource,
)
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


def found_values(connection: psycopg.Connection[Any], wanted: ValueSource) -> Composed:
    """Return the statement of (node_id, value, place) for all candidates; place 0 comes first.

    A value has the type of its column; each element of an array is a value.
    """
    if wanted.tree is not None:
        return _named_ancestors(wanted.tree)
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
    connection: psycopg.Connection[Any], wanted: ValueSource
) -> tuple[str, Composable, Composable, Composable]:
    """Return the table, the value, the place, and a join that takes an array apart."""
    if wanted.metadata is not None:
        value = SQL(_FIELDS[wanted.metadata.field])
        return "common_metadata", value, SQL("row.metadata_id"), SQL("")
    if wanted.result is not None:
        name, table = wanted.result.column, _declared(connection, "result", wanted.result.action)
    else:
        assert wanted.source_metadata is not None
        name = wanted.source_metadata.column
        table = _declared(connection, "meta", wanted.source_metadata.source)
    column = Identifier("row", name)
    if _type(table, name).endswith("[]"):
        lateral = SQL(" CROSS JOIN LATERAL unnest({}) AS element (value)").format(column)
        return table.table_name, SQL("element.value"), SQL("row.id"), lateral
    return table.table_name, column, SQL("row.id"), SQL("")


def _named_ancestors(wanted: TreeAncestor) -> Composed:
    """The nearest level of ancestors whose description begins with the prefix."""
    prefix = wanted.ancestor.rstrip(":") + ":"
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


def found_boxes(connection: psycopg.Connection[Any], wanted: Boxes) -> Composed:
    """Return the statement of (node_id, boxes): boxes as JSON arrays, of known classes only.

    Each is [class number, x, y, width, height, confidence, geometry, number], as the columns have
    them, the last three null where there is none. What a source said several times is one box.
    """
    if wanted.action is not None:
        table = _declared(connection, "result", wanted.action)
    else:
        table = _declared(connection, "meta", wanted.source or "")
    names = [wanted.x, wanted.y, wanted.width, wanted.height]
    for name in names:
        if _type(table, name) not in ("bigint", "integer", "double precision"):
            raise UsageError(f"boxes.{name}: the column is no number, but {_type(table, name)}")
    _type(table, wanted.label)
    conditions = [SQL("{} IS NOT NULL").format(Identifier("row", name)) for name in names]
    if wanted.confidence is not None and wanted.confidence_min is not None:
        confidence = Identifier("row", wanted.confidence)
        conditions.append(SQL("{} >= {}").format(confidence, Literal(wanted.confidence_min)))
    given = {name: Identifier("row", column) for name, column in _box_columns(table, wanted)}
    chosen = SQL(", ").join(
        SQL("{} AS {}").format(column, Identifier(name)) for name, column in given.items()
    )
    # The same batch, or a copy of it with other times, is told of once.
    told = SQL("SELECT row.node_id, {first} AS place, {chosen} FROM candidate JOIN {table} AS row"
        " USING (node_id) WHERE candidate.reason IS NULL AND {conditions}{group}"
    ).format(
        first=SQL("row.id" if wanted.action is not None else "min(row.id)"),
        chosen=chosen,
        table=Identifier(table.table_name),
        conditions=SQL(" AND ").join(conditions),
        group=SQL("")
        if wanted.action is not None
        else SQL(" GROUP BY row.node_id, {}").format(SQL(", ").join(given.values())),
    )  # fmt: skip
    more = [Identifier(name) if name in given else SQL("NULL") for name in _BOX_EXTRAS]
    return SQL(
        "SELECT told.node_id, jsonb_agg(jsonb_build_array(class_list.number, told.x, told.y,"
        " told.width, told.height, {more}) ORDER BY told.place) AS boxes FROM ({told}) AS told"
        " LEFT JOIN label_map AS mapped ON mapped.value = told.label::text"
        " JOIN class_list ON class_list.class = CASE WHEN mapped.value IS NULL"
        " THEN told.label::text ELSE mapped.class END GROUP BY told.node_id"
    ).format(more=SQL(", ").join(more), told=told)


_BOX_EXTRAS = ("confidence", "geometry", "annotation_number")


def _box_columns(table: DeclaredTable, wanted: Boxes) -> Iterator[tuple[str, str]]:
    """Yield what of a box is in which column; those of a source's labels are known by name."""
    for name in ("label", "x", "y", "width", "height"):
        yield name, getattr(wanted, name)
    names = (wanted.confidence, wanted.geometry, wanted.number)
    usual = ("confidence", "geometry", "annotation_id") if wanted.source else (None, None, None)
    for name, column, own in zip(_BOX_EXTRAS, names, usual, strict=True):
        if column is not None:
            _type(table, column)
            yield name, column
        elif own is not None and table.column(own) is not None:
            yield name, own


def found_near(connection: psycopg.Connection[Any], wanted: NearDuplicates) -> Composed:
    """Return the statement of (node_id, value): equal values look alike."""
    if wanted.action is not None and wanted.column is not None:
        result = ResultColumn(action=wanted.action, column=wanted.column)
        found = found_values(connection, ValueSource(result=result))
        return SQL(
            "SELECT node_id, dense_rank() OVER (ORDER BY value)::bigint AS value FROM ({}) AS found"
        ).format(found)
    known = connection.execute(
        "SELECT DISTINCT description FROM relationship ORDER BY 1", prepare=False
    ).fetchall()
    names = [name for (name,) in known]
    assert wanted.relationship is not None
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
