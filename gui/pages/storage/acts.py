"""What a person asks about disks before something is done to them: what would be lost or moved."""

from __future__ import annotations

from fsd import RemovalAnswer
from gui.reading.desk import Desk
from gui.widgets.acts import ask, confirm, operate, tell
from gui.widgets.blocks import size

MOUNTED = (
    "The folder where the new disk is mounted on this machine: the root of an empty filesystem of "
    "its own.",
)


async def retire(desk: Desk, name: str) -> None:
    """Show what would be missing without a disk, and retire it."""
    answer = await operate(desk, "disk.removal", {"disk": name})
    if answer is None:
        return
    if not answer.safe:
        tell(f"{name} cannot be taken away yet: {answer.reason}. {answer.advice}", bad=True)
        return
    lines = ["All its shards have their copies elsewhere.", "It is never used again."]
    if await confirm(f"Retire disk {name}?", lines, "Retire it", word=name):
        await operate(desk, "disk.retire", {"disk": name}, f"{name} may be taken out")


async def rebuild(desk: Desk, name: str) -> None:
    """Say what only a missing disk has, ask, then declare it gone and make the copies whole."""
    answer = await operate(desk, "disk.removal", {"disk": name})
    if answer is None:
        return
    lines = [
        f"{name} is declared dead, and what it held is copied anew from the other disks.",
        "If it comes back later, add it again: its copies count once they are verified.",
    ]
    if answer.sole_shards:
        lines.insert(0, _only_there(answer))
    if await confirm(f"Rebuild without {name}?", lines, "Rebuild", word=name):
        await operate(desk, "storage.rebuild", {"disk": name}, "the rebuild has begun")


def _only_there(answer: RemovalAnswer) -> str:
    what = f"{answer.sole_objects:,} objects ({size(answer.sole_bytes)})"
    lost = f"{what} are on no other disk: they cannot be read until {answer.name} is back."
    if not answer.sole_away:
        return lost
    away = " and ".join(answer.sole_away)
    return f"{lost} Missing now, and may still have some of them: {away}. Bring that back first."


async def rebalance(desk: Desk) -> None:
    """Show what a rebalance would move, ask, and begin it."""
    plan = await operate(desk, "disk.rebalance_plan", {})
    if plan is None:
        return
    if not plan.moves:
        tell("The disks are equally full already.")
        return
    lines = [
        f"{plan.moves:,} shards ({size(plan.move_bytes)}) would be moved, in the background.",
        *(f"{disk.name}: {disk.fill:.0%} now, {disk.fill_after:.0%} after" for disk in plan.disks),
    ]
    if await confirm("Make all disks equally full?", lines, "Rebalance"):
        await operate(desk, "disk.rebalance", {}, "the rebalance has begun")


async def replace(desk: Desk, old: str) -> None:
    """Ask for a new disk that takes the place of an old one; say first what only that one has."""
    answer = await operate(desk, "disk.removal", {"disk": old})
    if answer is None:
        return
    if answer.state == "missing" and answer.sole_shards:
        lines = [_only_there(answer), f"{old} is declared gone by this."]
        if not await confirm(f"Replace {old} all the same?", lines, "Go on", word=old):
            return
    wanted = desk.operation("disk.replace").request
    found = await ask(f"Replace {old}", wanted, "Replace it", lines=MOUNTED, given={"disk": old},
                      fields=("path", "name"))  # fmt: skip
    if found:
        values = found.model_dump(exclude_unset=True)
        await operate(desk, "disk.replace", values, f"{old} is being replaced")
