"""The selector: it owns the document that says which nodes are meant, and no statement.

A selector is a version, a condition `where`, and what to do with the nodes that fulfil it. All keys
of one condition must hold; `all`, `any` and `not` nest. Where a name stands for a list (`source:
twitter`), one value or several may be written. Ranges include both ends; times run from `since` up
to, and without, `before`.

A node has several observations (the same bytes scraped twice). A `metadata` block holds when one
observation fulfils all of it, and so does a `source_metadata` or a `result` block; two blocks may
be fulfilled by two observations. An unknown value fulfils nothing except `is_null`, and `not` of a
condition holds wherever the condition does not. Nodes that are deleted or black-listed are
left out unless they are included; a relative counts whether it is hidden or not. A key that is
written without a value (null) is a mistake.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from sql.selector.values import (
    BIGINT_MAX,
    NAMES_MAX,
    Block,
    Described,
    Flag,
    Integer,
    IntegerMatch,
    Integers,
    Keys,
    MediaTypes,
    Moment,
    Part,
    SearchText,
    Text,
    Texts,
    TimeRange,
    TitleMatch,
    bare_equals,
    bare_text,
)

NESTING_MAX = 16
CONDITIONS_MAX = 200
WITHIN_MAX = 6
HALF_AROUND_KM = 20_016
"""Nothing on Earth is farther away."""
EDGES_MAX = 12
"""Along one chain of relatives; each `within` is joined level by level."""


class Metadata(Block):
    """One observation in common_metadata that fulfils all of this."""

    source: Texts | None = None
    is_raw: Flag | None = None
    is_root: Flag | None = None
    title: TitleMatch | None = None
    view: IntegerMatch | None = None
    update_time: TimeRange | None = None
    download_time: TimeRange | None = None
    author: Described | None = None
    user: Texts | None = None


class Words(Block):
    """Words by which a node is found; all of all of them, in any order.

    A node has the words of its titles and of its description, and of what it hangs under: the post
    of a picture, who made that, its tags, the channel that it is in. `author` and `tag` ask these
    alone. A star at the end asks for the beginning of a word.
    """

    text: SearchText | None = None
    author: SearchText | None = None
    tag: SearchText | None = None


class ColumnMatch(Block):
    """What a declared column must be; which operators fit is decided by its type."""

    equals: Any = None
    one_of: Annotated[tuple[Any, ...], Field(min_length=1, max_length=NAMES_MAX)] | None = Field(
        default=None, alias="in"
    )
    min: Any = None
    max: Any = None
    since: Moment | None = None
    before: Moment | None = None
    contains: Text | None = None
    has: Any = None
    is_null: Flag | None = None


Columns = Annotated[
    dict[str, Annotated[ColumnMatch, BeforeValidator(bare_equals)]], Field(max_length=NAMES_MAX)
]


class SourceMetadata(Part):
    """One row of meta_SOURCE that fulfils all `columns`; without columns, any row."""

    source: Text
    columns: Columns = Field(default_factory=dict[str, ColumnMatch])


class Place(Part):
    """A place that some source says of the node, at most `within_km` from this one; degrees."""

    latitude: Annotated[float, Field(strict=True, ge=-90, le=90)]
    longitude: Annotated[float, Field(strict=True, ge=-180, le=180)]
    within_km: Annotated[float, Field(strict=True, gt=0, le=HALF_AROUND_KM)]


class ActionResult(Part):
    """One row of result_ACTION (labels are results too) that fulfils all `columns`."""

    action: Text
    columns: Columns = Field(default_factory=dict[str, ColumnMatch])


class ActionState(Part):
    """Whether this action is done for the node (the view node_action_done), or failed with it.

    `failed` means that a run tried it in vain and none has done it since; of what no run tried yet
    both are false. Without either, `done` is asked for.
    """

    name: Text
    done: Flag | None = None
    failed: Flag | None = None

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if self.done and self.failed:
            raise ValueError("a node of which an action is done did not fail: ask for one of both")
        return self


class PipelineState(Part):
    """Whether every action of the pipeline is done for the node."""

    name: Text
    complete: Flag = True


class Relative(Part):
    """A node one edge away; `where` is what it must fulfil, nothing when left out."""

    relationship: Texts | None = None
    where: Condition | None = None


class DistantRelative(Relative):
    """A node one to `within` edges away, all of the named relationships."""

    within: Annotated[int, Field(strict=True, ge=1, le=WITHIN_MAX)]


class TreeMate(Part):
    """A node that the tree edges connect; `where` is what it must fulfil."""

    where: Condition


class Condition(Block):
    """Everything that is written in it must hold."""

    all: Annotated[tuple[Condition, ...], Field(min_length=1, max_length=CONDITIONS_MAX)] | None = (
        None
    )
    any: Annotated[tuple[Condition, ...], Field(min_length=1, max_length=CONDITIONS_MAX)] | None = (
        None
    )
    negated: Condition | None = Field(default=None, alias="not")

    key: Keys | None = None
    node_id: Integers | None = None
    is_virtual: Flag | None = None
    is_physical: Flag | None = None
    is_tree_root: Flag | None = None
    depth: IntegerMatch | None = None
    description: Described | None = None

    media_type: MediaTypes | None = None
    extension: Texts | None = None
    size_bytes: IntegerMatch | None = None
    create_time: TimeRange | None = None
    is_deleted: Flag | None = None
    is_blacklisted: Flag | None = None

    words: Annotated[Words, BeforeValidator(bare_text)] | None = None
    metadata: Metadata | None = None
    source_metadata: SourceMetadata | None = None
    near: Place | None = None
    result: ActionResult | None = None
    action: ActionState | None = None
    pipeline: PipelineState | None = None
    action_batch: Integers | None = None
    ingest_batch: Texts | None = None
    dataset: Texts | None = None
    """NAME@VERSION, or NAME for any of its versions."""

    parent: Relative | None = None
    child: Relative | None = None
    ancestor: DistantRelative | None = None
    descendant: DistantRelative | None = None
    tree_root: TreeMate | None = None
    same_tree: TreeMate | None = None
    same_component: TreeMate | None = None


OrderColumn = Literal[
    "node_id", "key", "size_bytes", "extension", "create_time", "depth",
    "title", "view", "update_time", "download_time",
]  # fmt: skip


class Order(Part):
    """A column to order by, unknown values last; of several observations the greatest counts."""

    by: OrderColumn
    descending: Flag = False


class Sample(Part):
    """A random choice that is the same whenever the seed and the nodes are the same."""

    count: Annotated[int, Field(strict=True, ge=1, le=BIGINT_MAX)]
    seed: Integer = 0


class Selector(Part):
    """Which nodes are meant: `sample` chooses from what `where` finds, `order` sorts, `limit` cuts.

    Without an order the nodes come in none, except that `limit` and `after_node_id` go by node_id
    and a sample has one of its own.
    """

    version: Literal[1]
    where: Condition | None = None
    include_deleted: Flag = False
    include_blacklisted: Flag = False
    order: Annotated[tuple[Order, ...], Field(max_length=4)] = ()
    limit: Annotated[int, Field(strict=True, ge=0, le=BIGINT_MAX)] | None = None
    after_node_id: Integer | None = None
    sample: Sample | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.after_node_id is not None and (self.order or self.sample):
            raise ValueError("after_node_id pages by node_id: leave out order and sample")
        for count, (condition, nesting, edges) in enumerate(conditions_of(self.where), 1):
            if nesting > NESTING_MAX or count > CONDITIONS_MAX:
                raise ValueError(
                    f"conditions may nest {NESTING_MAX} deep and be {CONDITIONS_MAX} in all; a "
                    "list of values (key, extension, in) is one condition"
                )
            if edges > EDGES_MAX:
                raise ValueError(
                    f"relatives of relatives may lead over {EDGES_MAX} edges in all (`within` "
                    "counts as many as it says); use same_tree or same_component"
                )
            if condition.is_deleted is not None and not self.include_deleted:
                raise ValueError("a condition on is_deleted needs include_deleted: true")
            if condition.is_blacklisted is not None and not self.include_blacklisted:
                raise ValueError("a condition on is_blacklisted needs include_blacklisted: true")
        return self


def conditions_of(where: Condition | None) -> Iterator[tuple[Condition, int, int]]:
    """Yield every condition with how deep it is nested and how many edges lead to its node."""
    waiting = [(where, 1, 0)] if where is not None else []
    while waiting:
        condition, nesting, edges = waiting.pop()
        yield condition, nesting, edges
        inner = [*(condition.all or ()), *(condition.any or ()), condition.negated]
        waiting += [(part, nesting + 1, edges) for part in inner if part is not None]
        for mate in (condition.tree_root, condition.same_tree, condition.same_component):
            if mate is not None:
                waiting.append((mate.where, nesting + 1, edges + 1))
        for near in (condition.parent, condition.child):
            if near is not None and near.where is not None:
                waiting.append((near.where, nesting + 1, edges + 1))
        for far in (condition.ancestor, condition.descendant):
            if far is not None and far.where is not None:
                waiting.append((far.where, nesting + 1, edges + far.within))
