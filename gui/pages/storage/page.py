"""The store: it owns the summary, the capacity and the SSD areas, and where the rest stands."""

from __future__ import annotations

import functools
from typing import Any

from base.text import duration_text
from gui.pages.storage.disks import show_disks
from gui.pages.storage.jobs import show_engine_jobs
from gui.pages.storage.repair import REPAIRS, faulty_codes, show_repairs
from gui.reading.desk import Desk
from gui.reading.polled import store_of
from gui.reading.poller import Poller
from gui.widgets.acts import act_button
from gui.widgets.blocks import (
    ago,
    attributes,
    box,
    card,
    empty,
    fill_bar,
    metric,
    notice,
    pairs,
    percent,
    size,
    text,
)
from gui.widgets.frame import Page
from gui.widgets.tables import Col, table
from gui.widgets.view import View
from gui.widgets.words import AREA_NAMES, state_badge, state_tone, storage_state

LOSSES_SHOWN_MAX = 20
_VERDICTS = {
    "ok": "all copies are there",
    "degraded": "readable, copies are missing",
    "failed": "some bytes cannot be read now",
}


def build(view: View) -> None:
    """Build the page."""
    desk = view.desk
    view.live(_show_summary, _summary_of)
    view.live(functools.partial(show_repairs, desk), faulty_codes)
    with card("Disks"):
        show_disks(desk)
    show_engine_jobs(desk)
    with box("grid"):
        view.live(_show_capacity, _capacity_of)
        view.live(functools.partial(_show_scrub, desk), _scrub_of)
    view.live(_show_areas, _areas_of)
    view.live(_show_warnings, _warnings_of)


PAGE = Page(
    "Storage", "/storage", "viewer", "Store", build=build, key="s", place=1,
    lead="Disks of unequal size, every object on at least two of them.",
)  # fmt: skip


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
        with box("row"):
            act_button(desk, "storage.scrub", "Verify all that is due now", {},
                       done="verifying has begun", classes="small")  # fmt: skip


def _areas_of(poller: Poller) -> tuple[tuple[Any, float], ...]:
    """Return the areas, each with how full it is: of its quota, or of its partition."""
    store = store_of(poller)
    if store is None:
        return ()
    partition = store.capacity.partition_fill
    return tuple(
        (one, (one.used_bytes + one.reserved_bytes) / one.quota_bytes if one.quota_bytes
         else partition)
        for one in store.capacity.areas
    )  # fmt: skip


def area_name(area: str) -> str:
    """Return how an area of the SSD is called, with its code behind: `Stage (3C)`."""
    return f"{AREA_NAMES[area].capitalize()} ({area.upper()})"


def _show_areas(areas: tuple[tuple[Any, float], ...]) -> None:
    cols = (
        Col("Area", lambda row: area_name(row[0].area)),
        Col("State", lambda row: state_badge(row[0].state)),
        Col("Fill", lambda row: fill_bar(row[1], f"{area_name(row[0].area)}: {percent(row[1])}")),
        Col(">Used", lambda row: size(row[0].used_bytes)),
        Col(
            ">Reserved",
            lambda row: size(row[0].reserved_bytes) if row[0].reserved_bytes else "none",
        ),
        Col(">Quota", lambda row: size(row[0].quota_bytes) if row[0].quota_bytes else "no quota"),
        Col(">Files", lambda row: row[0].files),
    )
    with card("SSD areas", "four folders of one partition, each with a soft quota"):
        table(areas, cols, "SSD areas")


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
            notice(message, state_tone(severity), advice)
