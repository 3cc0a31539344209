"""The report of a dataset: it owns the figures that prove what the splits are, and their text.

Everything is counted by the database from the members as they will be, not from the plan that made
them: a mistake in the plan would show here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from base.model import Document
from datasets.choice.splits import SplitPlan
from datasets.definition.definition import Definition

if TYPE_CHECKING:
    from sql import Candidates, DatasetVersion

NO_LABEL = "(no label)"


class SplitTotal(Document):
    """Files and bytes of a split, and what share of all files that is."""

    files: int
    size_bytes: int
    share: float
    share_wanted: float


class Former(Document):
    """What was taken over from a former version; see `SplitPlan`."""

    version: int
    groups_kept: int
    groups_merged: int
    files_moved: int


class SplitsReport(Document):
    """What a dataset contains.

    `classes` is the class x split table in files. `leakage` counts by kind of kinship, for each two
    splits, what has members in both: only the diagonal may have any. `excluded` counts the files
    that were found and did not enter, by reason.
    """

    files: int
    size_bytes: int
    splits: dict[str, SplitTotal]
    classes: dict[str, dict[str, int]]
    leakage: dict[str, list[list[int]]]
    excluded: dict[str, int]
    groups: int
    largest_group_files: int
    missing_classes: dict[str, list[str]]
    former: Former | None = None

    @property
    def leaking(self) -> list[str]:
        """The kinds of kinship that a split separates."""
        return [
            kind
            for kind, matrix in self.leakage.items()
            if any(
                count
                for place, row in enumerate(matrix)
                for other, count in enumerate(row)
                if other != place
            )
        ]


def make_report(
    definition: Definition,
    candidates: Candidates,
    plan: SplitPlan,
    former: DatasetVersion | None,
) -> SplitsReport:
    """Count what the candidates have become."""
    names = definition.split_names
    totals = {split: (files, size) for split, files, size in candidates.totals()}
    files = sum(count for count, _ in totals.values())
    size_bytes = sum(size for _, size in totals.values())
    classes = _class_table(definition, candidates, names)
    return SplitsReport(
        files=files,
        size_bytes=size_bytes,
        splits={
            name: SplitTotal(
                files=totals.get(place, (0, 0))[0],
                size_bytes=totals.get(place, (0, 0))[1],
                share=round(totals.get(place, (0, 0))[0] / files, 6) if files else 0.0,
                share_wanted=definition.splits.fractions[name],
            )
            for place, name in enumerate(names)
        },
        classes=classes,
        leakage=_leakage(candidates, len(names)),
        excluded=candidates.excluded(),
        groups=len(plan.group),
        largest_group_files=candidates.largest_group(),
        missing_classes={
            label: missing
            for label, counts in classes.items()
            if (missing := [name for name in names if not counts.get(name)]) and label != NO_LABEL
        },
        former=Former(
            version=former.version,
            groups_kept=plan.kept,
            groups_merged=plan.merged,
            files_moved=plan.moved_files,
        )
        if former is not None
        else None,
    )


def _class_table(
    definition: Definition, candidates: Candidates, names: tuple[str, ...]
) -> dict[str, dict[str, int]]:
    """Return files by class and split; a class that was listed is there even without files."""
    if definition.labels is None:
        return {}
    table: dict[str, dict[str, int]] = {
        name: dict.fromkeys(names, 0)
        for number, name in enumerate(candidates.classes)
        if number not in candidates.dropped_classes
    }
    for cell in candidates.split_table():
        label = NO_LABEL if cell.label < 0 else candidates.classes[cell.label]
        table.setdefault(label, dict.fromkeys(names, 0))[names[cell.split]] = cell.files
    listed = definition.labels.classes is not None
    return {name: counts for name, counts in table.items() if listed or any(counts.values())}


def _leakage(candidates: Candidates, splits: int) -> dict[str, list[list[int]]]:
    found: dict[str, list[list[int]]] = {}
    for kind, counts in candidates.leakage().items():
        matrix = [[0] * splits for _ in range(splits)]
        for one, other, count in counts:
            matrix[one][other] = count
        found[kind] = matrix
    return found


def report_lines(report: SplitsReport) -> list[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """Return the report as tables: headings and rows of each."""
    names = list(report.splits)
    tables: list[tuple[tuple[str, ...], list[tuple[str, ...]]]] = []
    rows = [
        (name, f"{one.files:,}", f"{one.share:.2%}", f"{one.share_wanted:.2%}")
        for name, one in report.splits.items()
    ]
    tables.append((("split", ">files", ">share", ">wanted"), rows))
    if report.classes:
        rows = [
            (label, *(f"{counts.get(name, 0):,}" for name in names))
            for label, counts in report.classes.items()
        ]
        tables.append((("class", *(f">{name}" for name in names)), rows))
    rows = [
        (kind, names[place], *(f"{count:,}" for count in row))
        for kind, matrix in report.leakage.items()
        for place, row in enumerate(matrix)
    ]
    tables.append((("together in", "", *(f">{name}" for name in names)), rows))
    if report.excluded:
        tables.append((("excluded", ">files"), _counts(report.excluded)))
    return tables


def _counts(counts: Mapping[str, int]) -> list[tuple[str, ...]]:
    return [(reason.replace("_", " "), f"{count:,}") for reason, count in counts.items()]
