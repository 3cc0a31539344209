"""UA_1: it owns the order in which a scraped folder becomes stored, described and findable.

    freeze     the listing, durable; later changes stop the batch
    store      every file, two verified copies, acknowledged by the store
    describe   adapter -> write-intents, as files in the work folder
    derive     what was extracted, and every complete record, into the store
    apply      the intents, each one transaction; quarantined rows beside them
    package    for cold storage (TYPE1), in the outbox

Every step can be killed anywhere and run again: it finds what is done by what is durable, and the
same folder gives the same bytes, intents and packages. The database only ever hears of bytes that
the store has acknowledged.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from adapters.ingest.admission import COMPLETE, admit
from adapters.ingest.assemble import Assembler, describe_problem
from adapters.ingest.config import IngestConfig, load_ingest_config, package_size_bytes_max
from adapters.ingest.declaring import Declarer
from adapters.ingest.quarantine import set_aside
from adapters.packages.package import node_keys, write_packages
from adapters.records.errors import AdapterError, BatchChangedError
from adapters.records.items import Problem
from adapters.records.names import derived_batch
from adapters.schemas.config import SchemasConfig, load_schemas_config
from adapters.schemas.propose import take_up
from adapters.sources.mixed import FALLBACK
from adapters.sources.registry import adapter_named
from adapters.work.batch_work import (
    LISTING_NAME,
    PROBLEMS_NAME,
    BatchWork,
    Listing,
    Signal,
    check_signal,
    check_unchanged,
    to_document,
)
from adapters.work.inbox_free import free_inbox
from adapters.work.store_batch import store_batch, wait_for_former
from base.files import sync_filesystem, write_durably, write_json_durably
from base.text import safe_text, size_text
from fsd import Client, load_config
from sql import Database, IngestBatch, WriteIntent


@dataclass(slots=True)
class IngestReport:
    """What one run did; figures of steps that an earlier run had done are theirs."""

    batch: str
    adapter: str
    state: str = "frozen"
    files: int = 0
    size_bytes: int = 0
    stored_new: int = 0
    stored_existing: int = 0
    records: int = 0
    nodes_new: int = 0
    nodes_existing: int = 0
    download_times: dict[str, int] = field(default_factory=dict[str, int])
    observations_new: int = 0
    observations_existing: int = 0
    edges_new: int = 0
    edges_existing: int = 0
    edges: dict[str, int] = field(default_factory=dict[str, int])
    virtual_nodes: dict[str, int] = field(default_factory=dict[str, int])
    quarantined: int = 0
    problems: list[str] = field(default_factory=list[str])
    cycles: int = 0
    proposals: list[str] = field(default_factory=list[str])
    """Schemas of JSON documents that wait for somebody to accept them."""
    packages: list[str] = field(default_factory=list[str])
    duration_s: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(slots=True)
class _Run:
    """What the steps of one run share."""

    signal: Signal
    work: BatchWork
    settings: IngestConfig
    schemas: SchemasConfig
    package_size_bytes: int
    inbox: str
    outbox: str
    client: Client
    database: Database
    say: Callable[[str], None]
    report: IngestReport
    listing: Listing | None = None
    keys: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def frozen(self) -> Listing:
        assert self.listing is not None
        return self.listing


def ingest(
    config_path: str,
    signal: Signal,
    say: Callable[[str], None] = lambda _line: None,
    *,
    client: Client | None = None,
    database: Database | None = None,
) -> IngestReport:
    """Carry one folder in; returns when it is described and packed.

    Raises BatchChangedError when the folder changed, SpaceError when there is no room for it or for
    its packages now, AdapterError and the errors of store and database otherwise; the same call
    again goes on where this one ended.
    """
    adapter_named(signal.adapter)
    check_signal(signal)
    signal = Signal(os.path.realpath(signal.folder), signal.batch, signal.adapter, signal.user)
    opened = database or Database.open(config_path)
    run = _run_of(config_path, signal, say, client, opened)
    try:
        with run.work.locked():
            _free_when_confirmed(run)  # What a run before was killed in.
            former = admit(opened, run.client, signal, run.inbox, packages=run.settings.packages)
            if former is not None:
                return _report_former(run, former)
            _run_steps(run)
    except OSError as error:
        # Whatever the filesystem refused, nothing is lost: the next run goes on from here.
        raise AdapterError(
            f"batch {signal.batch}: {error.strerror or error} "
            f"({safe_text(str(error.filename or signal.folder))}); put that right and run it again"
        ) from error
    finally:
        if database is None:
            opened.close()
    return run.report


def _run_of(
    config_path: str,
    signal: Signal,
    say: Callable[[str], None],
    client: Client | None,
    database: Database,
) -> _Run:
    config, settings = load_config(config_path), load_ingest_config(config_path)
    return _Run(
        signal=signal,
        work=BatchWork(config.area_path("3a"), signal.batch),
        settings=settings,
        schemas=load_schemas_config(config_path),
        package_size_bytes=package_size_bytes_max(settings, config.quota.outbox_bytes),
        inbox=config.area_path("3a"),
        outbox=config.area_path("3b"),
        client=client or Client(config.socket_path),
        database=database,
        say=say,
        report=IngestReport(signal.batch, signal.adapter),
    )


def _run_steps(run: _Run) -> None:
    try:
        for step in STEPS if not _is_described(run) else PACKING:
            begun = time.monotonic()
            step(run)
            run.report.duration_s[step.__name__.strip("_")] = time.monotonic() - begun
    except BatchChangedError as error:
        if run.listing is not None:
            _open_batch(run)
            run.database.ingests.set_state(run.signal.batch, "stopped", safe_text(str(error)))
        raise


def _report_former(run: _Run, batch: IngestBatch) -> IngestReport:
    """Fill the report of a batch that an earlier run carried all the way in."""
    report, name = run.report, run.signal.batch
    run.say(f"{name}: is in already")
    report.files, report.size_bytes = batch.file_count, batch.size_bytes
    _report_counts(run)
    packages = run.database.ingests.packages(name, waiting_only=False)
    report.packages = sorted(package.package_id for package in packages)
    report.state = batch.state
    return report


def _report_counts(run: _Run) -> None:
    """Fill the report with what earlier runs brought."""
    report = run.report
    if os.path.exists(run.work.described_path):
        _report_description(report, read_description(run.work))
    counts = run.database.ingests.counts(run.signal.batch)
    report.stored_existing, report.nodes_existing = report.files, counts.nodes
    report.observations_existing, report.edges_existing = counts.observations, counts.edges
    report.quarantined = counts.quarantined


def _is_described(run: _Run) -> bool:
    """Whether all but the packages is done, as of a run that waits for room to pack the rest."""
    known = {batch.name: batch for batch in run.database.ingests.batches()}
    batch = known.get(run.signal.batch)
    is_described = batch is not None and batch.state == "described"
    return is_described and os.path.exists(run.work.described_path)


# ---- The steps, in order ---------------------------------------------------------------------


def _freeze(run: _Run) -> None:
    run.say(f"{run.signal.batch}: freezing the listing of {safe_text(run.signal.folder)}")
    # Read before it is checked, so that a folder that changed is recorded as stopped.
    if os.path.exists(run.work.listing_path):
        run.listing = run.work.read_listing()
    run.listing = run.work.freeze(run.signal)
    run.report.files, run.report.size_bytes = len(run.listing.files), run.listing.size_bytes
    # A crash before this line leaves a frozen listing that the next run finds.
    _open_batch(run)


def _open_batch(run: _Run) -> None:
    frozen = run.frozen
    run.database.ingests.open(
        run.signal.batch,
        run.signal.adapter,
        frozen.signal.user,
        safe_text(run.signal.folder),
        len(frozen.files),
        frozen.size_bytes,
    )


def _store(run: _Run) -> None:
    run.say(f"{run.signal.batch}: storing {len(run.frozen.files):,} files")
    job = _store_files(run, run.signal.folder, run.signal.batch, sorted(run.frozen.files))
    run.report.stored_new, run.report.stored_existing = job["written"], job["existing"]
    run.keys = {file.path: file.key for file in run.client.batch_files(run.signal.batch)}
    sizes = {file.path: file.size_bytes for file in run.client.batch_files(run.signal.batch)}
    for path, entry in run.frozen.files.items():
        if sizes.get(path) != entry.size_bytes:
            raise BatchChangedError(
                f"batch {run.signal.batch}: {safe_text(path)} was frozen with "
                f"{entry.size_bytes:,} bytes and stored with {sizes.get(path, 0):,}"
            )
    # What came or changed meanwhile was not frozen, and one of the two would be lost later.
    check_unchanged(run.frozen)
    # A crash here repeats the store step, which finds every file existing.
    run.database.ingests.set_state(run.signal.batch, "stored", None)


def _describe(run: _Run) -> None:
    if os.path.exists(run.work.described_path):
        return
    for folder in (run.work.derived, run.work.intents):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
    os.makedirs(run.work.records)
    adapter = adapter_named(run.signal.adapter)
    folder = run.frozen.scrape_folder(run.keys, run.work.extracted)
    assembler = Assembler(
        folder,
        adapter,
        intent_prefix=f"ua1:{run.signal.batch}",
        ingest_batch=run.signal.batch,
        user=run.frozen.signal.user,
        extensions=run.database.file_extensions(),
        intent_items=run.settings.intent_items,
        write_record=lambda name, data: _write_record(run.work.records, name, data),
        fallback=adapter_named(FALLBACK),
    )
    written = 0
    for intent in assembler.intents():
        written += 1
        path = os.path.join(run.work.intents, f"{written:06d}.json")
        write_durably(path, intent.model_dump_json().encode())
        run.say(
            f"{run.signal.batch}: read {assembler.counts.records:,} records, "
            f"{len(assembler.problems):,} problems"
        )
    description = {
        **_description(assembler, written),
        "package_size_bytes": run.package_size_bytes,
    }
    write_json_durably(os.path.join(run.work.derived, LISTING_NAME), to_document(run.frozen))
    aside = {name: description[name] for name in ("problems", "archives")}
    write_json_durably(os.path.join(run.work.derived, PROBLEMS_NAME), aside)
    # The records and extracted files were not synced one by one. All of them are durable before
    # the last file says so: a crash before it begins the step again, from an empty work folder.
    sync_filesystem(run.work.folder)
    write_json_durably(run.work.described_path, description)


def _derive(run: _Run) -> None:
    """Store what describing made; the intents name these objects, so they come first."""
    derived = derived_batch(run.signal.batch)
    _store_files(run, run.work.derived, derived, None)
    stored = {*run.keys.values(), *(file.key for file in run.client.batch_files(derived))}
    missing = node_keys(run.work) - stored
    if missing:
        # Never the case while the work folder is what was synced: somebody changed it.
        os.unlink(run.work.described_path)
        raise AdapterError(
            f"batch {run.signal.batch}: {len(missing):,} objects of its intents are not in the "
            f"store, for example {min(missing)}; run it again, and it is described anew"
        )


def _apply(run: _Run) -> None:
    described = read_description(run.work)
    declarer = Declarer(run.database, adapter_named(run.signal.adapter))
    report = run.report
    for number in range(1, described["intents"] + 1):
        with open(os.path.join(run.work.intents, f"{number:06d}.json"), "rb") as file:
            intent = WriteIntent.model_validate_json(file.read())
        declarer.declare(intent)
        result = run.database.apply_intent(intent)
        report.nodes_new += result.nodes_new
        report.nodes_existing += result.nodes_existing
        report.observations_new += result.observations_new
        report.observations_existing += result.observations_existing
        report.edges_new += result.edges_new
        report.edges_existing += result.edges_existing
        report.cycles += len(result.cycles)
        run.say(f"{run.signal.batch}: applied {number:,} of {described['intents']:,} intents")
    # A crash before the state says "described" does all of it again, to the same end.
    report.proposals = take_up(run.database, run.signal.batch, run.schemas, run.say)
    problems = _report_description(report, described)
    set_aside(run.database, run.signal.batch, problems, described["archives"], run.keys)
    run.database.ingests.set_state(run.signal.batch, "described", None)


def _package(run: _Run) -> None:
    if run.settings.packages:
        run.report.packages = write_packages(
            run.database,
            run.work,
            run.frozen,
            run.keys,
            client=run.client,
            outbox=run.outbox,
            # As it was when the batch was described: another size would cut it elsewhere.
            size_bytes_max=read_description(run.work)["package_size_bytes"],
            say=run.say,
        )
    run.database.ingests.set_state(run.signal.batch, "packed", None)
    run.report.state = "packed"
    # A crash here leaves it to the same call again, or to who confirms a package once more.
    _free_when_confirmed(run)


def _free_when_confirmed(run: _Run) -> None:
    """Free the inbox when nothing is waited for: no package is made, or all are confirmed."""
    name = run.signal.batch
    known = {batch.name: batch for batch in run.database.ingests.batches()}
    if name not in known or known[name].state not in COMPLETE:
        return
    if run.database.ingests.packages(name) or not os.path.exists(run.work.listing_path):
        return
    files, size = free_inbox(run.database, name, run.work, run.inbox)
    run.report.state = "confirmed"
    if files:
        run.say(f"{name}: {files:,} files of the inbox are free ({size_text(size)})")


def _take_up(run: _Run) -> None:
    """Know what the store has: it is not read again for every look whether there is room."""
    run.keys = {file.path: file.key for file in run.client.batch_files(run.signal.batch)}
    _report_counts(run)


STEPS = (_freeze, _store, _describe, _derive, _apply, _package)
PACKING = (_freeze, _take_up, _package)


def _report_description(report: IngestReport, described: dict[str, Any]) -> list[Problem]:
    problems = [Problem(**problem) for problem in described["problems"]]
    report.records, report.quarantined = described["records"], len(problems)
    report.edges, report.virtual_nodes = described["edges"], described["virtual_nodes"]
    # A batch that an older version described says nothing of them.
    report.download_times = described.get("download_times", {})
    report.problems = [describe_problem(problem) for problem in problems]
    return problems


# ---- What steps are made of ------------------------------------------------------------------


def _store_files(run: _Run, folder: str, batch: str, files: list[str] | None) -> dict[str, Any]:
    # A run that was killed left its job in the engine: let it end, then find everything existing.
    wait_for_former(run.client, [batch])
    return store_batch(run.client, folder, batch, files)


def _write_record(root: str, name: str, data: bytes) -> None:
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def _description(assembler: Assembler, intents: int) -> dict[str, Any]:
    counts = assembler.counts
    return {
        "version": 1,
        "intents": intents,
        "records": counts.records,
        "virtual_nodes": counts.virtual_nodes,
        "physical_nodes": counts.physical_nodes,
        "observations": counts.observations,
        "edges": counts.edges,
        "download_times": counts.download_times,
        "problems": [
            {"path": problem.path, "number": problem.number, "reason": problem.reason}
            for problem in assembler.problems
        ],
        "archives": assembler.archives,
    }


def read_description(work: BatchWork) -> dict[str, Any]:
    """Return what describing a batch came to."""
    with open(work.described_path, encoding="ascii") as file:
        return json.load(file)
