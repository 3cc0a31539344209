"""What a record of a log looks like: a JSON document of one line, or a line for a terminal."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from base.logging.ids import current
from base.logging.secrets import HIDDEN, is_secret_name, without_secrets

MESSAGE_LENGTH_MAX = 8_000
EXCEPTION_LENGTH_MAX = 24_000
ID_LENGTH_MAX = 1_000
_OURS = ("time", "level", "event", "message", "daemon", "pid", "exception")


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON in ASCII, without secrets; see docs/operations.md."""

    def __init__(self, daemon: str) -> None:
        super().__init__()
        self._daemon = daemon

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        document: dict[str, Any] = {
            "time": _utc(record.created),
            "level": record.levelname,
            "event": getattr(record, "event", record.name),
            "message": _capped(message_of(record), MESSAGE_LENGTH_MAX),
            "daemon": self._daemon,
            "pid": record.process,
        }
        document |= {name: id_ for name, id_ in ids_of(record).items() if name not in _OURS}
        if record.exc_info:
            trace = without_secrets(self.formatException(record.exc_info))
            document["exception"] = trace[-EXCEPTION_LENGTH_MAX:]
        return json.dumps(document)


class TextLines(logging.Formatter):
    """Formats a record for people: time, level and message, and the ids of its event."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or several with an exception."""
        document = {
            "time": _utc(record.created),
            "level": record.levelname,
            "message": message_of(record),
            **ids_of(record),
        }
        if record.exc_info:
            document["exception"] = without_secrets(self.formatException(record.exc_info))
        return text_of(document)


def text_of(document: dict[str, Any]) -> str:
    """Return a record as a line for people, and its exception below."""
    message = str(document.get("message", ""))
    # What the message says already is not said twice.
    told = " ".join(
        f"{name}={value}"
        for name, value in document.items()
        if name not in _OURS and str(value) not in message
    )
    moment = f"{str(document.get('time', ''))[:23]}Z"
    line = f"{moment} {document.get('level', '')} {message}" + (f" [{told}]" if told else "")
    return f"{line}\n{document['exception']}" if document.get("exception") else line


def message_of(record: logging.LogRecord) -> str:
    """Return the message of a record, without secrets."""
    return without_secrets(record.getMessage())


def ids_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the ids of a record: those of its call, and of what its call belongs to."""
    ids = {**current(), **getattr(record, "ids", {})}
    return {name: _id(name, value) for name, value in ids.items() if value is not None}


def _id(name: str, value: Any) -> Any:
    if is_secret_name(name):
        return HIDDEN
    if isinstance(value, bool | int | float):
        return value
    return _capped(without_secrets(str(value)), ID_LENGTH_MAX)


def _capped(text: str, length_max: int) -> str:
    return text if len(text) <= length_max else f"{text[:length_max]}..."


def _utc(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1_000_000):06}Z"
