"""The cry for help when a backup is not good: a person's own command is told."""

from __future__ import annotations

from base.network.notify import tell_command
from base.network.post import NotDeliveredError
from sql.copies.report import BackupReport

ALERT_TIMEOUT_S = 60.0


def alert(command: tuple[str, ...], report: BackupReport) -> str:
    """Run the command with the report as JSON on its stdin; returns what went wrong, or ''."""
    try:
        if command:
            tell_command(command, report.model_dump(mode="json"), ALERT_TIMEOUT_S)
    except NotDeliveredError as error:
        return f"alert_command {error}"
    return ""
