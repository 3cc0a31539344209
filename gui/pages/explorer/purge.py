"""Purging from what is chosen: these files alone, or an ingest batch that holds them.

It is told first what would go, what stays and for whom, and what goes on naming it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from nicegui import ui

from base.text import count_text, size_text
from gui.core.filters import Document, Filters
from gui.reading.desk import Desk
from gui.widgets.acts import act, confirm, dialog, operate, tell
from gui.widgets.blocks import clean, many, text

HOLDERS_SHOWN = 12
FILES_MAX = 100_000
WORD = "purge"
WHAT = (
    "Their bytes leave all disks, whatever batches hold them: these keep their other files. A "
    "whole ingest batch goes with all that only it holds. Delete hides files until you undelete "
    "them; Black-list says that they are never used. Their bytes stay in both cases."
)
KEEPS = "The nodes stay in the database, without bytes. This cannot be undone."
HIDE = {"delete": "Delete only", "blacklist": "Black-list only"}
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
        part = f", {self.chosen:,} of them chosen" * (self.chosen < self.nodes)
        return f"All of batch {self.name}: {self.nodes:,} nodes{part}"


class Found(NamedTuple):
    """What may be purged: files by their keys, or one of the batches that hold some of them.

    With more files than `FILES_MAX` the keys are those of the first ones.
    """

    keys: list[str]
    batches: list[HeldBy]


async def purge_chosen(desk: Desk, chosen: Document, hide: Hide, done: Callable[[], None]) -> None:
    """Let an admin delete what is chosen for good, or a batch of it, after telling what goes."""
    found = await act(desk, "admin", "", _read, desk, chosen)
    if found is None:
        return
    if not found.keys:
        tell("None of these is a file, and only files are purged.")
        return
    answer = await _which(found)
    if isinstance(answer, str):
        await hide(answer)
    elif isinstance(answer, HeldBy):
        await _purge_batch(desk, answer, done)
    elif answer is not None:
        await purge_files(desk, answer, done)


async def purge_files(desk: Desk, keys: Sequence[str], done: Callable[[], None]) -> None:
    """Let an admin delete files for good, by their keys, after telling what goes and stays."""
    asked = {"keys": list(keys)}
    looks = await operate(desk, "ingest.purge_plan", asked)
    if looks is None:
        return
    (look,) = looks
    lines = [*_lines_of_keys(look), KEEPS]
    title = f"Purge {many(len(keys), 'file')}?"
    if not await confirm(title, lines, "Purge for good", word=WORD):
        return
    tell(f"{many(len(keys), 'file')}: being purged.")
    if await operate(desk, "ingest.purge", asked, _gone) is not None:
        desk.facets.forget()  # The explorer counts anew, also where this was another page.
        done()


async def _purge_batch(desk: Desk, held: HeldBy, done: Callable[[], None]) -> None:
    looks = await operate(desk, "ingest.purge_plan", {"batch": held.name})
    if looks is None:
        return
    lines = [line for look in looks for line in _lines(look)]
    if held.chosen < held.nodes:
        lines.insert(0, f"{held.nodes - held.chosen:,} of its nodes were not chosen: they go too.")
    lines.append(KEEPS)
    if not await confirm(f"Purge {clean(held.name)}?", lines, "Purge for good", word=held.name):
        return
    tell(f"{held.name} is being purged.")
    if await operate(desk, "ingest.purge", {"batch": held.name}, _gone) is not None:
        done()


def _read(desk: Desk, chosen: Document) -> Found:
    database = desk.database()
    selector = Filters(chosen).selector
    rows = (row for row in database.query_nodes(selector) if row.size_bytes is not None)
    keys = [row.key for row in islice(rows, FILES_MAX + 1)]
    counted = database.explore.facets(selector).ingest_batch
    shown = {"include_deleted": True, "include_blacklisted": True}
    batches: list[HeldBy] = []
    for one in counted:
        whole = {"version": 1, "where": {"ingest_batch": one.value}, **shown}
        nodes = database.aggregate(Filters(whole).selector).count
        batches.append(HeldBy(one.value, one.nodes, nodes))
    return Found(keys, batches)


async def _which(found: Found) -> list[str] | HeldBy | str | None:
    """Return the files or the batch to look at, or the word of `HIDE` that is to be done."""
    options: list[tuple[str, list[str] | HeldBy]] = [
        (clean(one.words), one) for one in found.batches
    ]
    if len(found.keys) <= FILES_MAX:
        options.insert(0, (f"Only what is chosen: {many(len(found.keys), 'file')}", found.keys))
    chosen: list[Any] = []

    def build() -> None:
        text(WHAT, tag="p")
        if len(found.keys) > FILES_MAX:
            text(f"More than {FILES_MAX:,} files are only purged by their batches.", tag="p")
        chosen.append(ui.radio({n: words for n, (words, _) in enumerate(options)}, value=0))

    answers = (
        ("Cancel", False, ""),
        *((label, word, "") for word, label in HIDE.items()),
        ("See what would go", lambda: chosen[0].value, "danger"),
    )
    answer = await dialog("Purge", build, answers)
    # False, of Cancel, is no number of one.
    return options[answer][1] if type(answer) is int else answer or None


def _lines_of_keys(look: Any) -> list[str]:
    result: dict[str, Any] = look.job.result
    lines = [
        f"Goes: {count_text(result['purged_objects'], 'object')}, "
        f"{size_text(result['purged_bytes'])}."
    ]
    if gone := result["purged_before"] + result["unknown_objects"]:
        lines.append(f"Not in the store any more: {count_text(gone, 'object')}.")
    lines += _kept(look)
    lines += [
        f"Named by {clean(one.holder)}: {one.nodes:,}." for one in look.named_by[:HOLDERS_SHOWN]
    ]
    return lines


def _lines(look: Any) -> list[str]:
    result: dict[str, Any] = look.job.result
    lines = [
        f"Goes: {count_text(result['purged_objects'], 'object')}, "
        f"{size_text(result['purged_bytes'])}, of {count_text(result['files'], 'file')} in "
        f"{result['batch']}."
    ]
    lines += _kept(look)
    free = size_text(result["dropped_bytes"])
    lines.append(f"Free an hour later: {free}; the rest of it when shards are compacted.")
    return lines


def _kept(look: Any) -> list[str]:
    result: dict[str, Any] = look.job.result
    lines: list[str] = []
    if result["kept_objects"]:
        kept = count_text(result["kept_objects"], "object")
        lines.append(f"Stays, as others refer to it: {kept}, {size_text(result['kept_bytes'])}.")
    for held in look.stays[:HOLDERS_SHOWN]:
        count = count_text(held["objects"], "object")
        lines.append(f"Stays for {held['holder']}: {count}, {size_text(held['size_bytes'])}.")
    return lines


def _gone(gone: Any) -> str:
    objects = sum(job.result["purged_objects"] for job in gone.jobs)
    size_bytes = sum(job.result["purged_bytes"] for job in gone.jobs)
    return f"Purged: {count_text(objects, 'object')}, {size_text(size_bytes)}."
