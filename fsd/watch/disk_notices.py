"""What a person should know of the disks, and do: it owns these texts, and no judgement."""

from shlex import quote

from base.text import count_text, size_text
from fsd.disks.disk_models import Measurement
from fsd.disks.disks import Disk
from fsd.documents.models import Notice
from fsd.replicas.removal_check import shards_on
from fsd.store.job import timestamp
from fsd.store.store import Store


def disk_notices(store: Store) -> list[Notice]:
    """Return what the disks' states, health and measured speeds warn of, disk by disk."""
    found: list[Notice] = []
    for disk in store.disks.disks.values():
        if disk.state == "gone":
            if disk.seen_at and not disk.retired:
                found.append(_gone(disk))
            continue
        found += _of_state(disk, store.config.store.min_free_bytes)
        if disk.draining:
            found.append(_draining(store, disk))
        if disk.quarantined_files:
            found.append(_quarantine(disk))
        if disk.health.rank:
            found.append(_health(disk))
        known = store.models.get(disk.disk_id)
        if known is not None and known.slow:
            found.append(_slow(disk, known))
    return found


def _of_state(disk: Disk, min_free_bytes: int) -> list[Notice]:
    if disk.state == "missing":
        return [_missing(disk)]
    if disk.state == "readonly":
        return [_readonly(disk)]
    if disk.state == "online" and not disk.room_bytes(min_free_bytes):
        return [_full(disk)]
    return []


def _missing(disk: Disk) -> Notice:
    return Notice(
        code="disk-missing",
        subject=disk.name,
        severity="critical",
        message=f"disk {disk.name} is missing: {disk.reason}",
        advice="mount or reconnect it, wherever: it is found by itself; if it is dead: "
        f"drystone rebuild --disk {quote(disk.name)}",
    )


def _gone(disk: Disk) -> Notice:
    return Notice(
        code="disk-gone",
        subject=disk.name,
        severity="warning",
        message=f"disk {disk.name} is here ({disk.seen_at}), and was declared gone: nothing on "
        "it counts, or is read",
        advice=f"drystone disk add {quote(disk.seen_at)} takes it back, and what it holds counts "
        "once it is verified; if it is to stay out, unmount it and take it out",
    )


def _readonly(disk: Disk) -> Notice:
    return Notice(
        code="disk-readonly",
        subject=disk.name,
        severity="warning",
        message=f"disk {disk.name} takes no new data: {disk.reason}",
        advice="free or add space, or look at the disk's health (smartctl, dmesg)",
    )


def _full(disk: Disk) -> Notice:
    return Notice(
        code="disk-full",
        subject=disk.name,
        severity="warning",
        message=f"disk {disk.name} has reached its reserve of free space",
        advice="new data goes to other disks; add a disk (drystone capacity)",
    )


def _draining(store: Store, disk: Disk) -> Notice:
    left = len(shards_on(store, disk))
    name = quote(disk.name)
    return Notice(
        code="disk-draining",
        subject=disk.name,
        severity="info",
        message=f"disk {disk.name} is draining: it still holds {count_text(left, 'shard')}",
        advice=f"drystone disk drain {name} goes on; drystone disk undrain {name} takes it back"
        if left
        else f"drystone disk retire {name}, and it may be taken out",
    )


def _quarantine(disk: Disk) -> Notice:
    return Notice(
        code="quarantine",
        subject=disk.name,
        severity="info",
        message=f"disk {disk.name} holds {count_text(disk.quarantined_files, 'set-aside file')} "
        f"of shards ({size_text(disk.quarantined_bytes)}), which the catalog does not count",
        advice="when `drystone health` and `drystone fsck` are clean, delete the files in "
        f"{disk.path}/quarantine",
    )


def _health(disk: Disk) -> Notice:
    why, name = disk.health.reason, quote(disk.name)
    if disk.health.state == "failing":
        return Notice(
            code="disk-failing",
            subject=disk.name,
            severity="critical",
            message=f"disk {disk.name} is failing: {why}",
            advice=f"drain or replace it: drystone disk drain {name}, or drystone disk replace "
            f"{name} NEW_PATH; new data goes to other disks",
        )
    return Notice(
        code="disk-suspect",
        subject=disk.name,
        severity="warning",
        message=f"disk {disk.name} is suspect: {why}",
        advice="it is read last and takes no new data while others have room; look at its cable "
        "and at dmesg",
    )


def _slow(disk: Disk, known: Measurement) -> Notice:
    now, best = known.model.bandwidth_bytes_per_s, known.best_bandwidth_bytes_per_s
    name = quote(disk.name)
    return Notice(
        code="disk-slow",
        subject=disk.name,
        severity="warning",
        message=f"disk {disk.name} reads at {size_text(now)}/s, it once read at "
        f"{size_text(best)}/s ({timestamp(known.best_s)[:10]})",
        advice="look at its cable and at dmesg, and measure it again: drystone disk calibrate "
        f"{name}; if it stays slow, drystone disk drain {name}, or live with it: "
        f"drystone disk calibrate {name} --accept",
    )
