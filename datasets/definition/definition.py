"""The dataset definition: it owns the document that says what a dataset is, its limits and rules.

One YAML file per dataset. `datasets.choice.definition_file` reads one and explains its mistakes
with their places; here are only the fields and the rules between them. Nothing here asks the
database.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from base.model import Document
from sql import Boxes, Condition, Labels, NearDuplicates, Selector, ValueSource, Word

SPLITS_MAX = 20
"""Fewer than the bits of a number in the database, where leakage is counted by bits."""
NAMES_MAX = 100
FRACTIONS_TOLERANCE = 1e-6
INTEGER_MAX = 2**63 - 1

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
SplitName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")]
LayoutId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,40}$")]
Positive = Annotated[int, Field(strict=True, ge=1, le=INTEGER_MAX)]


# ---- What is told of the files ----------------------------------------------------------------


class ImageSize(Document):
    """Where the width and the height of an image are found, in pixels."""

    width: ValueSource
    height: ValueSource


# ---- What is taken ---------------------------------------------------------------------------


class Limits(Document):
    """How many files enter; which of them is decided by the seed and the bytes alone.

    `balance: undersample` cuts every class to the size of the least. `per_group_max` is for each
    component, `per_class_min` drops (or refuses) classes with fewer.
    """

    per_class_max: Positive | None = None
    per_class_min: Positive | None = None
    below_min: Literal["error", "drop"] = "error"
    per_group_max: Positive | None = None
    total_max: Positive | None = None
    balance: Literal["none", "undersample"] = "none"


# ---- Splits ----------------------------------------------------------------------------------


def _fractions(value: Any) -> Any:
    return {"all": 1.0} if value is None else value


class Splits(Document):
    """The parts of a dataset. What belongs together is never separated.

    `group_by: component` keeps whatever tree edges connect in one split; `tree` only what has the
    same root. `keep` takes the splits over from a former version of this dataset: the newest, one
    by its number, or none. Where two groups with different splits have become one, the split that
    is written first takes it: nothing that was trained on comes into an evaluation.
    `missing_class` is about a class that is in no file of a split.
    """

    fractions: Annotated[
        dict[SplitName, Annotated[float, Field(gt=0, le=1)]],
        Field(min_length=1, max_length=SPLITS_MAX),
        BeforeValidator(_fractions),
    ] = Field(default_factory=lambda: {"all": 1.0})
    seed: Annotated[int, Field(strict=True, ge=0, le=INTEGER_MAX)] = 0
    stratify: bool = True
    group_by: Literal["component", "tree"] = "component"
    keep: Literal["latest", "none"] | Positive = "latest"
    missing_class: Literal["error", "allow"] = "error"

    @model_validator(mode="after")
    def _fractions_fit(self) -> Self:
        total = math.fsum(self.fractions.values())
        if abs(total - 1) > FRACTIONS_TOLERANCE:
            raise ValueError(f"fractions: their sum is {total:g}, not 1")
        if len({name.casefold() for name in self.fractions}) < len(self.fractions):
            raise ValueError("fractions: two names differ only in case")
        return self


# ---- The tree --------------------------------------------------------------------------------


class LayoutChoice(Document):
    """Which layout, and its own options."""

    layout_id: LayoutId = Field(alias="id")
    options: dict[str, Any] = Field(default_factory=dict[str, Any])


def _layout(value: Any) -> Any:
    return {"id": value} if isinstance(value, str) else value


class Sidecars(Document):
    """Small files beside the data: one per file with what is known of it, one that describes all.

    `per_file` json has label, split and `metadata`; txt has the value of `caption`, a name of
    `metadata`, and is not made where that is unknown.
    """

    per_file: Literal["none", "json", "txt"] = "none"
    caption: Word | None = None
    describe: bool = True
    """`dataset.json` at the top: the definition, the selector, the statement, the classes."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.per_file == "txt") != (self.caption is not None):
            raise ValueError("`per_file: txt` and `caption` belong together")
        return self


class Definition(Document):
    """A dataset: which nodes, with which labels, in which splits, laid out how.

    `require_complete` lists the pipelines that must be complete for a node: `default` means every
    pipeline that one of the node's action batches is in; an empty list asks for nothing. `filters`
    are named conditions of the selector's language; what one of them keeps out is counted by its
    name. `metadata` are values that travel with the files into sidecars, tables and templates.
    """

    version: Literal[1]
    name: Name
    description: Annotated[str, StringConstraints(max_length=2_000)] = ""
    selector: Selector
    require_complete: Literal["default"] | Annotated[tuple[str, ...], Field(max_length=50)] = (
        "default"
    )
    filters: Annotated[dict[Word, Condition], Field(max_length=NAMES_MAX)] = Field(
        default_factory=dict[str, Condition]
    )
    labels: Labels | None = None
    boxes: Boxes | None = None
    image_size: ImageSize | None = None
    metadata: Annotated[dict[Word, ValueSource], Field(max_length=NAMES_MAX)] = Field(
        default_factory=dict[str, ValueSource]
    )
    near_duplicates: NearDuplicates | None = None
    dedupe: Literal["by_node", "by_sha256", "near_duplicates"] = "by_node"
    limits: Limits = Limits()
    splits: Splits = Splits()
    layout: Annotated[LayoutChoice, BeforeValidator(_layout)]
    mode: Literal["copy", "view"] = "copy"
    sidecars: Sidecars = Sidecars()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.dedupe == "near_duplicates" and self.near_duplicates is None:
            raise ValueError("`dedupe: near_duplicates` needs near_duplicates: what looks alike")
        if self.boxes is not None and (self.labels is None or self.image_size is None):
            raise ValueError("boxes need `labels` (their map and classes) and `image_size`")
        if self.labels is None:
            by_class = [
                name
                for name in ("per_class_max", "per_class_min")
                if getattr(self.limits, name) is not None
            ]
            by_class += ["balance"] if self.limits.balance != "none" else []
            if by_class:
                raise ValueError(f"limits.{by_class[0]} needs labels")
        caption = self.sidecars.caption
        if caption is not None and caption not in self.metadata:
            raise ValueError(f"sidecars.caption: {caption!r} is not among `metadata`")
        return self

    @property
    def split_names(self) -> tuple[str, ...]:
        """The splits in the order they are written."""
        return tuple(self.splits.fractions)

    def canonical(self) -> dict[str, Any]:
        """Return the document with what was left out filled in; equal datasets, equal documents."""
        document = self.model_dump(mode="json", by_alias=True)
        document["selector"] = self.selector.model_dump(
            mode="json", by_alias=True, exclude_unset=True
        )
        document["filters"] = {
            name: condition.model_dump(mode="json", by_alias=True, exclude_unset=True)
            for name, condition in self.filters.items()
        }
        return document
