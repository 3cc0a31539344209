"""`drystone db ...`, and the database in `up`, `down`, `status` and the demo."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import psycopg
import pytest
from command import PROGRAM, drystone
from server_fixture import EmbeddedStore

import fsd
from base.errors import DrystoneError
from sql import Database, load_config
from sql.core.migrate import known_migrations
from sql.server import server

VERSION = len(known_migrations())


@pytest.fixture
def embedded(short_tmp):
    made = EmbeddedStore(os.path.join(short_tmp, "store"))
    yield made
    made.end()


def answer(*arguments: str, **options: object):
    return json.loads(drystone(*arguments, "--json", **options).stdout)


def test_start_status_stop(embedded):
    config = ("--config", embedded.config_path)
    assert answer("db", "status", *config, expect=1)["up"] is False
    assert b"is up" in drystone("db", "start", *config).stderr
    assert b"was up already" in drystone("db", "start", *config).stderr
    state = answer("db", "status", *config)
    assert state["up"] and state["data"] == embedded.data
    assert state["socket"] == server.find(embedded.place).socket_folder
    assert b"is down" in drystone("db", "stop", *config).stderr
    assert b"was down already" in drystone("db", "stop", *config).stderr
    assert b"drystone up" in drystone("db", "status", *config, expect=1).stdout


def test_health(embedded):
    config = ("--config", embedded.config_path)
    down = drystone("db", "health", *config, expect=1)
    assert b"is down" in down.stderr and b"Traceback" not in down.stderr
    assert server.find(embedded.place) is None
    drystone("db", "start", *config)
    found = answer("db", "health", *config)
    assert (found["schema_version"], found["schema_current"]) == (VERSION, True)
    assert found["server_version"].startswith("18")
    assert found["pgvector_available"] and found["reader_role"]
    assert found["size_bytes"] > 0
    assert "node" in {table["name"] for table in found["tables"]}
    assert b"PostgreSQL 18" in drystone("db", "health", *config).stdout


def test_dsn_and_psql_start_what_they_need(embedded):
    config = ("--config", embedded.config_path)
    dsn = drystone("db", "dsn", *config).stdout.decode().strip()
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("drystone",)
    drystone("db", "stop", *config)
    # It has no tables yet, only a server: psql is no migration.
    query = drystone("db", "psql", *config, "--", "-Atc", "SELECT 6 * 7")
    assert query.stdout == b"42\n"
    # What psql ends with is what we end with.
    drystone("db", "psql", *config, "--", "-v", "ON_ERROR_STOP=1", "-c", "nonsense", expect=1)
    assert server.find(embedded.place) is None, "it was down before"
    drystone("db", "start", *config)
    assert drystone("db", "psql", *config, "--", "-Atc", "SELECT 1").stdout == b"1\n"
    assert server.find(embedded.place) is not None


def test_psql_leaves_a_server_to_others_who_came_meanwhile(embedded):
    config = ("--config", embedded.config_path)
    query = "SELECT pg_sleep(300) WHERE 1 = 1"
    program = [sys.executable, PROGRAM, "db", "psql", *config, "--", "-Atc", query]
    psql = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while (found := server.find(embedded.place)) is None or not found.ready:
        assert psql.poll() is None
    with psycopg.connect(server.dsn(embedded.place), autocommit=True) as other:
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        while not other.execute(end).fetchall():
            assert psql.poll() is None
        said = psql.communicate(timeout=60)[1]
        assert b"the database stays up, others use it: unnamed (process " in said
        assert psql.returncode == 2, "what psql says of a lost connection"
    assert server.find(embedded.place) is not None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_psql_that_is_ended_leaves_no_server_behind(embedded, number):
    program = [sys.executable, PROGRAM, "db", "psql", "--config", embedded.config_path]
    psql = subprocess.Popen([*program, "--", "-c", "SELECT pg_sleep(300)"])
    while (found := server.find(embedded.place)) is None or not found.ready:
        assert psql.poll() is None
    with psycopg.connect(server.dsn(embedded.place), autocommit=True) as other:
        asleep = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        while not other.execute(asleep).fetchall():
            assert psql.poll() is None
    psql.send_signal(number)
    assert psql.wait(timeout=60) == 128 + number
    assert server.find(embedded.place) is None


def test_migrate(embedded):
    config = ("--config", embedded.config_path)
    planned = answer("db", "migrate", "--dry-run", *config)
    assert (planned["schema_version"], len(planned["missing"])) == (0, VERSION)
    assert b"applied 0001_schema" in drystone("db", "migrate", *config).stdout
    assert b"up to date" in drystone("db", "migrate", *config).stderr
    with psycopg.connect(server.dsn(embedded.place)) as connection:
        connection.execute("UPDATE schema_migration SET sha256 = sha256('other') WHERE number = 1")
    refused = drystone("db", "migrate", *config, expect=1)
    assert b"0001_schema was changed" in refused.stderr and b"Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("dns = 'x'", "database.dns: Extra inputs are not permitted"),
        ("statement_timeout_s = 0", "database.statement_timeout_s"),
        ("statement_timeout_s = 'hunter2'", "database.statement_timeout_s"),
        ("dsn = ['hunter2']", "database.dsn"),
        ("backup_folders = 'x'", "database.backup_folders"),
        ("this is not TOML", "is not valid TOML"),
    ],
)
def test_a_wrong_section_is_one_clear_message(embedded, section, said):
    embedded.configure(section)
    for command in ("status", "health", "start", "dsn", "migrate"):
        result = drystone("db", command, "--config", embedded.config_path, expect=2)
        assert said in result.stderr.decode()
        assert b"Traceback" not in result.stderr and b"hunter2" not in result.stderr


def test_no_store_here(short_tmp):
    result = drystone("db", "status", cwd=short_tmp, expect=2)
    assert b"drystone init" in result.stderr


def test_a_dsn_is_used_and_not_shown(embedded, database_url):
    parts = psycopg.conninfo.make_conninfo(database_url, password="hunter2")
    embedded.configure(f'dsn = "{parts}"')
    config = ("--config", embedded.config_path)
    status = drystone("db", "status", "--json", *config)
    assert json.loads(status.stdout)["up"] and b"hunter2" not in status.stdout + status.stderr
    assert answer("db", "health", *config)["schema_version"] == VERSION
    assert drystone("db", "psql", *config, "--", "-Atc", "SELECT 1").stdout == b"1\n"
    # Whoever asks for it gets all of it.
    assert b"hunter2" in drystone("db", "dsn", *config).stdout
    for command in ("start", "stop"):
        assert b"not" in drystone("db", command, *config, expect=2).stderr
    assert not os.path.exists(embedded.data)


def test_up_down_and_status_take_it_along(store):
    made = store(started=False)
    config = ("--config", made.config_path)
    assert answer("status", *config, expect=1)["database"]["up"] is False
    up = drystone("up", "--no-mount", *config)
    assert b"the database is up" in up.stderr
    assert answer("status", *config)["database"]["up"] is True
    assert b"database" in drystone("status", *config).stdout
    with Database.open(made.config_path, start=False) as database:
        assert database.health().schema_current
    down = drystone("down", *config)
    assert b"the database is down" in down.stderr
    assert answer("status", *config, expect=1)["database"]["up"] is False


def test_up_says_what_is_wrong_with_the_database(store):
    made = store(started=False)
    with open(made.config_path, "a", encoding="utf-8") as file:
        file.write('\n[database]\ndsn = "host=/nowhere password=hunter2"\n')
    # Not ours to start, so `up` does not ask for it.
    drystone("up", "--no-mount", "--config", made.config_path)
    drystone("down", "--config", made.config_path)
    with open(made.config_path, "a", encoding="utf-8") as file:
        file.write("mistake = 1\n")
    failed = drystone("up", "--no-mount", "--config", made.config_path, expect=2)
    assert b"database.mistake" in failed.stderr and b"Traceback" not in failed.stderr
    # The engine stops all the same.
    drystone("down", "--config", made.config_path, expect=2)
    assert answer("status", "--config", made.config_path, expect=1)["engine_answers"] is False


def lives(pid: int) -> bool:
    """Tell whether a process is there and no zombie that nobody has buried yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_the_demo_leaves_no_database_behind(store):
    made = store(started=False)
    with open(os.path.join(made.root, ".drystone-demo"), "w", encoding="ascii") as file:
        file.write("{}")
    place = EmbeddedStore.place.fget(made)
    drystone("db", "start", "--config", made.config_path)
    drystone("demo", "--stop", "--work", made.root)
    assert server.find(place) is None
    drystone("db", "start", "--config", made.config_path)
    postmaster = server.find(place).pid
    drystone("demo", "--clean", "--work", made.root)
    assert not os.path.exists(made.root)
    assert not lives(postmaster)
    os.makedirs(made.root)


