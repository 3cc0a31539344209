"""A store whose database is backed up to folders: it owns their making and the views on them."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator

import database_fixture_data
import psycopg
from server_fixture import EmbeddedStore

from sql import load_config
from sql.backup.backup import list_backups, make_backup
from sql.copies.report import BackupReport
from sql.intent.intent import VirtualNode, WriteIntent
from sql.server import server

NODES = 300


class BackupStore(EmbeddedStore):
    """An embedded store with two folders for copies beside it."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.folders = [os.path.join(root, name) for name in ("disk1", "disk2")]
        self.copies_go_to(*self.folders)

    def copies_go_to(self, *folders: str, more: str = "") -> None:
        listed = ", ".join(f'"{folder}"' for folder in folders)
        self.configure(f"backup_folders = [{listed}]\n{more}")

    def fill(self) -> None:
        with self.open() as database:
            fixture = database_fixture_data.make_fixture(NODES)
            database_fixture_data.fill_database(database, fixture)

    def add(self, name: str) -> None:
        with self.open() as database:
            database.apply_intent(intent(name))

    def back_up(self, *arguments: object, **options: object) -> BackupReport:
        return make_backup(self.config_path, *arguments, **options)

    def listed(self) -> list[str]:
        return [backup.name for backup in list_backups(load_config(self.config_path))]

    def rows(self) -> dict[str, list[str]]:
        with self.open():
            return rows_of(server.dsn(self.place))


def intent(name: str) -> WriteIntent:
    return WriteIntent(
        intent_id=name, virtual_nodes=(VirtualNode(description=f"birdsite:user:{name}"),)
    )


def rows_of(dsn: str) -> dict[str, list[str]]:
    """Every row of every table, except the reports: a backup does not know how it ended."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall()
        return {
            table: [
                row
                for (row,) in connection.execute(f'SELECT t::text FROM "{table}" AS t ORDER BY 1')
            ]
            for (table,) in tables
            if table != "backup_report"
        }


@contextlib.contextmanager
def served(folder: str) -> Iterator[str]:
    """Start a server on a restored data folder."""
    place = server.Place(folder, folder + ".serve")
    server.start(place)
    try:
        yield server.dsn(place)
    finally:
        server.stop(place)


def flip_bit(folder: str, ending: str) -> str:
    """Change one bit in the middle of the largest file whose path ends so."""
    path = _largest(folder, ending)
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    return path


def cut_in_half(folder: str, ending: str) -> None:
    """Cut the largest file whose path ends so."""
    path = _largest(folder, ending)
    os.truncate(path, os.path.getsize(path) // 2)


def _largest(folder: str, ending: str) -> str:
    paths = [os.path.join(path, name) for path, _, names in os.walk(folder) for name in names]
    return max((one for one in paths if one.endswith(ending)), key=os.path.getsize)


@contextlib.contextmanager
def small_filesystem(folder: str, size: str) -> Iterator[None]:
    os.makedirs(folder)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def leftovers(store: BackupStore) -> list[str]:
    """What a backup must not leave: temporary copies, scratch servers."""
    found = [os.path.join(f, n) for f in store.folders if os.path.isdir(f) for n in os.listdir(f)]
    left = [path for path in found if os.path.basename(path).startswith(".tmp-")]
    return left + [path for path in (store.data + ".check",) if os.path.exists(path)]
