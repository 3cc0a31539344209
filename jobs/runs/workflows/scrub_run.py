"""The scrub as a workflow: it owns the step that has every copy verified which is due.

The engine does the work, and heals what is damaged. Safe to run twice: a scrub that still goes on
in the engine (its worker was killed) is followed.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from adapters import scrub_store
from jobs.core.errors import CancelledError, JobsError
from jobs.runs.workflow import Step, StepResult, TaskContext, Workflow


class ScrubParameters(BaseModel):
    """A scrub has nothing to choose."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def scrub(context: TaskContext) -> StepResult:
    """Verify every copy that is due; `partial` when objects are lost or disks were away."""
    report = scrub_store(context.config_path, context.progress, context.cancelled)
    values = {"result": report.result, "losses": report.losses}
    if report.state == "cancelled":
        context.check_cancelled()
        raise CancelledError("the scrub was cancelled in the engine")
    if report.state == "failed":
        raise JobsError(f"the scrub failed: {report.error}")
    for line in report.losses:
        context.log(f"lost: {line}")
    if report.losses:
        error = (
            f"objects lost: {report.lost_objects:,}, such as {report.losses[0]} "
            "(drystone losses lists all)"
        )
        return StepResult(values, state="partial", error=error)
    if report.state == "incomplete":
        return StepResult(values, state="partial", error=report.error or "not all was verified")
    return StepResult(values)


WORKFLOW = Workflow(
    name="scrub",
    description="Verify every copy in the store that is due, and heal what is damaged",
    steps=(Step("scrub", scrub, queue="io"),),
    parameters=ScrubParameters,
)
