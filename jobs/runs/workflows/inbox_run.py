"""The inbox as a workflow: it owns which signalled folders get a run of UA_1, and when again.

Each folder with a `_READY.json` has one run; what became of it is that run's. A folder whose batch
is in already is waiting to be freed, and one whose run failed or was cancelled is left to a person,
until its `_READY.json` is written anew or `drystone run retry` begins the run again. A signal that
cannot be used is told once, as an event.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from adapters import WaitingFolder, inbox_root, ingest_states, waiting_folders
from base.errors import UsageError
from jobs.runs.control import RunControl
from jobs.runs.workflow import Step, StepResult, TaskContext, Workflow

INGEST = "ua_1"
ENDED = ("failed", "cancelled")
IS_IN = ("packed", "confirmed", "purging", "purged")
LISTED_MAX = 100


class InboxParameters(BaseModel):
    """The inbox has nothing to choose: the signals say everything."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def look(context: TaskContext) -> StepResult:
    """Start a run for every folder that is signalled and has none."""
    control = RunControl(context.config_path, context.database)
    started: list[int] = []
    refused: list[str] = []
    for one in waiting_folders(inbox_root(context.config_path)):
        context.check_cancelled()
        if one.signal is None and not one.is_refused:
            continue
        try:
            run_id = _start(context, control, one)
        except UsageError as error:
            refused.append(f"{os.path.basename(one.folder)}: {error}")
            context.log(refused[-1])
            _tell(context, one, str(error))
            continue
        if run_id is not None:
            # A crash here finds the run going on next time.
            context.log(f"{os.path.basename(one.folder)}: run {run_id}")
            started.append(run_id)
    return StepResult({"started": started[:LISTED_MAX], "refused": refused[:LISTED_MAX]})


def _start(context: TaskContext, control: RunControl, one: WaitingFolder) -> int | None:
    """Return the new run of a folder; None when it needs none. UsageError says what is wrong."""
    signal = one.signal
    if signal is None:
        raise UsageError(one.problem or "its signal cannot be used")
    if ingest_states(context.database, one.folder).get(signal.batch) in IS_IN:
        return None
    last = context.database.runs.last_of_key(f"{INGEST}:{signal.batch}")
    if last is not None and (last.state not in ENDED or last.create_time >= _signalled(one)):
        return None
    run, is_new = control.start(
        INGEST,
        {
            "folder": one.folder,
            "batch": signal.batch,
            "source": signal.adapter,
            "user": signal.user,
        },
        requested_by=context.requested_by or "inbox",
    )
    return run.run_id if is_new else None


def _signalled(one: WaitingFolder) -> datetime:
    return datetime.fromtimestamp(one.signal_time_s, UTC)


def _tell(context: TaskContext, one: WaitingFolder, reason: str) -> None:
    name = os.path.basename(one.folder)
    document = {"folder": one.folder, "reason": reason}
    key = f"inbox {name} {one.signal_time_s!r}"
    context.database.events.add("inbox.refused", f"inbox {name}", document, key[:1_000])


WORKFLOW = Workflow(
    name="inbox",
    description="Bring every folder of the inbox in that is signalled, each by a run of its own",
    steps=(Step("look", look, queue="io"),),
    parameters=InboxParameters,
    key=lambda _parameters: "inbox",
)
