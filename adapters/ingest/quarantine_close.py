"""The quarantine after its first entry: it owns that a closed row is never opened again."""

from __future__ import annotations

from adapters.ingest.quarantine import set_aside
from adapters.records.items import Problem
from adapters.records.listing import quarantine_path
from sql import Database


def close_understood(database: Database, batch: str, problems: list[Problem]) -> tuple[int, int]:
    """Close the open rows that are no problem any more; returns how many were, and are left."""
    still = {(quarantine_path(problem.path), problem.number) for problem in problems}
    open_rows = {(row.path, row.record_number) for row in database.quarantined(batch)}
    done = open_rows - still
    database.mark_replayed(batch, sorted(done))
    return len(done), len(open_rows) - len(done)


def set_aside_new(
    database: Database,
    batch: str,
    problems: list[Problem],
    archives: list[str],
    keys: dict[str, str],
) -> None:
    """Enter what is a problem, except where a row of the same path and record is closed."""
    closed = {
        (row.path, row.record_number)
        for row in database.quarantined(batch, open_only=False)
        if row.replayed_time is not None
    }
    set_aside(
        database,
        batch,
        [one for one in problems if (quarantine_path(one.path), one.number) not in closed],
        [path for path in archives if (quarantine_path(path), -1) not in closed],
        keys,
    )
