"""The derived columns of nodes: it owns what new tree edges do to root, component and depth.

It works on what the edges touch: the nodes below their children, the parents of those, and the
components that are joined. The caller holds the lock of the merge, so nothing moves meanwhile, and
inserts the new nodes with the values found here; rows that exist are changed by `carry_out`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg

from sql.core.bigints import read_bigints, write_bigints
from sql.core.errors import SqlError
from sql.core.statements import statements
from sql.intent.tree_order import Children, Int64s, cycle_groups, least_labels, settle, way_back

CYCLES_TRACED_MAX = 100
TANGLE_NODES_MAX = 1_000
"""More dropped edges than this, or cycles in a larger tangle, are reported without the way back."""

_SQL = statements("tree")


def _none() -> Int64s:
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class TreeEdges:
    """Tree edges by node id, with their places in the intent."""

    ordinal: Int64s
    parent: Int64s
    child: Int64s


@dataclass(frozen=True, slots=True)
class Values:
    """Nodes of the database and their derived columns, ordered by node_id."""

    node_id: Int64s = field(default_factory=_none)
    root_id: Int64s = field(default_factory=_none)
    component_id: Int64s = field(default_factory=_none)
    depth: Int64s = field(default_factory=_none)


@dataclass(slots=True)
class Growth:
    """What the new edges change."""

    placed: Values = field(default_factory=Values)
    """New nodes at the ends of tree edges."""
    moved: tuple[Int64s, Int64s, Int64s] | None = None
    """Known nodes whose root or depth changes: node_id, root_id, depth."""
    merged: tuple[Int64s, Int64s] | None = None
    """Components that become part of another: former and new component_id."""
    dropped: Int64s = field(default_factory=_none)
    """Ordinals of edges that lie on cycles."""
    cycles: list[list[int]] = field(default_factory=list[list[int]])
    """For each dropped edge the node ids along a cycle: parent, child, ..."""


@dataclass(slots=True)
class _Graph:
    """The part of the trees that matters: its nodes, what is known of them, its old edges."""

    nodes: Int64s
    below: Int64s
    around: Values
    old_parent: Int64s
    old_child: Int64s


def grow(
    connection: psycopg.Connection[Any], edges: TreeEdges, known: Values, new_from: int
) -> Growth:
    """Find what the edges change. Node ids from `new_from` on are new and have no other edges.

    `known` holds the other ends of the edges. Edges that the database has already must be left out.
    """
    if not len(edges.ordinal):
        return Growth()
    graph = _load(connection, edges, new_from)
    growth = Growth()
    root, depth, stuck = _settled(graph, edges, known)
    if stuck.any():
        edges, growth.dropped, growth.cycles = _without_cycles(graph, edges, stuck)
        root, depth, stuck = _settled(graph, edges, known)
        if stuck.any():
            raise SqlError(
                "the tree edges in the database form a cycle, which no intent can have made; see "
                "`drystone db rebuild-tree`"
            )
    component, growth.merged = _joined(graph.nodes, edges, known, new_from)
    is_new = graph.nodes >= new_from
    growth.placed = Values(*(part[is_new] for part in (graph.nodes, root, component, depth)))
    growth.moved = _moved(graph, root, depth)
    return growth


def carry_out(connection: psycopg.Connection[Any], growth: Growth) -> None:
    """Change the nodes that the database had already."""
    if growth.moved is not None:
        connection.execute(_SQL["make_move"])
        write_bigints(connection, "intent_move", growth.moved)
        connection.execute("ANALYZE intent_move")
        connection.execute(_SQL["move"], prepare=False)
        connection.execute(_SQL["drop_move"])
    if growth.merged is not None:
        connection.execute(_SQL["make_merger"])
        write_bigints(connection, "intent_merger", growth.merged)
        connection.execute("ANALYZE intent_merger")
        connection.execute(_SQL["merge_components"], prepare=False)
        connection.execute(_SQL["drop_merger"])


def tree_relationships(connection: psycopg.Connection[Any]) -> list[int]:
    """Return the ids of the relationships that form trees."""
    return [row[0] for row in connection.execute(_SQL["tree_relationships"])]


def _load(connection: psycopg.Connection[Any], edges: TreeEdges, new_from: int) -> _Graph:
    ends = np.concatenate([edges.parent, edges.child])
    starts = np.unique(edges.child[edges.child < new_from])
    if not len(starts):
        return _Graph(np.unique(ends), _none(), Values(), _none(), _none())
    tree: Mapping[str, object] = {"tree": tree_relationships(connection)}
    connection.execute(_SQL["make_below"])
    connection.execute(_SQL["fill_below"], {**tree, "nodes": starts.tolist()}, prepare=False)
    connection.execute("ANALYZE intent_below")
    (below,) = read_bigints(connection, _SQL["below"], 1)
    old_parent, old_child = read_bigints(connection, _SQL["edges_into_below"], 2, tree)
    around = Values(*read_bigints(connection, _SQL["values_around_below"], 4, tree))
    connection.execute(_SQL["drop_below"])
    nodes = np.unique(np.concatenate([ends, around.node_id]))
    return _Graph(nodes, below, around, old_parent, old_child)


def _settled(graph: _Graph, edges: TreeEdges, known: Values) -> tuple[Int64s, Int64s, Any]:
    """Return root and depth of the graph's nodes, and which of them could not be reached."""
    nodes = graph.nodes
    root, depth = nodes.copy(), np.zeros(len(nodes), np.int64)
    for values in (known, graph.around):
        # What lies below the new edges is worked out anew; all else is as the database has it.
        given = np.isin(values.node_id, nodes) & ~np.isin(values.node_id, graph.below)
        place = np.searchsorted(nodes, values.node_id[given])
        root[place], depth[place] = values.root_id[given], values.depth[given]
    parent = np.searchsorted(nodes, np.concatenate([edges.parent, graph.old_parent]))
    child = np.searchsorted(nodes, np.concatenate([edges.child, graph.old_child]))
    stuck = settle(root, depth, parent, child)
    return root, depth, stuck


