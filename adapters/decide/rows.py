"""Rows of documents: each value goes into its column, and what has none or does not fit into JSON.

Pure. Whatever a document says is in its row, in rows of its lists, or in the rest; that a member
is null and that it is not there are the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from adapters.decide.kinds import fits
from adapters.decide.plan import EXTRA, POSITION, Plan, PlannedColumn

Values = dict[str, Any]
_Tree = dict[str, Any]


@dataclass(frozen=True)
class RowMaker:
    """Makes the rows of documents by one plan."""

    plan: Plan

    def rows(self, document: Mapping[str, Any]) -> list[tuple[str, Values]]:
        """Return rows as (table, values): the document's own first, then those of its lists."""
        if self.plan.form == "jsonb":
            return [(self.plan.name, {self.plan.rest: json_text(document)})]
        values: Values = {}
        rest = _place(document, self._tree, values)
        rows: list[tuple[str, Values]] = [(self.plan.name, values)]
        for child in self.plan.children:
            members: Any = rest.get(child.key)
            if _is_list_of_objects(members):
                del rest[child.key]
                tree = self._child_trees[child.key]
                rows += [
                    (child.name, _member_row(tree, place, member))
                    for place, member in enumerate(members)
                ]
        if rest:
            values[self.plan.rest] = json_text(rest)
        return rows

    @cached_property
    def _tree(self) -> _Tree:
        return _tree_of(self.plan.columns)

    @cached_property
    def _child_trees(self) -> dict[str, _Tree]:
        return {child.key: _tree_of(child.columns) for child in self.plan.children}


def _tree_of(columns: Iterable[PlannedColumn]) -> _Tree:
    """Return the columns by the parts of their paths."""
    tree: _Tree = {}
    for column in columns:
        inner = tree
        for part in column.path[:-1]:
            inner = inner.setdefault(part, {})
        inner[column.path[-1]] = column
    return tree


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _member_row(tree: _Tree, place: int, member: Mapping[str, Any]) -> Values:
    values: Values = {POSITION: place}
    rest = _place(member, tree, values)
    if rest:
        values[EXTRA] = json_text(rest)
    return values


def _place(members: Mapping[str, Any], tree: _Tree, values: Values) -> dict[str, Any]:
    """Put members into `values`; returns what is left."""
    rest: dict[str, Any] = {}
    for name, value in members.items():
        if value is None:
            continue
        planned = tree.get(name)
        if isinstance(planned, PlannedColumn):
            if not fits(planned.type, value):
                rest[name] = value
            else:
                values[planned.name] = json_text(value) if planned.type == "jsonb" else value
        elif isinstance(planned, dict) and isinstance(value, dict):
            found: Values = {}
            left = _place(value, planned, found)
            values.update(found)
            # An object of which nothing was placed is still there.
            if left or not found:
                rest[name] = left
        else:
            rest[name] = value
    return rest


def json_text(value: Any) -> str:
    """Return a value as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def document_of(plan: Plan, rows: Iterable[tuple[str, Values]]) -> dict[str, Any]:
    """Return the document that rows were made of, without what is null."""
    (_, own), *others = rows
    if plan.form == "jsonb":
        return json.loads(own[plan.rest])
    document = _restored(own, plan.columns, EXTRA)
    for child in plan.children:
        members = [values for table, values in others if table == child.name]
        if members:
            document[child.key] = [
                _restored(values, child.columns, EXTRA)
                for values in sorted(members, key=lambda one: one[POSITION])
            ]
    return document


def _restored(values: Values, columns: Iterable[PlannedColumn], rest: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(values.get(rest, "{}"))
    for column in columns:
        if column.name not in values:
            continue
        inner = document
        for part in column.path[:-1]:
            inner = inner.setdefault(part, {})
        value = values[column.name]
        inner[column.path[-1]] = json.loads(value) if column.type == "jsonb" else value
    return document
