"""What a dataset asks of the database, in the words of its definition, and the answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, StringConstraints, model_validator

from base.model import Document, JsonText
from sql.selector.selector import Condition, Selector

Int64s = npt.NDArray[np.int64]

CLASSES_MAX = 10_000
ANCESTOR_EDGES_MAX = 6

Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
"""A label or class: one line, nothing that a terminal or a file format would trip over."""
Where = Literal["node", "parent", "tree_root"]


# ---- Where a value comes from ----------------------------------------------------------------


class ResultColumn(Document):
    """A column of the results of an action; each value of an array column counts alone."""

    action: Word
    column: Word


class MetadataField(Document):
    """A field that every source fills in; `author` is the author's canonical description."""

    field: Literal["title", "user", "source", "author", "view", "update_time", "download_time"]


class SourceColumn(Document):
    """A column of the declared metadata of one source."""

    source: Word
    column: Word


class TreeAncestor(Document):
    """The name of an ancestor that is described as `ANCESTOR:NAME`, such as `twitter:user`.

    The nearest counts, at most `within` edges above, of any relationship.
    """

    ancestor: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    within: Annotated[int, Field(strict=True, ge=1, le=ANCESTOR_EDGES_MAX)] = 3


class ValueSource(Document):
    """One place where values are found; `of` says whose: of the file, its parents or its root."""

    result: ResultColumn | None = None
    metadata: MetadataField | None = None
    source_metadata: SourceColumn | None = None
    tree: TreeAncestor | None = None
    of: Where = "node"

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        given = [self.result, self.metadata, self.source_metadata, self.tree]
        if sum(one is not None for one in given) != 1:
            raise ValueError("needs exactly one of result, metadata, source_metadata, tree")
        if self.tree is not None and self.of != "node":
            raise ValueError("`tree` looks above the file already: leave out `of`")
        return self


# ---- Labels and boxes ------------------------------------------------------------------------


class Labels(Document):
    """The class of a file: found values, mapped, and what happens where that is not one class.

    `map` renames; a value that is mapped to null counts as not there. With `classes`, in the order
    of their numbers, other values count as not there; without it every value found is a class, in
    the order of their bytes. `multiple`: `first` takes the oldest, `last` the newest, `vote` the
    most frequent (the first class of equals), `all` keeps them all.
    """

    source: ValueSource = Field(alias="from")
    map: Annotated[dict[str, Text | None], Field(max_length=CLASSES_MAX)] = Field(
        default_factory=dict[str, Text | None]
    )
    classes: Annotated[tuple[Text, ...], Field(min_length=1, max_length=CLASSES_MAX)] | None = None
    unlabelled: Literal["error", "drop", "keep"] = "error"
    multiple: Literal["error", "drop", "first", "last", "vote", "all"] = "error"

    @model_validator(mode="after")
    def _classes_are_different(self) -> Self:
        if self.classes is not None:
            if len(set(self.classes)) < len(self.classes):
                raise ValueError("classes: one is there twice")
            strangers = sorted({name for name in self.map.values() if name} - {*self.classes})
            if strangers:
                raise ValueError(f"map: {strangers[0]!r} is not among classes")
        return self


class Boxes(Document):
    """Rows that are boxes, of an action's results or of a source: which columns hold what.

    `form` says what x, y, width and height mean: the corner and the size (`xywh`), two corners
    (`xyxy`), or the centre and the size (`cxcywh`); `unit` whether they are pixels or shares of the
    image. Labels go through the map and classes of `labels`; a box of another class is left out.
    `geometry` holds polygons, masks, key points and turned boxes (docs/datasets.md) in pixels, and
    `number` the label's own id; of a source they are the columns `geometry` and `annotation_id`.
    """

    action: Word | None = None
    source: Word | None = None
    label: Word = "label"
    x: Word = "x"
    y: Word = "y"
    width: Word = "width"
    height: Word = "height"
    confidence: Word | None = None
    confidence_min: float | None = None
    geometry: Word | None = None
    number: Word | None = None
    form: Literal["xywh", "xyxy", "cxcywh"] = "xywh"
    unit: Literal["pixels", "shares"] = "pixels"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.action is None) == (self.source is None):
            raise ValueError("needs either action or source")
        if self.confidence_min is not None and self.confidence is None:
            raise ValueError("confidence_min needs `confidence`, the column that holds it")
        return self


class NearDuplicates(Document):
    """Which files look alike: equal values of an action's column, or edges of a relationship.

    They are never in two splits.
    """

    action: Word | None = None
    column: Word | None = None
    relationship: Text | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.action is None) != (self.column is None):
            raise ValueError("action and column belong together")
        if (self.action is None) == (self.relationship is None):
            raise ValueError("needs either action and column, or relationship")
        return self


@dataclass(frozen=True, slots=True)
class DatasetQuestion:
    """Everything that decides which nodes are in a dataset, and what is told of them.

    `pipelines` None asks for every pipeline that a node's batches are in. `values` are by name.
    """

    selector: Selector
    pipelines: tuple[str, ...] | None = None
    filters: Mapping[str, Condition] = field(default_factory=dict[str, Condition])
    labels: Labels | None = None
    boxes: Boxes | None = None
    near: NearDuplicates | None = None
    values: Mapping[str, ValueSource] = field(default_factory=dict[str, ValueSource])
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


class DatasetVersion(Document):
    """One version of a dataset."""

    dataset_version_id: int
    name: str
    version: int
    state: Literal["built", "retired"]
    definition: JsonText
    seed: int
    layout_id: str
    manifest_key: str
    document_key: str
    store_batches: JsonText
    file_count: int
    size_bytes: int
    entry_count: int
    entry_size_bytes: int
    report: JsonText
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


class DatasetExport(Document):
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


class Ancestor(Document):
    """A node above another (or itself, at depth 0) and the newest that is known of it."""

    depth: int
    node_id: int
    key: str
    description: str | None
    relationship: str | None
    source: str | None
    title: str | None


class Membership(Document):
    """A dataset that a node is in; or, below a post, how many of its files are."""

    name: str
    version: int
    state: str
    files: int
    split: str | None
    label: str | None