def _without_cycles(
    graph: _Graph, edges: TreeEdges, stuck: Any
) -> tuple[TreeEdges, Int64s, list[list[int]]]:
    """Take out the new edges that lie on a cycle of old and new edges."""
    nodes = graph.nodes[stuck]
    pairs = np.stack(
        [
            np.concatenate([edges.parent, graph.old_parent]),
            np.concatenate([edges.child, graph.old_child]),
        ]
    )
    pairs = np.unique(pairs[:, np.isin(pairs, nodes).all(axis=0)], axis=1)
    parent, child = np.searchsorted(nodes, pairs)
    group = cycle_groups(len(nodes), parent, child)
    new_parent, new_child = _position(nodes, edges.parent), _position(nodes, edges.child)
    inside = (new_parent >= 0) & (new_child >= 0)
    on_cycle = inside & (group[new_parent] >= 0) & (group[new_parent] == group[new_child])
    children = Children.of(len(nodes), parent, child)
    sizes = np.bincount(group[group >= 0])
    cycles: list[list[int]] = []
    for one, other in zip(new_parent[on_cycle].tolist(), new_child[on_cycle].tolist(), strict=True):
        traced = len(cycles) < CYCLES_TRACED_MAX and sizes[group[one]] <= TANGLE_NODES_MAX
        way = way_back(children, group, one, other) if traced else [one, other]
        cycles.append(nodes[way].tolist())
    kept = TreeEdges(*(part[~on_cycle] for part in (edges.ordinal, edges.parent, edges.child)))
    return kept, edges.ordinal[on_cycle], cycles


def _position(nodes: Int64s, wanted: Int64s) -> Int64s:
    """Return where each wanted id is among the ordered nodes, -1 for what is not there."""
    place = np.minimum(np.searchsorted(nodes, wanted), len(nodes) - 1)
    return np.where(nodes[place] == wanted, place, -1)


def _joined(
    nodes: Int64s, edges: TreeEdges, known: Values, new_from: int
) -> tuple[Int64s, tuple[Int64s, Int64s] | None]:
    """Return the component of each node (right for new ones), and which components are joined."""
    component = nodes.copy()
    given = np.isin(known.node_id, nodes)
    component[np.searchsorted(nodes, known.node_id[given])] = known.component_id[given]
    left = component[np.searchsorted(nodes, edges.parent)]
    right = component[np.searchsorted(nodes, edges.child)]
    former = np.unique(np.concatenate([left, right]))
    least = least_labels(former, np.searchsorted(former, left), np.searchsorted(former, right))
    place = np.searchsorted(former, component)
    found = _position(former, component) >= 0 if len(former) else np.zeros(len(nodes), bool)
    component[found] = least[place[found]]
    changed = (former != least) & (former < new_from)
    return component, (former[changed], least[changed]) if changed.any() else None


def _moved(graph: _Graph, root: Int64s, depth: Int64s) -> tuple[Int64s, Int64s, Int64s] | None:
    if not len(graph.below):
        return None
    place = np.searchsorted(graph.nodes, graph.below)
    former = np.searchsorted(graph.around.node_id, graph.below)
    root, depth = root[place], depth[place]
    differs = (graph.around.root_id[former] != root) | (graph.around.depth[former] != depth)
    return (graph.below[differs], root[differs], depth[differs]) if differs.any() else None
