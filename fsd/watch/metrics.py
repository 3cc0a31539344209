"""The engine's metrics: it owns their names and where their values come from, not their format."""

from collections import Counter

from base.metrics import Metric, counters, gauge, gauges, render
from fsd.delete.compact_plan import find_garbage, vacated_shards
from fsd.documents.models import AreaStatus, Capacity, DiskStatus, Health
from fsd.format.errors import CorruptError
from fsd.running.engine_core import EngineCore
from fsd.store.ssd import ballast
from fsd.watch import report
from fsd.watch.watch import Watch

DISK_STATES = ("online", "readonly", "missing", "gone", "draining", "retired")
DISK_HEALTHS = ("ok", "suspect", "failing")
JOB_STATES = ("running", "done", "incomplete", "failed", "cancelled")
SEVERITIES = ("info", "warning", "critical")


def exposition(watch: Watch) -> bytes:
    """Return all metrics as text for Prometheus."""
    engine, health = watch.engine, report.health(watch)
    metrics = [
        *_store_metrics(engine, health),
        *_capacity_metrics(report.capacity(watch)),
        *_disk_metrics(health.disks),
        *_smart_metrics(watch),
        *_area_metrics(report.area_statuses(watch)),
        *_scrub_metrics(watch),
        *_job_metrics(engine, health),
    ]
    return render(metrics)


def _store_metrics(engine: EngineCore, health: Health) -> list[Metric]:
    info = gauges("build_info", "The version; its value is always 1.", "version", "store_id")
    info.add_metric([health.version, health.store_id], 1)
    state = gauges("state", "1 for the state the store is in.", "state")
    for name in ("ok", "degraded", "failed"):
        state.add_metric([name], health.state == name)
    partition = engine.areas.partition_state()
    return [
        gauge("up", "Whether the engine answers.", 1),
        info,
        state,
        gauge("start_time_seconds", "When the engine started, Unix time.", engine.started_s),
        gauge("objects", "Distinct contents.", health.objects),
        gauge("shards", "Shards.", health.shards),
        gauge("batches", "Ingest batches.", health.batches),
        gauge("views", "Published views.", health.views),
        gauge("replication_lag_bytes", "Bytes still to be copied.", health.replication_lag_bytes),
        gauge(
            "replication_lag_seconds",
            "How long the oldest missing copy has been missing.",
            health.replication_lag_oldest_s,
        ),
        gauge("single_copy_bytes", "Bytes with one copy only.", health.single_copy_bytes),
        gauge("unreadable_shards", "Shards no disk gives now.", health.unreadable_shards),
        gauge("rebuild_queue_shards", "Shards that wait for a copy.", health.rebuild_queue),
        gauge("index_bytes", "Size of the index on the SSD.", health.index_bytes),
        gauge(
            "memory_anonymous_bytes",
            "Memory of the engine's process, mapped files not counted.",
            health.memory_anonymous_bytes,
        ),
        *_garbage_metrics(engine),
        gauge(
            "ssd_ballast_bytes",
            "Held back for the index on the SSD, 0 while that is full.",
            ballast.of_index(engine.config.index_root).size_bytes(),
        ),
        gauge("ssd_fill_ratio", "How full the SSD partition is, 0 to 1.", partition.fill),
    ]


def _garbage_metrics(engine: EngineCore) -> list[Metric]:
    share = engine.config.store.compact_dead_share
    try:
        found = find_garbage(engine.store, share)
    except CorruptError:
        return []  # A damaged row of a shard is warned of; what is garbage nobody knows then.
    waiting = vacated_shards(engine.store)
    return [
        gauge(
            "garbage_bytes", "Purged or doubled bytes in shards, of one copy.", found.total_bytes
        ),
        gauge("compactable_shards", "Shards worth a compaction.", len(found.victims)),
        gauge("vacated_shards", "Empty shards that wait for the end of the grace.", len(waiting)),
        gauge(
            "vacated_bytes",
            "What those free on all disks together.",
            sum(shard.length_bytes * len(shard.disks) for shard in waiting),
        ),
    ]


def _capacity_metrics(found: Capacity) -> list[Metric]:
    return [
        gauge("usable_bytes", "What still fits at the wanted copies.", found.usable_bytes),
        gauge(
            "usable_after_loss_bytes",
            "What still fits after the loss of the worst disk and the rebuild.",
            found.usable_after_loss_bytes,
        ),
        gauge(
            "unplaced_after_loss_bytes",
            "Bytes of copies without a place after the loss of the worst disk.",
            found.unplaced_after_loss_bytes,
        ),
    ]


