"""What a person does to runs: it owns the questions before it, and how many of them went wrong.

The scheduler does or refuses; the role is checked again with every act.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nicegui import ui

from base.errors import DrystoneError
from gui.reading.desk import Desk
from gui.widgets.acts import act, confirm, operate, tell
from gui.widgets.blocks import many

CHOSEN_MAX = 200
REFUSED_SHOWN = 3


async def start(desk: Desk, workflow: str, parameters: dict[str, Any]) -> None:
    """Start a run, and go to its page; one that does the same already is said to be it."""

    def done(run: Any) -> str:
        return "" if run.created else f"Run {run.run_id} does the same already; here it is."

    asked = {"workflow": workflow, "parameters": parameters}
    if run := await operate(desk, "run.start", asked, done):
        ui.navigate.to(f"/runs/{run.run_id}")


async def cancel(desk: Desk, run_id: int) -> None:
    """Ask, then cancel one run."""
    lines = ["What runs stops at its next border; what is finished stays."]
    if await confirm(f"Cancel run {run_id}?", lines, "Cancel the run"):
        asked = {"run_id": run_id, "reason": "cancelled in the browser"}
        await operate(desk, "run.cancel", asked, f"run {run_id} is cancelled")


async def retry(desk: Desk, run_id: int) -> None:
    """Begin anew what failed in a run."""

    def done(answer: Any) -> str:
        tasks = many(answer.tasks, "task")
        return f"Run {run_id} begins anew with {tasks}; what was done stays done"

    await operate(desk, "run.retry", {"run_id": run_id}, done)


async def approve(desk: Desk, run_id: int) -> None:
    """Let a run go on that waits for it."""

    def done(answer: Any) -> str:
        return f"Run {run_id} goes on, with {many(answer.tasks, 'task')}"

    await operate(desk, "run.approve", {"run_id": run_id}, done)


async def refuse(desk: Desk, run_id: int) -> None:
    """Ask, then cancel a run that waits for an approval."""
    lines = ["The run is cancelled, and what it laid out is freed."]
    if await confirm(f"Refuse run {run_id}?", lines, "Refuse it"):
        asked = {"run_id": run_id, "reason": "refused in the browser"}
        await operate(desk, "run.cancel", asked, f"run {run_id} is refused")


async def cancel_many(desk: Desk, run_ids: Iterable[int]) -> bool:
    """Ask, then cancel several runs."""
    chosen = sorted(run_ids)[:CHOSEN_MAX]
    lines = [f"Runs {_listed(chosen)}.", "Those that have ended already stay as they are."]
    if not await confirm(f"Cancel {len(chosen)} runs?", lines, "Cancel them"):
        return False
    why = "cancelled in the browser"
    await _each(desk, "cancelled", chosen, lambda run_id: desk.control().cancel(run_id, why))
    return True


async def retry_many(desk: Desk, run_ids: Iterable[int]) -> bool:
    """Ask, then begin anew what failed in several runs."""
    chosen = sorted(run_ids)[:CHOSEN_MAX]
    lines = [
        f"Runs {_listed(chosen)}.",
        "What failed or was cancelled in them begins anew; what was done stays done.",
    ]
    if not await confirm(f"Retry {len(chosen)} runs?", lines, "Retry them"):
        return False
    await _each(desk, "begun anew", chosen, lambda run_id: desk.control().retry(run_id))
    return True


async def _each(desk: Desk, word: str, run_ids: list[int], call: Callable[[int], object]) -> None:
    """Do it to each, and say how many went well; one that is refused does not stop the others."""

    def work() -> tuple[int, list[str]]:
        refused: list[str] = []
        for run_id in run_ids:
            try:
                call(run_id)
            except DrystoneError as error:
                refused.append(f"{run_id}: {error}")
        return len(run_ids) - len(refused), refused

    outcome: Any = await act(desk, "operator", "", work)
    if not outcome:
        return
    count, refused = outcome
    lines = [f"{count} of {len(run_ids)} runs are {word}", *refused[:REFUSED_SHOWN]]
    if len(refused) > REFUSED_SHOWN:
        lines.append(f"and {len(refused) - REFUSED_SHOWN} more were refused")
    tell("\n".join(lines), bad=bool(refused))


def _listed(run_ids: list[int]) -> str:
    shown = ", ".join(map(str, run_ids[:20]))
    return shown if len(run_ids) <= 20 else f"{shown} and {len(run_ids) - 20} more"
