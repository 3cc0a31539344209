"""Decides whether documents become rows of a table, or stay JSON, and says why.

Pure: the same documents and thresholds give the same decision.
"""

from __future__ import annotations

import hashlib
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from adapters.decide.kinds import SCALARS, TYPES
from adapters.decide.names import column_name, free_name
from adapters.decide.plan import EXTRA, POSITION, Plan, PlannedChild, PlannedColumn, child_name
from adapters.decide.profile import EACH, Path, PathProfile, profile
from adapters.decide.shapes import is_value

COLUMNS_MAX = 100
INDEXES_MAX = 3
OWN_TYPE_MIN = 0.9
"""A column has the type of so many of its values, the others go into `extra`; below it is JSON."""
SELECTIVE_MIN = 0.5
"""Share of different values from which an index of a column is worth its writing."""
COMMENT_LENGTH_MAX = 400


class Thresholds(BaseModel):
    """What makes a table of JSON documents."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sample_documents: int = Field(default=128, ge=1, le=10_000)
    """So many documents are looked at: those of the lowest content hashes."""
    keys_max: int = Field(default=20, ge=1, le=COLUMNS_MAX)
    """A table has at most so many top-level keys."""
    stability_min: float = Field(default=0.6, gt=0, le=1)
    """Average share of documents in which a path is there with its commonest type, or null."""
    depth_max: int = Field(default=2, ge=1, le=2)
    """Objects in objects, to this depth, become columns."""
    presence_min: float = Field(default=0.05, ge=0, le=1)
    """What is in fewer documents gets no column, and goes into `extra`."""


class Decision(BaseModel):
    """What was decided about documents, and all that a person needs to decide otherwise."""

    model_config = ConfigDict(frozen=True)

    plan: Plan
    """In the form that was chosen."""
    table: Plan
    """The table, also where it was not chosen."""
    reasons: tuple[str, ...]
    structure_hash: str
    """Of the paths that every document has, and their kinds."""
    sampled: int
    paths: tuple[PathProfile, ...]


def decide(
    documents: list[Mapping[str, Any]], name: str, thresholds: Thresholds | None = None
) -> Decision:
    """Decide about a sample of documents that is to become the table `name`."""
    limits = thresholds or Thresholds()
    paths = profile(documents)
    kept = {path: one for path, one in paths.items() if one.presence >= limits.presence_min}
    table = _table(name, kept, limits)
    reasons, is_table = _reasons(kept, table, limits)
    return Decision(
        plan=table if is_table else table.as_document(),
        table=table,
        reasons=reasons,
        structure_hash=_structure_hash(paths.values()),
        sampled=len(documents),
        paths=tuple(paths.values()),
    )


def _structure_hash(paths: Iterable[PathProfile]) -> str:
    required = [
        f"{'.'.join(one.path)}:{one.kind}"
        for one in paths
        if one.present == one.of and not one.nulls and EACH not in one.path
    ]
    return hashlib.blake2b("\n".join(sorted(required)).encode(), digest_size=16).hexdigest()


def _reasons(
    kept: Mapping[Path, PathProfile], table: Plan, limits: Thresholds
) -> tuple[tuple[str, ...], bool]:
    keys = sum(len(path) == 1 for path in kept)
    depth = max((len(path) for path in kept if EACH not in path), default=0)
    columns = {column.path for column in table.columns}
    lists = {(child.key,) for child in table.children}
    stability = [kept[path].stability for path in {*columns, *lists}]
    average = statistics.fmean(stability) if stability else 0.0
    others = [
        ".".join(path) for path, one in kept.items() if one.kind == "objects" and path not in lists
    ]
    checks = [
        (
            bool(lists) or any(column.type != "jsonb" for column in table.columns),
            f"{len(columns)} columns",
            "no key that many documents share, with values of one kind",
        ),
        (
            keys <= limits.keys_max,
            f"{keys} top-level keys, at most {limits.keys_max}",
            f"{keys} top-level keys, and a table has at most {limits.keys_max}",
        ),
        (
            depth <= limits.depth_max,
            f"depth {depth}, at most {limits.depth_max}",
            f"depth {depth}, and a table has at most {limits.depth_max}",
        ),
        (
            average >= limits.stability_min,
            f"average stability {average:.2f}, at least {limits.stability_min:g}",
            f"average stability {average:.2f}, and a table has at least {limits.stability_min:g}",
        ),
        (
            not others,
            f"{len(lists)} lists of flat objects of one shape" if lists else "no lists of objects",
            f"lists of objects that are not flat or not of one shape: {', '.join(others[:5])}",
        ),
    ]
    failed = tuple(other for is_so, _, other in checks if not is_so)
    return failed or tuple(words for _, words, _ in checks), not failed


# ---- The table -----------------------------------------------------------------------------------


def _table(name: str, kept: Mapping[Path, PathProfile], limits: Thresholds) -> Plan:
    children: list[PlannedChild] = []
    flat: list[PathProfile] = []
    tables, flattened = {name}, _flattened(kept, limits)
    for path, one in kept.items():
        # Not the inside of a column, nor what is flattened.
        if one.kind == "null" or path[:-1] not in flattened or path in flattened:
            continue
        child = _child(name, path, kept, limits, tables) if one.kind == "objects" else None
        if child is not None:
            children.append(child)
            tables.add(child.name)
        else:
            flat.append(one)
    columns = _columns(flat, {EXTRA}, 0, kept)
    indexed = _selective(columns, kept)
    marked = tuple(
        column.model_copy(update={"is_indexed": column.path in indexed}) for column in columns
    )
    return Plan(name=name, form="table", columns=marked, children=tuple(children))


def _columns(
    found: list[PathProfile], taken: set[str], above: int, kept: Mapping[Path, PathProfile]
) -> list[PlannedColumn]:
    """Return the columns of paths, in the order in which documents mostly have them.

    Of `Name` and `name` the second gets its own name, and the first another.
    """
    names: dict[Path, str] = {}
    named = set(taken)
    for one in sorted(found, key=lambda one: (_has_capitals(one.path[above:]), one.path)):
        names[one.path] = column_name(one.path[above:], named)
        named.add(names[one.path])
    ordered = sorted(found, key=lambda one: (_places(one.path, kept), one.path))
    return [_column(one, names[one.path], above) for one in ordered[:COLUMNS_MAX]]


def _has_capitals(path: Path) -> bool:
    return any(part.lower() != part for part in path)


def _places(path: Path, kept: Mapping[Path, PathProfile]) -> tuple[float, ...]:
    parts = [path[: length + 1] for length in range(len(path))]
    return tuple(kept[part].position for part in parts if part in kept)


def _flattened(kept: Mapping[Path, PathProfile], limits: Thresholds) -> set[Path]:
    """Return the objects whose members are columns of their own, and the document itself."""
    members = Counter(path[:-1] for path in kept)
    # What has keys that are values, or very many, is a map and no record.
    maps = {path[:-1] for path in kept if is_value(path[-1])}
    found: set[Path] = {()}
    for path, one in kept.items():
        is_shallow = len(path) < limits.depth_max and path[:-1] in found
        is_record = 0 < members[path] <= limits.keys_max and path not in maps
        if is_shallow and is_record and one.kind == "object" and _is_stable(one, limits):
            found.add(path)
    return found


def _is_stable(one: PathProfile, limits: Thresholds) -> bool:
    """Tell whether the values at a path are mostly of one kind, however rare they are."""
    count = one.stability * one.of
    return count / one.present >= limits.stability_min


def _column(one: PathProfile, name: str, above: int) -> PlannedColumn:
    total = sum(count for kind, count in one.kinds.items() if kind != "null")
    of_kind = one.stability * one.of - one.nulls
    # Half of this and half of that is JSON; a few odd values go into `extra`.
    is_one = total > 0 and of_kind / total >= OWN_TYPE_MIN
    return PlannedColumn(
        path=one.path[above:],
        name=name,
        type=TYPES[one.kind] if is_one else "jsonb",
        comment=_comment(one.path[above:], one),
    )


def _comment(path: Path, one: PathProfile) -> str:
    words = ["an identity"] if one.is_id else []
    if one.epoch:
        words.append({"s": "seconds", "ms": "milliseconds"}[one.epoch] + " since 1970")
    words.append(f"in {one.presence:.0%} of those looked at")
    text = f"{'.'.join(path)[:200]}: {', '.join(words)}"
    shown = "".join(char if char.isprintable() else "?" for char in text)
    return shown[:COMMENT_LENGTH_MAX]


def _child(
    name: str,
    path: Path,
    kept: Mapping[Path, PathProfile],
    limits: Thresholds,
    tables: set[str],
) -> PlannedChild | None:
    """Return the table of a list's members, where they are flat and of one shape."""
    if len(path) > 1:
        return None
    place, key = (*path, EACH), "".join(path)
    members = {other: one for other, one in kept.items() if other[: len(place)] == place}
    is_flat = all(
        len(other) == len(place) + 1 and (one.kind in SCALARS or one.kind == "null")
        for other, one in members.items()
    )
    found = [one for one in members.values() if one.kind != "null"]
    if not is_flat or not 0 < len(found) <= limits.keys_max:
        return None
    if statistics.fmean(one.stability for one in found) < limits.stability_min:
        return None
    return PlannedChild(
        key=key,
        name=free_name(child_name(name, key), tables),
        columns=tuple(_columns(found, {EXTRA, POSITION}, len(place), kept)),
    )


def _selective(columns: list[PlannedColumn], kept: Mapping[Path, PathProfile]) -> set[Path]:
    """Return the scalars whose values tell documents apart best: identities, then the others."""

    def share(column: PlannedColumn) -> float:
        one = kept[column.path]
        return one.cardinality / max(one.present - one.nulls, 1)

    able = [
        column
        for column in columns
        if column.type in ("text", "bigint", "timestamptz", "date")
        and share(column) >= SELECTIVE_MIN
        # Long texts are read, not looked up.
        and not any(len(example) >= 64 for example in kept[column.path].examples)
    ]
    able.sort(key=lambda one: (not kept[one.path].is_id, -share(one), one.path))
    return {column.path for column in able[:INDEXES_MAX]}
