"""`drystone db restore`: it owns putting a backup back, and that nothing is ever lost by it.

What is restored is compared with what the backup counted before it gets its place; the data folder
that it replaces is renamed aside, never removed.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from psycopg import conninfo

from base.config import find_config
from base.errors import UsageError
from base.files import sync_folder
from sql.backup import data as backup_data
from sql.backup.backup import list_backups
from sql.backup.snapshot import count_rows, differences
from sql.copies import folders as backup_folders
from sql.copies import listing as backup_list
from sql.copies import unrestored
from sql.copies.files import sync_tree
from sql.copies.listing import LATEST, Backup
from sql.copies.report import NAME, BackupFacts, BackupReport, read_facts, record
from sql.core import programs
from sql.core.config import DatabaseConfig, load_config
from sql.core.connections import connect_once
from sql.core.errors import BackupDamagedError, BackupError, DatabaseUnavailableError
from sql.core.migrate import known_migrations
from sql.core.statements import statements
from sql.database.database import Database, place_of
from sql.server import server

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
MAINTENANCE_DATABASE = "postgres"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of a restore; `aside` is where the former data folder lies now, or ''."""

    name: str
    source: str
    target: str
    tables: int
    rows: int
    aside: str = ""


def restore_to_folder(
    config_path: str | None, name: str, folder: str, say: Say = lambda _: None
) -> Restored:
    """Make a new data folder, whose server can be started by naming it as data in [database].

    Raises NotFoundError, BackupDamagedError when no copy is whole, BackupError when what was
    restored is not what was backed up. Then there is no new folder.
    """
    config = load_config(find_config(config_path))
    folder = os.path.abspath(folder)
    if os.path.isdir(folder) and os.listdir(folder):
        raise UsageError(f"{folder} is not empty; name a new folder")
    with backup_folders.only_one(config) as lock:
        return _make_folder(config, name, folder, lock, say)


def restore_to_database(
    config_path: str | None, name: str, dsn: str, say: Say = lambda _: None
) -> Restored:
    """Restore the logical export into a database that is made, or is there and empty."""
    config = load_config(find_config(config_path))
    with backup_folders.only_one(config) as lock:
        backup = _find(config, name)
        copy = backup_list.whole_copy(backup, say)
        made = _make_database(dsn)
        try:
            backup_data.fill(dsn, copy, lock)
            return _compared(backup, dsn, _place_text(dsn))
        except BaseException:
            if made:
                _drop_database(dsn)
            raise


def restore_in_place(
    config_path: str | None, name: str, say: Say = lambda _: None, *, cut_off: bool = False
) -> Restored:
    """Put a backup in the place of the embedded server's data, and start it.

    The former data folder is kept beside it. Refuses while somebody is connected, unless `cut_off`.
    Raises what `restore_to_folder` raises; then nothing was replaced.
    """
    path = find_config(config_path)
    config = load_config(path)
    if not config.embedded:
        raise UsageError(
            "the database at dsn is not ours to replace: restore with --to into a new one, and "
            "change dsn in [database] of drystone.toml"
        )
    place = place_of(config)
    with backup_folders.only_one(config) as lock:
        _refuse_clients(place, cut_off)
        new = config.data + ".restored"
        if os.path.isdir(new):
            shutil.rmtree(new)
        made = _make_folder(config, name, new, lock, say)
        _refuse_clients(place, cut_off)
        aside = ""
        with server.held_down(place):
            if os.path.isdir(config.data):
                aside = _aside(config.data)
                _exchange(new, config.data)
                # A crash here leaves the new data in their place, and the former called .restored.
                os.rename(new, aside)
            else:
                os.rename(new, config.data)
            sync_folder(os.path.dirname(config.data))
            unrestored.forget(config)
        with Database.open(path, say):
            say(f"the database is up with what {made.name} holds")
    return Restored(made.name, made.source, config.data, made.tables, made.rows, aside)


def describe(config_path: str | None, name: str, say: Say = lambda _: None) -> tuple[Backup, str]:
    """Read a whole copy of a backup and return which one would be restored."""
    config = load_config(find_config(config_path))
    backup = _find(config, name)
    return backup, backup_list.whole_copy(backup, say)


def restore_fresh(config_path: str, folder: str, say: Say = lambda _: None) -> Restored:
    """Put the backup in `folder` in the place of a store's database that nothing has come into.

    Whoever is connected is cut off; whether it is fresh is for the caller to know. Killed anywhere,
    the database is the fresh one, empty, or what was restored: the same again goes on.
    """
    config = load_config(find_config(config_path))
    if config.embedded:
        return restore_in_place(config_path, folder, say, cut_off=True)
    with backup_folders.only_one(config) as lock:
        backup = _find(config, folder)
        copy = backup_list.whole_copy(backup, say)
        with contextlib.closing(connect_once(config.dsn)) as connection:
            # A crash after this leaves an empty database, which whoever opens it makes fresh again.
            connection.execute(statements("backup")["empty"])
            connection.commit()
        backup_data.fill(config.dsn, copy, lock)
        restored = _compared(backup, config.dsn, _place_text(config.dsn))
    with Database.open(config_path, say):
        return restored


def verified_export(folder: str, say: Say = lambda _: None) -> BackupFacts:
    """Return the facts of a copy or package, every byte of which was compared with its sums.

    Raises BackupDamagedError, and BackupError for one that only a later Drystone can restore.
    """
    backup = _of_folder(folder)
    backup_list.whole_copy(backup, say)
    return backup.facts


def _find(config: DatabaseConfig, name: str) -> Backup:
    """Return a backup of this store by its name, or what lies in a folder."""
    if name != LATEST and not NAME.fullmatch(name) and os.path.isdir(name):
        return _of_folder(name)
    backup = backup_list.find_backup(list_backups(config), name)
    _refuse_later(backup.facts, backup.name)
    return backup


