"""The backup as a workflow: it owns the step that has the database backed up and checked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from adapters import backup_partner
from jobs.core.errors import JobsError
from jobs.runs.workflow import Step, StepResult, TaskContext, Workflow
from sql import make_backup


def _known(method: object) -> object:
    # Schedules of former versions may ask for base backups, which are not made any more.
    return "auto" if method == "base" else method


class BackupParameters(BaseModel):
    """How it is made; see `drystone db backup`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Annotated[Literal["auto", "logical", "pgbackrest"], BeforeValidator(_known)] = "auto"


def backup(context: TaskContext) -> StepResult:
    """Make a backup, restore it and compare; `partial` with fewer copies, or not all packages."""

    def say(line: str) -> None:
        context.check_cancelled()
        context.log(line)
        context.progress(0, text=line)

    method = BackupParameters.model_validate(context.parameters).method
    report = make_backup(
        context.config_path,
        method,
        check_sample=backup_partner.sample_check(context.config_path),
        package=backup_partner.packager(context.config_path),
        say=say,
    )
    for line in (*report.warnings, *report.problems):
        context.log(line)
    values = report.model_dump(mode="json")
    if report.state == "ok":
        return StepResult(values)
    error = "; ".join(report.problems or report.warnings) or f"the backup is {report.state}"
    subject = f"backup {report.name}"
    document = {"backup": report.name, "state": report.state, "reason": error}
    context.database.events.add("backup.failed", subject, document, once_key=subject)
    if report.state == "failed":
        raise JobsError(error)
    return StepResult(values, state="partial", error=error)


WORKFLOW = Workflow(
    name="backup",
    description="Back the database up to two disks, restore it and compare",
    steps=(Step("backup", backup, queue="io", attempts_max=2, backoff_s=60.0),),
    parameters=BackupParameters,
    key=lambda _parameters: "backup",
)
