"""Disks and SSD areas: it owns how they are shown, and which buttons a disk has."""

from __future__ import annotations

from typing import Any, NamedTuple

from fsd import duration_text
from gui.blocks import (
    ago,
    attributes,
    badge,
    box,
    button,
    card,
    empty,
    fill_bar,
    metric,
    notice,
    pairs,
    percent,
    size,
    table,
    text,
)
from gui.desk import Desk
from gui.frame import Place, add_place, frame, page, visitor
from gui.live import live
from gui.pages import storage_actions as actions
from gui.pages.words import AREA_NAMES, state_tone, storage_state
from gui.polled import StoreReading, store_of
from gui.poller import Poller

JOBS_SHOWN = 12
_FILL_WARN, _FILL_BAD = 0.85, 0.95
_VERDICTS = {
    "ok": "all copies are there",
    "degraded": "readable, copies are missing",
    "failed": "some bytes cannot be read now",
}


class DiskView(NamedTuple):
    """One disk as it is shown."""

    name: str
    path: str
    state: str
    reason: str
    health: str
    fill: float
    space: str
    speed: str
    facts: tuple[str, ...]
    last_error: str


def register(desk: Desk) -> None:
    """Add the page."""
    add_place(Place("Storage", "/storage", "s", group="Store"))

    @page(desk, "/storage")
    def storage() -> None:
        with frame(desk, "Storage", "Disks of unequal size, every object on at least two of them."):
            live(desk.poller, _summary_of, _show_summary)
            with card("Disks"):
                live(desk.poller, disks_of, lambda disks: _show_disks(desk, disks))
            live(desk.poller, _jobs_of, lambda jobs: _show_jobs(desk, jobs))
            with box("grid"):
                live(desk.poller, _capacity_of, _show_capacity)
                live(desk.poller, _scrub_of, lambda scrub: _show_scrub(desk, scrub))
            live(desk.poller, _areas_of, _show_areas)
            live(desk.poller, _warnings_of, _show_warnings)


# ---- Summary -------------------------------------------------------------------------------------


def _summary_of(poller: Poller) -> tuple[str, ...] | None:
    store = store_of(poller)
    if store is None:
        return None
    health = store.health
    return (
        health.state,
        f"{health.objects:,}",
        size(store.capacity.payload_bytes),
        size(health.replication_lag_bytes) if health.replication_lag_bytes else "none",
        f"{health.rebuild_queue:,}",
        size(health.single_copy_bytes) if health.single_copy_bytes else "none",
        f"{health.unreadable_shards:,}",
    )


def _show_summary(found: tuple[str, ...] | None) -> None:
    if found is None:
        empty("The engine has not answered yet.", "Start it, and this page fills itself.",
              "drystone up")  # fmt: skip
        return
    state, objects, payload, lag, queue, single, unreadable = found
    words, tone = storage_state(state)
    with box("metrics"):
        metric("Verdict", words, _VERDICTS.get(state, ""), tone)
        metric("Objects", objects, payload)
        metric("Replication lag", lag, "copies still to make", "warn" if lag != "none" else "good")
        metric("Rebuild queue", queue, "shards")
        metric("On one disk only", single, "", "warn" if single != "none" else "good")
        metric("Unreadable now", unreadable, "shards", "bad" if unreadable != "0" else "good")


# ---- Disks ---------------------------------------------------------------------------------------


def disks_of(poller: Poller) -> tuple[DiskView, ...]:
    """Return the disks as they are shown."""
    store = store_of(poller)
    return tuple(_disk_view(disk, store) for disk in store.health.disks) if store else ()


def _disk_view(disk: Any, store: StoreReading) -> DiskView:
    used = disk.size_bytes - disk.free_bytes
    read, written = store.rates.get(disk.name, (0.0, 0.0))
    return DiskView(
        name=disk.name,
        path=disk.path,
        state=disk.state,
        reason=disk.reason,
        health=disk.health if disk.health == "ok" else f"{disk.health}: {disk.health_reason}",
        fill=used / disk.size_bytes if disk.size_bytes else 0.0,
        space=f"{size(disk.free_bytes)} free of {size(disk.size_bytes)}",
        speed=f"reads {size(read)}/s, writes {size(written)}/s",
        facts=(
            f"{disk.shards:,} shards, {size(disk.stored_bytes)}",
            f"{disk.errors:,} errors",
            f"fails together with: {disk.failure_domain}",
        ),
        last_error=disk.last_error,
    )


