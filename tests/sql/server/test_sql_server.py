"""The embedded server: its start, its races, its deaths, and what it refuses."""

from __future__ import annotations

import os
import signal
import stat
import time

import psycopg
import pytest
from server_fixture import EmbeddedStore, run_python
from sql_errors_fixture import shows

from base.errors import ConfigError
from sql import Database, load_config
from sql.core.errors import DatabaseUnavailableError
from sql.server import server
from sql.server import socket as server_socket

OPEN = """
import sys
from sql import Database
with Database.open(sys.argv[1]) as database:
    print(database.health().schema_version)
"""


@pytest.fixture
def embedded(short_tmp):
    """A store's database, not started yet; whatever runs of it at the end is stopped."""
    made = EmbeddedStore(os.path.join(short_tmp, "store"))
    yield made
    made.end()


def count_actions(database: Database) -> int:
    with database.reading() as connection:
        return connection.execute("SELECT count(*) FROM action").fetchone()[0]


def add_action(database: Database, action_id: int) -> None:
    with database.connection() as connection:
        connection.execute("INSERT INTO action VALUES (%s, %s, 'AC1')", [action_id, str(action_id)])


def test_a_fresh_store_works_without_a_section(embedded):
    with embedded.open() as database:
        assert database.health().schema_current
        assert count_actions(database) == 1
    first = embedded.postmaster()
    with embedded.open() as database:
        assert count_actions(database) == 1
    assert embedded.postmaster() == first  # It stayed up in between.
    assert server.stop(embedded.place)
    assert not server.stop(embedded.place)
    assert server.find(embedded.place) is None


def test_its_folders_are_closed_to_others(embedded):
    with embedded.open():
        pass
    found = server.find(embedded.place)
    assert stat.S_IMODE(os.stat(embedded.data).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(found.socket_folder).st_mode) == 0o700
    assert os.stat(embedded.data).st_uid != 0
    server.stop(embedded.place)
    assert not os.path.exists(found.socket_folder)


def test_rows_survive_a_kill_and_so_does_an_open_database(embedded):
    with embedded.open() as database:
        add_action(database, 7)
        embedded.kill_postmaster()
        deadline = time.monotonic() + 60
        with pytest.raises(DatabaseUnavailableError, match=r"does not answer|is gone"):
            # A backend may give one more answer before it sees that its postmaster is gone.
            while time.monotonic() < deadline:
                count_actions(database)
        with embedded.open() as again:
            assert count_actions(again) == 2
        # The one that lived through it finds its dead connections and makes others.
        assert count_actions(database) == 2


def test_a_start_waits_for_the_queries_of_a_killed_server(embedded):
    with embedded.open():
        pass
    connection = psycopg.connect(server.dsn(embedded.place), autocommit=True)
    connection.pgconn.send_query(b"SELECT sum(sqrt(n)) FROM generate_series(1, 10000000) AS n")
    embedded.kill_postmaster()
    # This backend works on, and looks for its postmaster only when it waits. PostgreSQL itself
    # would refuse to start beside it.
    with embedded.open() as database:
        assert count_actions(database) == 1
    connection.close()


def test_a_stale_mark_with_the_number_of_another_process(embedded):
    with embedded.open() as database:
        add_action(database, 7)
    embedded.kill_postmaster()
    path = os.path.join(embedded.data, "postmaster.pid")
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert server.find(embedded.place) is None
    assert not server.stop(embedded.place)  # Or we would be gone now.
    with embedded.open() as database:
        assert count_actions(database) == 2


def test_several_open_a_fresh_store_at_once(embedded):
    racers = [run_python(OPEN, embedded.config_path) for _ in range(4)]
    for racer in racers:
        out, errors = racer.communicate(timeout=120)
        assert (out, errors, racer.returncode) == ("1\n", "", 0) or int(out) > 1, errors
    # Whoever started it is gone, and it is still there.
    with embedded.open() as database:
        assert count_actions(database) == 1
    with open(embedded.place.log_path, encoding="utf-8") as file:
        assert file.read().count("starting PostgreSQL") == 1


def test_killed_while_it_is_made(embedded):
    """Whatever a kill at any moment of the first start leaves, the next one copes."""
    for delay_s in (0.15, 0.3, 0.45, 0.6, 0.75, 0.9):
        victim = run_python(OPEN, embedded.config_path, start_new_session=True)
        time.sleep(delay_s)
        os.killpg(victim.pid, signal.SIGKILL)
        victim.communicate()
    with embedded.open() as database:
        assert count_actions(database) == 1
    assert not os.path.exists(embedded.data + ".making")


def test_nobodys_environment_interferes(embedded):
    hostile = {
        "PGPORT": "1",
        "PGHOST": "/nowhere",
        "PGDATABASE": "nothing",
        "PGUSER": "nobody",
        "PGDATA": "/nowhere",
    }
    opened = run_python(OPEN, embedded.config_path, env=hostile)
    out, errors = opened.communicate(timeout=120)
    assert opened.returncode == 0, errors
    assert int(out) >= 1