def _disk_metrics(disks: tuple[DiskStatus, ...]) -> list[Metric]:
    rows = (
        (gauges, "size_bytes", "Size of the filesystem.", "size_bytes"),
        (gauges, "free_bytes", "Free bytes of the filesystem.", "free_bytes"),
        (gauges, "stored_bytes", "Bytes of replicas.", "stored_bytes"),
        (gauges, "shards", "Replicas.", "shards"),
        (counters, "read_bytes_total", "Bytes read since the start.", "read_bytes"),
        (counters, "written_bytes_total", "Bytes written since the start.", "written_bytes"),
        (counters, "errors_total", "Failed requests since the start.", "errors"),
        (counters, "late_reads_total", "Reads that another disk was asked for too.", "late_reads"),
    )
    metrics: list[Metric] = []
    for kind, name, text, attribute in rows:
        family = kind(f"disk_{name}", text, "disk")
        for disk in disks:
            family.add_metric([disk.name], getattr(disk, attribute))
        metrics.append(family)
    state = gauges("disk_state", "1 for the state the disk is in.", "disk", "state")
    judged = gauges("disk_health", "1 for the judgement over the disk.", "disk", "health")
    speed = gauges("disk_read_rate_bytes_per_second", "As last measured.", "disk")
    for disk in disks:
        for name in DISK_STATES:
            state.add_metric([disk.name, name], disk.state == name)
        for name in DISK_HEALTHS:
            judged.add_metric([disk.name, name], disk.health == name)
        if disk.model is not None:
            speed.add_metric([disk.name], disk.model.bandwidth_bytes_per_s)
    return [*metrics, state, judged, speed]


def _smart_metrics(watch: Watch) -> list[Metric]:
    readings = watch.smart.readings()
    rows = (
        ("passed", "Whether the disk passes its own check.", "passed"),
        ("reallocated_sectors", "Reallocated sectors.", "reallocated_sectors"),
        ("pending_sectors", "Sectors that cannot be read.", "pending_sectors"),
    )
    metrics: list[Metric] = []
    for name, text, attribute in rows:
        family = gauges(f"disk_smart_{name}", text, "disk")
        for disk in watch.engine.store.disks.disks.values():
            value = getattr(readings.get(disk.disk_id), attribute, None)
            if value is not None:
                family.add_metric([disk.name], value)
        metrics.append(family)
    return metrics


def _area_metrics(areas: tuple[AreaStatus, ...]) -> list[Metric]:
    rows = (
        ("used_bytes", "Bytes in an SSD area."),
        ("reserved_bytes", "Bytes promised to jobs."),
        ("quota_bytes", "Quota of an SSD area, 0 is none."),
        ("files", "Files in an SSD area."),
    )
    metrics: list[Metric] = []
    for name, text in rows:
        family = gauges(f"area_{name}", text, "area")
        for area in areas:
            family.add_metric([area.area], getattr(area, name))
        metrics.append(family)
    return metrics


def _scrub_metrics(watch: Watch) -> list[Metric]:
    scrub = watch.scrubber.status()
    return [
        gauge("scrub_overdue_bytes", "Bytes due to be verified.", scrub.overdue_bytes),
        gauge("scrub_overdue_replicas", "Replicas due to be verified.", scrub.due_replicas),
        gauge("scrub_never_replicas", "Replicas never scrubbed.", scrub.never_scrubbed),
        gauge(
            "scrub_oldest_age_seconds",
            "Since some replica was last known to be right.",
            scrub.oldest_age_s,
        ),
        gauge("scrub_damaged_replicas", "Damaged, not yet healed.", scrub.damaged_replicas),
        gauge("lost_objects", "Objects that no replica gives.", scrub.lost_objects),
    ]


def _job_metrics(engine: EngineCore, health: Health) -> list[Metric]:
    states = Counter(job.state for job in engine.jobs.all())
    jobs = gauges("jobs", "Jobs that run, and the last ones that ended.", "state")
    for name in JOB_STATES:
        jobs.add_metric([name], states.get(name, 0))
    severities = Counter(notice.severity for notice in health.warnings)
    notices = gauges("warnings", "What `drystone warnings` lists.", "severity")
    for name in SEVERITIES:
        notices.add_metric([name], severities.get(name, 0))
    return [jobs, notices]
