"""What watching remembers: it owns one sqlite file on the SSD, and no judgement.

Rows of JSON by kind and name: when replicas were verified and which are damaged, which contents are
lost, how disks do and how fast they are, which alerts were told and which wait. Each has a checksum
(XXH3) of its bytes. All of it may be lost at any time, and is found anew; so whatever is wrong with
the file stops nobody. A damaged one is made anew at a start; while it is locked, or the SSD is
full, memory has to do, and the next write brings what is missing.
"""

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import xxhash

NAME = "watch.sqlite"
LOCKED_S = 0.5
"""So long a write waits for whoever looks into the file with a program of theirs."""

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS remembered (
        kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, xxh3_64 BLOB NOT NULL,
        PRIMARY KEY (kind, name)
    ) WITHOUT ROWID
"""
_PUT = "INSERT INTO remembered VALUES (?, ?, ?, ?)"
_DELETE = "DELETE FROM remembered WHERE kind = ? AND name = ?"


class WatchFile:
    """The open file; `problem` says why what was in it could not be used. Safe for threads."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, NAME)
        # Guards all below, held for one transaction. Innermost.
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._closed = False
        self._rows: dict[str, dict[str, Any]] = {}
        self._unsaved: set[tuple[str, str]] = set()
        self.problem = ""
        try:
            self._read()
        except (OSError, TypeError, ValueError, sqlite3.OperationalError) as error:
            self.problem = self._unusable(error)
        except sqlite3.DatabaseError as error:
            self.problem = self._unusable(error)
            self._rows.clear()
            self._remove()

    def rows(self, kind: str) -> dict[str, Any]:
        """Return a copy of what is remembered of a kind, by name."""
        with self._lock:
            return dict(self._rows.get(kind, {}))

    def write(self, kind: str, rows: Mapping[str, Any]) -> None:
        """Remember rows by name, and forget those that are nothing.

        Durable when it returns, all of them or none, if the SSD has room and the file is free.
        """
        with self._lock:
            known = self._rows.setdefault(kind, {})
            known.update(rows)
            for name in [name for name, row in rows.items() if not row]:
                del known[name]
            self._unsaved.update((kind, name) for name in rows)
            with contextlib.suppress(OSError, sqlite3.Error):
                with self._database or self._open() as database:
                    database.executemany(_DELETE, self._unsaved)
                    database.executemany(_PUT, self._packed())
                self._unsaved.clear()

    @property
    def is_saved(self) -> bool:
        """Tell whether all that was written is durable."""
        with self._lock:
            return not self._unsaved

    def _packed(self) -> Iterator[tuple[str, str, str, bytes]]:
        for kind, name in self._unsaved:
            if name in self._rows[kind]:
                value = json.dumps(self._rows[kind][name])
                yield kind, name, value, _checksum(kind.encode(), name.encode(), value.encode())

    def close(self) -> None:
        """Close the file; what is written after that is not kept."""
        with self._lock:
            self._closed = True
            if self._database is not None:
                self._database.close()

    def _open(self) -> sqlite3.Connection:
        if self._closed:
            raise OSError("it is closed")
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        database = sqlite3.connect(self._path, timeout=LOCKED_S, check_same_thread=False)
        try:
            database.text_factory = bytes
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute(_SCHEMA)
        except BaseException:
            database.close()
            raise
        self._database = database
        return database

    def _read(self) -> None:
        damaged = 0
        found: dict[bytes, list[tuple[bytes, bytes]]] = {}
        for row in self._open().execute("SELECT kind, name, value, xxh3_64 FROM remembered"):
            kind, name, value, checksum = row
            if _checksum(kind, name, value) == checksum:
                found.setdefault(kind, []).append((name, value))
            else:
                damaged += 1
        for kind, some in found.items():
            # At once: of tens of thousands, each by itself would take a second of a start.
            values = json.loads(b"[%b]" % b",".join(value for _, value in some))
            names = (name.decode() for name, _ in some)
            self._rows[kind.decode()] = dict(zip(names, values, strict=True))
        if damaged:
            # It is made anew with the others by the next write.
            self.problem = self._unusable(f"{damaged} rows fail their checksums")
            self._remove()
            self._unsaved = {(kind, name) for kind, rows in self._rows.items() for name in rows}

    def _unusable(self, reason: object) -> str:
        return f"what watching remembers cannot be used ({self._path}: {reason}); it is found anew"

    def _remove(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        for ending in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                os.unlink(self._path + ending)


def _checksum(kind: bytes, name: bytes, value: bytes) -> bytes:
    return xxhash.xxh3_64_digest(b"\0".join((kind, name, value)))
