"""What a dataset would contain: it owns the policies, from the definition to splits and a report.

`chosen` asks the database, applies the limits, makes the splits, and refuses what the definition
does not allow, all before anything is copied. What it yields is streamed by `build` and `preview`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from base.text import safe_text
from datasets.choice.question import question_of
from datasets.choice.registry import layout_named
from datasets.choice.report import SplitsReport, make_report
from datasets.choice.rows import dataset_rows
from datasets.choice.splits import SplitPlan, plan_splits
from datasets.definition.definition import Definition
from datasets.definition.errors import CancelledError, DefinitionError, RefusedError
from datasets.layout.face import DatasetRow, Layout
from sql import CLASSES_MAX

if TYPE_CHECKING:
    from sql import Candidates, Database, DatasetVersion

Progress = Callable[[str, int], None]
"""Told a phase and how many rows of it are done."""
Cancelled = Callable[[], bool]

_ADVICE = {
    "unlabelled": "label them, or write labels.unlabelled: drop (or keep)",
    "label_not_among_classes": (
        "list their classes or map their labels, or write labels.unlabelled: drop"
    ),
    "doubly_labelled": "write labels.multiple: first, last, vote, all or drop",
}


def quiet(_phase: str, _rows: int) -> None:
    """Report no progress."""


def never() -> bool:
    """Cancel nothing."""
    return False


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a definition found; valid inside the block of `chosen`."""

    definition: Definition
    layout: Layout
    candidates: Candidates
    splits: tuple[str, ...]
    report: SplitsReport

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of their numbers."""
        return tuple(name for name in self.candidates.classes if name in self.report.classes)

    def rows(self, sample: int | None = None) -> Iterator[DatasetRow]:
        """Stream the files of the dataset, or a few of each split and class."""
        found = self.candidates.rows(sample)
        return dataset_rows(found, self.definition, self.candidates.classes, self.splits)


@contextmanager
def chosen(
    database: Database,
    definition: Definition,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
    *,
    to_look: bool = False,
) -> Generator[Chosen]:
    """Yield what a definition finds. RefusedError, with what to do, when that is not a dataset.

    One build of a name at a time; whoever only wants `to_look` waits for nobody.
    """
    layout = layout_named(definition.layout.layout_id)
    problems = layout.check(definition)
    if problems:
        raise DefinitionError(f"dataset {definition.name}", problems)
    former = former_version(database, definition)
    progress("asking the database", 0)
    question = question_of(definition)
    with database.datasets.candidates(definition.name, question, to_look=to_look) as candidates:
        stop_if(cancelled)
        _apply_policies(definition, candidates)
        _apply_limits(definition, candidates)
        stop_if(cancelled)
        progress("splitting", 0)
        plan = _split(definition, candidates, former)
        stop_if(cancelled)
        report = make_report(definition, candidates, plan, former)
        _check_classes(definition, report)
        yield Chosen(definition, layout, candidates, definition.split_names, report)


def stop_if(cancelled: Cancelled) -> None:
    """Raise CancelledError when somebody asked to stop."""
    if cancelled():
        raise CancelledError("cancelled; the same again goes on")


def former_version(database: Database, definition: Definition) -> DatasetVersion | None:
    """Return the version whose splits are taken over."""
    keep = definition.splits.keep
    if keep == "none":
        return None
    versions = database.datasets.versions(definition.name)
    if keep == "latest":
        return versions[-1] if versions else None
    found = [one for one in versions if one.version == keep]
    if not found:
        raise RefusedError(f"splits.keep: there is no {definition.name}@{keep}")
    return found[0]


def _apply_policies(definition: Definition, candidates: Candidates) -> None:
    labels = definition.labels
    if labels is None:
        return
    if len(candidates.classes) > CLASSES_MAX:
        raise RefusedError(
            f"{len(candidates.classes):,} different labels were found, and {CLASSES_MAX:,} is the "
            "limit: list `classes`, or map them"
        )
    excluded = candidates.excluded()
    refused = []
    if labels.unlabelled == "error":
        refused += ["unlabelled", "label_not_among_classes"]
    if labels.multiple == "error":
        refused.append("doubly_labelled")
    for reason in refused:
        if excluded.get(reason):
            shown = "\n  ".join(candidates.examples(reason))
            raise RefusedError(
                f"{excluded[reason]:,} files are {reason.replace('_', ' ')}: {_ADVICE[reason]}; "
                f"some of them:\n  {shown}"
            )


def _apply_limits(definition: Definition, candidates: Candidates) -> None:
    limits, seed = definition.limits, definition.splits.seed
    if definition.dedupe == "near_duplicates":
        candidates.exclude_near_duplicates()
    if limits.per_group_max is not None:
        candidates.limit("group", limits.per_group_max, seed)
    if limits.per_class_min is not None:
        _drop_small_classes(definition, candidates)
    most = limits.per_class_max
    if limits.balance == "undersample":
        counts = [files for label, (files, _) in candidates.class_counts().items() if label >= 0]
        least = min(counts, default=None)
        most = least if most is None or (least is not None and least < most) else most
    if most is not None:
        candidates.limit("class", most, seed)
    if limits.total_max is not None:
        candidates.limit("total", limits.total_max, seed)
    if not candidates.class_counts():
        raise RefusedError(_empty(candidates.excluded()))


def _drop_small_classes(definition: Definition, candidates: Candidates) -> None:
    least = definition.limits.per_class_min or 0
    counts = candidates.class_counts()
    small = [
        number for number in range(len(candidates.classes)) if counts.get(number, (0, 0))[0] < least
    ]
    if small and definition.limits.below_min == "error":
        listed = ", ".join(
            f"{safe_text(candidates.classes[number])} ({counts.get(number, (0, 0))[0]:,})"
            for number in small[:10]
        )
        raise RefusedError(
            f"{len(small):,} classes have fewer than {least:,} files: {listed}; lower "
            "limits.per_class_min, or write limits.below_min: drop"
        )
    candidates.exclude_classes(small)


def _empty(excluded: dict[str, int]) -> str:
    if not excluded:
        return "the selector finds nothing; try it with `drystone select`"
    listed = ", ".join(f"{count:,} {reason}" for reason, count in excluded.items())
    return f"nothing is left of what the selector finds: {listed}"


def _split(
    definition: Definition, candidates: Candidates, former: DatasetVersion | None
) -> SplitPlan:
    names = list(definition.split_names)
    known = None
    if former is not None:
        known = candidates.former_splits(former.dataset_version_id, names)
    plan = plan_splits(
        candidates.groups(),
        list(definition.splits.fractions.values()),
        seed=definition.splits.seed,
        stratify=definition.splits.stratify,
        former=known,
    )
    candidates.assign(plan.group, plan.split)
    return plan


def _check_classes(definition: Definition, report: SplitsReport) -> None:
    if report.leaking and definition.splits.group_by == "component":
        raise RefusedError(
            f"the splits separate what belongs together ({', '.join(report.leaking)}): this is a "
            "mistake of Drystone; nothing was copied"
        )
    missing = report.missing_classes
    if missing and definition.splits.missing_class == "error":
        listed = "\n  ".join(
            f"{safe_text(label)} is in no file of {', '.join(splits)}"
            for label, splits in list(missing.items())[:10]
        )
        raise RefusedError(
            f"{len(missing):,} classes are missing from a split:\n  {listed}\n"
            "give them more files that do not belong together, drop small classes with "
            "limits.per_class_min and below_min: drop, or write splits.missing_class: allow"
        )


def describe(chosen: Chosen) -> dict[str, Any]:
    """Return `dataset.json`: what the dataset is, the same whenever its content is the same."""
    report = chosen.report
    return {
        "format": 1,
        "name": chosen.definition.name,
        "definition": chosen.definition.canonical(),
        "classes": list(chosen.classes),
        "splits": {name: total.files for name, total in report.splits.items()},
        "files": report.files,
        "size_bytes": report.size_bytes,
    }
