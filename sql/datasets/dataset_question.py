"""What a dataset asks of the database: it owns the question and the answers, and no statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from sql.selector.selector import Condition, Selector

Int64s = npt.NDArray[np.int64]
Where = Literal["node", "parent", "tree_root"]
Multiple = Literal["error", "drop", "first", "last", "vote", "all"]


@dataclass(frozen=True, slots=True)
class ValueQuestion:
    """Where values are: a column of results or source metadata, a common field, or an ancestor.

    `name` is the action or source, or the prefix of an ancestor's description.
    """

    kind: Literal["result", "source_metadata", "metadata", "tree"]
    name: str = ""
    column: str = ""
    of: Where = "node"
    within: int = 1


@dataclass(frozen=True, slots=True)
class LabelQuestion:
    """Which values are labels; `classes` None takes every value for a class."""

    source: ValueQuestion
    map: Mapping[str, str | None]
    classes: tuple[str, ...] | None
    multiple: Multiple
    drop_unlabelled: bool


@dataclass(frozen=True, slots=True)
class BoxQuestion:
    """Which columns of an action's results are a box; `confidence` '' for none."""

    action: str
    label: str
    x: str
    y: str
    width: str
    height: str
    confidence: str = ""
    confidence_min: float | None = None


@dataclass(frozen=True, slots=True)
class NearQuestion:
    """What looks alike: equal values of a result's column, or edges of a relationship."""

    action: str = ""
    column: str = ""
    relationship: str = ""


@dataclass(frozen=True, slots=True)
class DatasetQuestion:
    """Everything that decides which nodes are in a dataset, and what is told of them.

    `pipelines` None asks for every pipeline that a node's batches are in. `values` are by name.
    """

    selector: Selector
    pipelines: tuple[str, ...] | None = None
    filters: Mapping[str, Condition] = field(default_factory=dict[str, Condition])
    labels: LabelQuestion | None = None
    boxes: BoxQuestion | None = None
    near: NearQuestion | None = None
    values: Mapping[str, ValueQuestion] = field(default_factory=dict[str, ValueQuestion])
    values_required: tuple[str, ...] = ()
    group_by: Literal["component", "tree"] = "component"


class Groups(NamedTuple):
    """How many files of each class are in each group; `label` -1 for none.

    One element per group and class. `lot` is decided by the bytes of the group's members alone.
    """

    group: Int64s
    lot: Int64s
    label: Int64s
    files: Int64s


class FormerSplits(NamedTuple):
    """How many files of each group were in each split; splits by their places."""

    group: Int64s
    split: Int64s
    files: Int64s


class Cell(NamedTuple):
    """One cell of the class x split table; `label` -1 for none."""

    split: int
    label: int
    files: int
    size_bytes: int


class CandidateRow(NamedTuple):
    """One member, as it is streamed: by split, and within a split by key."""

    node_id: int
    key: str
    size_bytes: int
    extension: str
    media_type: str
    split: int
    labels: tuple[int, ...]
    component: int
    values: Mapping[str, Any]
    boxes: list[list[Any]]


class DatasetVersion(NamedTuple):
    """One version of a dataset; `definition`, `store_batches` and `report` are JSON."""

    dataset_version_id: int
    name: str
    version: int
    state: Literal["built", "retired"]
    definition: str
    seed: int
    layout_id: str
    manifest_key: str
    document_key: str
    store_batches: str
    file_count: int
    size_bytes: int
    entry_count: int
    entry_size_bytes: int
    report: str
    build_time: datetime
    retire_time: datetime | None


class NewVersion(NamedTuple):
    """What is registered when a version is built; texts are JSON, keys hexadecimal."""

    name: str
    version: int
    definition: str
    selector: str
    statement: str
    seed: int
    layout_id: str
    manifest_key: str
    document_key: str
    store_batches: str
    file_count: int
    size_bytes: int
    entry_count: int
    entry_size_bytes: int
    report: str


class DatasetMember(NamedTuple):
    """One member of a version; `other_labels` is JSON."""

    node_id: int
    key: str
    split: str
    label: str | None
    other_labels: str | None


class MemberChange(NamedTuple):
    """One node that is not the same in two versions; the side where it is not has None."""

    key: str
    node_id: int
    change: Literal["added", "removed", "changed"]
    split: str | None
    label: str | None
    other_labels: str | None
    new_split: str | None
    new_label: str | None
    new_other_labels: str | None


class DatasetExport(NamedTuple):
    """One export of a version."""

    dataset_export_id: str
    name: str
    version: int
    layout_id: str
    mode: Literal["copy", "view"]
    state: Literal["running", "sealed", "failed", "removed"]
    target_root: str | None
    job_id: str | None
    manifest_key: str
    file_count: int
    size_bytes: int
    reason: str | None
    start_time: datetime
    seal_time: datetime | None
    copying_s: float | None


class Ancestor(NamedTuple):
    """A node above another (or itself, at depth 0) and the newest that is known of it."""

    depth: int
    node_id: int
    key: str
    description: str | None
    relationship: str | None
    source: str | None
    title: str | None


class Membership(NamedTuple):
    """A dataset that a node is in; or, below a post, how many of its files are."""

    name: str
    version: int
    state: str
    files: int
    split: str | None
    label: str | None