def _of_folder(folder: str) -> Backup:
    facts = read_facts(folder)
    if facts is None:
        raise BackupDamagedError(
            f"{folder} is no export of a database that this Drystone can read: its backup.json is "
            "missing, damaged, or of a later version"
        )
    _refuse_later(facts, folder)
    return Backup(facts, (folder,), None)


def _refuse_later(facts: BackupFacts, what: str) -> None:
    known, has = len(known_migrations()), facts.counts.get("schema_migration", 0)
    if has > known:
        raise BackupError(
            f"{what} has been through {has} migrations, and this Drystone knows only {known}: "
            "update Drystone, and restore it with that"
        )
    if facts.server_version_number // 10_000 > programs.MAJOR_VERSION:
        raise BackupError(
            f"{what} was made by PostgreSQL {facts.server_version}, and this Drystone restores up "
            f"to {programs.MAJOR_VERSION}: update Drystone, and restore it with that"
        )


# ---- A new data folder -----------------------------------------------------------------------


def _make_folder(config: DatabaseConfig, name: str, folder: str, lock: int, say: Say) -> Restored:
    """Make it as FOLDER.making, restore the export into its server, compare, stop, and rename."""
    backup = _find(config, name)
    making, run_dir = folder + ".making", folder + ".run"
    place = server.Place(making, run_dir)
    _remove(place)
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    try:
        say(f"restoring {backup.name} into {folder}")
        backup_data.make_logical(place, backup_list.whole_copy(backup, say), lock, say)
        restored = _compared(backup, server.dsn(place), folder)
        server.stop(place)
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(folder)
        sync_tree(making)
        os.rename(making, folder)
        sync_folder(os.path.dirname(folder))
    finally:
        _remove(place)
    return restored


def _remove(place: server.Place) -> None:
    server.stop(place)
    for folder in (place.data, place.run_dir):
        if os.path.isdir(folder):
            shutil.rmtree(folder)


def _compared(backup: Backup, dsn: str, target: str) -> Restored:
    with contextlib.closing(connect_once(dsn)) as connection:
        counts, wanted = count_rows(connection), backup.facts.counts
        if problems := differences(backup_data.LOGICAL, counts, wanted, wanted):
            raise BackupError(
                f"what was restored from {backup.name} is not what was backed up; try another "
                "one:\n  " + "\n  ".join(problems)
            )
        # A new server has a new identity: this ties it to the backups of the former one.
        record(connection, backup.report or _report_of(backup))
        connection.commit()
    return Restored(backup.name, backup_data.LOGICAL, target, len(counts), sum(counts.values()))


def _report_of(backup: Backup) -> BackupReport:
    """Return what the facts alone say: of a package, or of a backup that was never checked."""
    facts = backup.facts
    return BackupReport(
        name=facts.name,
        store_id=facts.store_id,
        kind=facts.kind,
        state="incomplete",
        start_time=facts.start_time,
        end_time=facts.end_time,
        copies=(),
        warnings=(f"restored from {', '.join(backup.copies)}",),
        problems=(),
        facts=facts,
    )


# ---- In place of the live one ----------------------------------------------------------------


def _refuse_clients(place: server.Place, cut_off: bool) -> None:
    if cut_off or server.find(place) is None:
        return
    try:
        with contextlib.closing(connect_once(server.dsn(place))) as connection:
            clients = [name for (name,) in connection.execute(statements("backup")["clients"])]
    except DatabaseUnavailableError:
        return  # It is damaged: that may be why it is replaced.
    if clients:
        raise UsageError(
            f"the database is in use by {', '.join(clients)}: stop them (`drystone down`), or cut "
            "them off with --yes"
        )


def _aside(data: str) -> str:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    aside, number = f"{data}.before-{stamp}", 1
    while os.path.exists(aside):
        number += 1
        aside = f"{data}.before-{stamp}-{number}"
    return aside


def _exchange(one: str, other: str) -> None:
    """Swap two folders at once: at no moment is there no data folder, which a start would make."""
    libc = ctypes.CDLL(None, use_errno=True)
    paths = (os.fsencode(one), os.fsencode(other))
    if libc.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0:
        return
    code = ctypes.get_errno()
    if code not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(code, os.strerror(code), other)
    # This filesystem cannot. We hold the lock without which nobody starts the server.
    between = one + ".swap"
    os.rename(other, between)
    os.rename(one, other)
    os.rename(between, one)


# ---- A new database of some server -----------------------------------------------------------


def _make_database(dsn: str) -> bool:
    """Make the database unless it is there; UsageError when something is in it."""
    try:
        with contextlib.closing(connect_once(dsn)) as connection:
            tables = connection.execute(statements("backup")["tables"]).fetchall()
    except DatabaseUnavailableError as error:
        name = conninfo.conninfo_to_dict(dsn).get("dbname")
        if not name or "does not exist" not in str(error):
            raise
        backup_data.new_database(_maintenance(dsn), str(name))
        return True
    if tables:
        raise UsageError(f"{_place_text(dsn)} has {len(tables)} tables; name a new database")
    return False


def _drop_database(dsn: str) -> None:
    name = str(conninfo.conninfo_to_dict(dsn)["dbname"])
    with contextlib.suppress(psycopg.Error, DatabaseUnavailableError):
        backup_data.drop_database(_maintenance(dsn), name)


def _maintenance(dsn: str) -> str:
    return conninfo.make_conninfo(dsn, dbname=MAINTENANCE_DATABASE)


def _place_text(dsn: str) -> str:
    parts = conninfo.conninfo_to_dict(dsn)
    return f"database {parts.get('dbname')} at {parts.get('host') or 'the local socket'}"
