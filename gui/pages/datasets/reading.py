"""What the pages of datasets read: it owns the readings, their shapes and nothing of how they look.

Everything here blocks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import yaml

from base.errors import UsageError
from sql import NotFoundError

if TYPE_CHECKING:
    from datasets import Comparison, SplitsReport
    from sql import Database, DatasetExport, DatasetVersion, ExploredNode, MemberChange

MEMBERS_SHOWN = 24
CHANGES_SHOWN = 60
_SPLITS = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "test": 2}
_NUMBER_DIGITS_MAX = 9
_FIRST = ("version", "name", "description", "selector", "labels", "splits", "layout", "mode")
"""What people write first; the rest follows by name."""


class VersionLine(NamedTuple):
    """A version as a list shows it; `leaking` names the kinds of kinship its splits separate."""

    name: str
    version: int
    state: str
    layout_id: str
    files: int
    size_bytes: int
    splits: tuple[tuple[str, int], ...]
    classes: int
    leaking: tuple[str, ...]
    build_time: datetime
    exports: tuple[tuple[str, str], ...]
    """Mode and state of each."""


class OneVersion(NamedTuple):
    """A version with all that its page shows."""

    version: DatasetVersion
    report: SplitsReport
    exports: tuple[DatasetExport, ...]
    others: tuple[tuple[int, str], ...]
    """Number and state of every version of the dataset."""


class Member(NamedTuple):
    """A file of a version."""

    node: ExploredNode
    split: str
    label: str


def list_versions(database: Database) -> tuple[VersionLine, ...]:
    """Return all versions, by name, the newest of each first."""
    exports: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for one in database.datasets.exports():
        exports.setdefault((one.name, one.version), []).append((one.mode, one.state))
    lines = [
        _line(one, tuple(exports.get((one.name, one.version), ())))
        for one in database.datasets.versions()
    ]
    return tuple(sorted(lines, key=lambda line: (line.name, -line.version)))


def _line(version: DatasetVersion, exports: tuple[tuple[str, str], ...]) -> VersionLine:
    report = report_of(version)
    return VersionLine(
        version.name,
        version.version,
        version.state,
        version.layout_id,
        version.file_count,
        version.size_bytes,
        tuple((name, split.files) for name, split in report.splits.items()),
        len(report.classes),
        tuple(report.leaking),
        version.build_time,
        exports,
    )


def report_of(version: DatasetVersion) -> SplitsReport:
    """Return the report that a version was built with."""
    from datasets import SplitsReport

    report = SplitsReport.model_validate_json(version.report)
    return in_split_order(report)


def in_split_order(report: SplitsReport) -> SplitsReport:
    """Return a report with its splits as people name them: train, val, test, then others."""
    names = list(report.splits)
    order = sorted(range(len(names)), key=lambda at: (_SPLITS.get(names[at], len(_SPLITS)), at))
    splits = {names[at]: report.splits[names[at]] for at in order}
    leakage = {
        kind: [[matrix[row][col] for col in order] for row in order]
        for kind, matrix in report.leakage.items()
    }
    return report.model_copy(update={"splits": splits, "leakage": leakage})


def parted(full_name: str) -> tuple[str, int | None]:
    """Return name and number of NAME or NAME@3. Raises UsageError."""
    name, mark, number = full_name.partition("@")
    if not mark:
        return name, None
    if not (number.isascii() and number.isdigit()) or len(number) > _NUMBER_DIGITS_MAX:
        raise UsageError(f"{full_name!a} names no dataset: it is NAME or NAME@VERSION")
    return name, int(number)


def one_version(database: Database, full_name: str) -> OneVersion:
    """Return NAME@3, or the newest version of NAME. Raises NotFoundError."""
    book = database.datasets
    name, number = parted(full_name)
    versions = book.versions(name)
    if number is None and versions and all(one.state == "retired" for one in versions):
        number = versions[-1].version
    version = book.version(name, number)
    return OneVersion(
        version,
        report_of(version),
        tuple(reversed(book.exports(version.dataset_version_id))),
        tuple((one.version, one.state) for one in reversed(versions)),
    )


def members_of(database: Database, version: DatasetVersion) -> list[Member]:
    """Return some files of a version, with the labels they have in it."""
    with closing(_stream(database.datasets.members, version.dataset_version_id)) as stream:
        found = list(islice(stream, MEMBERS_SHOWN))
    nodes = {one.node_id: one for one in database.explore.details([m.node_id for m in found])}
    return [
        Member(nodes[member.node_id], member.split, member.label or "")
        for member in found
        if member.node_id in nodes
    ]


def _stream(function: Callable[[int], Iterator[Any]], number: int) -> Any:
    """Return a stream that can be closed before its end: its transaction ends with it."""
    return cast("Any", function(number))


def compared(database: Database, old: str, new: str) -> tuple[Comparison, list[MemberChange]]:
    """Return how two versions differ, in figures and in some of the files."""
    from datasets import compare

    found = compare(database, old, new)
    book = database.datasets
    one, other = (book.version(*parted(name)).dataset_version_id for name in (old, new))
    with closing(cast("Any", book.difference(one, other))) as stream:
        return found, list(islice(stream, CHANGES_SHOWN))


def definition_yaml(version: DatasetVersion) -> str:
    """Return the definition of a version as it can be written again."""
    found = _pruned(json.loads(version.definition))
    first = {name: found[name] for name in _FIRST if name in found}
    document = first | found
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=90)


def _pruned(value: Any, inside: str = "") -> Any:
    """Leave out what says nothing; a class that is mapped to null says something."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {
            key: _pruned(inner, key)
            for key, inner in items
            if inside == "map" or (inner is not None and inner not in ({}, [], ""))
        }
    if isinstance(value, list):
        return [_pruned(one) for one in cast("list[Any]", value)]
    return value


def node_lineage(database: Database, name: str) -> tuple[list[Any], list[Any]]:
    """Return what a node comes from and which datasets it is in; by key, node id or description.

    Never by a path: nothing outside the store is looked at for a browser.
    """
    node_id = database.explore.node(name).node["node_id"]
    above = database.datasets.ancestors(node_id)
    if not above:
        raise NotFoundError(f"there is no node {name!a}")
    return above, database.datasets.memberships(node_id)
