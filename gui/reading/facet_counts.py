"""Counts beside the explorer: it owns the short memory of them.

Counting a million nodes takes seconds, and people go back and forth between the same filters.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

from gui.core.filters import FACETS, Filters, without_facet
from sql import Database, Facets

REMEMBERED_S = 60.0
REMEMBERED_MAX = 256


class FacetCounts:
    """Counts of one database; its method blocks, so call it in a thread."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self._database = database
        # Guards `_known`, never held while the database counts. Innermost.
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Facets, float]] = {}

    def count(self, filters: Filters, guest: Database | None = None) -> Facets:
        """Count the nodes; a facet that is filtered by shows what else could be chosen in it.

        What a guest sees is never remembered: it may be taken back.
        """

        def counted(chosen: Filters) -> Facets:
            if guest is not None:
                return guest.explore.facets(chosen.selector)
            return self._counted(chosen)

        found = counted(filters)
        for facet in FACETS:
            others = without_facet(filters, facet)
            if others != filters:
                found = found._replace(**{facet: getattr(counted(others), facet)})
        return found

    def forget(self) -> None:
        """Count everything anew: somebody has changed what is counted."""
        with self._lock:
            self._known.clear()

    def _counted(self, filters: Filters) -> Facets:
        name = json.dumps(filters.document, sort_keys=True)
        with self._lock:
            known = self._known.get(name)
        if known is not None and time.monotonic() - known[1] < REMEMBERED_S:
            return known[0]
        found = self._database().explore.facets(filters.selector)
        with self._lock:
            self._known.pop(name, None)
            while len(self._known) >= REMEMBERED_MAX:
                self._known.pop(next(iter(self._known)))
            self._known[name] = (found, time.monotonic())
        return found
