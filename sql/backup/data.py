"""From a backup to a server: it owns making a data folder, or filling a database, from copies.

It judges nothing that it made; its callers compare.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Generator

from psycopg import conninfo
from psycopg.sql import SQL, Identifier

from sql.backup import programs as backup_programs
from sql.core import migrate
from sql.core.connections import connect_once
from sql.server import data as server_data
from sql.server import server

LOGICAL = "logical"

Say = Callable[[str], None]

REMOVE_TIMEOUT_S = 30.0

SCRATCH_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "summarize_wal": "off",
    "archive_mode": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "128MB",
    "checkpoint_timeout": "1h",
}
"""A server that is thrown away after the check."""


def make_logical(place: server.Place, copy: str, lock: int, say: Say) -> None:
    """Make a data folder, start its server and restore an export into it; the server stays up."""
    server_data.make_data(place.data, say)
    server.start(place, say)
    fill(server.dsn(place), copy, lock)


def fill(dsn: str, copy: str, lock: int) -> None:
    """Restore the export of a copy into an empty database, with the rights of our reading role."""
    with contextlib.closing(connect_once(dsn)) as connection:
        version = connection.info.server_version
    path = os.path.join(copy, LOGICAL, backup_programs.DUMP_NAME)
    backup_programs.restore(path, dsn, version, lock)
    # Rights are not restored, because their owners may not exist here; ours are made again.
    with contextlib.closing(connect_once(dsn)) as connection, connection.transaction():
        migrate.grant_reader(connection)


def new_database(dsn: str, name: str) -> str:
    """Make a database beside that of a connection string; returns its connection string."""
    with contextlib.closing(connect_once(dsn)) as connection:
        connection.autocommit = True
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(name)))
    return conninfo.make_conninfo(dsn, dbname=name)


def drop_database(dsn: str, name: str) -> None:
    """Drop a database that `new_database` made."""
    with contextlib.closing(connect_once(dsn)) as connection:
        connection.autocommit = True
        connection.execute(SQL("DROP DATABASE IF EXISTS {}").format(Identifier(name)))


@contextlib.contextmanager
def scratch(folder: str) -> Generator[server.Place]:
    """Yield a place for a server that is stopped and removed at the end; also what a crash left."""
    place = server.Place(
        os.path.join(folder, "data"), os.path.join(folder, "run"), SCRATCH_SETTINGS
    )
    remove_scratch(folder)
    try:
        os.makedirs(folder, mode=0o700)
        yield place
    finally:
        remove_scratch(folder)


def remove_scratch(folder: str) -> None:
    """Stop the server in such a folder and remove it."""
    deadline = time.monotonic() + REMOVE_TIMEOUT_S
    while os.path.isdir(folder):
        server.stop(server.Place(os.path.join(folder, "data"), os.path.join(folder, "run")))
        try:
            shutil.rmtree(folder)
        except OSError:
            # An initdb whose caller was killed lives on for a moment, and works in that folder.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
