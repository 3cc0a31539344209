"""What tests read of the logs of daemons."""

from __future__ import annotations

import re

INFORMATION = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z INFO .*\n", re.MULTILINE)


def without_information(stderr: str) -> str:
    """Return what a daemon in the foreground said besides that it starts, works and stops."""
    return INFORMATION.sub("", stderr)
