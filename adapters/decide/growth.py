"""What later documents have that a plan has not: the plan that has both, and the differences.

Pure. Nothing that the plan has is taken away: a path that later documents lack keeps its column.
"""

from __future__ import annotations

from collections.abc import Iterable

from adapters.decide.names import column_name, free_name
from adapters.decide.plan import EXTRA, POSITION, Plan, PlannedChild, PlannedColumn


def grown(active: Plan, found: Plan) -> tuple[Plan, list[str]]:
    """Return the active plan with the columns of another added, and one line a difference.

    Documents that are kept whole differ in nothing.
    """
    if active.form == "jsonb":
        return active, []
    lines: list[str] = []
    columns = _with_new(active.columns, found.columns, {EXTRA}, "", lines)
    children: list[PlannedChild] = []
    known = {child.key: child for child in active.children}
    for key, child in known.items():
        other = next((one for one in found.children if one.key == key), None)
        more = other.columns if other else ()
        own = _with_new(child.columns, more, {EXTRA, POSITION}, f"{key}[].", lines)
        children.append(child.model_copy(update={"columns": own}))
    tables = {active.name, *(child.name for child in active.children)}
    with_column = {column.path[0] for column in active.columns}
    for child in found.children:
        if child.key not in known and child.key not in with_column:
            name = free_name(child.name, tables)
            tables.add(name)
            children.append(child.model_copy(update={"name": name}))
            lines.append(f"{child.key} is new: a list of objects, the table {name}")
    both = {"columns": columns, "children": tuple(children)}
    return active.model_copy(update=both), lines


def _with_new(
    own: tuple[PlannedColumn, ...],
    found: Iterable[PlannedColumn],
    reserved: set[str],
    place: str,
    lines: list[str],
) -> tuple[PlannedColumn, ...]:
    columns = list(own)
    known = {column.path: column for column in own}
    taken = {*reserved, *(column.name for column in own)}
    for column in found:
        path = place + ".".join(column.path)
        former = known.get(column.path)
        if former is not None:
            if former.type != column.type:
                lines.append(f"{path} was {former.type}, and is {column.type}: it goes into extra")
        elif not _is_inside(column, known):
            name = column_name(column.path, taken)
            taken.add(name)
            columns.append(column.model_copy(update={"name": name}))
            lines.append(f"{path} is new: {name} {column.type}")
    return tuple(columns)


def _is_inside(column: PlannedColumn, known: dict[tuple[str, ...], PlannedColumn]) -> bool:
    """Tell whether a column would be a part of one that there is, or have one in it."""
    return any(
        path[: len(column.path)] == column.path or column.path[: len(path)] == path
        for path in known
    )
