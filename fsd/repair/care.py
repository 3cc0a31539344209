"""Care of the store: it owns `verify` and `fsck`, which look and mark, and never delete."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from base.errors import DrystoneError
from fsd.compile.lost_parts import newest_first
from fsd.disk_io.queue_rule import Kind
from fsd.disks.disks import Disk
from fsd.documents.models import VerifyRequest
from fsd.format.catalog import CatalogShard
from fsd.format.errors import CorruptError, NotFoundError
from fsd.format.record import Entry, iterate_entries
from fsd.repair.index_check import check_order, check_rows
from fsd.repair.lost_files import lost_files
from fsd.store.availability import Availability
from fsd.store.index import IndexReader, Location
from fsd.store.job import Job
from fsd.store.read_errors import note_read_error
from fsd.store.store import Store

FINDINGS_MAX = 1000


def verify(store: Store, request: VerifyRequest, job: Job) -> dict[str, Any]:
    """Read replicas back and check every checksum and sha256; bad ones are marked for healing.

    Reports one line per problem: disk, shard, offset, key, reason. Open shards are verified when
    they are sealed (every group was read back when it was written).
    """
    job.phase = "verifying"
    shards = _chosen(store, request)
    pairs = [(shard, disk) for shard in shards for disk in store.replicas(shard.shard_id)]
    unreadable = [shard for shard in shards if not store.replicas(shard.shard_id)]
    job.total_files = len(pairs)
    job.total_bytes = sum(shard.length_bytes for shard, _ in pairs)
    for shard in unreadable:
        job.report({"shard": shard.shard_id, "reason": "no replica is online"})
    by_disk: dict[str, list[CatalogShard]] = {}
    for shard, disk in pairs:
        by_disk.setdefault(disk.disk_id, []).append(shard)
    with ThreadPoolExecutor(max(1, len(by_disk)), "verify") as workers:
        futures = [
            workers.submit(_verify_disk, store, store.disks.disks[disk_id], listed, job)
            for disk_id, listed in by_disk.items()
        ]
        counts = [future.result() for future in futures]
    problems = sum(count[1] for count in counts)
    return {
        "replicas": len(pairs),
        "objects": sum(count[0] for count in counts),
        "read_bytes": job.done_bytes,
        "problems": problems,
        "unreadable_shards": len(unreadable),
        "incomplete": bool(problems or unreadable),
    }


def _chosen(store: Store, request: VerifyRequest) -> list[CatalogShard]:
    with store.lock:
        shards = [shard for shard in store.shards.state.shards.values() if shard.sealed]
    if request.batch is not None:
        wanted = _shards_of_batch(store, request.batch)
        shards = [shard for shard in shards if shard.shard_id in wanted]
    if request.sample is not None and shards:
        count = max(1, round(len(shards) * request.sample))
        shards = store.random.sample(shards, count)
    return shards


def _shards_of_batch(store: Store, name: str) -> set[str]:
    with store.index.read() as reader:
        row = reader.batch(name)
        if row is None:
            raise NotFoundError(f"there is no batch {name}; `drystone ls` lists them")
        parts = reader.batch_parts(name)
    numbers: set[int] = set()
    for files in newest_first(store, row, parts):
        with store.index.read() as reader:
            located = (reader.locate(bytes.fromhex(file.key)) for file in files)
            numbers |= {location.shard_number for location in located if location is not None}
    return {store.shards.ids[number] for number in numbers if number in store.shards.ids}


def _verify_disk(store: Store, disk: Disk, shards: list[CatalogShard], job: Job) -> tuple[int, int]:
    objects = problems = 0
    for shard in shards:
        job.check()
        try:
            result = disk.call("verify", shard.shard_id, priority=Kind.BACKGROUND)
        except DrystoneError as error:
            with store.lock:
                known = store.shards.state.shards.get(shard.shard_id)
            if known is None or disk.disk_id not in known.disks:
                # It has been moved to another disk meanwhile, or dropped with a purge.
                job.expect(-1, -shard.length_bytes)
                continue
            note_read_error(store, disk, shard.shard_id, error)
            job.report({"disk": disk.name, "shard": shard.shard_id, "reason": str(error)})
            problems += 1
            continue
        objects += result.objects
        problems += len(result.problems)
        store.disks.note_success(disk, read_bytes=result.read_bytes)
        job.advance(1, result.read_bytes)
        if result.problems:
            store.mark_suspect(shard.shard_id, disk)
            disk.health.note("error", time.time())
        for problem in result.problems:
            line = {"disk": disk.name, "shard": shard.shard_id, "offset": problem.offset}
            job.report({**line, "key": problem.key, "reason": problem.reason})
    return objects, problems


def fsck(store: Store, job: Job) -> dict[str, Any]:
    """Compare catalog, disks, index and references with each other; one line per finding."""
    findings = 0

    def find(what: str, **where: object) -> None:
        nonlocal findings
        findings += 1
        if findings <= FINDINGS_MAX:
            job.report({"reason": what, **where})

    for name, check in (
        ("catalogs", _check_catalogs),
        ("replicas", _check_replicas),
        ("index", _check_index_rows),
        ("places", _check_index),
        ("batches and views", _check_references),
    ):
        job.check()
        job.phase = f"checking {name}"
        try:
            check(store, find, job)
        except CorruptError as error:
            find(str(error))
    return {"findings": findings, "incomplete": findings > 0}


def _check_catalogs(store: Store, find: Any, _job: Job) -> None:
    for disk in store.disks.online():
        if missing := store.catalog.lacking(disk):
            find(f"{missing} entries are missing from its catalog", disk=disk.name)


def _check_replicas(store: Store, find: Any, _job: Job) -> None:
    with store.lock:
        shards = list(store.shards.state.shards.values())
    for disk in store.disks.disks.values():
        if disk.state == "gone":
            continue
        if not disk.readable:
            find(f"the disk is {disk.state}: {disk.reason}", disk=disk.name)
            continue
        sizes, _ = disk.call("list_shards")
        for shard in shards:
            if disk.disk_id not in shard.disks:
                continue
            size = sizes.get(shard.shard_id)
            if size is None and _counts_still(store, shard.shard_id, disk):
                find("the replica's file is missing", disk=disk.name, shard=shard.shard_id)
                store.mark_lost(shard.shard_id, disk)
            elif size is not None and shard.sealed and size != shard.length_bytes:
                find("the replica has a wrong length", disk=disk.name, shard=shard.shard_id)
                store.mark_suspect(shard.shard_id, disk)
    for shard in shards:
        copies = store.sound_copies(shard.shard_id)
        wanted = store.config.copies(shard.class_name)
        if shard.sealed and not shard.vacated and copies < wanted:
            find(f"{copies} of {wanted} copies", shard=shard.shard_id)


def _counts_still(store: Store, shard_id: str, disk: Disk) -> bool:
    """Return whether the disk has to have the shard: it may have been moved off it meanwhile.

    One that is being written gets its files with its first group.
    """
    with store.lock:
        shard = store.shards.state.shards.get(shard_id)
        written = shard_id in store.shards.writing
        return shard is not None and disk.disk_id in shard.disks and not written


def _check_index(store: Store, find: Any, job: Job) -> None:
    check_index(store, find, job, counted=True)


def check_index(store: Store, find: Any, job: Job, *, counted: bool = False) -> None:
    """Every living record of every footer must be in the index, as a place or as a spare of one.

    As many footers are read at once as there are disks; `find` is called by one thread at a time.
    Shards are `counted` as the job's work where they are all of it.
    """
    with store.lock:
        known = store.shards.state.shards.values()
        shards = [shard for shard in known if shard.sealed and not shard.vacated]
    # Held while `find` is called, by one thread at a time.
    finding = threading.Lock()

    def find_alone(what: str, **where: Any) -> None:
        with finding:
            find(what, **where)

    def check(shard: CatalogShard) -> None:
        _check_places(store, shard, find_alone, job)
        job.advance(int(counted), 0)

    job.expect(len(shards) if counted else 0)
    with ThreadPoolExecutor(max(1, len(store.disks.online())), "index") as workers:
        for checked in [workers.submit(check, shard) for shard in shards]:
            checked.result()


def _check_places(store: Store, shard: CatalogShard, find: Any, job: Job) -> None:
    job.check()
    if not store.replicas(shard.shard_id):
        find("no replica is online", shard=shard.shard_id)
        return
    entries = _footer_entries(store, shard, find)
    if entries is None:
        return
    with store.index.read() as reader:
        for entry in not_known(store, reader, shard, entries):
            find("the index lacks an object; run `drystone reindex`", key=entry.key.hex())


def _footer_entries(store: Store, shard: CatalogShard, find: Any) -> bytes | None:
    """Return the entries of a shard from a replica with a sound footer, known damaged ones last."""
    sound = store.sound_replicas(shard.shard_id)
    others = [disk for disk in store.replicas(shard.shard_id) if disk not in sound]
    for disk in (*sound, *others):
        try:
            scan = disk.call("scan", shard.shard_id)
        except DrystoneError as error:
            note_read_error(store, disk, shard.shard_id, error)
            # A copy that is one too many may have been given up meanwhile.
            if _counts_still(store, shard.shard_id, disk):
                find(f"its footer cannot be read: {error}", disk=disk.name, shard=shard.shard_id)
            continue
        if scan.footer is not None:
            return scan.entries
        find("the footer is damaged", disk=disk.name, shard=shard.shard_id)
        store.mark_suspect(shard.shard_id, disk)
    return None


def not_known(
    store: Store, reader: IndexReader, shard: CatalogShard, entries: bytes
) -> Iterator[Entry]:
    """Yield each living record of a shard that the index does not point at."""
    dead, number = shard.dead_records(), store.shards.numbers.get(shard.shard_id, -1)
    for entry in iterate_entries(entries):
        if dead.has(entry.offset, entry.key):
            continue
        location = Location(number, entry.offset, entry.length_bytes)
        # A wrong place would only be met by whoever reads the object.
        if reader.locate(entry.key) != location and location not in reader.spares(entry.key):
            yield entry


def _check_index_rows(store: Store, find: Any, job: Job) -> None:
    for reason in (*check_rows(store.index), *check_order(store.index, job.check)):
        find(reason)


def _check_references(store: Store, find: Any, job: Job) -> None:
    availability = Availability(store)
    with store.index.read() as reader:
        batches, views = list(reader.batches()), list(reader.views())
        for row in batches:
            for key in reader.batch_parts(row.name):
                if reader.locate(key) is None:
                    find("a part of the batch is missing", batch=row.name, key=key.hex())
        for view in views:
            if reader.locate(bytes.fromhex(view.manifest_key)) is None:
                find("the view's manifest is missing", view=view.name, key=view.manifest_key)
    for row in batches:
        for one in lost_files(store, row, availability, lambda _files: job.check(), find):
            find(one.reason, batch=row.name, path=one.path, key=one.key)
    for name in [row.tree_file for row in batches] + [view.tree_file for view in views]:
        if name and not os.path.exists(store.index.tree_path(name)):
            find("a listing is missing from the index; run `drystone reindex`", tree=name)
