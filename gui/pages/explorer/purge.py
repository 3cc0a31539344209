"""Purging from what is chosen: which ingest batches hold it, what would go, what stays, and why.

The store purges whole batches: the sealed list of a batch's files names each of them, so a file
goes with the last batch that names it. Single nodes are deleted or black-listed instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from nicegui import ui

from base.text import count_text, size_text
from gui.core.filters import Document, Filters
from gui.reading.desk import Desk
from gui.widgets.acts import act, confirm, dialog, operate, tell
from gui.widgets.blocks import clean, text

HOLDERS_SHOWN = 12
WHOLE = "Whole ingest batches are purged: their bytes leave all disks."
SINGLE = (
    "Single files are not: the sealed list of a batch names each of its files, and what is named "
    "is kept, checked and repaired. Delete hides yours until you undelete them; Black-list says "
    "that they are never used. Their bytes stay in both cases."
)
HIDE = {"delete": "Delete only these", "blacklist": "Black-list only these"}
Hide = Callable[[str], Awaitable[None]]
"""Deletes or black-lists what is chosen."""


class HeldBy(NamedTuple):
    """An ingest batch that holds chosen nodes, and how many it holds in all."""

    name: str
    chosen: int
    nodes: int

    @property
    def words(self) -> str:
        """What is told of it."""
        if self.chosen == self.nodes:
            return f"{self.name}: all of its {self.nodes:,} nodes"
        return f"{self.name}: {self.chosen:,} of its {self.nodes:,} nodes"


async def purge_chosen(desk: Desk, chosen: Document, hide: Hide, done: Callable[[], None]) -> None:
    """Let an admin delete an ingest batch of what is chosen for good, after telling what goes.

    Where a batch has more than what is chosen, these alone can be hidden instead.
    """
    batches = await act(desk, "admin", "", _read, desk, chosen)
    if batches is None:
        return
    if not batches:
        tell("None of these came in by an ingest batch, and only such are purged: delete them, and "
             "selectors find them no more.")  # fmt: skip
        return
    held = await _which(batches)
    if held is None:
        return
    if isinstance(held, str):
        await hide(held)
        return
    looks = await operate(desk, "ingest.purge_plan", {"batch": held.name})
    if looks is None:
        return
    lines = [line for look in looks for line in _lines(look)]
    if held.chosen < held.nodes:
        lines.insert(0, f"{held.nodes - held.chosen:,} of its nodes were not chosen: they go too.")
    lines.append("The nodes stay in the database, without bytes. This cannot be undone.")
    if not await confirm(f"Purge {clean(held.name)}?", lines, "Purge for good", word=held.name):
        return
    tell(f"{held.name} is being purged.")
    if await operate(desk, "ingest.purge", {"batch": held.name}, _gone) is not None:
        done()


def _read(desk: Desk, chosen: Document) -> list[HeldBy]:
    database = desk.database()
    counted = database.explore.facets(Filters(chosen).selector).ingest_batch
    shown = {"include_deleted": True, "include_blacklisted": True}
    found: list[HeldBy] = []
    for one in counted:
        whole = {"version": 1, "where": {"ingest_batch": one.value}, **shown}
        nodes = database.aggregate(Filters(whole).selector).count
        found.append(HeldBy(one.value, one.nodes, nodes))
    return found


async def _which(batches: list[HeldBy]) -> HeldBy | str | None:
    """Return the batch to look at, or the word of `HIDE` that is to be done instead."""
    chosen: list[Any] = []
    is_part = any(one.chosen < one.nodes for one in batches)

    def build() -> None:
        text(WHOLE, tag="p")
        if is_part:
            text(SINGLE, tag="p")
        options = {number: clean(one.words) for number, one in enumerate(batches)}
        chosen.append(ui.radio(options, value=0))

    answers = (
        ("Cancel", False, ""),
        *((label, word, "") for word, label in HIDE.items() if is_part),
        ("See what would go", lambda: chosen[0].value, "danger"),
    )
    answer = await dialog("Purge an ingest batch", build, answers)
    # False, of Cancel, is no number of one.
    return batches[answer] if type(answer) is int else answer or None


def _lines(look: Any) -> list[str]:
    result: dict[str, Any] = look.job.result
    lines = [
        f"Goes: {count_text(result['purged_objects'], 'object')}, "
        f"{size_text(result['purged_bytes'])}, of {count_text(result['files'], 'file')} in "
        f"{result['batch']}."
    ]
    if result["kept_objects"]:
        kept = count_text(result["kept_objects"], "object")
        lines.append(f"Stays, as others refer to it: {kept}, {size_text(result['kept_bytes'])}.")
    for held in look.stays[:HOLDERS_SHOWN]:
        count = count_text(held["objects"], "object")
        lines.append(f"Stays for {held['holder']}: {count}, {size_text(held['size_bytes'])}.")
    free = size_text(result["dropped_bytes"])
    lines.append(f"Free an hour later: {free}; the rest of it when shards are compacted.")
    return lines


def _gone(gone: Any) -> str:
    objects = sum(job.result["purged_objects"] for job in gone.jobs)
    size_bytes = sum(job.result["purged_bytes"] for job in gone.jobs)
    return f"Purged: {count_text(objects, 'object')}, {size_text(size_bytes)}."
