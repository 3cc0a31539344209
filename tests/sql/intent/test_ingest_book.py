"""Ingest bookkeeping: batches, quarantine and packages, each call safe to make again."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from base.errors import UsageError
from sql import Database, DeclaredTable, QuarantineRow
from sql.core.errors import NotFoundError
from sql.core.statements import statements
from sql.intent.intent import key_of, load_intent

KEY = "ab" * 32
HOSTILE = ("'; DROP TABLE quarantine; --", "%s", "雨/قصر/🧱", "tab\tline\nend", "..")


@pytest.fixture
def march(database: Database) -> Database:
    database.ingests.open("march", "gallery-dl", "ada", "/inbox/march", 3, 99)
    return database


def test_a_batch_is_opened_once(march: Database):
    ingests = march.ingests
    ingests.set_state("march", "stored")
    again = ingests.open("march", "gallery-dl", "ada", "/inbox/march", 3, 99)
    assert (again.state, again.file_count, again.size_bytes) == ("stored", 3, 99)
    ingests.open("april", "yt-dlp", None, "/inbox/april")
    assert [batch.name for batch in ingests.batches()] == ["march", "april"]
    for adapter, folder in (("yt-dlp", "/inbox/march"), ("gallery-dl", "/elsewhere")):
        with pytest.raises(UsageError, match="take another name"):
            ingests.open("march", adapter, "ada", folder)
    with pytest.raises(UsageError, match="needs a name"):
        ingests.open("", "yt-dlp", None, "/inbox")


def test_states_and_reasons(march: Database):
    ingests = march.ingests
    ingests.set_state("march", "stopped", "the folder changed")
    batch = ingests.batch("march")
    assert (batch.state, batch.state_reason) == ("stopped", "the folder changed")
    ingests.set_state("march", "stored")
    assert ingests.batch("march").state_reason is None
    with pytest.raises(NotFoundError):
        ingests.set_state("nobody", "stored")
    with pytest.raises(UsageError, match="no state"):
        ingests.set_state("march", "lost")  # pyright: ignore


def test_quarantine_is_idempotent_and_replayed(march: Database):
    quarantine = march.quarantine
    rows = [QuarantineRow(path=path, reason="is broken") for path in HOSTILE]
    rows.append(QuarantineRow(path="a.json", record_number=7, reason="no id", key=KEY))
    assert quarantine.add_of_batch("march", rows + rows[:2]) == 6
    assert quarantine.add_of_batch("march", rows) == 0
    found = list(quarantine.of_batches("march"))
    assert {row.path for row in found} == {*HOSTILE, "a.json"}
    (one,) = [row for row in found if row.path == "a.json"]
    assert (one.record_number, one.key, one.batch) == (7, KEY, "march")
    # Bad for another reason: the newest is told, and the key is not forgotten.
    again = QuarantineRow(path="a.json", record_number=7, reason="no date")
    assert quarantine.add_of_batch("march", [again]) == 0
    (one,) = [row for row in quarantine.of_batches() if row.path == "a.json"]
    assert (one.reason, one.key, one.replay_time) == ("no date", KEY, None)
    assert quarantine.close([one.quarantine_id]) == 1
    assert quarantine.close([one.quarantine_id]) == 0
    assert len(list(quarantine.of_batches())) == 5
    assert len(list(quarantine.of_batches(open_only=False))) == 6
    assert march.ingests.counts("march").quarantined == 5
    assert march.overview.standing().quarantined == 5
    # What was understood once stays closed, and what was read as it came in is never open.
    assert quarantine.add_of_batch("march", [again]) == 0
    archive = QuarantineRow(path="a.zip", reason="an archive")
    assert quarantine.add_of_batch("march", [archive], is_read=True) == 1
    assert len(list(quarantine.of_batches())) == 5
    assert list(quarantine.of_batches("april")) == list(quarantine.of_actions()) == []
    with pytest.raises(NotFoundError):
        quarantine.add_of_batch("nobody", rows)


def test_the_newest_that_is_open_is_found_without_reading_the_rest(march: Database):
    march.ingests.open("april", "yt-dlp", None, "/inbox/april")
    for batch, path in (("april", "b"), ("march", "c"), ("march", "a"), ("april", "d")):
        march.quarantine.add_of_batch(batch, [QuarantineRow(path=path, reason="is broken")])
    every = {row.path: row for row in march.quarantine.of_batches()}
    march.quarantine.close([every["d"].quarantine_id])
    assert march.quarantine.newest(2) == [every["a"], every["c"]]
    with march.connection() as connection:
        # A few rows are all read and sorted whatever there is.
        connection.execute("SET LOCAL enable_bitmapscan = off")
        connection.execute("SET LOCAL enable_seqscan = off")
        explain = b"EXPLAIN " + statements("quarantine")["newest"]
        plan = str(connection.execute(explain, {"limit": 2}).fetchall())
    assert "Backward using quarantine_open" in plan, plan


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
    ingests = march.ingests
    for _ in range(2):
        ingests.add_package("march-1", "march", 2, 4096, KEY)
    ingests.add_package("march-2", "march", 1, 512, "cd" * 32)
    assert [one.package_id for one in ingests.packages()] == ["march-1", "march-2"]
    first = ingests.confirm_package("march-1", "/cold/march-1.tar")
    again = ingests.confirm_package("march-1", "/cold/march-1.tar")
    assert first == again
    assert (first.confirmed_by, first.confirmed_copy) == ("copy", "/cold/march-1.tar")
    assert [one.package_id for one in ingests.packages()] == ["march-2"]
    assert len(ingests.packages("march", waiting_only=False)) == 2
    assert ingests.counts("march").packages_waiting == 1
    with pytest.raises(UsageError, match="other bytes"):
        ingests.add_package("march-1", "march", 2, 4096, "cd" * 32)
    with pytest.raises(NotFoundError):
        ingests.confirm_package("nobody", "/cold")
    with pytest.raises(NotFoundError):
        ingests.add_package("x", "nobody", 1, 1, KEY)
    trusted = ingests.confirm_package("march-2", None, "trust")
    assert (trusted.confirmed_by, trusted.confirmed_copy) == ("trust", None)


def test_counts(march: Database):
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
            }
        )
    )
    counts = march.ingests.counts("march")
    assert (counts.nodes, counts.edges, counts.observations) == (2, 1, 1)
    with pytest.raises(NotFoundError):
        march.ingests.counts("nobody")