def test_paths_of_the_section_begin_at_the_store(embedded):
    settings = load_config(embedded.config_path)
    assert settings.data == embedded.data
    assert settings.backup_folders == (os.path.join(embedded.root, "one", "database-backup"),)
    embedded.configure('data = "../data"\nbackup_folders = ["here", "/there"]\nbackups_kept = 3')
    settings = load_config(embedded.config_path)
    assert settings.data == os.path.join(os.path.dirname(embedded.root), "data")
    assert settings.backup_folders == (os.path.join(embedded.root, "here"), "/there")
    assert settings.backups_kept == 3
    # What other folders read from the same file is no mistake here, nor what they forgot.
    with open(embedded.config_path, "a", encoding="utf-8") as file:
        file.write("[ingest]\nintent_items = 5\n[gui]\n")
    assert load_config(embedded.config_path) == settings


def test_the_store_leaves_the_sections_of_others_alone(store):
    made = store(started=False)
    with open(made.config_path, "a", encoding="utf-8") as file:
        file.write("[database]\nx = 1\n[ingest]\n[jobs]\n[gui]\n")
    assert fsd.load_config(made.config_path) == made.config
    with open(made.config_path, "a", encoding="utf-8") as file:
        file.write("[databse]\n")
    with pytest.raises(DrystoneError, match="databse"):
        fsd.load_config(made.config_path)
