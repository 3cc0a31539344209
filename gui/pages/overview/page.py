"""The overview: it owns its cards, its three blocks and the timeline of batches."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from base.text import duration_text
from gui.pages.overview.attention import Line, attention_of, show_attention
from gui.reading.desk import Desk
from gui.reading.polled import late_of, standing_of, store_of
from gui.reading.poller import Poller
from gui.widgets.blocks import (
    Tone,
    ago,
    badge,
    box,
    card,
    empty,
    fill_bar,
    link,
    metric,
    percent,
    size,
    table,
    text,
)
from gui.widgets.frame import Place, add_place, frame, page
from gui.widgets.live import live
from gui.widgets.words import AREA_NAMES, state_tone, storage_state

RUNS_SHOWN = 8
BATCHES_SHOWN = 8
EXPORTS_SHOWN = 8
TIMELINE_SHOWN = 12
BACKUP_AGE_WARN_S = 36 * 3600.0


def register(desk: Desk) -> None:
    """Add the page."""
    add_place(Place("Overview", "/", "o"))

    @page(desk, "/")
    def overview() -> None:
        with frame(desk, "Overview", "What runs, what is stored, and what needs you."):
            live(desk.poller, cards_of, _show_cards)
            live(desk.poller, attention_of, _show_attention_card)
            with box("grid"):
                live(desk.poller, _storage_of, _show_storage)
                with box("stack wide"):
                    live(desk.poller, _work_of, _show_work)
                    live(desk.poller, _exports_of, _show_exports)
            live(desk.poller, _timeline_of, _show_timeline)


# ---- Cards ---------------------------------------------------------------------------------------


class Figure(NamedTuple):
    """One card: a figure with what it means."""

    label: str
    value: str
    hint: str = ""
    tone: Tone = ""
    target: str = ""


def cards_of(poller: Poller) -> tuple[Figure, ...]:
    """Return the cards of the overview, from the last readings."""
    return (*_work_cards(poller), *_storage_cards(poller), _backup_card(poller))


def _work_cards(poller: Poller) -> list[Figure]:
    late = late_of(poller)
    if late is None:
        return [Figure("Work", "unknown", "the database has not answered yet", "muted")]
    counts = late.task_counts
    people = counts.get("waiting_approval", 0) + counts.get("waiting_labels", 0)
    gpu, failed = counts.get("waiting_gpu_ready", 0), late.failed_runs
    return [
        Figure("Running", f"{counts.get('running', 0):,}", "tasks"),
        Figure("Queued", f"{counts.get('queued', 0):,}", "tasks"),
        Figure("Waiting for GPU", f"{gpu:,}", "tasks", "warn" if gpu else ""),
        Figure("Waiting for a person", f"{people:,}", "tasks", "warn" if people else ""),
        Figure("Failed", f"{failed:,}", "runs in 24 h", "bad" if failed else ""),
    ]


def _storage_cards(poller: Poller) -> list[Figure]:
    store = store_of(poller)
    if store is None:
        return [Figure("Storage", "unknown", "the engine has not answered yet", "muted")]
    lag = store.health.replication_lag_bytes
    return [
        Figure(
            "Replication lag",
            size(lag) if lag else "none",
            f"oldest {duration_text(store.health.replication_lag_oldest_s)}" if lag else "",
            "warn" if lag else "good",
            "/storage",
        ),
        Figure(
            "Space for new files",
            size(store.capacity.usable_bytes),
            f"at {store.capacity.copies} copies each",
            "",
            "/storage",
        ),
    ]


def _backup_card(poller: Poller) -> Figure:
    late = late_of(poller)
    if late is None:
        return Figure("Last good backup", "unknown", "", "muted", "/backups")
    good = next((one for one in late.backups if one.state == "ok"), None)
    if good is None:
        return Figure("Last good backup", "never", "of the database", "bad", "/backups")
    age_s = (datetime.now(UTC) - good.end_time).total_seconds()
    tone: Tone = "bad" if age_s > BACKUP_AGE_WARN_S else "good"
    return Figure("Last good backup", ago(good.end_time), good.kind, tone, "/backups")


def _show_cards(figures: tuple[Figure, ...]) -> None:
    with box("metrics"):
        for one in figures:
            metric(one.label, one.value, one.hint, one.tone, one.target)


def _show_attention_card(lines: tuple[Line, ...]) -> None:
    with card("Needs attention", f"{len(lines)} open" if lines else ""):
        show_attention(lines)


# ---- Block 1: quota, disk health, replication lag, rebuild queue ---------------------------------


class StorageBlock(NamedTuple):
    """What the first block shows."""

    state: str
    areas: tuple[tuple[str, float | None, str, str], ...]
    partition: str
    disks: tuple[tuple[str, str, str, float, str], ...]
    lag: str
    queue: int
    eta: str


def _storage_of(poller: Poller) -> StorageBlock | None:
    store = store_of(poller)
    if store is None:
        return None
    areas = tuple(
        (
            f"{area.area.upper()} {AREA_NAMES[area.area]}",
            (area.used_bytes + area.reserved_bytes) / area.quota_bytes
            if area.quota_bytes
            else None,
            size(area.used_bytes)
            + (f" of {size(area.quota_bytes)}" if area.quota_bytes else ", no quota"),
            area.state,
        )
        for area in store.capacity.areas
    )
    disks = tuple(
        (
            disk.name,
            disk.state,
            disk.health,
            1 - disk.free_bytes / disk.size_bytes if disk.size_bytes else 0.0,
            f"{size(disk.free_bytes)} free",
        )
        for disk in store.capacity.disks
    )
    moving = [job for job in store.jobs if job.state == "running" and job.eta_s is not None]
    rebuild = next((job for job in moving if job.kind in ("rebuild", "replace", "drain")), None)
    return StorageBlock(
        store.health.state,
        areas,
        percent(store.capacity.partition_fill),
        disks,
        size(store.health.replication_lag_bytes) if store.health.replication_lag_bytes else "none",
        store.health.rebuild_queue,
        f"{duration_text(rebuild.eta_s)} left" if rebuild else "",
    )


def _show_storage(block: StorageBlock | None) -> None:
    with card("Storage", "quota, disks, replication, rebuild"):
        if block is None:
            empty("The engine has not answered yet.", "Start it, and this fills itself.",
                  "drystone up")  # fmt: skip
            return
        with box("row"):
            badge(*storage_state(block.state))
            text(f"Replication lag: {block.lag}", "hint")
            text(f"Rebuild queue: {block.queue:,} shards {block.eta}", "hint")
        table(
            ("Disk", "State", "Fill", ">Free"),
            [
                (
                    name,
                    lambda state=state, health=health: _disk_badges(state, health),
                    lambda name=name, fill=fill: fill_bar(fill, f"{name} is {percent(fill)} full"),
                    free,
                )
                for name, state, health, fill, free in block.disks
            ],
            "Disks",
        )
        table(
            ("SSD area", "Quota", ">Used"),
            [
                (name, lambda name=name, fill=fill, state=state: _quota(name, fill, state), used)
                for name, fill, used, state in block.areas
            ],
            "SSD areas",
        )
        text(f"The SSD partition is {block.partition} full.", "hint")
        link("All about storage", "/storage")


def _quota(name: str, fill: float | None, state: str) -> None:
    if fill is None:
        badge(state, state_tone(state))
    else:
        fill_bar(fill, f"{name} is {percent(fill)} full", _area_tone(state))


def _disk_badges(state: str, health: str) -> None:
    with box("row"):
        badge(state, state_tone(state))
        if health != "ok":
            badge(health, state_tone(health))


def _area_tone(state: str) -> Tone:
    return {"ok": "", "warn": "warn"}.get(state, "bad")  # pyright: ignore[reportReturnType]


# ---- Block 2: batch, stage, recent runs, failure reason ------------------------------------------


def _work_of(poller: Poller) -> tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]:
    standing, late = standing_of(poller), late_of(poller)
    batches = tuple(
        (
            f"{one.action_batch_id}",
            "sealed" if one.seal_date else "open",
            f"{one.node_count:,}",
            one.stage or "in no pipeline",
        )
        for one in (standing.action_batches if standing else ())[:BATCHES_SHOWN]
    )
    runs = tuple(
        (
            f"{one.run_id}",
            one.workflow,
            one.state,
            ago(one.start_time or one.create_time),
            one.reason.splitlines()[0][:200] if one.reason else "",
        )
        for one in (late.runs if late else ())[:RUNS_SHOWN]
    )
    return batches, runs


def _show_work(
    found: tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]],
) -> None:
    batches, runs = found
    with card("Batches and runs", "batch, stage, recent runs, failures"):
        if not batches and not runs:
            empty(
                "Nothing has run yet.",
                "Bring a scraped folder in first; action batches are made from what it brings.",
                "drystone ingest FOLDER",
            )
            return
        table(
            ("Action batch", "Seal", ">Nodes", "Stage"),
            batches,
            "Action batches",
            "No action batch yet.",
        )
        table(
            ("Run", "Workflow", "State", "Started", "Failure reason"),
            [
                (run_id, workflow, lambda state=state: badge(state, state_tone(state)), when, why)
                for run_id, workflow, state, when, why in runs
            ],
            "Recent runs",
            "No run yet.",
        )


# ---- Block 3: export id, directory, manifest, seal, size -----------------------------------------


def _exports_of(poller: Poller) -> tuple[tuple[str, ...], ...] | None:
    late, store = late_of(poller), store_of(poller)
    if late is None and store is None:
        return None
    rows = [
        (one.dataset_export_id, one.target_root or one.mode, one.manifest_key[:12], one.state,
         size(one.size_bytes))
        for one in (late.exports if late else ())
    ]  # fmt: skip
    known = {row[0] for row in rows}
    rows += [
        (view.view_id, view.name, view.manifest_key[:12], "sealed", size(view.size_bytes))
        for view in (store.views if store else ())
        if view.kind == "exports" and view.view_id not in known
    ]
    return tuple(rows[:EXPORTS_SHOWN])


def _show_exports(rows: tuple[tuple[str, ...], ...] | None) -> None:
    with card("Dataset exports", "export, directory, manifest, seal, size"):
        if not rows:
            empty(
                "No export yet.",
                "A dataset is defined by a YAML file and exported as a folder.",
                "drystone dataset --help",
            )
            return
        table(
            ("Export", "Directory", "Manifest", "Seal", ">Size"),
            [
                (
                    export_id,
                    directory,
                    lambda manifest=manifest: text(manifest, "mono"),
                    lambda seal=seal: badge(seal, state_tone(seal)),
                    how_large,
                )
                for export_id, directory, manifest, seal, how_large in rows
            ],
            "Dataset exports",
        )


# ---- Timeline ------------------------------------------------------------------------------------


def _timeline_of(poller: Poller) -> tuple[tuple[datetime, str, str, str], ...]:
    late, standing = late_of(poller), standing_of(poller)
    entries: list[tuple[datetime, str, str, str]] = []
    for one in late.ingest_batches if late else ():
        note = f"{one.file_count:,} files, {size(one.size_bytes)}, read by {one.adapter}"
        if one.state_reason:
            note = one.state_reason[:300]
        entries.append((one.update_time, f"Ingest {one.name}", one.state, note))
    for batch in standing.action_batches if standing else ():
        state = "sealed" if batch.seal_date else "open"
        note = f"{batch.node_count:,} nodes"
        moment = batch.seal_date or batch.create_date
        entries.append((moment, f"Action batch {batch.action_batch_id}", state, note))
    for event in late.action_events if late else ():
        moment = event.end_time or event.start_time
        if moment is not None:
            title = f"{event.action} on batch {event.action_batch_id}"
            entries.append((moment, title, event.status, ""))
    for export in late.exports if late else ():
        moment = export.seal_time or export.start_time
        title = f"Export {export.dataset_export_id}"
        entries.append((moment, title, export.state, f"{export.file_count:,} files"))
    return tuple(sorted(entries, key=lambda entry: entry[0], reverse=True)[:TIMELINE_SHOWN])


def _show_timeline(entries: tuple[tuple[datetime, str, str, str], ...]) -> None:
    with card("Timeline of batches"):
        if not entries:
            empty("No batch yet.", "The first ingest will show here.")
            return
        with box("timeline"):
            for moment, title, state, note in entries:
                with box("timeline-entry"):
                    box(f"timeline-dot {state_tone(state)}")
                    with box("row"):
                        text(title, "timeline-title")
                        badge(state, state_tone(state))
                    text(ago(moment), "timeline-time")
                    text(note, "timeline-note")
