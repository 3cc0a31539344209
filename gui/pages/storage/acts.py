"""What a person can do to disks: it owns the questions before it; the engine does or refuses."""

from __future__ import annotations

from nicegui import ui

from base.errors import DrystoneError
from fsd import RemovalAnswer
from gui.reading.desk import Desk
from gui.widgets.blocks import box, button, size, text
from gui.widgets.frame import act, confirm, tell


async def drain(desk: Desk, name: str) -> None:
    """Ask, then begin to empty a disk."""
    lines = [
        "Everything on it is copied to the other disks first; it stays readable meanwhile.",
        "The engine refuses when it does not fit anywhere else.",
    ]
    if await confirm(f"Empty disk {name}?", lines, "Drain it"):
        await act(desk, "operator", f"{name} is being emptied", desk.store.disk_drain, name)


async def undrain(desk: Desk, name: str) -> None:
    """Take a disk back into use."""
    await act(desk, "operator", f"{name} is in use again", desk.store.disk_undrain, name)


async def retire(desk: Desk, name: str) -> None:
    """Show what would be missing without a disk, and retire it."""
    try:
        answer = await desk.work(desk.store.disk_removal, name)
    except DrystoneError as error:
        tell(str(error), bad=True)
        return
    if not answer.safe:
        tell(f"{name} cannot be taken away yet: {answer.reason}. {answer.advice}", bad=True)
        return
    lines = ["All its shards have their copies elsewhere.", "It is never used again."]
    if await confirm(f"Retire disk {name}?", lines, "Retire it", word=name):
        await act(desk, "admin", f"{name} may be taken out", desk.store.disk_retire, name)


async def rebuild(desk: Desk, name: str) -> None:
    """Say what only a missing disk has, ask, then declare it gone and make the copies whole."""
    try:
        answer = await desk.work(desk.store.disk_removal, name)
    except DrystoneError as error:
        tell(str(error), bad=True)
        return
    lines = [
        f"{name} is declared dead, and what it held is copied anew from the other disks.",
        "If it comes back later, add it again: its copies count once they are verified.",
    ]
    if answer.sole_shards:
        lines.insert(0, _only_there(answer))
    if await confirm(f"Rebuild without {name}?", lines, "Rebuild", word=name):
        await act(desk, "operator", "the rebuild has begun", desk.store.rebuild, name)


def _only_there(answer: RemovalAnswer) -> str:
    what = f"{answer.sole_objects:,} objects ({size(answer.sole_bytes)})"
    lost = f"{what} are on no other disk: they cannot be read until {answer.name} is back."
    if not answer.sole_away:
        return lost
    away = " and ".join(answer.sole_away)
    return f"{lost} Missing now, and may still have some of them: {away}. Bring that back first."


async def rebuild_all(desk: Desk) -> None:
    """Make the copies whole at once, from what can be read; no disk is given up."""
    await act(desk, "operator", "the rebuild has begun", desk.store.rebuild)


async def compact(desk: Desk) -> None:
    """Move what lives in shards with garbage, and give them up."""
    await act(desk, "operator", "the compaction has begun", desk.store.compact)


async def reindex(desk: Desk) -> None:
    """Ask, then make the index anew from the shards."""
    lines = ["Nothing is lost by it.", "No other job of the engine may run until it is done."]
    if await confirm("Make the index anew?", lines, "Reindex"):
        await act(desk, "operator", "the reindex has begun", desk.store.reindex)


async def rebalance(desk: Desk) -> None:
    """Show what a rebalance would move, ask, and begin it."""
    try:
        plan = await desk.work(desk.store.rebalance_plan)
    except DrystoneError as error:
        tell(str(error), bad=True)
        return
    if not plan.moves:
        tell("The disks are equally full already.")
        return
    lines = [
        f"{plan.moves:,} shards ({size(plan.move_bytes)}) would be moved, in the background.",
        *(f"{disk.name}: {disk.fill:.0%} now, {disk.fill_after:.0%} after" for disk in plan.disks),
    ]
    if await confirm("Make all disks equally full?", lines, "Rebalance"):
        await act(desk, "operator", "the rebalance has begun", desk.store.rebalance)


async def add(desk: Desk) -> None:
    """Ask for a mounted disk and take it in."""
    found = await _ask_for_disk("Add a disk", "Add it")
    if found:
        path, name = found
        await act(desk, "admin", f"{path} is a disk now", desk.store.disk_add, path, name or None)


async def replace(desk: Desk, old: str) -> None:
    """Ask for a new disk that takes the place of an old one; say first what only that one has."""
    try:
        answer = await desk.work(desk.store.disk_removal, old)
    except DrystoneError as error:
        tell(str(error), bad=True)
        return
    if answer.state == "missing" and answer.sole_shards:
        lines = [_only_there(answer), f"{old} is declared gone by this."]
        if not await confirm(f"Replace {old} all the same?", lines, "Go on", word=old):
            return
    found = await _ask_for_disk(f"Replace {old}", "Replace it")
    if found:
        path, name = found
        done = f"{old} is being replaced"
        await act(desk, "admin", done, desk.store.disk_replace, old, path, name or None)


async def scrub(desk: Desk) -> None:
    """Verify all that is due, at full speed."""
    await act(desk, "operator", "verifying has begun", desk.store.scrub)


async def stop_job(desk: Desk, job_id: str) -> None:
    """Ask, then ask a job of the engine to stop."""
    lines = ["What it has finished stays; it can be begun again."]
    if await confirm("Stop this job?", lines, "Stop it"):
        await act(desk, "operator", "it was asked to stop", desk.store.cancel, job_id)


async def _ask_for_disk(title: str, label: str) -> tuple[str, str] | None:
    with ui.dialog() as dialog, box("dialog"):
        text(title, tag="h2")
        text(
            "The folder where the new disk is mounted on this machine: the root of an empty "
            "filesystem of its own.",
            tag="p",
        )
        path = ui.input("Folder, such as /mnt/disk7").props("outlined dense autofocus")
        name = ui.input("Name (may be left empty)").props("outlined dense")

        def agree() -> None:
            if not path.value or not path.value.startswith("/"):
                tell("Write the whole path, from / on.", bad=True)
                return
            dialog.submit((path.value.strip(), (name.value or "").strip()))

        with box("dialog-buttons"):
            button("Cancel", lambda: dialog.submit(None))
            button(label, agree, "primary")
    answer = await dialog
    dialog.delete()
    return answer
