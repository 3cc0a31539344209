"""The tables of the sources that a batch tells of: made when the first intent fills them."""

from __future__ import annotations

from itertools import chain

from adapters.records.adapter import Adapter
from adapters.sources.registry import adapter_named, adapter_names
from sql import Database, WriteIntent


class Declarer:
    """Declares each table once: that of the adapter, or of another that reads files for it."""

    def __init__(self, database: Database, adapter: Adapter) -> None:
        self._database, self._adapter = database, adapter
        self._declared: set[str] = set()

    def declare(self, intent: WriteIntent) -> None:
        """Declare what an intent fills and none before it did."""
        sources = {row.source for row in (*intent.common_metadata, *intent.source_metadata)}
        wanted = sources - self._declared
        self._declared |= wanted
        known = chain([self._adapter], (adapter_named(name) for name in adapter_names()))
        for one in known:
            if not wanted:
                return
            for table in one.tables:
                if table.name in wanted:
                    wanted.discard(table.name)
                    self._database.declare(table)
