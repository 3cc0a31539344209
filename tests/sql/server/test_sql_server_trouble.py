"""The embedded server in trouble: stops that hang, strangers with its number, odd surroundings."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import sys
import time

import psycopg
import pytest
from command import PROGRAM, drystone
from server_fixture import EmbeddedStore, run_python

from base.processes.descriptors import wait_readable
from sql.core.connections import connect_once
from sql.core.errors import DatabaseUnavailableError
from sql.core.programs import server_account
from sql.server import claim as server_claim
from sql.server import server

OPEN = """
import sys
from sql import Database
with Database.open(sys.argv[1]) as database:
    print(database.health().schema_version)
"""
TIMEOUT_S = 20


@pytest.fixture
def embedded(short_tmp):
    """A store's database, not started yet; whatever runs of it at the end is stopped."""
    made = EmbeddedStore(os.path.join(short_tmp, "store"))
    yield made
    made.end()


def stop_politely(store: EmbeddedStore) -> None:
    """SIGTERM: the server waits until its clients leave by themselves."""
    os.kill(store.postmaster(), signal.SIGTERM)
    deadline = time.monotonic() + TIMEOUT_S
    while not server.find(store.place).stopping:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_start_ends_a_stop_that_waits_for_its_clients(embedded):
    server.start(embedded.place)
    first = embedded.postmaster()
    client = psycopg.connect(server.dsn(embedded.place))
    stop_politely(embedded)
    opened = run_python(OPEN, embedded.config_path)
    try:
        out, errors = opened.communicate(timeout=TIMEOUT_S)
    finally:
        opened.kill()
    assert opened.returncode == 0 and int(out), errors
    assert embedded.postmaster() != first
    client.close()


def test_a_stop_ends_a_stop_that_waits_for_its_clients(embedded):
    server.start(embedded.place)
    client = psycopg.connect(server.dsn(embedded.place))
    stop_politely(embedded)
    state = drystone("db", "status", "--config", embedded.config_path, expect=1)
    assert b"is being stopped" in state.stdout
    assert server.stop(embedded.place)
    assert server.find(embedded.place) is None
    client.close()


def test_whoever_holds_the_lock_too_long_is_named(embedded, monkeypatch):
    server.start(embedded.place)
    path = os.path.join(embedded.place.run_dir, "database.lock")
    named = f"process {os.getpid()} has been"
    with monkeypatch.context() as impatient:
        impatient.setattr(server, "STOP_TIMEOUT_S", 0.1)
        with server_claim.lock(path, 1), pytest.raises(DatabaseUnavailableError, match=named):
            server.stop(embedded.place)
    assert server.stop(embedded.place)


def test_another_server_with_the_number_in_a_stale_mark(embedded, short_tmp):
    """It is neither taken for ours nor stopped in its place."""
    other = EmbeddedStore(os.path.join(short_tmp, "other"))
    try:
        server.start(other.place)
        server.start(embedded.place)
        embedded.kill_postmaster()
        path = os.path.join(embedded.data, "postmaster.pid")
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join([str(other.postmaster()), *lines[1:]]) + "\n")
        # As a query of the killed server would hold it.
        with open(os.path.join(embedded.data, "PG_VERSION"), "rb"):
            orphan = os.open(embedded.data, os.O_RDONLY)
            fcntl.flock(orphan, fcntl.LOCK_SH)
        assert server.find(embedded.place) is None
        assert not server.stop(embedded.place)
        os.close(orphan)
        assert server.start(embedded.place)
        assert other.postmaster() != embedded.postmaster()
    finally:
        other.end()


def test_a_stale_lock_of_the_socket_with_a_number_in_use(embedded):
    """A killed server leaves it, and its number goes to another process in a while."""
    server.start(embedded.place)
    folder = server.find(embedded.place).socket_folder
    path = os.path.join(folder, ".s.PGSQL.5432.lock")
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    embedded.kill_postmaster()
    # Of the server's own account: PostgreSQL takes no other process for one of its own.
    options = {"user": server_account().uid} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "600"], **options) as somebody:
        try:
            with open(path, "w", encoding="utf-8") as file:
                file.write("\n".join([str(somebody.pid), *lines[1:]]) + "\n")
            assert server.start(embedded.place)
            assert server.find(embedded.place).ready
        finally:
            somebody.kill()


