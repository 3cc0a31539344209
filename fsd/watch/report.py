"""What the store says of itself: it owns capacity, health and warnings, changes nothing."""

import json
import os
import re
import time
from collections import Counter

from base.text import count_text, size_text
from base.version import version
from fsd.disks.disk_models import Measurement
from fsd.disks.disks import Disk
from fsd.documents.models import AreaStatus, Capacity, DiskStatus, Health, Notice
from fsd.format.index_rows import ShardRow
from fsd.planning.placement import (
    DiskSpace,
    Held,
    UsableAfterLoss,
    next_disk_advice,
    usable_after_loss,
    usable_besides,
)
from fsd.repair.index_figures import count_batches, count_views, sound_shards
from fsd.running.engine_core import EngineCore
from fsd.store.job import timestamp
from fsd.store.store import Store
from fsd.watch.calibrate import model_status
from fsd.watch.disk_notices import disk_notices
from fsd.watch.known_losses import KnownLosses, known_losses, loss_notices
from fsd.watch.ssd_notices import ssd_notices
from fsd.watch.watch import Watch

TERABYTE = 10**12
REASONS_SHOWN_MAX = 3


def disk_statuses(watch: Watch) -> tuple[DiskStatus, ...]:
    """Return every disk with its state and counters."""
    store = watch.engine.store
    rows = _shard_rows(watch)
    return tuple(
        _disk_status(
            disk,
            [row.length_bytes for row in rows if disk.disk_id in row.disks],
            store.models.get(disk.disk_id),
        )
        for disk in store.disks.disks.values()
    )


def _shard_rows(watch: Watch) -> list[ShardRow]:
    index = watch.engine.store.index
    rows, damaged = sound_shards(index)
    # The sums lack these, so the warning that says it must be there at once.
    watch.damaged_shards = (index.generation, damaged)
    return rows


def _disk_status(disk: Disk, lengths: list[int], known: Measurement | None) -> DiskStatus:
    return DiskStatus(
        disk_id=disk.disk_id,
        name=disk.name,
        path=disk.path,
        state=disk.shown_state,  # pyright: ignore[reportArgumentType]
        reason=disk.reason,
        failure_domain=disk.failure_domain,
        size_bytes=disk.size_bytes,
        free_bytes=disk.free_bytes,
        shards=len(lengths),
        stored_bytes=sum(lengths),
        read_bytes=disk.counters.read_bytes,
        written_bytes=disk.counters.written_bytes,
        errors=disk.counters.errors,
        late_reads=disk.counters.late_reads,
        last_error=disk.last_error,
        health=disk.health.state,
        health_reason=disk.health.reason,
        model=None if known is None else model_status(known),
    )


def area_statuses(watch: Watch) -> tuple[AreaStatus, ...]:
    """Return the four SSD areas as last measured."""
    return tuple(
        AreaStatus(
            area=usage.area,
            path=str(usage.path),
            quota_bytes=usage.quota_bytes,
            used_bytes=usage.used_bytes,
            reserved_bytes=usage.reserved_bytes,
            files=usage.files,
            state=usage.state,
            refuses=usage.refuses,
            limit_bytes=usage.limit_bytes,
        )
        for usage in watch.engine.areas.usage()
    )


def capacity(watch: Watch) -> Capacity:
    """Return what fits at the copies target, now and after the worst loss, and what to buy."""
    engine, store = watch.engine, watch.engine.store
    copies = engine.config.store.copies_raw
    same = engine.config.store.allow_same_device
    spaces = store.disks.spaces()
    held = _held(store, spaces)
    now = usable_besides(spaces, copies, held, allow_same_domain=same)
    after = usable_after_loss(spaces, copies, allow_same_domain=same, held=held)
    names = {disk.disk_id: disk.name for disk in store.disks.disks.values()}
    worst = ", ".join(names.get(disk, disk) for disk in after.disk_ids)
    with store.index.read() as reader:
        objects = reader.object_count()
    payload = sum(row.payload_bytes - row.dead_bytes for row in _shard_rows(watch))
    partition = engine.areas.partition_state()
    return Capacity(
        copies=copies,
        objects=objects,
        payload_bytes=payload,
        usable_bytes=now.usable_bytes,
        usable_after_loss_bytes=after.usable_bytes,
        worst_loss=worst or None,
        unplaced_after_loss_bytes=after.unplaced_bytes,
        partition_fill=partition.fill,
        partition_state=partition.state,
        advice=(*_loss_advice(worst, after), *_disk_advice(spaces, copies, same, held)),
        disks=disk_statuses(watch),
        areas=area_statuses(watch),
    )


