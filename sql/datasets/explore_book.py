"""What a person looks at: it owns pages of a selector, and the counts beside it.

Pages go by node_id, so that the last one of a million costs what the first one does. It asks only,
and everything runs as the reading role with its timeout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from sql.core.declared import DeclaredTable, declared_tables
from sql.core.errors import QueryTimeoutError
from sql.core.repository import Repository, rows_of, value_of
from sql.core.statements import statements
from sql.datasets.node_report import LISTED_MAX, NodeReport, node_report
from sql.selector.select import COST_MAX, plan

if TYPE_CHECKING:
    import psycopg

    from sql.core.transactions import Transactions
    from sql.selector.selector import Selector

PAGE_NODES_MAX = 500
FACET_VALUES_MAX = 40
"""Of each facet the most frequent values; a store may have thousands of ingest batches."""
FACET_TIMEOUT_MS = 15_000
MORE_FACETS_TIMEOUT_MS = 8_000
GUEST_FACET_NODES_MAX = 10_000
"""So many nodes are counted for a guest, the newest: each row is looked up in what was granted."""
FACET_NODES_MAX = 200_000
"""So many nodes are looked at for facets that are joined node by node: about two seconds."""

_SQL = statements("explore")

_PAGE = {
    False: SQL(
        "SELECT chosen.node_id FROM ({}) AS chosen"
        " WHERE %(page_cursor)s::bigint IS NULL OR chosen.node_id > %(page_cursor)s"
        " ORDER BY chosen.node_id LIMIT %(page_size)s"
    ),
    True: SQL(
        "SELECT chosen.node_id FROM ({}) AS chosen"
        " WHERE %(page_cursor)s::bigint IS NULL OR chosen.node_id < %(page_cursor)s"
        " ORDER BY chosen.node_id DESC LIMIT %(page_size)s"
    ),
}
_FACET_TIMEOUT = "SELECT set_config('statement_timeout', %s, true)"
# One reading of the chosen nodes serves all facets.
_FACETS = SQL("""
    WITH chosen AS MATERIALIZED (SELECT node_id FROM ({}) AS selected{}),
    by_extension AS (
        SELECT content.file_extension_id, count(*) AS nodes,
            sum(content.file_size_bytes)::bigint AS size_bytes
        FROM chosen LEFT JOIN physical_content AS content USING (node_id) GROUP BY 1
    ),
    by_source AS (
        SELECT source_id, count(*) AS nodes FROM (
            SELECT DISTINCT common.source_id, common.node_id
            FROM chosen JOIN common_metadata AS common USING (node_id)
        ) AS observed GROUP BY 1
    ),
    by_batch AS (
        SELECT member.ingest_batch_id, count(*) AS nodes
        FROM chosen JOIN ingest_batch_node AS member USING (node_id) GROUP BY 1
    )
    SELECT 'extension', coalesce(type.file_extension, ''), coalesce(type.type, 'none'), nodes,
        coalesce(size_bytes, 0)
    FROM by_extension LEFT JOIN file_type AS type USING (file_extension_id)
    UNION ALL
    SELECT 'source', source.description, '', nodes, 0 FROM by_source JOIN source USING (source_id)
    UNION ALL
    SELECT 'ingest_batch', batch.name, '', nodes, 0
    FROM by_batch JOIN ingest_batch AS batch USING (ingest_batch_id)
