"""Operations that look at the whole store: its health, what fits, its views, its metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from base.errors import EXIT_FAILED, EXIT_INCOMPLETE
from base.operations.operation import Caller, Cli, NoRequest, operation
from base.output import say, write_line, write_table
from base.text import count_text, size_text
from fsd.documents.models import Capacity, DiskStatus, Document, Health, Notice

if TYPE_CHECKING:
    from fsd.operations.place import Serving


def disk_rows(disks: Iterable[DiskStatus]) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Return headings and rows of a table of disks."""
    words = "disk state health >free >size >stored >shards >reads >errors path"
    rows: list[Sequence[str]] = [
        (
            disk.name,
            disk.state,
            disk.health,
            size_text(disk.free_bytes),
            size_text(disk.size_bytes),
            size_text(disk.stored_bytes),
            f"{disk.shards:,}",
            f"{size_text(disk.model.bandwidth_bytes_per_s)}/s" if disk.model else "",
            f"{disk.errors:,}",
            disk.path,
            disk.reason or disk.health_reason or disk.last_error,
        )
        for disk in disks
    ]
    return (*words.split(), ""), rows


# ---- Health --------------------------------------------------------------------------------------

_STATE_WORDS = {
    "ok": "ok",
    "degraded": "degraded (all can be read, not everything is whole)",
    "failed": "failed (something cannot be read; drystone losses names it)",
}


def _show_health(answer: Health, _asked: NoRequest) -> None:
    objects, shards = count_text(answer.objects, "object"), count_text(answer.shards, "shard")
    write_line(f"{_STATE_WORDS[answer.state]}: {objects} in {shards}")
    rows = [
        ("batches, views", f"{answer.batches:,}, {answer.views:,}"),
        ("waiting for copies", size_text(answer.replication_lag_bytes)),
        ("with one copy only", size_text(answer.single_copy_bytes)),
        ("unreadable shards", f"{answer.unreadable_shards:,}"),
        ("rebuild queue", count_text(answer.rebuild_queue, "shard")),
        ("running jobs", f"{answer.running_jobs}"),
        ("index", size_text(answer.index_bytes)),
        ("engine memory", size_text(answer.memory_anonymous_bytes)),
    ]
    for name, value in rows:
        write_line(f"  {name:<19} {value}")
    write_line("")
    write_table(*disk_rows(answer.disks))
    write_line("")
    for error in answer.last_errors:
        write_line(f"  last error: {error}")
    _write_warnings(answer.warnings)


def _write_warnings(found: Iterable[Notice]) -> None:
    for warning in found:
        write_line(f"{warning.severity} {warning.code}: {warning.message}")
        if warning.advice:
            write_line(f"    {warning.advice}")


def _health_code(answer: Health, _waited: bool) -> int:
    return {"ok": 0, "degraded": EXIT_INCOMPLETE}.get(answer.state, EXIT_FAILED)


@operation(
    "storage.health",
    role="viewer",
    kind="question",
    route="GET /storage/health",
    cli=Cli(command="health", show=_show_health, exit_code=_health_code),
)
def health(place: Serving, _caller: Caller, _asked: NoRequest) -> Health:
    """Tell whether all is well.

    Exit code 0 ok, 3 readable but not whole, 1 something is lost.
    """
    from fsd.watch import report

    return report.health(place.engine.watch)


def _show_warnings(found: list[Notice], _asked: NoRequest) -> None:
    if found:
        _write_warnings(found)
    else:
        say("no warnings")


@operation(
    "storage.warnings",
    role="viewer",
    kind="question",
    route="GET /storage/warnings",
    cli=Cli(command="warnings", show=_show_warnings),
)
def warnings(place: Serving, _caller: Caller, _asked: NoRequest) -> list[Notice]:
    """List what you should know, and what to do about it.

    Each with its code, the same as in alerts and in --json.
    """
    from fsd.watch import report

    return list(report.warnings(place.engine.watch))


def _show_capacity(answer: Capacity, _asked: NoRequest) -> None:
    loss = f" (worst case: {answer.worst_loss})" if answer.worst_loss else ""
    rows = [
        ("stored", f"{size_text(answer.payload_bytes)} in {count_text(answer.objects, 'object')}"),
        (f"room at {count_text(answer.copies, 'copy', 'copies')}", size_text(answer.usable_bytes)),
        ("room after a loss", size_text(answer.usable_after_loss_bytes) + loss),
        ("SSD", f"{answer.partition_fill:.0%} full, {answer.partition_state}"),
    ]
    for name, value in rows:
        write_line(f"{name:<18} {value}")
    write_line("")
    write_table(*disk_rows(answer.disks))
    write_line("")
    areas = [
        (
            area.area,
            area.state,
            size_text(area.used_bytes),
            size_text(area.reserved_bytes),
            size_text(area.quota_bytes) if area.quota_bytes else "none",
            f"{area.files:,}",
        )
        for area in answer.areas
    ]
    write_table(("area", "state", ">used", ">reserved", ">quota", ">files"), areas)
    write_line("")
    for advice in answer.advice:
        write_line(advice)


@operation(
    "storage.capacity",
    role="viewer",
    kind="question",
    route="GET /storage/capacity",
    cli=Cli(command="capacity", show=_show_capacity),
)
def capacity(place: Serving, _caller: Caller, _asked: NoRequest) -> Capacity:
    """Tell what fits, also after losing a disk.

    And which disk to buy next.
    """
    from fsd.watch import report

    return report.capacity(place.engine.watch)


# ---- Metrics -------------------------------------------------------------------------------------


class MetricsAnswer(Document):
    """The metrics in Prometheus' text format."""

    metrics: str


@operation(
    "storage.metrics",
    role="viewer",
    kind="question",
    route="GET /storage/metrics",
)
def metrics(place: Serving, _caller: Caller, _asked: NoRequest) -> MetricsAnswer:
    """Return the metrics of the store, as Prometheus reads them."""
    # Here, because most engines are never asked for them.
    from fsd.watch.metrics import exposition

    return MetricsAnswer(metrics=exposition(place.engine.watch).decode())
