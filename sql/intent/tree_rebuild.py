"""The derived columns of all nodes: it owns working them out from nothing, and telling differences.

Intents keep root_id, component_id and depth right as they go (sql/intent/tree.py); this is the
independent way to the same values, for after a repair by hand and for tests. Ten million nodes take
about a gigabyte of memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
from pydantic import BaseModel, ConfigDict

from sql.core.bigints import Int64s, read_bigints, write_bigints
from sql.core.errors import SqlError
from sql.core.statements import statements
from sql.intent.tree import Values
from sql.intent.tree_order import least_labels, settle

WRONG_NODES_SHOWN = 20

_SQL = statements("tree")
_LOCK = statements("apply")["lock"]


class WrongNode(BaseModel):
    """A node whose derived columns are not what its edges say."""

    model_config = ConfigDict(frozen=True)

    node_id: int
    found: tuple[int, int, int]
    """root_id, component_id, depth as they are."""
    right: tuple[int, int, int]


class DerivedCheck(BaseModel):
    """The outcome of a check; `wrong` holds the first few of `wrong_count` nodes."""

    model_config = ConfigDict(frozen=True)

    nodes: int
    edges: int
    wrong_count: int
    wrong: tuple[WrongNode, ...]


def check_derived(connection: psycopg.Connection[Any]) -> DerivedCheck:
    """Compare root_id, component_id and depth of all nodes with what the tree edges say."""
    with connection.transaction():
        return _checked(connection, repair=False)


def rebuild_derived(connection: psycopg.Connection[Any]) -> DerivedCheck:
    """Put the derived columns right and return what was wrong; intents wait meanwhile.

    Raises SqlError when tree edges form a cycle, and then changes nothing.
    """
    with connection.transaction():
        return _checked(connection, repair=True)


def _checked(connection: psycopg.Connection[Any], *, repair: bool) -> DerivedCheck:
    # The lock of the merge: nodes and edges are those of one moment.
    connection.execute(_LOCK)
    found = Values(*read_bigints(connection, _SQL["all_values"], 4))
    parent, child = read_bigints(connection, _SQL["all_edges"], 2)
    right = derived(found.node_id, parent, child)
    differs = (
        (found.root_id != right.root_id)
        | (found.component_id != right.component_id)
        | (found.depth != right.depth)
    )
    if repair and differs.any():
        connection.execute(_SQL["make_right"])
        columns = (right.node_id, right.root_id, right.component_id, right.depth)
        write_bigints(connection, "right_values", tuple(column[differs] for column in columns))
        connection.execute(_SQL["set_right"], prepare=False)
        connection.execute(_SQL["drop_right"])
    return DerivedCheck(
        nodes=len(found.node_id),
        edges=len(parent),
        wrong_count=int(differs.sum()),
        wrong=tuple(
            WrongNode(
                node_id=int(found.node_id[place]),
                found=_triple(found, place),
                right=_triple(right, place),
            )
            for place in np.flatnonzero(differs)[:WRONG_NODES_SHOWN].tolist()
        ),
    )


def derived(node_ids: Int64s, parent_ids: Int64s, child_ids: Int64s) -> Values:
    """Return the derived columns of all nodes, which must be in order, from all tree edges."""
    parent, child = np.searchsorted(node_ids, parent_ids), np.searchsorted(node_ids, child_ids)
    root, depth = node_ids.copy(), np.zeros(len(node_ids), np.int64)
    stuck = settle(root, depth, parent, child)
    if stuck.any():
        some = ", ".join(map(str, node_ids[stuck][:5]))
        raise SqlError(
            f"{stuck.sum()} nodes lie on or below a cycle of tree edges, among them {some}; no "
            "intent makes one: find the edge that was written by hand and delete it"
        )
    return Values(node_ids, root, least_labels(node_ids, parent, child), depth)


def _triple(values: Values, place: int) -> tuple[int, int, int]:
    columns = (values.root_id, values.component_id, values.depth)
    root, component, depth = (int(column[place]) for column in columns)
    return root, component, depth
