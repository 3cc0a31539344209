"""Purging an ingest batch: the database hides its nodes, the store deletes, the database concludes.

Each step may be interrupted; the same purge again goes on from there. The store alone decides what
other batches, views and pins keep.
"""

from __future__ import annotations

import os
import re

from adapters.records.names import DERIVED_SUFFIX, FIXED_INFIX
from base.errors import UsageError


class PurgePartner:
    """The database's part in a purge; see `fsd.PurgePartner`."""

    def plan(self, config_path: str, batch: str) -> tuple[str, ...] | None:
        """Return the store's batches of an ingest batch; None when the database has no such one.

        UsageError for one that is purged.
        """
        from fsd import Client, load_config
        from sql import Database, NotFoundError
        from sql import load_config as load_database_config

        config = load_database_config(config_path)
        if config.embedded and not os.path.isdir(config.data):
            return None  # Nothing was ever ingested: no database is made only to say so.
        with Database.open(config_path) as database:
            try:
                state = database.ingest_batch(batch).state
            except NotFoundError:
                return None
        client = Client(load_config(config_path).socket_path)
        own = re.compile(
            f"{re.escape(batch)}({re.escape(DERIVED_SUFFIX)}(-[0-9a-f]{{16}})?"
            f"|{re.escape(FIXED_INFIX)}[0-9a-f]{{16}})?"
        )
        names = tuple(sorted(one.batch for one in client.batches() if own.fullmatch(one.batch)))
        if state == "purged" and not names:
            raise UsageError(f"batch {batch} was purged already; there is nothing left of it")
        return names

    def begin(self, config_path: str, batch: str) -> None:
        """Hide the batch's nodes, durably, before the store is asked to delete anything."""
        from sql import Database

        with Database.open(config_path) as database:
            database.begin_purge(batch)

    def give_up(self, config_path: str, batch: str, store_batches: tuple[str, ...]) -> bool:
        """Undo `begin` when the store refused and has all of them still; False when it has not."""
        from fsd import Client, load_config
        from sql import Database

        client = Client(load_config(config_path).socket_path)
        if not set(store_batches) <= {one.batch for one in client.batches()}:
            return False
        with Database.open(config_path) as database:
            database.give_up_purge(batch, client.known)
        return True

    def finish(self, config_path: str, batch: str) -> int:
        """Show again what the store kept; returns how many nodes lost their bytes."""
        from fsd import Client, load_config
        from sql import Database

        client = Client(load_config(config_path).socket_path)
        with Database.open(config_path) as database:
            return database.finish_purge(batch, client.known)


purge_partner = PurgePartner()
