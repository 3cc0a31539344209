"""What a person looks at: it owns pages of a selector, and the counts beside it.

Pages go by node_id, so that the last one of a million costs what the first one does. It asks only,
and everything runs as the reading role with its timeout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg.sql import SQL, Composed

from sql.core.statements import statements
from sql.datasets.node_report import NodeReport, node_report
from sql.selector.select import COST_MAX, plan

if TYPE_CHECKING:
    import psycopg

    from sql.core.transactions import Transactions
    from sql.selector.selector import Selector

PAGE_NODES_MAX = 500
FACET_VALUES_MAX = 40
"""Of each facet the most frequent values; a store may have thousands of ingest batches."""
FACET_TIMEOUT_MS = 15_000

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
    WITH chosen AS MATERIALIZED (SELECT node_id FROM ({}) AS selected),
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


class FacetValue(NamedTuple):
    """One value of a facet and how many of the nodes have it."""

    value: str
    nodes: int


class Facets(NamedTuple):
    """Counts over all nodes of a selector; a node from two sources counts in both."""

    nodes: int
    size_bytes: int
    media_type: tuple[FacetValue, ...]
    extension: tuple[FacetValue, ...]
    source: tuple[FacetValue, ...]
    ingest_batch: tuple[FacetValue, ...]


class ExploreBook:
    """Questions of people who look around; none changes a row."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

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
            return _details(connection, [row[0] for row in found])

    def details(self, node_ids: Sequence[int]) -> list[ExploredNode]:
        """Return these nodes in this order; those that do not exist are left out."""
        with self._database.reading() as connection:
            return _details(connection, node_ids)

    def node(self, name: str) -> NodeReport:
        """Report on the node with this key, node_id or description; NotFoundError without one."""
        with self._database.reading() as connection:
            return node_report(connection, name)

    def facets(self, selector: Selector) -> Facets:
        """Count the nodes of a selector by what people filter for."""
        with self._database.reading() as connection:
            planned = plan(connection, selector, "keys", COST_MAX).compiled
            connection.execute(_FACET_TIMEOUT, [str(FACET_TIMEOUT_MS)])
            statement: Composed = _FACETS.format(planned.statement)
            rows = connection.execute(statement, planned.parameters).fetchall()
        return _facets_of(rows)


def _details(connection: psycopg.Connection[Any], node_ids: Sequence[int]) -> list[ExploredNode]:
    given = {"node_ids": list(node_ids)}
    return [ExploredNode(*row) for row in connection.execute(_SQL["details"], given).fetchall()]


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
    return Facets(
        nodes_all, size_bytes, **{name: _frequent(found) for name, found in counts.items()}
    )


def _frequent(counts: dict[str, int]) -> tuple[FacetValue, ...]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(FacetValue(*item) for item in ordered[:FACET_VALUES_MAX])
