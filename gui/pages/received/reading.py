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
    """What an account sent, or all did, and what the address names of it; the quarantine."""

    requests: tuple[ReceivedRequestLine, ...]
    letters: tuple[DeadLetter, ...]
    set_aside: tuple[SetAside, ...]
    request: tuple[str, ReceivedRequestState] | None = None
    """With who sent it."""
    letter: DeadLetterSight | None = None


def read_received(
    desk: Desk, account: str | None, sent: str = "", letter: str = ""
) -> ReceivedReading:
    """Read what was received of an account, or of all; blocks."""
    database = desk.database()
    is_number = letter.isascii() and letter.isdecimal() and 0 < len(letter) < 19
    request = received_request(database, sent) if sent else None
    if request is not None and account not in (None, request[0]):
        request = None
    shown = dead_letter(desk.config.config_path, database, int(letter)) if is_number else None
    if shown is not None and account not in (None, shown.account):
        shown = None
    return ReceivedReading(
        tuple(received_requests(database, account, LISTED)),
        tuple(dead_letters(database, account, LISTED)),
        tuple(_set_aside(row) for row in database.quarantine.newest(LISTED)),
        request,
        shown,
    )


def _set_aside(row: Quarantined) -> SetAside:
    record = "" if row.record_number == WHOLE_FILE else str(row.record_number)
    return SetAside(row.batch or "", row.path, record, row.reason)
