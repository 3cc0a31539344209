"""The cry for help when a backup is not good: it owns running a person's own command."""

from __future__ import annotations

import subprocess

from sql.copies.report import BackupReport

ALERT_TIMEOUT_S = 60.0
SAID_SIZE_MAX = 300


def alert(command: tuple[str, ...], report: BackupReport) -> str:
    """Run the command with the report as JSON on its stdin; returns what went wrong, or ''.

    No shell is involved, and nothing of the report is in the arguments.
    """
    if not command:
        return ""
    try:
        done = subprocess.run(
            command,
            input=report.model_dump_json().encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=ALERT_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return f"alert_command {command[0]} was ended after {ALERT_TIMEOUT_S:g} s"
    except OSError as error:
        return f"alert_command {command[0]} cannot be run: {error.strerror}"
    if done.returncode:
        said = done.stderr.decode(errors="backslashreplace").strip()[:SAID_SIZE_MAX]
        return f"alert_command {command[0]} failed with {done.returncode}: {said}"
    return ""
