"""Tells the database of requests that were accepted, from the journal that they are durable in.

    journal -> what is behind the last that was told -> rows and `request.accepted`, how far that is
    window  -> which requests are in it, once it is closed

Each is one transaction, and safe to repeat. While the database is away it waits; nothing waits for
it.
"""

from __future__ import annotations

from adapters.receive.receipts import row_of
from adapters.receive.receiver import Receiver
from sql import Database

TOLD_AT_ONCE = 500


class Outbox:
    """What a receiver has to tell; one thread at a time."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._told: int | None = None
        self._gathered: set[str] | None = None

    def tell(self, database: Database) -> None:
        """Tell all there is. Raises DatabaseUnavailableError and the other SqlErrors."""
        if self._told is None or self._gathered is None:
            self._told = database.received.progress()
            self._gathered = set(database.received.gathered())
        while True:
            receipts, through = self._receiver.untold(self._told, TOLD_AT_ONCE)
            if through == self._told:
                break
            database.received.tell([row_of(one) for one in receipts], through)
            self._gathered |= {one.request_id for one in receipts}
            self._told = through
        self._place(database, self._gathered)

    def _place(self, database: Database, gathered: set[str]) -> None:
        known = [(name, self._receiver.find(name)) for name in gathered]
        placed = [(name, one.window, one.first_place) for name, one in known if one and one.window]
        if placed:
            database.received.place(placed)
        # One that is not known is older than requests are kept: nobody learns more of it.
        gathered -= {name for name, one in known if one is None or one.window}
