"""What is set aside: it owns the rows of what became no node, and never reads a folder."""

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
    """Enter what is no node: problems stay open, archives that were read are closed at once."""
    read = [
        Problem(path, -1, "an archive; what was read out of it is described") for path in archives
    ]
    database.add_quarantine(batch, quarantine_rows([*problems, *read], keys))
    database.mark_replayed(batch, [(quarantine_path(path), -1) for path in archives])


def quarantine_rows(problems: list[Problem], keys: dict[str, str]) -> list[QuarantineRow]:
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
