"""Readings on demand: each lives while somebody looks at it.

One for a run, a log or a filtered list, however many browsers show it. What nobody looks at is not
read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from base.errors import UsageError
from gui.reading.poller import Part, Poller

READINGS_MAX = 200
"""So many different runs, logs and lists are followed at once."""
READING = "reading"
"""Name of the one part of such a poller."""


class Followed:
    """All readings on demand of a server; its event loop's alone."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._known: dict[str, tuple[Poller, set[object]]] = {}

    async def join(
        self, name: str, read: Callable[[], Any], who: object, slowness: float = 1.0
    ) -> Poller:
        """Return a poller of the reading `name`, after its first reading; `who` must leave it.

        Those who give the same name share it. Raises the error of the reading when it cannot be
        read at all; nobody has to leave it then.
        """
        poller = self._join(name, read, who, slowness)
        if poller.reading(READING).read_time is None:
            await poller.refresh()
        reading = poller.reading(READING)
        if reading.read_time is None:
            self.leave(name, who)
            raise reading.error or UsageError("what this page shows is not known yet")
        return poller

    def _join(self, name: str, read: Callable[[], Any], who: object, slowness: float) -> Poller:
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= READINGS_MAX:
                raise UsageError("too many different things are looked at just now; try later")
            poller = Poller(
                (Part(READING, name.partition(" ")[0], read),), self._interval_s * slowness
            )
            known = self._known[name] = (poller, set())
            poller.start()
        known[1].add(who)
        return known[0]

    def leave(self, name: str, who: object) -> None:
        """Say that one does not look at a reading any more; it ends with the last."""
        known = self._known.get(name)
        if known is None:
            return
        known[1].discard(who)
        if not known[1]:
            del self._known[name]
            known[0].close()

    def hurry(self) -> None:
        """Read all of them soon."""
        for poller, _ in self._known.values():
            poller.hurry()

    def close(self) -> None:
        """End all readings."""
        for poller, _ in self._known.values():
            poller.close()
        self._known.clear()