def test_who_connects_while_it_recovers_waits(embedded):
    """When a backend is killed, PostgreSQL throws all out and replays its log."""
    server.start(embedded.place)
    dsn = server.dsn(embedded.place)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE much AS SELECT generate_series(1, 400000) AS number")
        connection.execute("UPDATE much SET number = number + 1")
        (pid,) = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
        ).fetchone()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            while True:
                connection.execute("SELECT 1")
    with contextlib.closing(connect_once(dsn)) as connection:
        assert connection.execute("SELECT count(*) FROM much").fetchone() == (400_000,)


@pytest.mark.parametrize(
    "hostile",
    [
        {"PGHOSTADDR": "192.0.2.1"},
        {"PGREQUIREAUTH": "scram-sha-256", "PGCHANNELBINDING": "require"},
        {"PGCLIENTENCODING": "SQL_ASCII", "PGTZ": "Asia/Tokyo"},
        {"PGOPTIONS": "-c default_transaction_read_only=on", "PGTARGETSESSIONATTRS": "standby"},
        {"PGSSLNEGOTIATION": "direct", "PGSSLMODE": "verify-full", "PGPASSWORD": "x"},
    ],
    ids=lambda hostile: "-".join(hostile),
)
def test_nobodys_environment_leads_elsewhere(embedded, hostile):
    opened = run_python(OPEN, embedded.config_path, env=hostile)
    out, errors = opened.communicate(timeout=TIMEOUT_S)
    assert opened.returncode == 0, errors
    assert int(out) >= 1


def test_a_log_that_cannot_be_written_is_one_line(embedded):
    os.makedirs(embedded.place.log_path)
    refused = drystone("db", "start", "--config", embedded.config_path, expect=1)
    assert b"Traceback" not in refused.stderr
    assert b"database.log cannot be written: Is a directory" in refused.stderr


def test_psql_with_a_dsn_that_is_none_is_one_line(embedded):
    embedded.configure('dsn = "nonsense hunter2"')
    refused = drystone("db", "psql", "--config", embedded.config_path, expect=2)
    assert refused.stderr.count(b"\n") == 1 and b"hunter2" not in refused.stderr
    assert b"no connection string" in refused.stderr


def read_until(terminal: int, wanted: bytes) -> None:
    seen = b""
    while wanted not in seen:
        assert wait_readable(terminal, timeout_s=TIMEOUT_S), seen
        seen += os.read(terminal, 4096)


def test_an_interrupt_in_psql_ends_the_query_only(embedded):
    server.start(embedded.place)
    program = [sys.executable, PROGRAM, "db", "psql", "--config", embedded.config_path]
    pid, terminal = pty.fork()
    if pid == 0:
        # No pager: whichever this machine has, it would read the terminal in psql's place.
        os.environ["PSQL_PAGER"] = ""
        os.execv(program[0], [*program, "--", "-X", "--no-readline"])
    try:
        os.write(terminal, b"SELECT pg_sleep(300);\n")
        with psycopg.connect(server.dsn(embedded.place), autocommit=True) as connection:
            asleep = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
            deadline = time.monotonic() + TIMEOUT_S
            while not connection.execute(asleep).fetchall():
                assert time.monotonic() < deadline
        os.write(terminal, b"\x03")
        read_until(terminal, b"canceling statement")
        os.write(terminal, b"SELECT 'it is ' || 6 * 7;\n")
        read_until(terminal, b"it is 42")
    finally:
        os.close(terminal)  # Hangs up on psql, which then ends.
        os.waitpid(pid, 0)


def test_each_migration_of_the_command_is_one_of_its_own(embedded):
    """What fails at the second leaves the first done."""
    server.start(embedded.place)
    with psycopg.connect(server.dsn(embedded.place)) as connection:
        connection.execute("CREATE TABLE backup_report (in_the_way text)")
    config = ("--config", embedded.config_path)
    refused = drystone("db", "migrate", *config, expect=1)
    assert b"0002_backup_report failed" in refused.stderr
    with psycopg.connect(server.dsn(embedded.place)) as connection:
        assert connection.execute("SELECT max(number) FROM schema_migration").fetchone() == (1,)
        connection.execute("DROP TABLE backup_report")
    assert b"applied 0002" in drystone("db", "migrate", *config).stdout