""")


# What is joined node by node, for the first nodes that are found. A tag is of what it is on and of
# what hangs below that by one edge.
_MORE_FACETS = SQL("""
    WITH chosen AS MATERIALIZED (SELECT node_id FROM ({}) AS selected{}),
    observed AS MATERIALIZED (
        SELECT DISTINCT common.node_id, common.author_description AS author,
            to_char(common.update_time AT TIME ZONE 'UTC', 'YYYY-MM') AS month
        FROM chosen JOIN common_metadata AS common USING (node_id)
    ),
    by_author AS (
        SELECT author, count(DISTINCT node_id) AS nodes FROM observed WHERE author IS NOT NULL
        GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {}
    ),
    by_month AS (
        SELECT month, count(DISTINCT node_id) AS nodes FROM observed WHERE month IS NOT NULL
        GROUP BY 1 ORDER BY 1 DESC LIMIT {}
    ),
    holder AS (
        SELECT node_id, node_id AS holder_id FROM chosen
        UNION ALL
        SELECT chosen.node_id, edge.parent_node_id FROM chosen JOIN edge
        ON edge.child_node_id = chosen.node_id
    ),
    by_tag AS (
        SELECT edge.parent_node_id AS tag_id, count(DISTINCT holder.node_id) AS nodes
        FROM holder JOIN edge ON edge.child_node_id = holder.holder_id
        JOIN relationship USING (relationship_id)
        WHERE relationship.description = 'tagged' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {}
    ),
    by_dataset AS (
        SELECT member.dataset_version_id, count(*) AS nodes
        FROM chosen JOIN dataset_member AS member USING (node_id)
        GROUP BY 1 ORDER BY 1 DESC LIMIT {}
    ),
    counted AS (
        SELECT 'author' AS facet, author AS value, node.node_id, nodes
        FROM by_author LEFT JOIN node ON node.sha256 = sha256(convert_to(author, 'UTF8'))
        UNION ALL
        SELECT 'month', month, NULL, nodes FROM by_month
        UNION ALL
        SELECT 'tag', asset.description, tag_id, nodes
        FROM by_tag JOIN virtual_asset AS asset ON asset.node_id = tag_id
        UNION ALL
        SELECT 'dataset', dataset.name || '@' || version.version, NULL, nodes
        FROM by_dataset JOIN dataset_version AS version USING (dataset_version_id)
        JOIN dataset USING (dataset_id)
    )
    SELECT facet, value, coalesce((
        SELECT left(common.title, 200) FROM common_metadata AS common
        WHERE common.node_id = counted.node_id AND common.title IS NOT NULL
        ORDER BY common.download_time DESC NULLS LAST, common.metadata_id DESC LIMIT 1
    ), ''), nodes
    FROM counted
    ORDER BY facet, CASE WHEN facet IN ('month', 'dataset') THEN value END DESC, nodes DESC, value
""")
_LABELS = SQL("""
    SELECT {}::text || ':' || {} AS value, count(DISTINCT chosen.node_id) AS nodes
    FROM (SELECT node_id FROM ({}) AS selected{}) AS chosen JOIN {} USING (node_id)
    WHERE {} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {}
