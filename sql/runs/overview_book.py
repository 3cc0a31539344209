"""What is going on: it owns the short lists that an overview shows, and changes nothing.

`late` is cheap enough to be asked every second; `standing` counts nodes and is not.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sql.core.repository import Repository, rows_of, value_of
from sql.core.statements import statements

LISTED_MAX = 200

_SQL = statements("overview")


class LateActionBatch(NamedTuple):
    """An action batch and where it stands in its pipelines, in words."""

    action_batch_id: int
    create_date: datetime
    seal_date: datetime | None
    node_count: int
    stage: str


class LateActionEvent(NamedTuple):
    """One run of an action."""

    event_id: int
    action_batch_id: int
    action: str
    status: str
    start_time: datetime | None
    end_time: datetime | None


class LateIngestBatch(NamedTuple):
    """One scraped folder on its way in."""

    name: str
    adapter: str
    state: str
    state_reason: str
    create_time: datetime
    update_time: datetime
    file_count: int
    size_bytes: int


class LateBackup(NamedTuple):
    """One backup of the database; `report` is its JSON."""

    name: str
    start_time: datetime
    end_time: datetime
    kind: str
    state: str
    copy_count: int
    size_bytes: int
    report: str


class LateRun(NamedTuple):
    """One run of a workflow."""

    run_id: int
    workflow: str
    state: str
    requested_by: str
    create_time: datetime
    start_time: datetime | None
    end_time: datetime | None
    reason: str
    named_by: dict[str, Any]


class LateExport(NamedTuple):
    """One export of a dataset."""

    dataset_export_id: str
    dataset: str
    version: int
    layout_id: str
    mode: str
    state: str
    target_root: str
    manifest_key: str
    file_count: int
    size_bytes: int
    start_time: datetime
    seal_time: datetime | None
    reason: str


class Late(NamedTuple):
    """What happened lately, the newest first, and what is going on.

    `task_counts` has the states of tasks that have not ended; `failed_runs` are of the last day.
    """

    task_counts: dict[str, int]
    failed_runs: int
    runs: tuple[LateRun, ...]
    exports: tuple[LateExport, ...]
    action_events: tuple[LateActionEvent, ...]
    ingest_batches: tuple[LateIngestBatch, ...]
    backups: tuple[LateBackup, ...]


class Standing(NamedTuple):
    """Where things stand; counting them takes longer than `Late`."""

    action_batches: tuple[LateActionBatch, ...]
    quarantined: int
    unconfirmed_packages: int


class OverviewBook(Repository):
    """The short lists of a database."""

    def late(self, limit: int = 50) -> Late:
        """Return what happened lately, at most so many of each kind."""
        given = {"limit": min(limit, LISTED_MAX)}
        with self._database.reading() as connection:
            counts = connection.execute(_SQL["task_counts"]).fetchall()
            return Late(
                dict(counts),
                value_of(connection, _SQL["failed_runs"]),
                tuple(rows_of(connection, LateRun, _SQL["runs"], given)),
                tuple(rows_of(connection, LateExport, _SQL["exports"], given)),
                tuple(rows_of(connection, LateActionEvent, _SQL["action_events"], given)),
                tuple(rows_of(connection, LateIngestBatch, _SQL["ingest_batches"], given)),
                tuple(rows_of(connection, LateBackup, _SQL["backups"], given)),
            )

    def standing(self, limit: int = 20) -> Standing:
        """Return where the newest action batches stand, and what waits for a person."""
        given = {"limit": min(limit, LISTED_MAX)}
        with self._database.reading() as connection:
            return Standing(
                tuple(rows_of(connection, LateActionBatch, _SQL["action_batches"], given)),
                value_of(connection, _SQL["quarantined"]),
                value_of(connection, _SQL["unconfirmed"]),
            )
