"""The engine's metrics: it owns their names and where their values come from, not their format."""

from collections import Counter
from typing import Any

from fsd.delete.compact_plan import find_garbage
from fsd.documents.models import AreaStatus, Capacity, DiskStatus, Health
from fsd.engine.engine import Engine
from fsd.format.errors import CorruptError
from fsd.store import ballast
from fsd.watch import report
from fsd.watch.metrics_text import Metric, render

DISK_STATES = ("online", "readonly", "missing", "gone", "draining", "retired")
DISK_HEALTHS = ("ok", "suspect", "failing")
JOB_STATES = ("running", "done", "incomplete", "failed", "cancelled")
SEVERITIES = ("info", "warning", "critical")


def exposition(engine: Engine) -> str:
    """Return all metrics as text for Prometheus."""
    health = report.health(engine)
    metrics = [
        *_store_metrics(engine, health),
        *_capacity_metrics(report.capacity(engine)),
        *_disk_metrics(health.disks),
        *_smart_metrics(engine),
        *_area_metrics(report.area_statuses(engine)),
        *_scrub_metrics(engine),
        *_job_metrics(engine, health),
    ]
    return render(metrics)


def _gauge(name: str, text: str, value: float) -> Metric:
    return Metric(f"drystone_{name}", "gauge", text, [({}, float(value))])


def _store_metrics(engine: Engine, health: Health) -> list[Metric]:
    info = Metric("drystone_build_info", "gauge", "The version; its value is always 1.")
    info.add(1, version=health.version, store_id=health.store_id)
    state = Metric("drystone_state", "gauge", "1 for the state the store is in.")
    for name in ("ok", "degraded", "failed"):
        state.add(health.state == name, state=name)
    partition = engine.areas.partition_state()
    return [
        _gauge("up", "Whether the engine answers.", 1),
        info,
        state,
        _gauge("start_time_seconds", "When the engine started, Unix time.", engine.started_s),
        _gauge("objects", "Distinct contents.", health.objects),
        _gauge("shards", "Shards.", health.shards),
        _gauge("batches", "Ingest batches.", health.batches),
        _gauge("views", "Published views.", health.views),
        _gauge("replication_lag_bytes", "Bytes still to be copied.", health.replication_lag_bytes),
        _gauge(
            "replication_lag_seconds",
            "How long the oldest missing copy has been missing.",
            health.replication_lag_oldest_s,
        ),
        _gauge("single_copy_bytes", "Bytes with one copy only.", health.single_copy_bytes),
        _gauge("unreadable_shards", "Shards no disk gives now.", health.unreadable_shards),
        _gauge("rebuild_queue_shards", "Shards that wait for a copy.", health.rebuild_queue),
        _gauge("index_bytes", "Size of the index on the SSD.", health.index_bytes),
        _gauge(
            "memory_anonymous_bytes",
            "Memory of the engine's process, mapped files not counted.",
            health.memory_anonymous_bytes,
        ),
        *_garbage_metrics(engine),
        _gauge(
            "ssd_ballast_bytes",
            "Held back for the index on the SSD, 0 while that is full.",
            ballast.of_index(engine.config.index_root).size_bytes(),
        ),
        _gauge("ssd_fill_ratio", "How full the SSD partition is, 0 to 1.", partition.fill),
    ]


def _garbage_metrics(engine: Engine) -> list[Metric]:
    share = engine.config.store.compact_dead_share
    try:
        found = find_garbage(engine.store, share)
    except CorruptError:
        return []  # A damaged row of a shard is warned of; what is garbage nobody knows then.
    waiting = engine.dropper.waiting()
    return [
        _gauge(
            "garbage_bytes", "Purged or doubled bytes in shards, of one copy.", found.total_bytes
        ),
        _gauge("compactable_shards", "Shards worth a compaction.", len(found.victims)),
        _gauge("vacated_shards", "Empty shards that wait for the end of the grace.", len(waiting)),
        _gauge(
            "vacated_bytes",
            "What those free on all disks together.",
            sum(shard.length_bytes * len(shard.disks) for shard in waiting),
        ),
    ]


def _capacity_metrics(found: Capacity) -> list[Metric]:
    return [
        _gauge("usable_bytes", "What still fits at the wanted copies.", found.usable_bytes),
        _gauge(
            "usable_after_loss_bytes",
            "What still fits after the loss of the worst disk and the rebuild.",
            found.usable_after_loss_bytes,
        ),
        _gauge(
            "unplaced_after_loss_bytes",
            "Bytes of copies without a place after the loss of the worst disk.",
            found.unplaced_after_loss_bytes,
        ),
    ]


