"""Who may come in: it owns the checks of a folder and a name before anything is frozen.

One name means one folder, for ever; a folder is in one batch at a time; what is complete is never
opened again.
"""

from __future__ import annotations

import os

from adapters.records.errors import SpaceError
from adapters.work.batch_work import WORK_FOLDER, BatchWork, Signal, list_scrape
from base.errors import UsageError
from base.text import safe_text
from fsd import Client
from sql import Database, IngestBatch

COMPLETE = ("packed", "confirmed")
ABANDONED = "abandoned"
FULL = ("refuse", "emergency")


def admit(
    database: Database, client: Client, signal: Signal, inbox: str, *, packages: bool
) -> IngestBatch | None:
    """Check a signal against what is known; returns the batch when it is complete already.

    Raises UsageError with what to do instead, SpaceError when the SSD is too full for a new batch.
    Call it with the batch's lock held. `packages` says whether it will fill the outbox.
    """
    _check_place(signal.folder, inbox)
    known = {batch.name: batch for batch in database.ingests.batches()}
    for other in known.values():
        if (
            other.name != signal.batch
            and other.folder == safe_text(signal.folder)
            and other.state not in (*COMPLETE, "stopped", "purged")
        ):
            raise UsageError(
                f"{safe_text(signal.folder)} is being ingested as batch {other.name}; "
                "finish that one first"
            )
    batch = known.get(signal.batch)
    if batch is None:
        _check_room(client, signal, inbox, packages)
        return None
    if batch.folder != safe_text(signal.folder) or batch.adapter != signal.adapter:
        raise UsageError(
            f"batch {batch.name} is {batch.folder}, read by {batch.adapter}; give this folder "
            "another batch name"
        )
    if batch.state == "stopped" and batch.state_reason == ABANDONED:
        raise UsageError(f"batch {batch.name} was abandoned; give the folder another batch name")
    if batch.state not in COMPLETE:
        return None
    files = list_scrape(signal.folder) if os.path.isdir(signal.folder) else {}
    size = sum(entry.size_bytes for entry in files.values())
    if files and (len(files), size) != (batch.file_count, batch.size_bytes):
        raise UsageError(
            f"batch {batch.name} is complete with {batch.file_count:,} files; now the folder has "
            f"{len(files):,} (or other ones): new files need a folder and a batch name of their own"
        )
    return batch


def ingest_states(database: Database, folder: str) -> dict[str, str]:
    """Return the batches that a folder is known by, with their states."""
    shown = safe_text(os.path.realpath(folder))
    return {one.name: one.state for one in database.ingests.batches() if one.folder == shown}


def _check_place(folder: str, inbox: str) -> None:
    inbox = os.path.realpath(inbox)
    inside = os.path.commonpath([folder, inbox])
    if inside == folder:
        raise UsageError(f"{safe_text(folder)} holds the inbox itself; name one folder of it")
    if inside == inbox and os.path.relpath(folder, inbox).startswith("."):
        raise UsageError(f"{safe_text(folder)} is a work folder of the inbox ({WORK_FOLDER})")


def _check_room(client: Client, signal: Signal, inbox: str, packages: bool) -> None:
    """Refuse a new batch while its way is full to the refuse level, reservations counted.

    A folder that lies in the inbox is not refused because of the inbox: to carry it in, and out to
    cold storage, is what makes that empty.
    """
    capacity = client.capacity()
    areas = {one.area: one for one in capacity.areas}
    inside = os.path.commonpath([signal.folder, os.path.realpath(inbox)]) == os.path.realpath(inbox)
    full = [
        f"{name} ({area})"
        for area, name, counts in (("3a", "the inbox", not inside), ("3b", "the outbox", packages))
        if counts and areas[area].state in FULL
    ]
    if capacity.partition_state in FULL:
        full.append("the SSD")
    if full:
        raise SpaceError(
            f"batch {signal.batch}: {' and '.join(full)} is too full for a new batch; copy "
            "packages away and confirm them (`drystone outbox list`), or make room, and try again"
        )


def abandon(database: Database, name: str, inbox: str) -> None:
    """Give up a batch that cannot go on; its files and what the store has of them stay.

    Raises UsageError for a batch that is complete, or that nobody began.
    """
    known = {batch.name: batch for batch in database.ingests.batches()}
    if name not in known:
        raise UsageError(f"there is no batch {name!a}; see `drystone inbox list`")
    if known[name].state in (*COMPLETE, "described", "purging", "purged"):
        raise UsageError(f"batch {name} is {known[name].state}: there is nothing to give up")
    work = BatchWork(inbox, name)
    with work.locked():
        database.ingests.set_state(name, "stopped", ABANDONED)
        work.remove()
