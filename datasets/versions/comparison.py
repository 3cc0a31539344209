"""Comparing two versions: it owns what counts as added, removed, relabelled and moved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from datasets.definition.names import parse_name

if TYPE_CHECKING:
    from sql import Database, MemberChange


class Comparison(BaseModel):
    """How many files differ between two versions; a file may be relabelled and moved."""

    model_config = ConfigDict(frozen=True)

    old: str
    new: str
    added: int
    removed: int
    relabelled: int
    moved: int
    moves: dict[str, int]
    """From split to split."""
    relabels: dict[str, int]
    """From label to label."""
    same_manifest: bool


def compare(database: Database, old: str, new: str) -> Comparison:
    """Count the differences between two versions."""
    one, other = (database.datasets.version(*parse_name(name)) for name in (old, new))
    counts: dict[str, int] = dict.fromkeys(("added", "removed", "relabelled", "moved"), 0)
    moves: dict[str, int] = {}
    relabels: dict[str, int] = {}
    for change in changes(database, old, new):
        for what in kinds(change):
            counts[what] += 1
            if what == "moved":
                key = f"{change.split} -> {change.new_split}"
                moves[key] = moves.get(key, 0) + 1
            if what == "relabelled":
                key = f"{change.label or '(none)'} -> {change.new_label or '(none)'}"
                relabels[key] = relabels.get(key, 0) + 1
    return Comparison(
        old=f"{one.name}@{one.version}",
        new=f"{other.name}@{other.version}",
        **counts,
        moves=moves,
        relabels=relabels,
        same_manifest=one.manifest_key == other.manifest_key,
    )


def changes(database: Database, old: str, new: str) -> Iterator[MemberChange]:
    """Stream the files that are not the same in two versions, by key."""
    one, other = (database.datasets.version(*parse_name(name)) for name in (old, new))
    return database.datasets.difference(one.dataset_version_id, other.dataset_version_id)


def kinds(change: MemberChange) -> list[str]:
    """Return what happened to a file."""
    if change.change != "changed":
        return [change.change]
    found: list[str] = []
    if (change.label, change.other_labels) != (change.new_label, change.new_other_labels):
        found.append("relabelled")
    if change.split != change.new_split:
        found.append("moved")
    return found


def change_document(change: MemberChange) -> dict[str, Any]:
    """Return a change as JSON."""
    return {**change._asdict(), "change": kinds(change)}
