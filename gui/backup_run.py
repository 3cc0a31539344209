"""Asking for a backup of the database: it owns that only one is asked for at a time from here."""

from __future__ import annotations

import threading

from adapters import backup_sample_check
from gui.errors import UsageError
from sql import make_backup

_turn = threading.Lock()


def back_up(config_path: str) -> str:
    """Back the database up and check it; returns its name. Raises SqlError; takes minutes."""
    if not _turn.acquire(blocking=False):
        raise UsageError("a backup is running already; it will show in the list")
    try:
        report = make_backup(config_path, check_sample=backup_sample_check(config_path))
    finally:
        _turn.release()
    if report.state != "ok":
        reasons = "; ".join((*report.problems, *report.warnings)) or "see its report"
        raise UsageError(f"the backup is {report.state}: {reasons}")
    return report.name
