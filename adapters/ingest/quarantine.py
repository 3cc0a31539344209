"""What is set aside: the rows of what became no node. Folders are not read here."""

from __future__ import annotations

from adapters.records.items import Problem
from adapters.records.listing import quarantine_path
from base.text import safe_text
from sql import Database, QuarantineRow


def set_aside(
    database: Database,
    batch: str,
    problems: list[Problem],
    archives: list[str],
    keys: dict[str, str],
) -> None:
    """Enter what is no node: problems stay open, archives that were read are closed at once.

    A row that was closed before is never opened again.
    """
    read = [
        Problem(path, -1, "an archive; what was read out of it is described") for path in archives
    ]
    database.quarantine.add_of_batch(batch, _rows(problems, keys))
    database.quarantine.add_of_batch(batch, _rows(read, keys), is_read=True)


def close_understood(database: Database, batch: str, problems: list[Problem]) -> tuple[int, int]:
    """Close the open rows that are no problem any more; returns how many were, and are left."""
    still = {(quarantine_path(problem.path), problem.number) for problem in problems}
    rows = list(database.quarantine.of_batches(batch))
    done = [row.quarantine_id for row in rows if (row.path, row.record_number) not in still]
    database.quarantine.close(done)
    return len(done), len(rows) - len(done)


def _rows(problems: list[Problem], keys: dict[str, str]) -> list[QuarantineRow]:
    """Return the rows for the database: printable paths, reasons, keys where they are known."""
    return [
        QuarantineRow(
            path=quarantine_path(problem.path),
            record_number=problem.number,
            reason=safe_text(problem.reason),
            key=keys.get(problem.path),
        )
        for problem in problems
    ]