def _disk_metrics(disks: tuple[DiskStatus, ...]) -> list[Metric]:
    rows: list[tuple[str, Any, str, str]] = [
        ("size_bytes", "gauge", "Size of the filesystem.", "size_bytes"),
        ("free_bytes", "gauge", "Free bytes of the filesystem.", "free_bytes"),
        ("stored_bytes", "gauge", "Bytes of replicas.", "stored_bytes"),
        ("shards", "gauge", "Replicas.", "shards"),
        ("read_bytes_total", "counter", "Bytes read since the start.", "read_bytes"),
        ("written_bytes_total", "counter", "Bytes written since the start.", "written_bytes"),
        ("errors_total", "counter", "Failed requests since the start.", "errors"),
        ("late_reads_total", "counter", "Reads that another disk was asked for too.", "late_reads"),
    ]
    metrics: list[Metric] = []
    for name, kind, text, attribute in rows:
        metric = Metric(f"drystone_disk_{name}", kind, text)
        for disk in disks:
            metric.add(getattr(disk, attribute), disk=disk.name)
        metrics.append(metric)
    state = Metric("drystone_disk_state", "gauge", "1 for the state the disk is in.")
    judged = Metric("drystone_disk_health", "gauge", "1 for the judgement over the disk.")
    for disk in disks:
        for name in DISK_STATES:
            state.add(disk.state == name, disk=disk.name, state=name)
        for name in DISK_HEALTHS:
            judged.add(disk.health == name, disk=disk.name, health=name)
    speed = Metric("drystone_disk_read_rate_bytes_per_second", "gauge", "As last measured.")
    for disk in disks:
        if disk.model is not None:
            speed.add(disk.model.bandwidth_bytes_per_s, disk=disk.name)
    return [*metrics, state, judged, speed]


def _smart_metrics(engine: Engine) -> list[Metric]:
    readings = engine.watch.smart.readings()
    rows = (
        ("passed", "Whether the disk passes its own check.", "passed"),
        ("reallocated_sectors", "Reallocated sectors.", "reallocated_sectors"),
        ("pending_sectors", "Sectors that cannot be read.", "pending_sectors"),
        ("temperature_celsius", "Temperature.", "temperature_c"),
        ("power_on_hours", "Hours the disk has run.", "power_on_hours"),
        ("media_errors", "Media errors (NVMe).", "media_errors"),
    )
    metrics: list[Metric] = []
    for name, text, attribute in rows:
        metric = Metric(f"drystone_disk_smart_{name}", "gauge", text)
        for disk in engine.store.disks.disks.values():
            value = getattr(readings.get(disk.disk_id), attribute, None)
            if value is not None:
                metric.add(value, disk=disk.name)
        metrics.append(metric)
    return metrics


def _area_metrics(areas: tuple[AreaStatus, ...]) -> list[Metric]:
    used = Metric("drystone_area_used_bytes", "gauge", "Bytes in an SSD area.")
    reserved = Metric("drystone_area_reserved_bytes", "gauge", "Bytes promised to jobs.")
    quota = Metric("drystone_area_quota_bytes", "gauge", "Quota of an SSD area, 0 is none.")
    files = Metric("drystone_area_files", "gauge", "Files in an SSD area.")
    for area in areas:
        used.add(area.used_bytes, area=area.area)
        reserved.add(area.reserved_bytes, area=area.area)
        quota.add(area.quota_bytes, area=area.area)
        files.add(area.files, area=area.area)
    return [used, reserved, quota, files]


def _scrub_metrics(engine: Engine) -> list[Metric]:
    scrub = engine.watch.scrubber.status()
    return [
        _gauge("scrub_overdue_bytes", "Bytes due to be verified.", scrub.overdue_bytes),
        _gauge("scrub_overdue_replicas", "Replicas due to be verified.", scrub.due_replicas),
        _gauge("scrub_never_replicas", "Replicas never scrubbed.", scrub.never_scrubbed),
        _gauge(
            "scrub_oldest_age_seconds",
            "Since some replica was last known to be right.",
            scrub.oldest_age_s,
        ),
        _gauge("scrub_damaged_replicas", "Damaged, not yet healed.", scrub.damaged_replicas),
        _gauge("lost_objects", "Objects that no replica gives.", scrub.lost_objects),
    ]


def _job_metrics(engine: Engine, health: Health) -> list[Metric]:
    states = Counter(job.state for job in engine.jobs.all())
    jobs = Metric("drystone_jobs", "gauge", "Jobs that run, and the last ones that ended.")
    for name in JOB_STATES:
        jobs.add(states.get(name, 0), state=name)
    severities = Counter(notice.severity for notice in health.warnings)
    notices = Metric("drystone_warnings", "gauge", "What `drystone warnings` lists.")
    for name in SEVERITIES:
        notices.add(severities.get(name, 0), severity=name)
    return [jobs, notices]
