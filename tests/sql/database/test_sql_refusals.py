"""What the server refuses reaches nobody as an error of psycopg; nor do odd settings mislead."""

from __future__ import annotations

import pickle

import psycopg
import pytest
from psycopg import conninfo
from psycopg.errors import lookup

from base.errors import DrystoneError, UsageError
from sql import Database
from sql.core.errors import BusyError, SqlError, StatementError
from sql.core.refusals import explanation
from sql.selector.document import parse_selector

RAISE = "DO $$ BEGIN RAISE EXCEPTION 'no luck' USING ERRCODE = '{}'; END $$"


@pytest.mark.parametrize(
    ("state", "kind", "advice"),
    [
        ("53400", StatementError, "a limit of the server"),
        ("23505", StatementError, "the database refuses"),
        ("42501", StatementError, "grant the right"),
        ("53100", StatementError, "free space"),
        ("25006", StatementError, "standby"),
        ("XX001", StatementError, "restore a backup"),
        ("54001", StatementError, "narrow it"),
        ("40P01", BusyError, "try again"),
        ("55P03", BusyError, "try again"),
        ("22003", UsageError, "out of the range"),
    ],
)
def test_a_refusal_says_what_to_do(database: Database, state, kind, advice):
    with pytest.raises(kind, match=advice) as caught, database.connection() as connection:
        connection.execute(RAISE.format(state).encode())
    assert type(caught.value) is kind
    assert "no luck" in str(caught.value) and "\n" not in str(caught.value)
    if isinstance(caught.value, StatementError):
        assert caught.value.sqlstate == state and state in str(caught.value)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert database.ingests.batches() == []


def test_every_error_of_psycopg_is_explained():
    for state in ("08006", "23503", "58030", "XX000", "0A000"):
        assert isinstance(explanation(lookup(state)("x")), SqlError)
    assert isinstance(explanation(psycopg.InterfaceError("x")), SqlError)


@pytest.mark.parametrize(
    "call",
    [
        lambda database: database.action_context.make_sealed_batch([2**70]),
        lambda database: database.actions.record_action_history(2**40, 1, "done"),
        lambda database: database.actions.pipeline_state(2**64),
        lambda database: database.ingests.open("a\0b", "x", None, "f"),
        lambda database: database.ingests.open("a\ud800", "x", None, "f"),
        lambda database: list(database.quarantine.of_batches("a\0")),
    ],
)
def test_arguments_out_of_range_are_a_persons_mistake(database: Database, call):
    with pytest.raises(DrystoneError):
        call(database)


def test_a_package_key_must_be_one(database: Database):
    database.ingests.open("b", "x", None, "f")
    with pytest.raises(UsageError, match="no key of 64"):
        database.ingests.add_package("p", "b", 1, 1, "zz")


def test_a_limit_of_the_server_ends_a_selector_in_one_line(database_url: str, database: Database):
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO node (sha256, is_virtual, root_id, component_id) "
            "SELECT sha256(n::text::bytea), true, 1, 1 FROM generate_series(1, 30000) AS n"
        )
    options = "-c temp_file_limit=64 -c work_mem=64kB"
    tight = conninfo.make_conninfo(database_url, options=options)
    with Database.connect(tight) as limited, pytest.raises(StatementError, match="53400"):
        list(limited.query_nodes(parse_selector("version: 1\norder: [{by: key}]\n")))


def test_a_schema_named_like_the_user_misleads_nobody(database: Database, database_url: str):
    with database.connection() as connection:
        connection.execute("CREATE SCHEMA AUTHORIZATION CURRENT_USER")
        connection.execute('SET LOCAL search_path TO "$user"')
        connection.execute("CREATE TABLE node (nothing text)")
    with Database.connect(database_url) as again:
        assert again.aggregate(parse_selector("version: 1")).count == 0


def test_times_are_told_in_utc_whatever_the_session_says(database_url: str):
    east = conninfo.make_conninfo(database_url, options="-c TimeZone=Asia/Tokyo")
    with Database.connect(east) as database, database.reading() as connection:
        assert connection.execute("SHOW TimeZone").fetchone() == ("UTC",)


def test_long_lists_come_as_streams(database: Database):
    """A cursor of the server is open while the first row is looked at."""
    database.ingests.open("b", "x", None, "f")
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO quarantine (ingest_batch_id, path, record_number, reason) "
            "SELECT 1, 'p' || n, -1, 'odd' FROM generate_series(1, 15000) AS n"
        )
    found = database.quarantine.of_batches()
    next(found)
    with database.connection() as connection:
        reading = connection.execute(
            "SELECT query FROM pg_stat_activity "
            "WHERE state = 'idle in transaction' AND datname = current_database()"
        ).fetchall()
    assert [query for (query,) in reading] == ['FETCH FORWARD 5000 FROM "stream"']
    assert 1 + sum(1 for _ in found) == 15000