def _held(store: Store, spaces: list[DiskSpace]) -> list[Held]:
    """Return what those of the disks that stay hold, taken together where the same disks hold it.

    A disk that was taken back meanwhile has no space among these, and counts the next time.
    """
    staying = {disk.disk_id for disk in store.disks.disks.values() if _stays(disk)}
    staying &= {space.disk_id for space in spaces}
    sizes: Counter[tuple[int, tuple[str, ...]]] = Counter()
    with store.lock:
        bad = store.shards.lost | store.shards.suspect
        for shard in store.shards.state.shards.values():
            if shard.sealed and not shard.vacated:
                sound = (disk for disk in shard.disks if (shard.shard_id, disk) not in bad)
                disks = tuple(sorted(staying.intersection(sound)))
                sizes[store.config.copies(shard.class_name), disks] += shard.length_bytes
    return [Held(size, copies, disks) for (copies, disks), size in sizes.items()]


def _stays(disk: Disk) -> bool:
    return disk.readable and not disk.draining


def _loss_advice(worst: str, after: UsableAfterLoss) -> list[str]:
    if not after.unplaced_bytes:
        return []
    return [
        f"after losing {worst}, {size_text(after.unplaced_bytes)} of copies would have no place on "
        "the other disks: add a disk, or free space"
    ]


def _disk_advice(spaces: list[DiskSpace], copies: int, same: bool, held: list[Held]) -> list[str]:
    lines: list[str] = []
    best = 0
    for size, gain in next_disk_advice(spaces, copies, allow_same_domain=same, held=held):
        # A larger disk that adds no more than a smaller one is no advice.
        if gain > best * 1.01:
            lines.append(
                f"a disk of {size / TERABYTE:g} TB more would add {size_text(gain)} usable"
            )
            best = gain
    if not lines:
        lines.append(f"one disk more would add nothing: {copies} copies need {copies} with room")
    return lines


def health(watch: Watch) -> Health:
    """Return whether all is well; see `Health`."""
    engine, store = watch.engine, watch.engine.store
    with store.lock:
        shards = [s for s in store.shards.state.shards.values() if not s.vacated]
    lag_bytes = single_bytes = 0
    oldest_ns = 0
    for shard in shards:
        copies = store.sound_copies(shard.shard_id)
        missing = max(0, store.config.copies(shard.class_name) - copies)
        if shard.sealed and missing:
            lag_bytes += missing * shard.length_bytes
            oldest_ns = min(oldest_ns or shard.sealed_ns, shard.sealed_ns)
        if copies == 1 and store.config.copies(shard.class_name) > 1:
            single_bytes += shard.length_bytes
    with store.index.read() as reader:
        objects = reader.object_count()
        batches, views = count_batches(reader), count_views(reader)
    disks = disk_statuses(watch)
    losses = known_losses(watch)
    found = warnings(watch, losses)
    degraded = (
        lag_bytes
        or engine.open_shards.found
        or any(d.state in ("missing", "readonly") for d in store.disks.disks.values())
    )
    return Health(
        state="failed" if losses else "degraded" if degraded else "ok",
        store_id=engine.config.store.store_id,
        version=version(),
        epoch=store.disks.epoch,
        started=timestamp(engine.started_s),
        objects=objects,
        shards=len(shards),
        batches=batches,
        views=views,
        replication_lag_bytes=lag_bytes,
        replication_lag_oldest_s=max(0.0, time.time() - oldest_ns / 1e9) if oldest_ns else 0.0,
        single_copy_bytes=single_bytes,
        unreadable_shards=len(losses.unreadable),
        rebuild_queue=len(engine.reconciler.wanted(at_once=True)),
        running_jobs=len(engine.jobs.running()),
        index_bytes=store.index.size_bytes(),
        memory_anonymous_bytes=anonymous_bytes(),
        last_errors=(*store.disks.last_errors, *engine.notes),
        disks=disks,
        warnings=found,
    )


