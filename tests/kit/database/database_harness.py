"""What tests of the database share: it owns one throw-away server per run of pytest, no fixture.

All xdist workers of a run use one server. Each holds a shared flock for as long as it lives; a
process apart waits for the exclusive one, which the kernel gives it when the last worker is gone,
killed ones too, and then stops it and removes its folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count

import psycopg
import run_folder
from psycopg import conninfo
from psycopg.sql import SQL, Identifier

from sql.core import migrate
from sql.server import server

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "summarize_wal": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "max_connections": "200",
    "autovacuum": "off",
}
"""Nothing here survives a power cut, nor needs to."""

_numbers = count(1)


@contextlib.contextmanager
def shared_server(folder: str) -> Iterator[str]:
    """Yield the connection string of the run's server; `folder` is the run's own."""
    with open(os.path.join(folder, "database-users.lock"), "w", encoding="ascii") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        with open(os.path.join(folder, "database-start.lock"), "w", encoding="ascii") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            place = _find_or_start(os.path.join(folder, "database-server.json"), users.name)
        yield server.dsn(place, "postgres")


def place_in(root: str) -> server.Place:
    """Return a server whose data and log lie below a folder."""
    return server.Place(os.path.join(root, "data"), os.path.join(root, "run"), SETTINGS)


def _find_or_start(state_path: str, users_path: str) -> server.Place:
    place = _read_state(state_path)
    if place is not None and server.find(place) is not None:
        return place
    with contextlib.suppress(FileNotFoundError):
        os.unlink(state_path)
    # Spawned, and not a Popen: nobody waits for it, and it must not hold our output open.
    log_path = state_path + ".log"
    log = (os.POSIX_SPAWN_OPEN, 1, log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, os.path.abspath(__file__), state_path, users_path],
        {
            "PATH": os.defpath,
            "PYTHONPATH": f"{ROOT}:{ROOT}/tests/kit/run",
            "TMPDIR": run_folder.outside(),
        },
        file_actions=[log, (os.POSIX_SPAWN_DUP2, 1, 2)],
        setsid=True,
    )
    while (place := _read_state(state_path)) is None:
        if os.waitpid(pid, os.WNOHANG) != (0, 0):
            with open(log_path, encoding="utf-8") as file:
                raise RuntimeError(f"no database server for the tests:\n{file.read()}")
        time.sleep(0.02)
    return place


def _read_state(state_path: str) -> server.Place | None:
    try:
        with open(state_path, encoding="utf-8") as file:
            return place_in(json.load(file))
    except FileNotFoundError:
        return None


def watch(state_path: str, users_path: str) -> None:
    """Start the server, wait until nobody uses it, stop it and remove its folder."""
    root = tempfile.mkdtemp(prefix="ds-pg-")
    try:
        server.start(place_in(root))
        with open(state_path + ".tmp", "w", encoding="utf-8") as file:
            json.dump(root, file)
        os.replace(state_path + ".tmp", state_path)
        with open(users_path, "a", encoding="ascii") as users:
            fcntl.flock(users, fcntl.LOCK_EX)
            server.stop(place_in(root))
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextlib.contextmanager
def template(admin_dsn: str) -> Iterator[str]:
    """Yield the name of a migrated database that others can be cloned from."""
    with new_database(admin_dsn) as url:
        with psycopg.connect(url) as connection:
            migrate.migrate(connection, migrate.known_migrations())
        yield conninfo.conninfo_to_dict(url)["dbname"]


@contextlib.contextmanager
def new_database(admin_dsn: str, template_name: str = "template0") -> Iterator[str]:
    """Yield the connection string of a new database, a clone of a template; dropped afterwards."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        # 0.17 s in place of 0.26 s for a copy through the log; PostgreSQL 14 knows no choice.
        strategy = " STRATEGY FILE_COPY" if connection.info.server_version >= 150_000 else ""
        create = SQL("CREATE DATABASE {} TEMPLATE {}" + strategy)
        connection.execute(create.format(Identifier(name), Identifier(template_name)))
    try:
        yield conninfo.make_conninfo(admin_dsn, dbname=name)
    finally:
        with psycopg.connect(admin_dsn, autocommit=True) as connection:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


if __name__ == "__main__":
    watch(sys.argv[1], sys.argv[2])
