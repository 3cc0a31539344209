"""The store: it owns the summary, the capacity and the SSD areas, and where the rest stands."""

from __future__ import annotations

from base.text import duration_text
from gui.pages.storage import acts as actions
from gui.pages.storage.disks import show_disks
from gui.pages.storage.jobs import show_engine_jobs
from gui.pages.storage.repair import REPAIRS, TONES, faulty_codes, show_repairs
from gui.reading.desk import Desk
from gui.reading.polled import store_of
from gui.reading.poller import Poller
from gui.widgets.blocks import (
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
from gui.widgets.frame import Place, add_place, frame, page, visitor
from gui.widgets.live import live
from gui.widgets.words import AREA_NAMES, state_tone, storage_state

LOSSES_SHOWN_MAX = 20
_VERDICTS = {
    "ok": "all copies are there",
    "degraded": "readable, copies are missing",
    "failed": "some bytes cannot be read now",
}


def register(desk: Desk) -> None:
    """Add the page."""
    add_place(Place("Storage", "/storage", "s", group="Store"))

    @page(desk, "/storage")
    def storage() -> None:
        with frame(desk, "Storage", "Disks of unequal size, every object on at least two of them."):
            live(desk.poller, _summary_of, _show_summary)
            live(desk.poller, faulty_codes, lambda codes: show_repairs(desk, codes))
            with card("Disks"):
                show_disks(desk)
            show_engine_jobs(desk)
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
        f"shard {found.next_shard[:8]} on {found.next_disk}" if found.next_shard else "nothing",
        ago(found.last_round_finished) if found.last_round_finished else "never",
        f"{found.damaged_replicas:,}",
        *_losses_of(found.losses, found.lost_objects),
    )


def _losses_of(losses: tuple[str, ...], count: int) -> tuple[str, ...]:
    shown = losses[:LOSSES_SHOWN_MAX]
    more = count - len(shown)
    return (*shown, f"{more:,} more; `drystone losses` lists all") if more else shown


def _show_scrub(desk: Desk, found: tuple[str, ...] | None) -> None:
    with card("Scrub", "everything is read again in turn, and healed"):
        if found is None:
            text("Not known yet.", "empty-line")
            return
        interval, debt, oldest, rate, following, last, damaged, *losses = found
        pairs(
            (
                ("Interval", interval),
                ("Debt", debt),
                ("Longest not verified", oldest),
                ("Speed", rate),
                ("Next", following),
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
        (one.severity, one.message, one.advice)
        for one in (store.health.warnings if store else ())
        if one.code not in REPAIRS
    )


def _show_warnings(warnings: tuple[tuple[str, str, str], ...]) -> None:
    if not warnings:
        return
    with card("What the engine warns of besides") as element:
        attributes(element, aria_label="Warnings")
        for severity, message, advice in warnings:
            notice(message, TONES[severity], advice)
