"""The order of tree edges: it owns roots, depths, components and cycles, in pure functions.

All is arrays: nodes are positions 0..n-1, and edges two equally long arrays of positions. It works
level by level and is linear in the edges it is given, so a million edges take seconds and little
memory. It knows no database.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Children:
    """Edges grouped by parent: the children of p are `child[start[p]:start[p + 1]]`."""

    start: Int64s
    child: Int64s

    @classmethod
    def of(cls, count: int, parent: Int64s, child: Int64s) -> Children:
        """Group the edges between `count` nodes; the order within a parent is kept."""
        order = np.argsort(parent, kind="stable")
        start = np.zeros(count + 1, np.int64)
        np.cumsum(np.bincount(parent, minlength=count), out=start[1:])
        return cls(start, child[order])

    def below(self, nodes: Int64s) -> tuple[Int64s, Int64s]:
        """Return (parent, child) of every edge that leaves one of the nodes."""
        counts = self.start[nodes + 1] - self.start[nodes]
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        # Positions within each run of children, without a loop over the nodes.
        offsets = np.arange(total) - np.repeat(ends - counts, counts)
        positions = np.repeat(self.start[nodes], counts) + offsets
        return np.repeat(nodes, counts), self.child[positions]


def settle(root: Int64s, depth: Int64s, parent: Int64s, child: Int64s) -> Bools:
    """Bring root and depth of all nodes that have parents here up to date, in place.

    A node without parents here keeps what it is given with: its own id and 0, or what is known of
    it; depths of all others must be 0. Returns the nodes that could not be reached, which lie on
    cycles or below one; their values mean nothing.
    """
    # A child has the least root of its parents, even when its own id is less.
    root[child] = np.iinfo(np.int64).max
    count = len(root)
    children = Children.of(count, parent, child)
    waiting = np.bincount(child, minlength=count)
    frontier = np.flatnonzero(waiting == 0)
    while len(frontier):
        above, below = children.below(frontier)
        np.minimum.at(root, below, root[above])
        np.maximum.at(depth, below, depth[above] + 1)
        np.subtract.at(waiting, below, 1)
        frontier = np.unique(below[waiting[below] == 0])
    return waiting > 0


def least_labels(labels: Int64s, left: Int64s, right: Int64s) -> Int64s:
    """Return the least label of every weakly connected component.

    `left` and `right` are edges between positions of `labels`. Each round hooks every tree of
    labels to the least neighbour and then flattens, so few rounds are enough even for long chains.
    """
    least = np.argsort(labels, kind="stable")
    rank = np.empty(len(labels), np.int64)
    rank[least] = np.arange(len(labels))
    pointer = np.arange(len(labels))
    one, other = rank[left], rank[right]
    while True:
        low = np.minimum(pointer[one], pointer[other])
        high = np.maximum(pointer[one], pointer[other])
        if np.array_equal(low, high):
            return labels[least[pointer[rank]]]
        np.minimum.at(pointer, high, low)
        flat = pointer[pointer]
        while not np.array_equal(flat, pointer):
            pointer, flat = flat, flat[flat]


def cycle_groups(count: int, parent: Int64s, child: Int64s) -> Int64s:
    """Return the strongly connected component of every node as a number, -1 for single nodes.

    Tarjan (1972) with a stack of its own. Only called when a cycle is known to exist, with the
    nodes that `settle` could not reach.
    """
    children = Children.of(count, parent, child)
    start, targets = children.start.tolist(), children.child.tolist()
    group = np.full(count, -1, np.int64)
    seen = [0] * count  # 0: not yet; otherwise the order of discovery, from 1
    lowest = [0] * count
    on_stack = bytearray(count)
    stack: list[int] = []
    groups = discovered = 0
    for first in range(count):
        if seen[first]:
            continue
        path = [(first, start[first])]
        while path:
            node, position = path.pop()
            if position == start[node]:
                discovered += 1
                seen[node] = lowest[node] = discovered
                stack.append(node)
                on_stack[node] = 1
            elif on_stack[done := targets[position - 1]]:
                lowest[node] = min(lowest[node], lowest[done])
            if position < start[node + 1]:
                path.append((node, position + 1))
                target = targets[position]
                if not seen[target]:
                    path.append((target, start[target]))
                continue
            if lowest[node] == seen[node]:
                members = _pop_until(stack, on_stack, node)
                if len(members) > 1:
                    group[members] = groups
                    groups += 1
    return group


def _pop_until(stack: list[int], on_stack: bytearray, node: int) -> list[int]:
    members = list[int]()
    while not members or members[-1] != node:
        members.append(stack.pop())
        on_stack[members[-1]] = 0
    return members


def way_back(children: Children, group: Int64s, parent: int, child: int) -> list[int]:
    """Return a shortest cycle through the edge, as nodes: parent, child, ... (parent not again)."""
    came_from = {child: -1}
    queue = deque([child])
    while queue:
        node = queue.popleft()
        if node == parent:
            break
        for target in children.child[children.start[node] : children.start[node + 1]].tolist():
            if target not in came_from and group[target] == group[child]:
                came_from[target] = node
                queue.append(target)
    steps = [parent]
    while came_from[steps[-1]] != -1:
        steps.append(came_from[steps[-1]])
    # From the child down to the parent; the parent is put in front instead.
    return [parent, *reversed(steps[1:])]