def _show_disks(desk: Desk, disks: tuple[DiskView, ...]) -> None:
    if not disks:
        text("No disk is known yet.", "empty-line")
        return
    may = visitor().may("operator")
    for disk in disks:
        with box("disk"):
            with box("disk-head"):
                text(disk.name, "disk-name")
                badge(disk.state, state_tone(disk.state))
                if disk.health != "ok":
                    badge(disk.health, state_tone(disk.health.partition(":")[0]))
                text(disk.path, "hint mono")
                if may:
                    with box("disk-buttons"):
                        _disk_buttons(desk, disk)
            tone = "bad" if disk.fill > _FILL_BAD else "warn" if disk.fill > _FILL_WARN else ""
            fill_bar(disk.fill, f"{disk.name} is {percent(disk.fill)} full", tone)
            with box("disk-facts"):
                for fact in (f"{percent(disk.fill)} full, {disk.space}", disk.speed, *disk.facts):
                    text(fact)
            if disk.reason:
                notice(disk.reason, "warn")
            if disk.last_error:
                text(f"Last error: {disk.last_error}", "hint")
    if may:
        with box("row"):
            button("Rebalance", lambda: actions.rebalance(desk), "small")
            button("Add a disk", lambda: actions.add(desk), "small")


def _disk_buttons(desk: Desk, disk: DiskView) -> None:
    name = disk.name
    if disk.state in ("gone", "retired"):
        return
    if disk.state == "draining":
        button("Take it back", lambda: actions.undrain(desk, name), "small")
        button("Retire", lambda: actions.retire(desk, name), "small")
    elif disk.state == "missing":
        button("Rebuild without it", lambda: actions.rebuild(desk, name), "small")
    else:
        button("Drain", lambda: actions.drain(desk, name), "small")
    button("Replace", lambda: actions.replace(desk, name), "small")


# ---- Jobs of the engine --------------------------------------------------------------------------


def _jobs_of(poller: Poller) -> tuple[tuple[str, ...], ...]:
    store = store_of(poller)
    jobs = sorted(store.jobs if store else (), key=lambda job: job.started, reverse=True)
    return tuple(
        (
            job.job_id,
            job.kind,
            job.state,
            job.description,
            percent(job.done_bytes / job.total_bytes) if job.total_bytes else "",
            f"{size(job.rate_bytes_per_s)}/s" if job.rate_bytes_per_s else "",
            duration_text(job.eta_s) if job.eta_s is not None and job.state == "running" else "",
            job.phase if job.state == "running" else (job.error or "").partition("\n")[0],
        )
        for job in jobs[:JOBS_SHOWN]
    )


def _show_jobs(desk: Desk, jobs: tuple[tuple[str, ...], ...]) -> None:
    may = visitor().may("operator")

    def stop(job_id: str, state: str) -> None:
        if may and state == "running":
            button("Stop", lambda: actions.stop_job(desk, job_id), "small")

    with card("Work on the disks", "rebuild, drain, scrub, exports and ingest of the engine"):
        table(
            ("Job", "State", "About", ">Done", ">Speed", ">Time left", "Phase", ""),
            [
                (
                    kind,
                    lambda state=state: badge(state, state_tone(state)),
                    about,
                    done,
                    rate,
                    eta,
                    phase,
                    lambda job_id=job_id, state=state: stop(job_id, state),
                )
                for job_id, kind, state, about, done, rate, eta, phase in jobs
            ],
            "Jobs of the engine",
            "Nothing is being moved.",
        )


# ---- Capacity, scrub, areas, warnings ------------------------------------------------------------


