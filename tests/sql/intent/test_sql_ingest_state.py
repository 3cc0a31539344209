"""Ingest bookkeeping: batches, quarantine and packages, each call safe to make again."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from base.errors import UsageError
from sql import Database, DeclaredTable
from sql.core.errors import NotFoundError
from sql.intent.ingest_state import (
    QuarantineRow,
    add_outbox_package,
    add_quarantine,
    archive_rows,
    batch_counts,
    confirm_outbox_package,
    ingest_batch,
    ingest_batches,
    mark_replayed,
    open_ingest_batch,
    outbox_packages,
    quarantined,
    set_ingest_state,
)
from sql.intent.intent import key_of, load_intent

KEY = "ab" * 32
HOSTILE = ("'; DROP TABLE quarantine; --", "%s", "雨/قصر/🧱", "tab\tline\nend", "..")


@pytest.fixture
def march(database: Database) -> Database:
    with database.connection() as connection:
        open_ingest_batch(connection, "march", "gallery-dl", "ada", "/inbox/march", 3, 99)
    return database


def test_a_batch_is_opened_once(march: Database):
    with march.connection() as connection:
        set_ingest_state(connection, "march", "stored")
        again = open_ingest_batch(connection, "march", "gallery-dl", "ada", "/inbox/march", 3, 99)
        assert (again.state, again.file_count, again.size_bytes) == ("stored", 3, 99)
        open_ingest_batch(connection, "april", "yt-dlp", None, "/inbox/april")
        assert [batch.name for batch in ingest_batches(connection)] == ["march", "april"]
        for adapter, folder in (("yt-dlp", "/inbox/march"), ("gallery-dl", "/elsewhere")):
            with pytest.raises(UsageError, match="take another name"):
                open_ingest_batch(connection, "march", adapter, "ada", folder)
        with pytest.raises(UsageError, match="needs a name"):
            open_ingest_batch(connection, "", "yt-dlp", None, "/inbox")


def test_states_and_reasons(march: Database):
    with march.connection() as connection:
        set_ingest_state(connection, "march", "stopped", "the folder changed")
        batch = ingest_batch(connection, "march")
        assert (batch.state, batch.state_reason) == ("stopped", "the folder changed")
        set_ingest_state(connection, "march", "stored")
        assert ingest_batch(connection, "march").state_reason is None
        with pytest.raises(NotFoundError):
            set_ingest_state(connection, "nobody", "stored")
    with pytest.raises(UsageError, match="no state"), march.connection() as connection:
        set_ingest_state(connection, "march", "lost")  # pyright: ignore


def test_quarantine_is_idempotent_and_replayed(march: Database):
    rows = [QuarantineRow(path=path, reason="is broken") for path in HOSTILE]
    rows.append(QuarantineRow(path="a.json", record_number=7, reason="no id", key=KEY))
    with march.connection() as connection:
        assert add_quarantine(connection, "march", rows + rows[:2]) == 6
        assert add_quarantine(connection, "march", rows) == 0
        found = list(quarantined(connection, "march"))
        assert {row.path for row in found} == {*HOSTILE, "a.json"}
        (one,) = [row for row in found if row.path == "a.json"]
        assert (one.record_number, one.key, one.batch) == (7, KEY, "march")
        assert mark_replayed(connection, "march", [("a.json", 7), ("a.json", 8)]) == 1
        assert mark_replayed(connection, "march", [("a.json", 7)]) == 0
        assert len(list(quarantined(connection))) == 5
        assert len(list(quarantined(connection, open_only=False))) == 6
        assert batch_counts(connection, "march").quarantined == 5
        # Bad again, for another reason: open again, and the key is not forgotten.
        again = QuarantineRow(path="a.json", record_number=7, reason="no date")
        assert add_quarantine(connection, "march", [again]) == 0
        (one,) = [row for row in quarantined(connection) if row.path == "a.json"]
        assert (one.reason, one.key, one.replayed_time) == ("no date", KEY, None)
        assert list(quarantined(connection, "april")) == []
        with pytest.raises(NotFoundError):
            add_quarantine(connection, "nobody", rows)


@pytest.mark.parametrize(
    "fields",
    [
        {"path": "a\0b", "reason": "x"},
        {"path": "lone \udcff", "reason": "x"},
        {"path": "a", "reason": "x", "record_number": -2},
        {"path": "a", "reason": "x", "key": "short"},
    ],
)
def test_wrong_rows_are_refused(fields: dict[str, Any]):
    with pytest.raises(ValidationError):
        QuarantineRow(**fields)


def test_packages_wait_until_they_are_confirmed(march: Database):
    with march.connection() as connection:
        for _ in range(2):
            add_outbox_package(connection, "march-1", "march", 2, 4096, KEY)
        add_outbox_package(connection, "march-2", "march", 1, 512, "cd" * 32)
        assert [one.package_id for one in outbox_packages(connection)] == ["march-1", "march-2"]
        first = confirm_outbox_package(connection, "march-1", "/cold/march-1.tar")
        again = confirm_outbox_package(connection, "march-1", "/cold/march-1.tar")
        assert first == again
        assert (first.confirmed_by, first.confirmed_copy) == ("copy", "/cold/march-1.tar")
        assert [one.package_id for one in outbox_packages(connection)] == ["march-2"]
        assert len(outbox_packages(connection, "march", waiting_only=False)) == 2
        assert batch_counts(connection, "march").packages_waiting == 1
        with pytest.raises(UsageError, match="other bytes"):
            add_outbox_package(connection, "march-1", "march", 2, 4096, "cd" * 32)
        with pytest.raises(NotFoundError):
            confirm_outbox_package(connection, "nobody", "/cold")
        with pytest.raises(NotFoundError):
            add_outbox_package(connection, "x", "nobody", 1, 1, KEY)
        trusted = confirm_outbox_package(connection, "march-2", None, "trust")
        assert (trusted.confirmed_by, trusted.confirmed_copy) == ("trust", None)


def test_counts_and_archive_rows(march: Database):
    post = key_of("post")
    file = {"key": KEY, "size_bytes": 10, "extension": "jpg"}
    contains = {"description": "contains", "forms_tree": True}
    march.declare(DeclaredTable(kind="source", name="t", version=1, comment="A source", columns=()))
    march.apply_intent(
        load_intent(
            {
                "intent_id": "one",
                "ingest_batch": "march",
                "virtual_nodes": [{"description": "post"}],
                "physical_nodes": [file],
                "relationships": [contains],
                "edges": [{"parent": post, "child": KEY, "relationship": "contains"}],
                "common_metadata": [{"key": post, "source": "t", "is_root": False}],
                "archive_locations": [
                    {"key": KEY, "filepath": "march_1:b.jpg"},
                    {"key": KEY, "filepath": "march_1:a.jpg"},
                    {"key": KEY, "filepath": "march11:c.jpg"},
                ],
            }
        )
    )
    with march.connection() as connection:
        counts = batch_counts(connection, "march")
        assert (counts.nodes, counts.edges, counts.observations) == (2, 1, 1)
        rows = list(archive_rows(connection, "march_1"))
        assert [row.filepath for row in rows] == ["march_1:a.jpg", "march_1:b.jpg"]
        assert {(row.key, row.size_bytes) for row in rows} == {(KEY, 10)}
        with pytest.raises(NotFoundError):
            batch_counts(connection, "nobody")
