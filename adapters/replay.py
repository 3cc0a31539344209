"""Reading a batch again: it owns the replay of what was quarantined.

The files come back out of the store, with their times, and the whole batch is read anew: records
lean on each other, and whatever was known before is known again without a new row. A row of the
quarantine is closed when its path and record no longer cause a problem.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

from adapters.assemble import Assembler
from adapters.batch_work import LISTING_NAME, Listing, from_document
from adapters.errors import AdapterError, UsageError
from adapters.folder import FileEntry, ScrapeFolder, list_files
from adapters.ingest import DERIVED_SUFFIX, FALLBACK, quarantine_rows
from adapters.ingest_config import load_ingest_config
from adapters.registry import adapter_named
from fsd import Client, load_config, safe_text
from sql import Database, WriteIntent

WORK_FOLDER = ".replay"


@dataclass(slots=True)
class Replayed:
    """What a replay came to."""

    batch: str
    before: int = 0
    understood: int = 0
    left: int = 0
    nodes_new: int = 0
    observations_new: int = 0
    edges_new: int = 0


def replay(
    config_path: str, batch: str, fixed: str | None, say: Callable[[str], None] = lambda _: None
) -> Replayed:
    """Read a batch again, with repaired files in place of those at the same paths.

    Raises UsageError when there is no such batch or a repaired file belongs to no file of it.
    """
    config = load_config(config_path)
    client = Client(config.socket_path)
    work = os.path.join(config.area_path("3a"), WORK_FOLDER, batch)
    with Database.open(config_path) as database:
        known = {one.name: one for one in database.ingest_batches()}
        if batch not in known or known[batch].state in ("frozen", "stopped"):
            raise UsageError(f"there is no stored batch {batch!a}; ingest it first")
        report = Replayed(batch, before=len(list(database.quarantined(batch))))
        shutil.rmtree(work, ignore_errors=True)
        try:
            _run(config_path, batch, fixed, work, client, database, report, say)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return report


def _run(
    config_path: str,
    batch: str,
    fixed: str | None,
    work: str,
    client: Client,
    database: Database,
    report: Replayed,
    say: Callable[[str], None],
) -> None:
    run_id = f"{time.time_ns():x}"
    listing, keys = _fetch(client, batch, work, say)
    if fixed is not None:
        _overlay(client, f"{batch}.fixed-{run_id}", fixed, work, listing, keys)
    adapter = adapter_named(listing.signal.adapter)
    records = os.path.join(work, "derived", "records")
    os.makedirs(records)
    root = os.path.join(work, "files")
    files = {
        path: FileEntry(entry.size_bytes, entry.mtime_ns, keys[path])
        for path, entry in list_files(root).items()
    }
    assembler = Assembler(
        ScrapeFolder(root, files, os.path.join(work, "derived", "extracted")),
        adapter,
        intent_prefix=f"ua1:{batch}:replay-{run_id}",
        ingest_batch=batch,
        user=listing.signal.user,
        extensions=database.file_extensions(),
        intent_items=load_ingest_config(config_path).intent_items,
        write_record=lambda name, data: _write(os.path.join(records, name), data),
        fallback=adapter_named(FALLBACK),
    )
    intents = _spool(assembler, os.path.join(work, "intents.jsonl"), say)
    # The store acknowledges what the intents name before the database hears of it.
    _store(client, os.path.join(work, "derived"), batch + DERIVED_SUFFIX)
    for table in (*adapter.tables, *adapter_named(FALLBACK).tables):
        database.declare(table)
    with open(intents, "rb") as file:
        for line in file:
            result = database.apply_intent(WriteIntent.model_validate_json(line))
            report.nodes_new += result.nodes_new
            report.observations_new += result.observations_new
            report.edges_new += result.edges_new
    rows = quarantine_rows(assembler.problems, keys)
    database.add_quarantine(batch, rows)
    still = {(row.path, row.record_number) for row in rows}
    open_rows = {(row.path, row.record_number) for row in database.quarantined(batch)}
    done = open_rows - still
    database.mark_replayed(batch, sorted(done))
    report.understood, report.left = len(done), len(open_rows) - len(done)


def _fetch(
    client: Client, batch: str, work: str, say: Callable[[str], None]
) -> tuple[Listing, dict[str, str]]:
    """Bring the batch's files back as they were; returns the frozen listing and the keys."""
    os.makedirs(work)
    derived = {file.path: file.key for file in client.batch_files(batch + DERIVED_SUFFIX)}
    if LISTING_NAME not in derived:
        raise UsageError(f"batch {batch!a} was not described yet; ingest it first")
    path = os.path.join(work, LISTING_NAME)
    client.read(derived[LISTING_NAME], path)
    with open(path, encoding="ascii") as file:
        listing = from_document(json.load(file))
    keys: dict[str, str] = {}
    for number, file in enumerate(client.batch_files(batch)):
        entry = listing.files.get(file.path)
        if entry is None:
            continue
        target = os.path.join(work, "files", file.path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        client.read(file.key, target)
        os.utime(target, ns=(entry.mtime_ns, entry.mtime_ns))
        keys[file.path] = file.key
        if number % 1000 == 999:
            say(f"{batch}: fetched {number + 1:,} files")
    return listing, keys


def _overlay(
    client: Client, batch: str, fixed: str, work: str, listing: Listing, keys: dict[str, str]
) -> None:
    """Put repaired files in the place of the broken ones, stored as a batch of their own."""
    repaired = list_files(fixed) if os.path.isdir(fixed) else {}
    strangers = sorted(set(repaired) - set(listing.files))
    if strangers or not repaired:
        raise UsageError(
            f"{fixed!a} has no file of the batch"
            if not strangers
            else f"{safe_text(strangers[0])} is no path of the batch; repaired files need the same "
            "paths (`drystone quarantine list`)"
        )
    _store(client, os.path.realpath(fixed), batch)
    for file in client.batch_files(batch):
        target = os.path.join(work, "files", file.path)
        os.unlink(target)
        client.read(file.key, target)
        mtime_ns = listing.files[file.path].mtime_ns
        os.utime(target, ns=(mtime_ns, mtime_ns))
        keys[file.path] = file.key


def _spool(assembler: Assembler, path: str, say: Callable[[str], None]) -> str:
    with open(path, "wb") as file:
        for intent in assembler.intents():
            file.write(intent.model_dump_json().encode() + b"\n")
            say(f"read {assembler.counts.records:,} records again")
    return path


def _store(client: Client, folder: str, batch: str) -> None:
    job = client.wait(client.batch_write(folder, batch, "raw").job_id)
    if job.state != "done":
        raise AdapterError(
            f"the store did not take all of {batch}: {job.error or job.state}; "
            "see `drystone health`, then run it again"
        )


def _write(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