def test_a_store_below_a_very_long_path(short_tmp):
    made = EmbeddedStore(os.path.join(short_tmp, *["a-rather-long-name-of-a-folder"] * 6))
    try:
        with made.open() as database:
            assert count_actions(database) == 1
        found = server.find(made.place)
        assert len(found.socket_folder) < 80
    finally:
        made.end()


def test_a_socket_folder_of_somebody_else_is_refused(embedded, tmp_path, monkeypatch):
    target = tmp_path / "elsewhere"
    target.mkdir()
    os.symlink(target, tmp_path / "socket")
    monkeypatch.setattr(server_socket, "choose", lambda *_: str(tmp_path / "socket"))
    with pytest.raises(DatabaseUnavailableError, match="belongs to somebody else"):
        embedded.open()


def test_settings_of_ours_and_of_a_person(embedded):
    with embedded.open() as database, database.reading() as connection:
        assert connection.execute("SHOW checkpoint_timeout").fetchone() == ("15min",)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    with psycopg.connect(server.dsn(embedded.place), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET work_mem = '5MB'")
    server.stop(embedded.place)
    with embedded.open() as database, database.reading() as connection:
        assert connection.execute("SHOW work_mem").fetchone() == ("5MB",)
    with open(os.path.join(embedded.data, "postgresql.conf"), encoding="utf-8") as file:
        assert file.read().count("drystone.conf") == 1


# ---- What is refused, and how it is said -----------------------------------------------------


def test_data_that_cannot_be_written(embedded):
    with embedded.open():
        pass
    server.stop(embedded.place)
    os.chmod(embedded.data, 0o500)
    try:
        with pytest.raises(DatabaseUnavailableError) as caught:
            embedded.open()
        assert embedded.data in str(caught.value) or "ermission" in str(caught.value)
    finally:
        os.chmod(embedded.data, 0o700)


def test_data_where_nothing_can_be_made(embedded):
    embedded.configure('data = "/proc/database"')
    with pytest.raises(DatabaseUnavailableError, match="no database can be made in /proc/database"):
        embedded.open()


def test_data_that_are_something_else(embedded):
    os.makedirs(embedded.data)
    with open(os.path.join(embedded.data, "diary.txt"), "w", encoding="ascii") as file:
        file.write("dear diary")
    with pytest.raises(DatabaseUnavailableError, match="holds other things"):
        embedded.open()
    assert os.listdir(embedded.data) == ["diary.txt"]


def test_data_of_another_major_version(embedded):
    with embedded.open():
        pass
    server.stop(embedded.place)
    path = os.path.join(embedded.data, "PG_VERSION")
    with open(path, "w", encoding="ascii") as file:
        file.write("15\n")
    with pytest.raises(DatabaseUnavailableError, match="written by PostgreSQL 15"):
        embedded.open()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give data to root")
def test_data_that_belong_to_root(embedded):
    with embedded.open():
        pass
    server.stop(embedded.place)
    os.chown(embedded.data, 0, 0)
    with pytest.raises(DatabaseUnavailableError, match="chown -R"):
        embedded.open()


def test_a_server_that_is_down_is_not_started_when_that_is_asked(embedded):
    with pytest.raises(DatabaseUnavailableError, match="drystone up"):
        Database.open(embedded.config_path, start=False)
    assert not os.path.exists(embedded.data)


@pytest.mark.parametrize(
    "dsn",
    [
        "host=/nowhere user=a password=hunter2 dbname=b",
        "postgresql://a:hunter2@127.0.0.1:1/b",
        "password=hunter2 nonsense",
        "postgresql://a:hunter2@[/b",
        "nonsense=hunter2",
    ],
)
def test_a_wrong_dsn_is_said_without_its_password(embedded, dsn):
    embedded.configure(f'dsn = "{dsn}"')
    assert "hunter2" not in repr(load_config(embedded.config_path))
    with pytest.raises((DatabaseUnavailableError, ConfigError)) as caught:
        embedded.open()
    assert not shows(caught.value, "hunter2")
    assert not os.path.exists(embedded.data)


def test_a_wrong_password_is_not_shown(embedded):
    with embedded.open() as database, database.connection() as connection:
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'right'")
    found = server.find(embedded.place)
    with open(os.path.join(embedded.data, "pg_hba.conf"), "w", encoding="ascii") as file:
        file.write("local all guest scram-sha-256\nlocal all all trust\n")
    os.kill(found.pid, signal.SIGHUP)
    dsn = f"host={found.socket_folder} user=guest password=hunter2 dbname=drystone"
    deadline = time.monotonic() + 60
    while True:  # Until it has read the file.
        with pytest.raises(Exception) as caught:
            Database.connect(dsn)
        if "authentication failed" in str(caught.value):
            break
        assert time.monotonic() < deadline
    assert isinstance(caught.value, DatabaseUnavailableError)
    assert not shows(caught.value, "hunter2")
