"""What a person does to runs: it owns the questions before it, and how many of them went wrong.

The scheduler does or refuses; the role is checked again with every act.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from base.errors import DrystoneError
from gui.pages.runs.desk import RunDesk
from gui.pages.runs.words import many
from gui.widgets.frame import confirm, tell

CHOSEN_MAX = 200
REFUSED_SHOWN = 3


async def cancel(runs: RunDesk, run_id: int) -> None:
    """Ask, then cancel one run."""
    lines = ["What runs stops at its next border; what is finished stays."]
    if await confirm(f"Cancel run {run_id}?", lines, "Cancel the run"):
        asked = {"run_id": run_id, "reason": "cancelled in the browser"}
        await runs.operate("run.cancel", asked, f"run {run_id} is cancelled")


async def retry(runs: RunDesk, run_id: int) -> None:
    """Begin anew what failed in a run."""
    await runs.operate(
        "run.retry",
        {"run_id": run_id},
        lambda answer: (
            f"Run {run_id} begins anew with {many(answer.tasks, 'task')}; what was done stays done"
        ),
    )


async def approve(runs: RunDesk, run_id: int) -> bool:
    """Let a run go on that waits for it."""
    answer = await runs.operate(
        "run.approve",
        {"run_id": run_id},
        lambda answer: f"Run {run_id} goes on, with {many(answer.tasks, 'task')}",
    )
    return bool(answer)


async def refuse(runs: RunDesk, run_id: int) -> bool:
    """Ask, then cancel a run that waits for an approval."""
    lines = ["The run is cancelled, and what it laid out is freed."]
    if not await confirm(f"Refuse run {run_id}?", lines, "Refuse it"):
        return False
    asked = {"run_id": run_id, "reason": "refused in the browser"}
    return bool(await runs.operate("run.cancel", asked, f"run {run_id} is refused"))


async def cancel_many(runs: RunDesk, run_ids: Iterable[int]) -> bool:
    """Ask, then cancel several runs."""
    chosen = sorted(run_ids)[:CHOSEN_MAX]
    lines = [f"Runs {_listed(chosen)}.", "Those that have ended already stay as they are."]
    if not await confirm(f"Cancel {len(chosen)} runs?", lines, "Cancel them"):
        return False
    why = "cancelled in the browser"
    await _each(runs, "cancelled", chosen, lambda run_id: runs.control().cancel(run_id, why))
    return True


async def retry_many(runs: RunDesk, run_ids: Iterable[int]) -> bool:
    """Ask, then begin anew what failed in several runs."""
    chosen = sorted(run_ids)[:CHOSEN_MAX]
    lines = [
        f"Runs {_listed(chosen)}.",
        "What failed or was cancelled in them begins anew; what was done stays done.",
    ]
    if not await confirm(f"Retry {len(chosen)} runs?", lines, "Retry them"):
        return False
    await _each(runs, "begun anew", chosen, lambda run_id: runs.control().retry(run_id))
    return True


async def _each(
    runs: RunDesk, word: str, run_ids: list[int], call: Callable[[int], object]
) -> None:
    """Do it to each, and say how many went well; one that is refused does not stop the others."""

    def work() -> tuple[int, list[str]]:
        refused: list[str] = []
        for run_id in run_ids:
            try:
                call(run_id)
            except Exception as error:
                if not isinstance(error, DrystoneError):
                    raise
                refused.append(f"{run_id}: {error}")
        return len(run_ids) - len(refused), refused

    outcome: Any = await runs.act("", work)
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
