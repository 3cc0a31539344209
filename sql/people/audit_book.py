"""The audit log: entries are added and read, never changed; the tables refuse anything else, but
that those go which are older than the setting says.

While the database is away entries wait in a file of the run folder, one JSON document a line, each
synced; they are added by the next change that finds it. What a crash leaves:
  in the file              the next one adds it
  added, still in the file the next one adds it again, which changes nothing (`entry_key`)
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psycopg

from base.logging.ids import about
from base.operations.witness import Ended, Entry
from sql.core.errors import SqlError
from sql.core.repository import Repository
from sql.core.statements import statements

WAITING_NAME = "audit.waiting.jsonl"
LIMIT_MAX = 500
FORGOTTEN_AT_ONCE = 1_000

NEVER_ADDED = (psycopg.IntegrityError, psycopg.DataError, psycopg.ProgrammingError)

_SQL = statements("audit")
_log = logging.getLogger(__name__)


class AuditEntry(NamedTuple):
    """A change that somebody asked for; `outcome` is empty while nobody knows it."""

    audit_entry_id: int
    begin_time: datetime
    name: str
    role: str
    token_name: str
    way: str
    address: str
    operation: str
    request: str
    request_reference: str
    outcome: str
    detail: str


class AuditBook(Repository):
    """The audit log; get it as `Database.audit`."""

    def _asking(self) -> AbstractContextManager[psycopg.Connection[Any]]:
        return self._database.connection()

    def add(self, *given: dict[str, Any]) -> None:
        """Add entries and outcomes, in their order; what is there already stays as it is."""
        with self._database.connection() as connection:
            for one in given:
                try:
                    with connection.transaction():
                        connection.execute(_SQL["end" if "outcome" in one else "begin"], one)
                except NEVER_ADDED as error:
                    # What can never be added keeps nothing else waiting.
                    told = about("audit.lost", entry=str(one.get("entry_key")))
                    _log.error("a change is not in the audit log: %s", error, extra=told)

    def entries(
        self,
        *,
        before: int | None = None,
        name: str | None = None,
        operation: str | None = None,
        limit: int = 100,
    ) -> list[AuditEntry]:
        """Return entries, the newest first: those before an id, of a name, of an operation."""
        given = {"before": before, "name": name, "operation": operation, "limit": limit}
        return self._all(AuditEntry, _SQL["entries"], given)

    def forget(self, kept_s: float, for_s: float) -> int:
        """Delete entries that are older, with what came of them; stop after so long.

        Returns how many. Each transaction takes FORGOTTEN_AT_ONCE; a crash leaves the rest to the
        next call. What is younger than 30 days the tables keep, whatever is asked.
        """
        end_s, count = time.monotonic() + for_s, 0
        before = datetime.now(UTC) - timedelta(seconds=kept_s)
        while True:
            with self._database.connection() as connection:
                given = {"before": before, "limit": FORGOTTEN_AT_ONCE}
                keys = [row[0] for row in connection.execute(_SQL["old"], given)]
                if keys:
                    connection.execute(_SQL["may_forget"], given)
                    connection.execute(_SQL["forget_outcomes"], {"keys": keys})
                    connection.execute(_SQL["forget_entries"], {"keys": keys})
            count += len(keys)
            if not keys or time.monotonic() > end_s:
                return count


class AuditWitness:
    """Keeps what is asked for in the audit log of a store; see `base.operations.witness`."""

    def __init__(self, run_dir: str, database: Callable[[], Any]) -> None:
        self._path = os.path.join(run_dir, WAITING_NAME)
        self._database = database

    def begin(self, entry: Entry) -> None:
        """Keep that something is asked for."""
        self._keep(asdict(entry))

    def end(self, ended: Ended) -> None:
        """Keep what came of it."""
        self._keep(asdict(ended))

    def _keep(self, given: dict[str, Any]) -> None:
        try:
            if not _is_filled(self._path):
                self._database().audit.add(given)
                return
            with _locked(self._path) as file:
                self._database().audit.add(*_waiting(file), given)
                _empty(file)
        except SqlError:
            self._wait(given)
        except OSError as error:
            self._give_up(error)

    def _wait(self, given: dict[str, Any]) -> None:
        try:
            with _locked(self._path) as file:
                line = json.dumps(given, default=lambda time: time.isoformat()) + "\n"
                end = os.lseek(file, 0, os.SEEK_END)
                is_torn = end > 0 and os.pread(file, 1, end - 1) != b"\n"
                os.write(file, (b"\n" if is_torn else b"") + line.encode("ascii"))
                os.fsync(file)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        # Said, and not in the way of whoever makes room or mends what is broken.
        told = about("audit.lost", path=self._path)
        _log.error("a change is not in the audit log: %s", error.strerror, extra=told)


class _locked:  # noqa: N801 - a context manager
    """Opens the file of what waits, for one process and thread at a time; innermost but for the
    database's own locks."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> int:
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return self._file

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


def _is_filled(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0
    except FileNotFoundError:
        return False


def _waiting(file: int) -> list[dict[str, Any]]:
    """Return what waits; half a line is of a process that was killed as it wrote it."""
    size_bytes = os.fstat(file).st_size
    found: list[dict[str, Any]] = []
    for line in filter(None, os.pread(file, size_bytes, 0).split(b"\n")):
        try:
            found.append(json.loads(line))
        except ValueError:
            _log.error("a line of the audit log is no JSON", extra=about("audit.lost"))
    return found


def _empty(file: int) -> None:
    if os.fstat(file).st_size:
        os.ftruncate(file, 0)
        os.fsync(file)
