"""The database as others see it: it owns how one is opened, and the list of what it can be asked.

Each method is one transaction and hands the work to the module that knows it, which is loaded only
then. Connections never leave this folder, and a server that is gone always appears as
DatabaseUnavailableError.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from base.config import find_config
from sql.copies import unrestored
from sql.core.config import DatabaseConfig, load_config
from sql.core.errors import DatabaseUnavailableError
from sql.core.transactions import STATEMENT_TIMEOUT_S
from sql.database.books import Books
from sql.server import server

if TYPE_CHECKING:
    from sql.actions.history import ActionStatus, ActionType, PipelineState
    from sql.core.declared import DeclaredTable
    from sql.core.health import Health
    from sql.intent.ingest_state import (
        ArchiveRow,
        BatchCounts,
        ConfirmedBy,
        IngestBatch,
        IngestState,
        OutboxPackage,
        Quarantined,
        QuarantineRow,
    )
    from sql.intent.intent import IntentResult, WriteIntent
    from sql.intent.tree_rebuild import DerivedCheck
    from sql.selector.select import Aggregate, Explanation, NodeRow
    from sql.selector.selector import Selector

REOPEN_TIMEOUT_S = 10.0
REOPEN_POLL_S = 0.1


class Database(Books):
    """A database that is up to date. Use `open` or `connect`, and it as a context manager."""

    @classmethod
    def open(
        cls,
        config_path: str | None = None,
        say: Callable[[str], None] = lambda _: None,
        *,
        start: bool = True,
    ) -> Database:
        """Open the database of a store, starting the embedded server when it does not run.

        `config_path` is a drystone.toml or its folder; None looks here and above. With
        `start=False` a server that does not run is a DatabaseUnavailableError.
        """
        config = load_config(find_config(config_path))
        if not start and config.embedded and server.find(place_of(config)) is None:
            raise DatabaseUnavailableError("the database is down; start it with `drystone up`")
        if not config.embedded:
            return cls(config.dsn, config.statement_timeout_s)
        deadline = time.monotonic() + REOPEN_TIMEOUT_S
        while True:
            dsn = dsn_of(config, say)
            try:
                return cls(dsn, config.statement_timeout_s, place_of(config).refusal)
            except DatabaseUnavailableError:
                # One that finds no room to replay its log ends in a moment; the next one has the
                # room of the ballast.
                if not start or time.monotonic() > deadline:
                    raise
            time.sleep(REOPEN_POLL_S)

    @classmethod
    def connect(cls, dsn: str, statement_timeout_s: float = STATEMENT_TIMEOUT_S) -> Database:
        """Open the database behind a connection string (URL or key=value) and migrate it."""
        return cls(dsn, statement_timeout_s)

    def health(self) -> Health:
        """Return the versions, sizes and figures of the server and the schema."""
        from sql.core import health

        with self.connection() as connection:
            return health.health(connection, reader_role=self.reader_role)

    # ---- Writing and asking ----------------------------------------------------------------------

    def apply_intent(self, intent: WriteIntent) -> IntentResult:
        """Write what an intent says, all of it or nothing; the same intent again does nothing."""
        from sql.intent import apply

        with self.connection() as connection:
            return apply.apply_intent(connection, intent)

    def check_derived(self) -> DerivedCheck:
        """Compare root, component and depth of all nodes with what their edges say."""
        from sql.intent import tree_rebuild

        with self.connection() as connection:
            return tree_rebuild.check_derived(connection)

    def rebuild_derived(self) -> DerivedCheck:
        """Put root, component and depth of all nodes right; returns what was wrong."""
        from sql.intent import tree_rebuild

        with self.connection() as connection:
            return tree_rebuild.rebuild_derived(connection)

    def declare(self, table: DeclaredTable) -> bool:
        """Make or migrate a declared table; False when it was so already. Raises SchemaError."""
        from sql.core import declared

        with self.connection() as connection:
            return declared.declare(connection, table)

    def query_nodes(self, selector: Selector) -> Iterator[NodeRow]:
        """Yield what a selector finds, as it comes; a connection is busy until the last one."""
        from sql.selector import select

        with self.reading() as connection:
            yield from select.query_nodes(connection, selector)

    def aggregate(self, selector: Selector) -> Aggregate:
        """Return how many nodes a selector finds and the sum of their sizes."""
        from sql.selector import select

        with self.reading() as connection:
            return select.aggregate(connection, selector)

    def explain(self, selector: Selector) -> Explanation:
        """Return the statement that a selector becomes and what the planner expects of it."""
        from sql.selector import select

        with self.reading() as connection:
            return select.explain(connection, selector)

    def file_extensions(self) -> frozenset[str]:
        """Return the extensions that physical content may have."""
        from sql.core import file_types

        with self.reading() as connection:
            return file_types.file_extensions(connection)

    def physical_contents(self) -> Iterator[tuple[str, int]]:
        """Yield key and size of every physical content, deleted ones too, in no order."""
        from sql.core import contents

        with self.reading() as connection:
            yield from contents.physical_contents(connection)

    # ---- Actions and pipelines -------------------------------------------------------------------

    def declare_action(self, action_id: int, name: str, action_type: ActionType) -> bool:
        """Make an action known; False when it was. Raises UsageError when it is another."""
        from sql.actions import history

        with self.connection() as connection:
            return history.declare_action(connection, action_id, name, action_type)

    def declare_pipeline(self, name: str, action_ids: Sequence[int]) -> int:
        """Make a pipeline of actions in this order known; returns its id."""
        from sql.actions import history

        with self.connection() as connection:
            return history.declare_pipeline(connection, name, action_ids)

    def create_action_batch(self) -> int:
        """Begin an action batch and return its id."""
        from sql.actions import history

        with self.connection() as connection:
            return history.create_action_batch(connection)

    def add_to_action_batch(self, action_batch_id: int, node_ids: Iterable[int]) -> int:
        """Put nodes into a batch that is not sealed; returns how many are new."""
        from sql.actions import history

        with self.connection() as connection:
            return history.add_to_action_batch(connection, action_batch_id, node_ids)

    def seal_action_batch(self, action_batch_id: int) -> datetime:
        """Seal a batch, for ever, and return when that was."""
        from sql.actions import history

        with self.connection() as connection:
            return history.seal_action_batch(connection, action_batch_id)

    def record_action_history(
        self,
        action_id: int,
        action_batch_id: int,
        status: ActionStatus,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
    ) -> int:
        """Record a run of an action over a sealed batch; returns the id of the event."""
        from sql.actions import history

        with self.connection() as connection:
            return history.record_action_history(
                connection, action_id, action_batch_id, status, start_time, end_time
            )

    def change_action_history(
        self,
        event_id: int,
        status: ActionStatus,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
    ) -> None:
        """Change the status of a run, and its times where they are given."""
        from sql.actions import history

        with self.connection() as connection:
            history.change_action_history(connection, event_id, status, start_time, end_time)

    def pipeline_state(self, action_batch_id: int) -> PipelineState:
        """Return where a batch stands in its pipelines, and what happened to it."""
        from sql.actions import history

        with self.reading() as connection:
            return history.pipeline_state(connection, action_batch_id)

    # ---- Ingest batches, quarantine, outbox ------------------------------------------------------

    def open_ingest_batch(
        self,
        name: str,
        adapter: str,
        user: str | None,
        folder: str,
        file_count: int = 0,
        size_bytes: int = 0,
    ) -> IngestBatch:
        """Open a batch in state `frozen`, or return the one of this name as it is."""
        from sql.intent import ingest_state

        with self.connection() as connection:
            return ingest_state.open_ingest_batch(
                connection, name, adapter, user, folder, file_count, size_bytes
            )

    def ingest_batch(self, name: str) -> IngestBatch:
        """Return one batch; NotFoundError when nobody opened it."""
        from sql.intent import ingest_state

        with self.reading() as connection:
            return ingest_state.ingest_batch(connection, name)

    def ingest_batches(self) -> list[IngestBatch]:
        """Return all batches, oldest first."""
        from sql.intent import ingest_state

        with self.reading() as connection:
            return ingest_state.ingest_batches(connection)

    def batch_counts(self, name: str) -> BatchCounts:
        """Count what a batch brought and what is left to do."""
        from sql.intent import ingest_state

        with self.reading() as connection:
            return ingest_state.batch_counts(connection, name)

    def set_ingest_state(self, name: str, state: IngestState, reason: str | None = None) -> None:
        """Say how far a batch is, and why it stopped."""
        from sql.intent import ingest_state

        with self.connection() as connection:
            ingest_state.set_ingest_state(connection, name, state, reason)

    def begin_purge(self, name: str) -> int:
        """Hide the nodes of a batch that the store will be told to delete; returns how many."""
        from sql.intent import purge

        with self.connection() as connection:
            return purge.begin_purge(connection, name)

    def finish_purge(self, name: str, kept: Callable[[list[str]], Collection[str]]) -> int:
        """End a purge; returns how many nodes lost their bytes.

        `kept` is asked for some thousand keys at a time which of them the store has still.
        """
        from sql.intent import purge

        gone = self.show_kept(name, kept)
        with self.connection() as connection:
            purge.finish_purge(connection, name)
        return gone

    def give_up_purge(self, name: str, kept: Callable[[list[str]], Collection[str]]) -> None:
        """Show what a purge hid that the store refused, and let the batch be what it was."""
        from sql.intent import purge

        self.show_kept(name, kept)
        with self.connection() as connection:
            purge.give_up_purge(connection, name)

    def show_kept(self, name: str, kept: Callable[[list[str]], Collection[str]]) -> int:
        """Show nodes of a batch that were hidden for a purge and are `kept`; returns the others."""
        from sql.intent import purge

        gone = 0
        with self.reading() as reading:
            for keys in purge.hidden_keys(reading, name):
                still = kept(keys)
                gone += len(keys) - len(still)
                with self.connection() as connection:
                    purge.show_kept(connection, list(still))
        return gone

    def add_quarantine(self, name: str, rows: Iterable[QuarantineRow]) -> int:
        """Set rows aside; returns how many are new."""
        from sql.intent import ingest_state

        with self.connection() as connection:
            return ingest_state.add_quarantine(connection, name, rows)

    def mark_replayed(self, name: str, rows: Iterable[tuple[str, int]]) -> int:
        """Close the rows (path, record_number) that were understood later; returns how many."""
        from sql.intent import ingest_state

        with self.connection() as connection:
            return ingest_state.mark_replayed(connection, name, rows)

    def quarantined(
        self, name: str | None = None, *, open_only: bool = True
    ) -> Iterator[Quarantined]:
        """Yield what was set aside, of one batch or of all, by batch and path."""
        from sql.intent import ingest_state

        with self.reading() as connection:
            yield from ingest_state.quarantined(connection, name, open_only=open_only)

    def add_outbox_package(
        self, package_id: str, batch: str, file_count: int, size_bytes: int, key: str
    ) -> None:
        """Register a package, whose file has this sha256."""
        from sql.intent import ingest_state

        with self.connection() as connection:
            ingest_state.add_outbox_package(
                connection, package_id, batch, file_count, size_bytes, key
            )

    def outbox_packages(
        self, batch: str | None = None, *, waiting_only: bool = True
    ) -> list[OutboxPackage]:
        """Return the packages that wait for their copy, or all, oldest first."""
        from sql.intent import ingest_state

        with self.reading() as connection:
            return ingest_state.outbox_packages(connection, batch, waiting_only=waiting_only)

    def confirm_outbox_package(
        self, package_id: str, copy: str | None, by: ConfirmedBy = "copy"
    ) -> OutboxPackage:
        """Record that a copy of a package exists elsewhere, and how that is known."""
        from sql.intent import ingest_state

        with self.connection() as connection:
            return ingest_state.confirm_outbox_package(connection, package_id, copy, by)

    def archive_rows(self, package_id: str) -> Iterator[ArchiveRow]:
        """Yield what lies in a package, by path."""
        from sql.intent import ingest_state

        with self.reading() as connection:
            yield from ingest_state.archive_rows(connection, package_id)


def dsn_of(config: DatabaseConfig, say: Callable[[str], None] = lambda _: None) -> str:
    """Return the connection string of a store, with its embedded server up if it has one."""
    if not config.embedded:
        return config.dsn
    place = place_of(config)
    unrestored.tell_if_new(config, say)
    server.start(place, say)
    return server.dsn(place)


def place_of(config: DatabaseConfig) -> server.Place:
    """Return where the embedded server of a store lives."""
    return server.Place(config.data, config.run_dir, has_ballast=True)
