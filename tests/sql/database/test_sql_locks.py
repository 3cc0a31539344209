"""Who waits for whom: changes of tables, write-intents and readers do not stop each other."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

from sql import Column, Database, DeclaredTable, VirtualNode, WriteIntent
from sql.core import lock_waits
from sql.core.errors import BusyError
from sql.intent import apply
from sql.intent.intent import load_intent


def table(version: int, column_type: Any) -> DeclaredTable:
    column = Column(name="n", type=column_type, comment="A number")
    return DeclaredTable(
        kind="source", name="s", version=version, comment="Some", columns=(column,)
    )


def intent(name: str, **fields: Any) -> WriteIntent:
    return load_intent(
        {"intent_id": name, "virtual_nodes": [{"description": "v"}, {"description": name}]} | fields
    )


ROW = {"source_metadata": [{"key": VirtualNode(description="v").key, "source": "s", "values": {}}]}


@pytest.fixture
def reader(database: Database, database_url: str):
    """Somebody who has read a table and does not end the transaction."""
    database.declare(table(1, "integer"))
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT FROM meta_s")
        yield connection


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(lock_waits, "TABLE_LOCK_ATTEMPTS", 2)
    monkeypatch.setattr(lock_waits, "PAUSE_S", 0.01)


def test_a_declaration_behind_a_reader_stops_nobody(database: Database, reader):
    done = threading.Event()

    def declare() -> None:
        assert database.declare(table(2, "bigint"))
        done.set()

    thread = threading.Thread(target=declare)
    thread.start()
    waiting = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'meta_s'::regclass"
    with database.connection() as connection:
        while not connection.execute(waiting).fetchall():
            assert thread.is_alive()
    assert database.apply_intent(intent("both", **ROW)).observations_new == 1
    assert not done.is_set()
    reader.rollback()
    thread.join(60)
    assert done.is_set()


def test_a_declaration_that_never_gets_its_lock_says_so(database: Database, reader, impatient):
    with pytest.raises(BusyError, match="meta_s cannot be declared: somebody has been using"):
        database.declare(table(2, "bigint"))
    reader.rollback()
    assert database.declare(table(2, "bigint"))


def test_a_merge_waits_for_a_locked_table_no_longer_than_it_may(
    database: Database, reader, monkeypatch
):
    monkeypatch.setattr(apply, "LOCK_TIMEOUT_S", 0.2)
    reader.execute("LOCK TABLE meta_s IN EXCLUSIVE MODE")
    with pytest.raises(BusyError, match="nothing was written, apply the write-intent again"):
        database.apply_intent(intent("blocked", **ROW))
    assert database.apply_intent(intent("other")).nodes_new == 2
    reader.rollback()
    assert database.apply_intent(intent("blocked", **ROW)).observations_new == 1


def test_an_intent_does_not_wait_for_others_for_ever(
    database: Database, database_url: str, monkeypatch
):
    monkeypatch.setattr(apply, "TURN_TIMEOUT_S", 0.2)
    with psycopg.connect(database_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(20261121, 1)")
        with pytest.raises(BusyError, match="other write-intents"):
            database.apply_intent(intent("late"))
    assert database.apply_intent(intent("late")).nodes_new == 2


def test_limits_end_with_the_intent(database: Database):
    with database.connection() as connection:
        apply.apply_intent(connection, intent("first"))
        assert connection.execute("SHOW lock_timeout").fetchone() == ("0",)


def test_a_stricter_default_isolation_changes_nothing(database: Database, database_url: str):
    """What waited for the merge lock must see what its holder wrote."""
    options = "-c default_transaction_isolation=repeatable\\ read"
    strict = conninfo.make_conninfo(database_url, options=options)
    results: list[int] = []

    def write(number: int) -> None:
        with Database.connect(strict) as one:
            results.append(one.apply_intent(intent(f"i{number}")).nodes_new)

    with psycopg.connect(database_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(20261121, 1)")
        threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        waiting = "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND objid = 1"
        while len(other.execute(waiting).fetchall()) < len(threads):
            assert any(thread.is_alive() for thread in threads)
    for thread in threads:
        thread.join(60)
    assert sorted(results) == [1, 1, 2]
