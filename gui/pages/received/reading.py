"""What the page of received data reads: requests, dead letters, and what was not understood."""

from __future__ import annotations

from typing import NamedTuple

from adapters import (
    DeadLetter,
    DeadLetterSight,
    ReceivedRequestLine,
    ReceivedRequestState,
    dead_letter,
    dead_letters,
    received_request,
    received_requests,
)
from gui.reading.desk import Desk
from sql import Quarantined

LISTED = 100
WHOLE_FILE = -1


class SetAside(NamedTuple):
    """What could not be understood of a file of a batch; its bytes are stored."""

    batch: str
    path: str
    record: str
    reason: str


class ReceivedReading(NamedTuple):
    """The newest of everything, of all accounts, and what the address names of it."""

    requests: tuple[ReceivedRequestLine, ...]
    letters: tuple[DeadLetter, ...]
    set_aside: tuple[SetAside, ...]
    request: tuple[str, ReceivedRequestState] | None = None
    """With who sent it."""
    letter: DeadLetterSight | None = None


def read_received(desk: Desk, sent: str = "", letter: str = "") -> ReceivedReading:
    """Read what was received; blocks."""
    database = desk.database()
    is_number = letter.isascii() and letter.isdecimal() and 0 < len(letter) < 19
    rows = database.quarantine.newest(LISTED)
    return ReceivedReading(
        tuple(received_requests(database, LISTED)),
        tuple(dead_letters(database, LISTED)),
        tuple(_set_aside(row) for row in rows),
        received_request(database, sent) if sent else None,
        dead_letter(desk.config.config_path, database, int(letter)) if is_number else None,
    )


def _set_aside(row: Quarantined) -> SetAside:
    record = "" if row.record_number == WHOLE_FILE else str(row.record_number)
    return SetAside(row.batch or "", row.path, record, row.reason)
