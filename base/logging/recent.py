"""The newest messages of a logger, kept in memory for who asks how things are."""

from __future__ import annotations

import logging
import time


class RecentMessages(logging.Handler):
    """Keeps the newest messages, each with its local time before it; `lines` has the oldest first.

    The list is replaced as a whole, so whoever has it may go through it.
    """

    def __init__(self, messages_max: int) -> None:
        super().__init__()
        self._messages_max = messages_max
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(record.created))
        self.lines = [*self.lines, f"{moment} {record.getMessage()}"][-self._messages_max :]
