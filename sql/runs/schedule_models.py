"""What schedules and their history look like to others: it owns the documents of a ScheduleBook."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from base.model import Document, JsonObject
from sql.runs.run_models import PRIORITY_NORMAL, NewTask

CatchUp = Literal["skip", "once", "all"]
FiringOutcome = Literal["fired", "skipped", "failed"]
FiringCause = Literal["clock", "hand", "backfill"]

CATCH_UP_MAX = 200
"""So many missed firings can be made up for at a time."""
NAME_LENGTH_MAX = 100

Name = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX, pattern=r"^[\w.-]+$")]


class NewSchedule(Document):
    """A schedule as somebody asks for it; cron, zone and parameters have been checked."""

    name: Name
    workflow: str
    parameters: JsonObject = Field(default_factory=dict[str, Any])
    cron: str
    zone: str
    catch_up: CatchUp = "once"
    catch_up_max: Annotated[int, Field(ge=1, le=CATCH_UP_MAX)] = 10
    overlap: bool = False
    enabled: bool = True
    built_in: bool = False
    created_by: str = ""


class Schedule(NewSchedule):
    """A schedule that is there; `next_time` is None when it is disabled or never fires again."""

    schedule_id: int
    next_time: AwareDatetime | None
    problem: str | None
    create_time: AwareDatetime


class Firing(Document):
    """A time that was decided about. `run_id` is None where no run was started, or it is gone."""

    due_time: AwareDatetime
    outcome: FiringOutcome
    cause: FiringCause
    reason: str | None
    run_id: int | None
    decide_time: AwareDatetime


class RunRequest(Document):
    """The run that a firing starts; see `RunBook.start_run`."""

    workflow: str
    run_key: str
    parameters: dict[str, Any]
    first_task: NewTask
    once: bool = False
    requested_by: str = ""
    priority: int = PRIORITY_NORMAL
    is_by_size: bool = False


class FiringDecision(Document):
    """What to do about a time: start the run, or note why not.

    Without a request the firing is `skipped`, or `failed` when the workflow refused it.
    """

    due_time: AwareDatetime
    request: RunRequest | None = None
    outcome: Literal["skipped", "failed"] = "skipped"
    reason: str = ""