def _capacity_of(poller: Poller) -> tuple[str, ...] | None:
    store = store_of(poller)
    if store is None:
        return None
    found = store.capacity
    return (
        f"{size(found.usable_bytes)} at {found.copies} copies",
        f"{size(found.usable_after_loss_bytes)}"
        + (f" after losing {found.worst_loss}" if found.worst_loss else ""),
        *found.advice,
    )


def _show_capacity(found: tuple[str, ...] | None) -> None:
    with card("Capacity", "what really fits"):
        if found is None:
            text("Not known yet.", "empty-line")
            return
        usable, after, *advice = found
        pairs((("Fits now", usable), ("Fits after the worst loss", after)))
        text(
            "Counted with every object on as many disks as it must be, not as the sum of free "
            "bytes.",
            "hint",
        )
        for line in advice:
            notice(line)


def _scrub_of(poller: Poller) -> tuple[str, ...] | None:
    found = poller.value("scrub")
    if found is None:
        return None
    return (
        f"every {found.interval_days:g} days" if found.enabled else "switched off",
        f"{size(found.overdue_bytes)} in {found.due_replicas:,} of {found.replicas:,} replicas",
        duration_text(found.oldest_age_s),
        f"{size(found.rate_bytes_per_s)}/s",
        ago(found.last_round_finished) if found.last_round_finished else "never",
        f"{found.damaged_replicas:,}",
        *found.losses[:20],
    )


def _show_scrub(desk: Desk, found: tuple[str, ...] | None) -> None:
    with card("Scrub", "everything is read again in turn, and healed"):
        if found is None:
            text("Not known yet.", "empty-line")
            return
        interval, debt, oldest, rate, last, damaged, *losses = found
        pairs(
            (
                ("Interval", interval),
                ("Debt", debt),
                ("Longest not verified", oldest),
                ("Speed", rate),
                ("Nothing was due", last),
                ("Damaged, not healed yet", damaged),
            )
        )
        for loss in losses:
            notice(f"Lost: {loss}", "bad")
        if visitor().may("operator"):
            with box("row"):
                button("Verify all that is due now", lambda: actions.scrub(desk), "small")


def _areas_of(poller: Poller) -> tuple[tuple[str, str, float, str, str, str, str], ...]:
    store = store_of(poller)
    if store is None:
        return ()
    partition = store.capacity.partition_fill
    return tuple(
        (
            f"{area.area.upper()} {AREA_NAMES[area.area]}",
            area.state,
            (area.used_bytes + area.reserved_bytes) / area.quota_bytes
            if area.quota_bytes
            else partition,
            size(area.used_bytes),
            size(area.reserved_bytes) if area.reserved_bytes else "none",
            size(area.quota_bytes) if area.quota_bytes else "no quota",
            f"{area.files:,}",
        )
        for area in store.capacity.areas
    )


def _show_areas(areas: tuple[tuple[str, str, float, str, str, str, str], ...]) -> None:
    with card("SSD areas", "four folders of one partition, each with a soft quota"):
        table(
            ("Area", "State", "Fill", ">Used", ">Reserved", ">Quota", ">Files"),
            [
                (
                    name,
                    lambda state=state: badge(state, state_tone(state)),
                    lambda name=name, fill=fill: fill_bar(fill, f"{name}: {percent(fill)}"),
                    used,
                    reserved,
                    quota,
                    files,
                )
                for name, state, fill, used, reserved, quota, files in areas
            ],
            "SSD areas",
        )


def _warnings_of(poller: Poller) -> tuple[tuple[str, str, str], ...]:
    store = store_of(poller)
    return tuple(
        (one.severity, one.message, one.advice) for one in (store.health.warnings if store else ())
    )


def _show_warnings(warnings: tuple[tuple[str, str, str], ...]) -> None:
    if not warnings:
        return
    with card("What the engine warns of") as element:
        attributes(element, aria_label="Warnings")
        for severity, message, advice in warnings:
            notice(
                message,
                {"critical": "bad", "warning": "warn"}.get(severity, "info"),  # pyright: ignore[reportArgumentType]
                advice,
            )