""")
LABEL_COLUMN = "label"
"""What a column of results is called that says what something shows; see the shipped contracts."""


MADE = "generated"
"""The source of all that actions make."""


class ExploredNode(NamedTuple):
    """One node of a page; size, extension and media type are None without bytes."""

    node_id: int
    key: str
    size_bytes: int | None
    extension: str | None
    media_type: str | None
    description: str
    title: str
    source: str
    above: str = ""
    """Of what was made, the title of what it was made of."""


class FacetValue(NamedTuple):
    """One value of a facet, how many of the nodes have it, and what people call it."""

    value: str
    nodes: int
    title: str = ""


class Facets(NamedTuple):
    """Counts over the nodes of a selector; a node from two sources counts in both.

    Authors, tags, months, labels and datasets are counted over FACET_NODES_MAX of them at most, and
    left out when that takes too long; values of `label` are ACTION:LABEL.
    """

    nodes: int
    size_bytes: int
    media_type: tuple[FacetValue, ...]
    extension: tuple[FacetValue, ...]
    source: tuple[FacetValue, ...]
    ingest_batch: tuple[FacetValue, ...]
    author: tuple[FacetValue, ...] = ()
    tag: tuple[FacetValue, ...] = ()
    month: tuple[FacetValue, ...] = ()
    label: tuple[FacetValue, ...] = ()
    dataset: tuple[FacetValue, ...] = ()
    is_part: bool = False
    """Whether there may be more nodes than were counted: for guests up to GUEST_FACET_NODES_MAX."""


class ExploreBook(Repository):
    """Questions of people who look around; none changes a row."""

    def __init__(self, database: Transactions, counted_max: int | None = None) -> None:
        """Facets are counted over the newest `counted_max` nodes, or over all."""
        super().__init__(database)
        self._counted_max = counted_max

    def page(
        self,
        selector: Selector,
        *,
        cursor: int | None = None,
        newest_first: bool = True,
        limit: int = 120,
    ) -> list[ExploredNode]:
        """Return the nodes of a selector after the node `cursor`, by node_id.

        The selector's own order is not followed: pages need one that a cursor can stand in. Raises
        SelectorError and QueryTimeoutError.
        """
        given = {"page_cursor": cursor, "page_size": min(limit, PAGE_NODES_MAX)}
        with self._database.reading() as connection:
            planned = plan(connection, selector, "keys", COST_MAX).compiled
            statement = _PAGE[newest_first].format(planned.statement)
            found = connection.execute(statement, {**planned.parameters, **given}).fetchall()
            return _details(connection, [node_id for (node_id,) in found])

    def details(self, node_ids: Sequence[int]) -> list[ExploredNode]:
        """Return these nodes in this order; those that do not exist are left out."""
        with self._database.reading() as connection:
            return _details(connection, node_ids)

    def node(self, name: str, rows_max: int = LISTED_MAX) -> NodeReport:
        """Report on the node with this key, node_id or description; NotFoundError without one.

        At most so many rows of each kind.
        """
        with self._database.reading() as connection:
            return node_report(connection, name, rows_max)

    def label_columns(self) -> list[tuple[str, str]]:
        """Return table and column of everything that says what a node shows, by table."""
        with self._database.reading() as connection:
            return [(table.table_name, LABEL_COLUMN) for table in _with_labels(connection)]

    def facets(self, selector: Selector) -> Facets:
        """Count the nodes of a selector by what people filter for."""
        with self._database.reading() as connection:
            planned = plan(connection, selector, "keys", COST_MAX).compiled
            connection.execute(_FACET_TIMEOUT, [str(FACET_TIMEOUT_MS)])
            statement: Composed = _FACETS.format(planned.statement, self._cut())
            rows = connection.execute(statement, planned.parameters).fetchall()
        found = _facets_of(rows)
        found = found._replace(is_part=found.nodes == self._counted_max)
        try:
            return found._replace(**self._more_facets(selector))
        except QueryTimeoutError:
            return found

    def _cut(self, nodes_max: int | None = None) -> Composable:
        if self._counted_max is not None:
            return SQL(" ORDER BY node_id DESC LIMIT {}").format(Literal(self._counted_max))
        return SQL("") if nodes_max is None else SQL(" LIMIT {}").format(Literal(nodes_max))

    def _more_facets(self, selector: Selector) -> dict[str, Any]:
        values: dict[str, list[FacetValue]] = {}
        most = Literal(FACET_VALUES_MAX)
        limits = (self._cut(FACET_NODES_MAX), most, most, most, most)
        with self._database.reading() as connection:
            planned = plan(connection, selector, "keys", COST_MAX).compiled
            connection.execute(_FACET_TIMEOUT, [str(MORE_FACETS_TIMEOUT_MS)])
            statement = _MORE_FACETS.format(planned.statement, *limits)
            for facet, value, title, nodes in connection.execute(statement, planned.parameters):
                values.setdefault(facet, []).append(FacetValue(value, nodes, title))
            for table in _with_labels(connection):
                if table.kind != "action":
                    continue
                name = Identifier(table.table_name, LABEL_COLUMN)
                statement = _LABELS.format(
                    Literal(table.name), name, planned.statement, limits[0],
                    Identifier(table.table_name), name, most,
                )  # fmt: skip
                for value, nodes in connection.execute(statement, planned.parameters):
                    title = value.partition(":")[2]
                    values.setdefault("label", []).append(FacetValue(value, nodes, title))
        return {facet: tuple(found) for facet, found in values.items()}


def _with_labels(connection: psycopg.Connection[Any]) -> list[DeclaredTable]:
    found = [(table, table.column(LABEL_COLUMN)) for table in declared_tables(connection)]
    return [table for table, column in found if column is not None and column.type == "text"]


def _details(connection: psycopg.Connection[Any], node_ids: Sequence[int]) -> list[ExploredNode]:
    found = rows_of(connection, ExploredNode, _SQL["details"], {"node_ids": list(node_ids)})
    unnamed = [
        one.node_id for one in found if not one.above and (not one.title or one.source == MADE)
    ]
    if not unnamed or not value_of(connection, _SQL["has_file_names"]):
        return found
    rows = connection.execute(_SQL["file_names"], {"node_ids": unnamed}).fetchall()
    named = {node_id: (is_above, name) for node_id, is_above, name in rows}
    return [_named(one, *named[one.node_id]) if one.node_id in named else one for one in found]


def _named(node: ExploredNode, is_above: bool, name: str) -> ExploredNode:
    """Return a node that is called by the name of a file."""
    return node._replace(above=name) if is_above else node._replace(title=node.title or name)


def _facets_of(rows: Sequence[Any]) -> Facets:
    counts: dict[str, dict[str, int]] = {
        "media_type": {}, "extension": {}, "source": {}, "ingest_batch": {},
    }  # fmt: skip
    nodes_all = size_bytes = 0
    for facet, value, media_type, nodes, node_bytes in rows:
        if facet == "extension":
            nodes_all, size_bytes = nodes_all + nodes, size_bytes + node_bytes
            kinds = counts["media_type"]
            kinds[media_type] = kinds.get(media_type, 0) + nodes
            if not value:
                continue
        counts[facet][value] = nodes
    by_name: dict[str, Any] = {name: _frequent(found) for name, found in counts.items()}
    return Facets(nodes_all, size_bytes, **by_name)


def _frequent(counts: dict[str, int]) -> tuple[FacetValue, ...]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(FacetValue(*item) for item in ordered[:FACET_VALUES_MAX])
