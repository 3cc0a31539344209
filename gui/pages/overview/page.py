"""The overview: it owns its cards, its three blocks and the timeline of batches."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from base.text import duration_text
from gui.pages.overview.attention import Line, attention_of, show_attention
from gui.pages.runs.words import run_title
from gui.pages.storage.disks import FORMER
from gui.pages.storage.page import area_name
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
    first_line,
    link,
    metric,
    percent,
    size,
    text,
)
from gui.widgets.frame import Page, visitor
from gui.widgets.tables import Col, table
from gui.widgets.view import View
from gui.widgets.words import state_badge, state_tone, storage_state

RUNS_SHOWN = 8
BATCHES_SHOWN = 8
EXPORTS_SHOWN = 8
TIMELINE_SHOWN = 12
BACKUP_AGE_WARN_S = 36 * 3600.0


def build(view: View) -> None:
    """Build the page."""
    view.live(_show_cards, cards_of)
    view.live(_show_attention_card, attention_of)
    with box("grid"):
        view.live(_show_storage, _storage_of)
        with box("stack wide"):
            view.live(_show_work, _work_of)
            view.live(_show_exports, _exports_of)
    view.live(_show_timeline, _timeline_of)


PAGE = Page(
    "Overview", "/", build=build, key="o", place=1,
    lead="What runs, what is stored, and what needs you.",
)  # fmt: skip


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
        Figure("Running", f"{counts.get('running', 0):,}", "tasks", "", "/runs?state=running"),
        Figure("Queued", f"{counts.get('queued', 0):,}", "tasks", "", "/runs?state=queued"),
        Figure("Waiting for GPU", f"{gpu:,}", "tasks", "warn" if gpu else "", "/gates"),
        Figure("Waiting for a person", f"{people:,}", "tasks", "warn" if people else "", "/gates"),
        Figure("Failed", f"{failed:,}", "runs in 24 h", "bad" if failed else "",
               "/runs?state=failed&period=24h"),
    ]  # fmt: skip


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
    areas: tuple[Any, ...]
    partition: str
    disks: tuple[Any, ...]
    lag: str
    queue: int
    eta: str


def _storage_of(poller: Poller) -> StorageBlock | None:
    store = store_of(poller)
    if store is None:
        return None
    moving = [job for job in store.jobs if job.state == "running" and job.eta_s is not None]
    rebuild = next((job for job in moving if job.kind in ("rebuild", "replace", "drain")), None)
    lag = store.health.replication_lag_bytes
    return StorageBlock(
        store.health.state,
        tuple(store.capacity.areas),
        percent(store.capacity.partition_fill),
        tuple(disk for disk in store.capacity.disks if disk.state not in FORMER),
        size(lag) if lag else "none",
        store.health.rebuild_queue,
        f"{duration_text(rebuild.eta_s)} left" if rebuild else "",
    )


def _show_storage(block: StorageBlock | None) -> None:
    with card("Storage"):
        if block is None:
            empty("The engine has not answered yet.", "Start it, and this fills itself.",
                  "drystone up")  # fmt: skip
            return
        with box("row"):
            badge(*storage_state(block.state))
            text(f"Replication lag: {block.lag}", "hint")
            text(f"Rebuild queue: {block.queue:,} shards {block.eta}", "hint")
        disks = (
            Col("Disk", "name", lambda name: link(name, "/storage")),
            Col("State", _disk_badges),
            Col("Fill", _disk_fill),
            Col(">Free", lambda disk: f"{size(disk.free_bytes)} free"),
        )
        areas = (
            Col("SSD area", lambda area: area_name(area.area)),
            Col("Quota", _quota),
            Col(">Used", _used),
        )
        table(block.disks, disks, "Disks")
        table(block.areas, areas, "SSD areas")
        text(f"The SSD partition is {block.partition} full.", "hint")
        link("All about storage", "/storage")


def _disk_badges(disk: Any) -> None:
    with box("row"):
        state_badge(disk.state)
        if disk.health != "ok":
            state_badge(disk.health)


def _disk_fill(disk: Any) -> None:
    fill = 1 - disk.free_bytes / disk.size_bytes if disk.size_bytes else 0.0
    fill_bar(fill, f"{disk.name} is {percent(fill)} full")


def _quota(area: Any) -> None:
    if not area.quota_bytes:
        state_badge(area.state)
        return
    fill = (area.used_bytes + area.reserved_bytes) / area.quota_bytes
    tone = "" if area.state == "ok" else "warn" if area.state == "warn" else "bad"
    fill_bar(fill, f"{area_name(area.area)} is {percent(fill)} full", tone)


def _used(area: Any) -> str:
    quota = f" of {size(area.quota_bytes)}" if area.quota_bytes else ", no quota"
    return size(area.used_bytes) + quota


# ---- Block 2: batch, stage, recent runs, failure reason ------------------------------------------


def _work_of(poller: Poller) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    standing, late = standing_of(poller), late_of(poller)
    batches = tuple(standing.action_batches[:BATCHES_SHOWN]) if standing else ()
    runs = late.runs[:RUNS_SHOWN] if late else ()
    return batches, tuple((one, ago(one.start_time or one.create_time)) for one in runs)


def _show_work(found: tuple[tuple[Any, ...], tuple[Any, ...]]) -> None:
    batches, runs = found
    with card("Batches and runs", "the newest first"):
        if not batches and not runs:
            empty(
                "Nothing has run yet.",
                "Bring a scraped folder in first; action batches are made from what it brings.",
                "drystone ingest FOLDER",
            )
            return
        of_batches = (
            Col("Action batch", "action_batch_id", _batch_link),
            Col("Seal", lambda one: "sealed" if one.seal_date else "open"),
            Col(">Nodes", "node_count"),
            Col("Stage", lambda one: one.stage or "in no pipeline"),
        )
        of_runs = (
            Col("Run", lambda row: link(row[0].run_id, f"/runs/{row[0].run_id}")),
            Col(
                "What",
                lambda row: link(
                    run_title(row[0].workflow, row[0].named_by), f"/runs/{row[0].run_id}"
                ),
            ),
            Col("State", lambda row: state_badge(row[0].state)),
            Col("Started", lambda row: row[1]),
            Col("Failure reason", lambda row: first_line(row[0].reason, 200)),
        )
        table(batches, of_batches, "Action batches", "No action batch yet.")
        table(runs, of_runs, "Recent runs", "No run yet.")


def _batch_link(action_batch_id: int) -> None:
    link(action_batch_id, f"/pipelines/batch/{action_batch_id}")


# ---- Block 3: export id, directory, manifest, seal, size -----------------------------------------


def _exports_of(poller: Poller) -> tuple[tuple[str, ...], ...] | None:
    late, store = late_of(poller), store_of(poller)
    if late is None and store is None:
        return None
    rows = [
        (one.dataset_export_id, one.target_root or one.mode, one.manifest_key[:12], one.state,
         size(one.size_bytes), f"/datasets/of/{one.dataset}@{one.version}")
        for one in (late.exports if late else ())
    ]  # fmt: skip
    known = {row[0] for row in rows}
    rows += [
        (
            view.view_id,
            view.name,
            view.manifest_key[:12],
            "sealed",
            size(view.size_bytes),
            "/storage",
        )
        for view in (store.views if store else ())
        if view.kind == "exports" and view.view_id not in known
    ]
    return tuple(rows[:EXPORTS_SHOWN])


def _show_exports(rows: tuple[tuple[str, ...], ...] | None) -> None:
    with card("Dataset exports", "the newest first"):
        if not rows:
            empty(
                "No export yet.", "A dataset is what was chosen, split, and exported as a folder."
            )
            if visitor().may("operator"):
                link("Make a dataset", "/datasets/new", "button")
            return
        cols = (
            Col("Export", lambda row: link(row[0], row[5])),
            Col("Directory", lambda row: row[1]),
            Col("Manifest", lambda row: text(row[2], "mono")),
            Col("Seal", lambda row: state_badge(row[3])),
            Col(">Size", lambda row: row[4]),
        )
        table(rows, cols, "Dataset exports")


# ---- Timeline ------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """One thing of the timeline, and where more of it is."""

    moment: datetime
    title: str
    state: str
    note: str
    target: str


def _timeline_of(poller: Poller) -> tuple[Entry, ...]:
    late, standing = late_of(poller), standing_of(poller)
    entries: list[Entry] = []
    for one in late.ingest_batches if late else ():
        note = f"{one.file_count:,} files, {size(one.size_bytes)}, read by {one.adapter}"
        if one.state_reason:
            note = one.state_reason[:300]
        target = f"/explorer?{urlencode({'ingest_batch': one.name})}"
        entries.append(Entry(one.update_time, f"Ingest {one.name}", one.state, note, target))
    for batch in standing.action_batches if standing else ():
        state, number = "sealed" if batch.seal_date else "open", batch.action_batch_id
        note, target = f"{batch.node_count:,} nodes", f"/pipelines/batch/{number}"
        moment = batch.seal_date or batch.create_date
        entries.append(Entry(moment, f"Action batch {number}", state, note, target))
    for event in late.action_events if late else ():
        moment, number = event.end_time or event.start_time, event.action_batch_id
        if moment is not None:
            title, target = f"{event.action} on batch {number}", f"/pipelines/batch/{number}"
            entries.append(Entry(moment, title, event.status, "", target))
    for export in late.exports if late else ():
        moment = export.seal_time or export.start_time
        title, note = f"Export {export.dataset_export_id}", f"{export.file_count:,} files"
        target = f"/datasets/of/{export.dataset}@{export.version}"
        entries.append(Entry(moment, title, export.state, note, target))
    return tuple(sorted(entries, key=lambda entry: entry.moment, reverse=True)[:TIMELINE_SHOWN])


def _show_timeline(entries: tuple[Entry, ...]) -> None:
    with card("Timeline of batches"):
        if not entries:
            empty("No batch yet.", "The first files that come in will show here.")
            link("Bring files in", "/explorer", "button primary")
            return
        with box("timeline"):
            for moment, title, state, note, target in entries:
                with box("timeline-entry"):
                    box(f"timeline-dot {state_tone(state)}")
                    with box("row"):
                        link(title, target, "timeline-title")
                        state_badge(state)
                    text(ago(moment), "timeline-time")
                    text(note, "timeline-note")
