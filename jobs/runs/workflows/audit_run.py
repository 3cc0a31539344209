"""The audit as a workflow: it owns the step that compares database and store; it only reads."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from adapters import run_audit
from jobs.runs.workflow import Step, StepResult, TaskContext, Workflow


class AuditParameters(BaseModel):
    """How many objects an audit reads back, picked at random."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sample: Annotated[int, Field(ge=0, le=1_000_000)] = 100


def audit(context: TaskContext) -> StepResult:
    """Compare database and store both ways; `partial` when they do not fit."""

    def say(line: str) -> None:
        context.check_cancelled()
        context.log(line)
        context.progress(0, text=line)

    parameters = AuditParameters.model_validate(context.parameters)
    report = run_audit(context.config_path, parameters.sample, say)
    for line in report.examples:
        context.log(line)
    problems = {
        "missing in the store": report.missing_count,
        "of another size": report.wrong_size_count,
        "damaged": report.damaged_count,
        "not described": report.undescribed_count,
        "batches that cannot be listed": report.unlisted_count,
    }
    found = [f"{count:,} {what}" for what, count in problems.items() if count]
    if found:
        return StepResult(asdict(report), state="partial", error=", ".join(found))
    return StepResult(asdict(report))


WORKFLOW = Workflow(
    name="audit",
    description="Compare the database with the store, both ways, and read a sample back",
    steps=(Step("audit", audit, queue="io"),),
    parameters=AuditParameters,
)
