"""Runs and batches seen together: it owns what people look at over many of them, and changes none.

Failures by their reason, what waits for whom, where batches stand, and what a run came from.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from base.model import Document, JsonObject
from sql.core.repository import Repository, rows_of
from sql.core.statements import statements
from sql.runs.run_models import RunFilter

GROUPS_MAX = 50
RUNS_LISTED_MAX = 200
"""Of a group so many runs are named, the newest ones."""
FAILURES_LOOKED_AT_MAX = 20_000
WAITING_MAX = 200

_SQL = statements("run_summary")


class FailureGroup(Document):
    """Runs that ended badly for the same reason; `#` in it stands for any number or key."""

    workflow: str
    state: str
    reason: str
    runs: int
    newest_run_id: int
    newest_end: datetime | None
    run_ids: tuple[int, ...]


class WaitingTasks(Document):
    """Tasks of a run that wait for the same at the same step; the first of their parts."""

    run_id: int
    workflow: str
    parameters: JsonObject
    requested_by: str
    state: str
    step: str
    tasks: int
    since: datetime
    reason: str
    parts: tuple[int, ...]


class RunEvent(NamedTuple):
    """An event of an action (table 11) that a run began."""

    event_id: int
    action_batch_id: int
    action: str
    version: int
    state: str


class RunOrigin(NamedTuple):
    """What a run came from and led to; `schedule` is empty when a person asked for it."""

    schedule: str
    due_time: datetime | None
    cause: str
    events: tuple[RunEvent, ...]


class BoardCard(NamedTuple):
    """A batch in a pipeline, or in none (`pipeline` is empty).

    `stage_id` is None when all stages are done; `nodes_done` counts for the current stage. `run_id`
    is that of the latest action over the batch, None when there was none.
    """

    action_batch_id: int
    create_date: datetime
    seal_date: datetime | None
    nodes: int
    pipeline: str
    stage_id: int | None
    nodes_done: int
    run_id: int | None
    last_state: str
    run_state: str


class RunSummaryBook(Repository):
    """Questions over the runs of a database."""

    def failures(self, wanted: RunFilter, limit: int = GROUPS_MAX) -> list[FailureGroup]:
        """Group what failed by its reason, the most frequent first; state and text do not count."""
        given = {
            "workflow": wanted.workflow, "since": wanted.since, "until": wanted.until,
            "limit": limit, "listed": RUNS_LISTED_MAX, "looked_at": FAILURES_LOOKED_AT_MAX,
        }  # fmt: skip
        return self._all(FailureGroup, _SQL["failures"], given)

    def waiting(self, limit: int = WAITING_MAX) -> list[WaitingTasks]:
        """Return what waits for a GPU machine, a person or space, the oldest run first."""
        given = {"limit": limit, "listed": RUNS_LISTED_MAX}
        return self._all(WaitingTasks, _SQL["waiting"], given)

    def origin(self, run_id: int) -> RunOrigin:
        """Return which schedule a run came from, and the events it began."""
        with self._database.reading() as connection:
            firing = connection.execute(_SQL["firing_of_run"], [run_id]).fetchone()
            events = rows_of(connection, RunEvent, _SQL["events_of_run"], [f"run:{run_id}"])
        return RunOrigin._make((*(firing or ("", None, "")), tuple(events)))

    def board(self, limit: int = 60) -> list[BoardCard]:
        """Return the newest batches by pipeline; one in two pipelines is there twice."""
        return self._all(BoardCard, _SQL["board"], {"limit": limit})