def anonymous_bytes() -> int:
    """Return this process's anonymous memory (RssAnon), which mapped files are not part of."""
    with open("/proc/self/status", encoding="ascii") as file:
        found = re.search(r"^RssAnon:\s+(\d+) kB", file.read(), re.MULTILINE)
    return int(found.group(1)) * 1024 if found else 0


def warnings(watch: Watch, losses: KnownLosses | None = None) -> tuple[Notice, ...]:
    """Return everything a person should know, the worst first, each with what to do."""
    engine = watch.engine
    losses = known_losses(watch) if losses is None else losses
    found = [*disk_notices(engine.store), *loss_notices(losses)]
    found += [*_copies_warnings(engine), *ssd_notices(engine)]
    found += [*engine.open_shards.notices(), *watch.notices()]
    if engine.config.store.allow_same_device:
        found.append(
            Notice(
                code="same-device",
                severity="warning",
                message="some disks of this store lie on one device: one failure takes them all",
                advice="this is a try-out; for real data use folders on different disks",
            )
        )
    for note in engine.notes:
        found.append(Notice(code="note", severity="warning", message=note, advice="see the log"))
    order = ("critical", "warning", "info")
    return tuple(sorted(found, key=lambda warning: order.index(warning.severity)))


def _copies_warnings(engine: EngineCore) -> list[Notice]:
    wants = engine.reconciler.wanted(at_once=True)
    given_up = dict(engine.replicator.reconstructor.given_up)
    lossy = [want.shard.shard_id for want in wants if want.shard.shard_id in given_up]
    rest = [want.shard for want in wants if want.shard.shard_id not in given_up]
    found: list[Notice] = []
    if rest:
        size = sum(shard.length_bytes for shard in rest)
        found.append(
            Notice(
                code="copies",
                severity="warning",
                message=f"{count_text(len(rest), 'shard')} ({size_text(size)}) with fewer copies "
                "than wanted",
                advice="drystone rebuild makes them whole now; "
                + (engine.reconciler.last_error or "the engine does so by itself in a while"),
            )
        )
    deleted = [given_up[shard_id].reason for shard_id in lossy if given_up[shard_id].deleted]
    lost = [given_up[shard_id].reason for shard_id in lossy if not given_up[shard_id].deleted]
    if lost:
        found.append(
            Notice(
                code="damaged",
                severity="critical",
                message=f"{count_text(len(lost), 'shard')} cannot be made whole; what is sound in "
                "them is read: " + "; ".join(lost[:REASONS_SHOWN_MAX]),
                advice="store the lost files again (drystone put): the shards are then made whole "
                "by themselves, also when a disk that is away comes back",
            )
        )
    if deleted:
        found.append(
            Notice(
                code="damaged-garbage",
                severity="warning",
                message=f"{count_text(len(deleted), 'shard')} cannot be made whole: "
                + "; ".join(deleted[:REASONS_SHOWN_MAX]),
                advice="drystone compact moves what lives in them and gives them up",
            )
        )
    return found


def write_status_files(watch: Watch) -> None:
    """Write what the mount shows below `status/`, atomically."""
    documents = {"health.json": health(watch), "capacity.json": capacity(watch)}
    for name, document in documents.items():
        target = os.path.join(watch.engine.config.status_dir, name)
        with open(target + ".tmp", "w", encoding="utf-8") as file:
            json.dump(document.model_dump(), file, indent=1)
        os.rename(target + ".tmp", target)
