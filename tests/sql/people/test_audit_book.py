"""The audit log: rows are only added, and what could not be added waits and loses nothing."""

from __future__ import annotations

import json
import os
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from base.errors import UsageError
from base.operations.operation import Caller
from base.operations.witness import Ended, Entry, told
from sql import AuditWitness, Database, DatabaseUnavailableError
from sql.core.errors import SqlError
from sql.people import audit_book
from sql.people.audit_book import WAITING_NAME

DAY_S = 86_400.0
ANN = Caller("ann", "operator", 7, "nightly", "192.0.2.9")


def away() -> Database:
    raise DatabaseUnavailableError("it is away")


def change(witness: AuditWitness, name: str = "run.start", **values: object) -> None:
    with told(witness, name, ANN, values, "api"):
        pass


def test_an_entry_tells_who_what_and_what_came_of_it(database: Database, tmp_path):
    witness = AuditWitness(str(tmp_path), lambda: database)
    change(
        witness, workflow="scrub", password="hunter2", token="drystone_x", credential="x", url="x"
    )
    with pytest.raises(UsageError), told(witness, "run.cancel", ANN, {}, "page"):
        raise UsageError("there is no such run\0")
    with pytest.raises(KeyError), told(witness, "run.retry", ANN, {"x": "y" * 9_000}, "shell"):
        raise KeyError("secret detail")
    failed, refused, done = database.audit.entries()
    assert (done.name, done.role, done.token_name, done.address) == ANN[:2] + ANN[3:]
    assert (done.way, done.operation, done.outcome) == ("api", "run.start", "done")
    assert json.loads(done.request) == {"workflow": "scrub"}, "and no secret"
    assert (refused.outcome, refused.detail) == ("refused", "UsageError: there is no such run")
    assert (failed.outcome, failed.detail, failed.way) == ("failed", "KeyError", "shell")
    assert failed.request.endswith("...") and len(failed.request) < 3_000
    assert [one.operation for one in database.audit.entries(limit=1)] == ["run.retry"]
    assert [one.operation for one in database.audit.entries(before=failed.audit_entry_id)] == [
        "run.cancel", "run.start",
    ]  # fmt: skip
    assert len(database.audit.entries(operation="run.start", name="ann")) == 1
    assert not os.path.exists(tmp_path / WAITING_NAME)


@pytest.mark.parametrize("table", ["audit_entry", "audit_outcome"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET entry_key = 'x'", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
def test_rows_are_never_changed_or_deleted(database: Database, tmp_path, table, statement):
    change(AuditWitness(str(tmp_path), lambda: database))
    with (
        pytest.raises(SqlError, match="only added"),
        database.connection() as connection,
    ):
        connection.execute(statement.format(table))
    assert [one.outcome for one in database.audit.entries()] == ["done"]


def aged(database: Database, witness: AuditWitness, *days: float) -> None:
    """Write changes down that are so many days old."""
    for age in days:
        begun = datetime.now(UTC) - timedelta(days=age)
        key = uuid.uuid4().hex
        entry = Entry(key, begun, 7, "ann", "operator", "", "api", "", f"age {age}", "{}", "")
        witness.begin(entry)
        witness.end(Ended(key, begun + timedelta(days=3), "done", ""))


def ages(database: Database) -> list[str]:
    return [one.operation for one in database.audit.entries()]


def test_what_is_older_than_it_is_kept_goes_in_pieces(database: Database, tmp_path, monkeypatch):
    monkeypatch.setattr(audit_book, "FORGOTTEN_AT_ONCE", 2)
    witness = AuditWitness(str(tmp_path), lambda: database)
    # All but the one of 60 days waited in a file, say.
    aged(database, witness, 900, 800, 60, 750, 740, 700, 1)
    assert database.audit.forget(731 * DAY_S, 0) == 2, "it stops in time"
    assert database.audit.forget(731 * DAY_S, 60) == 2
    assert ages(database) == ["age 1", "age 700", "age 60"]
    assert database.audit.forget(731 * DAY_S, 60) == 0
    assert database.audit.forget(50 * DAY_S, 60) == 2
    assert ages(database) == ["age 1"]
    with database.connection() as connection:
        (outcomes,) = connection.execute("SELECT count(*) FROM audit_outcome").fetchone() or (0,)
    assert outcomes == 1, "what came of them is gone with them"


def test_what_is_young_is_kept_whatever_is_asked(database: Database, tmp_path):
    aged(database, AuditWitness(str(tmp_path), lambda: database), 29)
    with pytest.raises(SqlError, match="only added"):
        database.audit.forget(0, 60)
    assert ages(database) == ["age 29"]


def test_what_is_old_goes_by_forget_alone(database: Database, tmp_path):
    aged(database, AuditWitness(str(tmp_path), lambda: database), 900)
    for table in ("audit_outcome", "audit_entry"):
        with (
            pytest.raises(SqlError, match="only added"),
            database.connection() as connection,
        ):
            connection.execute(f"DELETE FROM {table}".encode())
    database.audit.forget(731 * DAY_S, 60)
    with database.connection() as connection:
        row = connection.execute("SELECT current_setting('drystone.audit_forgotten_before', true)")
        assert row.fetchone() in ((None,), ("",)), "what was said holds for its transaction"


@pytest.mark.fault
def test_what_happens_without_the_database_is_added_later_once(database: Database, tmp_path):
    path = tmp_path / WAITING_NAME
    change(AuditWitness(str(tmp_path), away), disk="d1")
    kept = path.read_bytes()
    assert kept.count(b"\n") == 2 and path.stat().st_mode & 0o777 == 0o600
    witness = AuditWitness(str(tmp_path), lambda: database)
    change(witness, "disk.drain")
    assert path.read_bytes() == b""
    # Killed after it was added and before the file was emptied: it is there once.
    path.write_bytes(kept)
    change(witness, "disk.undrain")
    found = [(one.operation, one.outcome) for one in database.audit.entries()]
    assert found == [("disk.undrain", "done"), ("disk.drain", "done"), ("run.start", "done")]
    assert database.audit.entries()[-1].begin_time < datetime.now(UTC)


@pytest.mark.fault
def test_a_torn_line_loses_no_other(database: Database, tmp_path, caplog):
    path = tmp_path / WAITING_NAME
    change(AuditWitness(str(tmp_path), away))
    path.write_bytes(path.read_bytes() + b'{"entry_key": "0')
    change(AuditWitness(str(tmp_path), away), "disk.drain")
    orphan = {"entry_key": "0" * 32, "end_time": "2026-01-01", "outcome": "done", "detail": ""}
    with open(path, "a", encoding="ascii") as file:
        file.write(json.dumps(orphan) + "\n")
    change(AuditWitness(str(tmp_path), lambda: database), "disk.undrain")
    found = [(one.operation, one.outcome) for one in database.audit.entries()]
    assert found == [("disk.undrain", "done"), ("disk.drain", "done"), ("run.start", "done")]
    assert path.read_bytes() == b""
    said = [record.getMessage() for record in caplog.records]
    assert any("no JSON" in line for line in said) and any("audit_outcome" in one for one in said)
    caplog.clear()
