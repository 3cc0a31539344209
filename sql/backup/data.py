"""From a backup to a server: it owns making a data folder, or filling a database, from copies.

It judges nothing that it made; its callers compare.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Generator, Sequence

from psycopg import conninfo
from psycopg.sql import SQL, Identifier

from sql.backup import programs as backup_programs
from sql.backup.listing import Backup, chain_of, whole_copy
from sql.core import migrate, programs
from sql.core.connections import connect_once
from sql.core.errors import BackupDamagedError
from sql.server import data as server_data
from sql.server import server

BASE = "base"
LOGICAL = "logical"
_ALTERED = "postgresql.auto.conf"

Say = Callable[[str], None]

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


def base_folders(backups: Sequence[Backup], backup: Backup, copy: str, say: Say) -> list[str]:
    """Return whole copies of what a base backup builds upon, and of itself: `copy`."""
    before = chain_of(backups, backup)[:-1]
    return [os.path.join(one, BASE) for one in (*(whole_copy(b, say) for b in before), copy)]


def make_base(folders: Sequence[str], data: str, lock: int, *, scratch: bool = False) -> None:
    """Make a data folder of base backups; the server's start replays the log in it."""
    os.makedirs(os.path.dirname(data), exist_ok=True)
    backup_programs.combine(folders, data, lock)
    if scratch:
        # What a person set by hand may need files and programs that belong to the live server.
        with open(os.path.join(data, _ALTERED), "w", encoding="ascii"):
            pass
    _give(data, programs.server_account())


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


def make_best(
    backups: Sequence[Backup], backup: Backup, place: server.Place, lock: int, say: Say
) -> str:
    """Make a running server of the best that a backup has; returns BASE or LOGICAL.

    Raises BackupDamagedError when no copy of the backup itself is whole.
    """
    copy = whole_copy(backup, say)
    if backup.facts.has_base:
        try:
            folders = base_folders(backups, backup, copy, say)
        except BackupDamagedError as error:
            say(f"{error}\nrestoring the logical export in place of the base backup")
        else:
            make_base(folders, place.data, lock)
            server.start(place, say)
            return BASE
    make_logical(place, copy, lock, say)
    return LOGICAL


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
    if os.path.isdir(folder):
        server.stop(server.Place(os.path.join(folder, "data"), os.path.join(folder, "run")))
        shutil.rmtree(folder)


def _give(data: str, account: programs.Account) -> None:
    """Make a data folder the server's, and closed to others."""
    for path, _, names in os.walk(data, topdown=False):
        for name in (".", *names):
            one = os.path.join(path, name)
            if os.geteuid() != account.uid:
                os.chown(one, account.uid, account.gid, follow_symlinks=False)
            os.chmod(one, 0o700 if name == "." else 0o600)
