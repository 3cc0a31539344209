"""Reading a batch again: it owns the replay of what was quarantined.

The files come back out of the store, with their times, and the whole batch is read anew: records
lean on each other, and whatever was known before is known again without a new row. Files that
earlier replays repaired stay repaired. A row of the quarantine is closed when its path and record
no longer cause a problem.

    fetch      the frozen files, then all repairs so far in their places
    read       adapter -> write-intents, as files
    store      the repaired files, and what reading made that the batch did not have
    package    both, and the intents, for cold storage
    apply      the intents; then the quarantine

What the database hears of is in the store and in a package before. A run that was killed is
forgotten, except for its repaired files: the next one reads everything again.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

from adapters.ingest.assemble import Assembler
from adapters.ingest.config import load_ingest_config
from adapters.ingest.declaring import Declarer
from adapters.ingest.quarantine import close_understood, set_aside
from adapters.packages.package_read import file_key
from adapters.packages.replay_package import write_locations, write_replay_packages
from adapters.records.adapter import Adapter
from adapters.records.errors import AdapterError
from adapters.records.folder import FileEntry, ScrapeFolder, list_files
from adapters.records.listing import quarantine_path
from adapters.records.names import FIXED_INFIX, derived_batch, fixed_batch
from adapters.schemas.config import load_schemas_config
from adapters.schemas.propose import take_up
from adapters.sources.mixed import FALLBACK, RedirectedAdapter
from adapters.sources.registry import RETIRED, adapter_named, adapter_of_stored
from adapters.work.batch_work import (
    LISTING_NAME,
    PROBLEMS_NAME,
    BatchWork,
    Listing,
    from_document,
    make_own_folder,
)
from adapters.work.store_batch import store_batch
from base.errors import UsageError
from base.files import write_json_durably
from base.text import safe_text
from fsd import Client, load_config
from sql import Database, WriteIntent

WORK_FOLDER = ".replay"
REPLAYABLE = ("described", "packed", "confirmed")
PROGRESS_FILES = 1_000


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


@dataclass(slots=True)
class _Run:
    """What the steps of one replay share."""

    config_path: str
    batch: str
    folder: str
    client: Client
    database: Database
    say: Callable[[str], None]
    report: Replayed

    def below(self, name: str) -> str:
        return os.path.join(self.folder, name)


def replay(
    config_path: str,
    batch: str,
    fixed: str | None,
    say: Callable[[str], None] = lambda _: None,
    source: str | None = None,
) -> Replayed:
    """Read a batch again, with repaired files in place of those at the same paths.

    What is set aside now is read by the adapter `source`, if one is named, from then on.

    Raises UsageError when there is no such batch, somebody else works on it, or a repaired file
    belongs to no file of it; AdapterError when the store or the SSD refuses.
    """
    config = load_config(config_path)
    inbox = config.area_path("3a")
    folder = os.path.join(inbox, WORK_FOLDER, batch)
    if source is not None:
        adapter_named(source)
    with Database.open(config_path) as database:
        known = {one.name: one for one in database.ingests.batches()}
        if batch not in known or known[batch].state not in REPLAYABLE:
            raise UsageError(f"there is no stored batch {batch!a}; ingest it first")
        client = Client(config.socket_path)
        run = _Run(config_path, batch, folder, client, database, say, Replayed(batch))
        try:
            with BatchWork(inbox, batch).locked():
                make_own_folder(os.path.dirname(folder))
                shutil.rmtree(folder, ignore_errors=True)  # Ours: the batch is locked.
                try:
                    _replay(run, fixed, source, config.area_path("3b"))
                finally:
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError as error:
            raise AdapterError(
                f"batch {batch} cannot be read again: {error.strerror or error} "
                f"({safe_text(str(error.filename or folder))}); put that right and repeat"
            ) from error
    return run.report


def _replay(run: _Run, fixed: str | None, source: str | None, outbox: str) -> None:
    rows = list(run.database.quarantine.of_batches(run.batch))
    run.report.before = len(rows)
    listing, keys, derived_keys = _fetch(run)
    before = _asked_before(run)
    asked = {path: name for path, name in before.items() if name not in RETIRED}
    if source is not None:
        aside = {row.path for row in rows}
        asked |= {path: source for path in listing.files if quarantine_path(path) in aside}
    adapter: Adapter = adapter_of_stored(listing.signal.adapter)
    if asked:
        adapter = RedirectedAdapter(adapter, asked)
    name = _overlay(run, fixed, listing, keys)
    assembler = _assembler(run, adapter, listing, keys, name)
    nodes = _read(run, assembler)
    aside = {
        "problems": [
            {"path": one.path, "number": one.number, "reason": one.reason}
            for one in assembler.problems
        ],
        "archives": assembler.archives,
        "asked": asked,
    }
    _drop_known(run.below("derived"), derived_keys)
    write_json_durably(os.path.join(run.below("derived"), PROBLEMS_NAME), aside)
    # The store acknowledges what the intents name before the database hears of it.
    store_batch(run.client, run.below("derived"), derived_batch(run.batch, name))
    settings = load_ingest_config(run.config_path)
    written = {}
    if settings.packages:
        written = write_replay_packages(
            run.database,
            run.client,
            listing,
            name,
            {one: run.below(one) for one in ("fixed", "derived") if os.path.isdir(run.below(one))},
            run.below("intents"),
            outbox=outbox,
            size_bytes_max=settings.package_size_bytes,
        )
    # A crash before this line leaves a package that says more than the database; a later run
    # writes its own, and restoring both is the same as restoring the later one.
    _apply(run, adapter)
    write_locations(run.database, written, nodes)
    report = run.report
    report.understood, report.left = close_understood(run.database, run.batch, assembler.problems)
    set_aside(run.database, run.batch, assembler.problems, assembler.archives, keys)


# ---- Fetching --------------------------------------------------------------------------------


def _fetch(run: _Run) -> tuple[Listing, dict[str, str], set[str]]:
    """Bring the batch's files back as they were.

    Returns the frozen listing, the keys of its files, and the keys of what was derived.
    """
    os.makedirs(run.folder, mode=0o700)
    derived = {file.path: file.key for file in run.client.batch_files(derived_batch(run.batch))}
    if LISTING_NAME not in derived:
        raise UsageError(f"batch {run.batch!a} was not described yet; ingest it first")
    path = run.below(LISTING_NAME)
    run.client.read(derived[LISTING_NAME], path)
    with open(path, encoding="ascii") as file:
        listing = from_document(json.load(file))
    stored = {file.path: file.key for file in run.client.batch_files(run.batch)}
    lost = sorted(listing.files.keys() - stored.keys())
    if lost:
        raise AdapterError(
            f"the store lacks {len(lost):,} files of batch {run.batch}, for example "
            f"{safe_text(lost[0])}; restore it from its packages, then repeat (a batch of which "
            "single files were purged is not replayed)"
        )
    keys = {path: stored[path] for path in listing.files}
    for number, path in enumerate(sorted(keys), 1):
        _bring(run, listing, path, keys[path])
        if number % PROGRESS_FILES == 0:
            run.say(f"{run.batch}: fetched {number:,} files")
    return listing, keys, set(derived.values())


def _bring(run: _Run, listing: Listing, path: str, key: str) -> None:
    """Write a file of the store where it was, with its time."""
    target = os.path.join(run.below("files"), path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.lexists(target):
        os.unlink(target)
    run.client.read(key, target)
    mtime_ns = listing.files[path].mtime_ns
    os.utime(target, ns=(mtime_ns, mtime_ns))


def _asked_before(run: _Run) -> dict[str, str]:
    """Return who was asked to read which files; the last replay says it of all."""
    prefix = f"{derived_batch(run.batch)}-"
    former = sorted(one.batch for one in run.client.batches() if one.batch.startswith(prefix))
    if not former:
        return {}
    keys = {file.path: file.key for file in run.client.batch_files(former[-1])}
    if PROBLEMS_NAME not in keys:
        return {}
    path = run.below(PROBLEMS_NAME)
    run.client.read(keys[PROBLEMS_NAME], path)
    with open(path, encoding="ascii") as file:
        return json.load(file).get("asked", {})


# ---- Repairs ---------------------------------------------------------------------------------


def _overlay(run: _Run, fixed: str | None, listing: Listing, keys: dict[str, str]) -> str:
    """Put repaired files in the place of the broken ones; returns the name of this run.

    First those of earlier runs, in their order. All of them together are stored as those of this
    run, so that the last ones say everything.
    """
    new = _repaired(fixed, listing) if fixed is not None else []
    prefix = run.batch + FIXED_INFIX
    former = sorted(one.batch for one in run.client.batches() if one.batch.startswith(prefix))
    repairs: dict[str, str] = {}
    for batch in former:
        repairs.update((file.path, file.key) for file in run.client.batch_files(batch))
    last_ns = int(former[-1].removeprefix(prefix), 16) if former else 0
    name = f"{max(time.time_ns(), last_ns + 1):016x}"
    folder = run.below("fixed")
    for path, key in repairs.items():
        if path in listing.files and path not in new:
            place = os.path.join(folder, path)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            run.client.read(key, place)
    for path in new:
        place = os.path.join(folder, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        shutil.copyfile(os.path.join(fixed or "", path), place, follow_symlinks=False)
    if os.path.isdir(folder):
        batch = fixed_batch(run.batch, name)
        store_batch(run.client, folder, batch)
        for file in run.client.batch_files(batch):
            _bring(run, listing, file.path, file.key)
            keys[file.path] = file.key
    return name


def _repaired(fixed: str, listing: Listing) -> list[str]:
    repaired = list_files(fixed) if os.path.isdir(fixed) else {}
    strangers = sorted(set(repaired) - set(listing.files))
    if strangers or not repaired:
        raise UsageError(
            f"{fixed!a} has no file of the batch"
            if not strangers
            else f"{safe_text(strangers[0])} is no path of the batch; repaired files need the same "
            "paths (`drystone quarantine list`)"
        )
    return sorted(repaired)


# ---- Reading and applying --------------------------------------------------------------------


def _assembler(
    run: _Run, adapter: Adapter, listing: Listing, keys: dict[str, str], name: str
) -> Assembler:
    root = run.below("files")
    files = {
        path: FileEntry(entry.size_bytes, entry.mtime_ns, keys[path])
        for path, entry in list_files(root).items()
    }
    derived = run.below("derived")
    return Assembler(
        ScrapeFolder(root, files, os.path.join(derived, "extracted")),
        adapter,
        intent_prefix=f"ua1:{run.batch}:replay-{name}",
        ingest_batch=run.batch,
        user=listing.signal.user,
        extensions=run.database.file_extensions(),
        intent_items=load_ingest_config(run.config_path).intent_items,
        write_record=lambda path, data: _write(os.path.join(derived, "records", path), data),
        fallback=adapter_named(FALLBACK),
    )


def _read(run: _Run, assembler: Assembler) -> set[str]:
    """Write all intents as files; returns the keys of their physical nodes."""
    nodes: set[str] = set()
    os.makedirs(run.below("intents"))
    for number, intent in enumerate(assembler.intents(), 1):
        nodes.update(node.key for node in intent.physical_nodes)
        path = os.path.join(run.below("intents"), f"{number:06d}.json")
        _write(path, intent.model_dump_json().encode())
        run.say(f"{run.batch}: read {assembler.counts.records:,} records again")
    return nodes


def _drop_known(folder: str, known: set[str]) -> None:
    """Remove what the batch has in the same bytes: only what is new is kept a second time."""
    os.makedirs(folder, exist_ok=True)
    for path in list_files(folder):
        place = os.path.join(folder, path)
        if file_key(place) in known:
            os.unlink(place)


def _apply(run: _Run, adapter: Adapter) -> None:
    declarer = Declarer(run.database, adapter)
    for name in sorted(os.listdir(run.below("intents"))):
        with open(os.path.join(run.below("intents"), name), "rb") as file:
            intent = WriteIntent.model_validate_json(file.read())
        declarer.declare(intent)
        result = run.database.apply_intent(intent)
        run.report.nodes_new += result.nodes_new
        run.report.observations_new += result.observations_new
        run.report.edges_new += result.edges_new
    take_up(run.database, run.batch, load_schemas_config(run.config_path), run.say)


def _write(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
