"""The LMDB environment of one generation: it owns its opening, its errors by our names, its end.

What lies in its tables it does not know, see `index`.
"""

import os
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import lmdb

from base.errors import UsageError
from fsd.format.errors import CorruptError, QuotaError, ReindexingError
from fsd.process.address_space import INDEX_MAP_BYTES, address_space_problem
from fsd.store.ssd import ballast

READERS_MAX = 254
LOCK_BYTES = READERS_MAX * 64 + 128
"""Of LMDB's table of readers: a cache line for each but one of them, and three more."""


class Environment:
    """Transactions may begin in any thread; those that write wait for one another.

    `spares` is the table that has several values of a key. Who only reads may meet an index of an
    older engine, which had no such table.
    """

    def __init__(
        self, index_root: str, path: str, tables: Sequence[str], spares: str, *, readonly: bool
    ) -> None:
        self.index_root = index_root
        self.path = path
        if not readonly:
            self._take_room()
        try:
            # Read-ahead is off: lookups by hash are random, read-ahead only evicts useful pages.
            self._environment = lmdb.open(
                path,
                map_size=INDEX_MAP_BYTES,
                max_dbs=len(tables),
                max_readers=READERS_MAX,
                readonly=readonly,
                create=not readonly,
                readahead=False,
            )
            self._check_length()
            self.tables = self._open_tables(tables, spares, readonly=readonly)
            # Readers that were killed would keep old pages from being reused for ever.
            self._environment.reader_check()
        except lmdb.NotFoundError as error:
            self._environment.close()
            raise CorruptError("the index is damaged: it lost a table", path) from error
        except lmdb.MemoryError as error:
            # No damage: it is not made anew for that.
            problem = address_space_problem() or address_space_problem(indexes=2)
            raise UsageError(problem or f"the index cannot be mapped: {error}") from error
        except lmdb.Error as error:
            if not readonly and ballast.is_full(index_root, str(error)):
                raise QuotaError(ballast.full_message(index_root)) from error
            raise CorruptError(f"the index cannot be opened: {error}", path) from error
        # Held for a write transaction: there is one. `Store.lock` may be taken within, never the
        # other way round.
        self._writer = threading.Lock()
        self._users = 0
        self._is_ending = False
        # Guards `_users` and `_is_ending`. Innermost.
        self._ending = threading.Lock()

    def _take_room(self) -> None:
        """Make the folders, and take the room of the table of readers, which LMDB maps.

        A hole in it that a full SSD cannot fill kills the process (SIGBUS), when it is opened or
        when more read at once than ever before.
        """
        with ballast.naming(self.index_root):
            os.makedirs(os.path.join(self.path, "trees"), mode=0o700, exist_ok=True)
            ballast.of_index(self.index_root).ease()
            with open(os.path.join(self.path, "lock.mdb"), "ab") as file:
                if os.fstat(file.fileno()).st_blocks * 512 < LOCK_BYTES:
                    os.posix_fallocate(file.fileno(), 0, LOCK_BYTES)

    def _open_tables(self, tables: Sequence[str], spares: str, *, readonly: bool) -> dict[str, Any]:
        """Make all tables of a new one at once, or open those of an older one, and make none.

        A table whose name is damaged would else be taken for one that was never made: made again it
        is empty, and tells whoever asks that nothing is there.
        """
        if readonly:
            wanted = [name for name in tables if name != spares]
            return {name: self._environment.open_db(name.encode(), create=False) for name in wanted}
        with self._environment.begin(write=True) as transaction:
            is_new = not transaction.stat()["entries"]
            return {
                name: self._environment.open_db(
                    name.encode(), transaction, create=is_new, dupsort=name == spares
                )
                for name in tables
            }

    def _check_length(self) -> None:
        """Refuse a file that was cut off: touching a page behind its end kills the process."""
        page_bytes = int(self._environment.stat()["psize"])
        needed = (int(self._environment.info()["last_pgno"]) + 1) * page_bytes
        if os.stat(os.path.join(self.path, "data.mdb")).st_size < needed:
            self._environment.close()
            raise CorruptError("the index is cut off", self.path)

    def close(self) -> None:
        """End it: at once, or with the last transaction that is open now or begins until then."""
        with self._ending:
            self._is_ending = True
            if not self._users:
                self._environment.close()

    @contextmanager
    def writing(self) -> Generator["lmdb.Transaction", None, None]:
        """Open the one write transaction; durable when it ends, QuotaError (SSD full) undoes it."""
        ballast.of_index(self.index_root).ease()
        with self._writer, self._used(), self._environment.begin(write=True) as transaction:
            yield transaction

    @contextmanager
    def reading(self) -> Generator["lmdb.Transaction", None, None]:
        """Open a read transaction: a consistent snapshot."""
        with self._used(), self._environment.begin() as transaction:
            yield transaction

    @contextmanager
    def _used(self) -> Generator[None, None, None]:
        """Keep it open, and give LMDB's errors our names; ReindexingError when it has ended."""
        with self._ending:
            if self._is_ending and not self._users:
                raise ReindexingError("the index was made anew meanwhile, or closed: ask again")
            self._users += 1
        try:
            yield
        except lmdb.Error as error:
            if ballast.is_full(self.index_root, str(error)):
                ballast.of_index(self.index_root).give_up()
                raise QuotaError(ballast.full_message(self.index_root)) from error
            raise CorruptError(f"the index is damaged: {error}; reindex it", self.path) from error
        finally:
            with self._ending:
                self._users -= 1
                if self._is_ending and not self._users:
                    self._environment.close()
