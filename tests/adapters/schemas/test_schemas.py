"""Schemas of JSON that nobody declared: proposed, accepted, grown, rolled back; nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import psycopg
import pytest
from command import ROOT
from schema_world import bring_in, rows_of, write

from adapters.schemas import look, verdict
from adapters.schemas.config import SchemasConfig
from adapters.schemas.verdict import Changes
from base.errors import UsageError
from sql import Database, NotFoundError
from sql.selector.document import read_selector

KEYS = ("own_id", "name", "weight", "tags")


def pet(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"Rex {number}",
        "weight": number / 2,
        "tags": ["dog"],
        "visits": [{"at": "2024-05-01", "cost": number}] if number % 2 else [],
        **more,
    }


def deep(number: int) -> dict[str, Any]:
    return {"event": {"by": {"who": {"number": number}}}, "kind": "deep", "at": number}


def count(database: Database, source: str, columns: dict[str, Any]) -> int:
    block = {"source": source, "columns": columns}
    selector = read_selector({"version": 1, "where": {"source_metadata": block}})
    return database.aggregate(selector).count


@pytest.fixture
def pets(database: Database, tmp_path) -> Database:
    """30 documents that are a table and 10 that are none, in two forms of files, and faults."""
    files: dict[str, Any] = {f"deep/{number}.json": deep(number) for number in range(10)}
    files["pets.jsonl"] = [pet(number) for number in range(30)]
    files["pets.jsonl"][3]["weight"] = "heavy"
    files["broken.jsonl"] = b'{"id": 1, "id": 2}\n{"a": NaN}\n{"half'
    read, proposed = bring_in(database, write(str(tmp_path / "first"), files), "first")
    assert proposed == ["deep", "pets"]
    assert sorted(one.path for one in read.problems) == ["broken.jsonl"] * 3
    return database


def test_documents_are_nodes_and_found_as_json_at_once(pets: Database):
    assert count(pets, "json", {}) == 40
    assert count(pets, "json", {"document": {"has": {"name": "Rex 7"}}}) == 1
    assert (
        count(pets, "json", {"document": {"has": {"event": {"by": {"who": {"number": 3}}}}}}) == 1
    )
    sight = look.sight(pets, "pets")
    assert (sight.status, sight.choice, sight.documents) == ("provisional", "table", 30)
    assert 'CREATE TABLE "meta_pets"' in sight.ddl and "meta_pets_visits" in sight.ddl
    assert {row.table for row in sight.preview} == {"pets", "pets_visits"}
    other = look.sight(pets, "deep")
    assert other.choice == "jsonb" and "depth 3" in other.reasons[0]
    assert [line.name for line in look.lines(pets)] == ["deep", "pets"]
    assert "+ pets.own_id bigint" in look.difference(pets, "pets")


def test_accepted_it_is_a_table_that_selectors_see(pets: Database):
    version, new = verdict.accept(pets, "pets", "ann")
    assert (version.status, version.decided_by, new) == ("active", "ann", 30 + 15)
    rows = rows_of(pets, "meta_pets")
    assert sorted(row["own_id"] for row in rows) == list(range(30))
    heavy = next(row for row in rows if row["own_id"] == 3)
    assert (heavy["weight"], heavy["extra"]) == (None, {"weight": "heavy"})
    assert next(row for row in rows if row["own_id"] == 4)["extra"] == {"visits": []}
    assert count(pets, "pets", {"weight": {"min": 10}, "tags": {"has": "dog"}}) == 10
    assert count(pets, "pets_visits", {"at": {"since": "2024-05-01"}, "cost": 7}) == 1
    assert verdict.accept(pets, "pets", "ann")[1] == 0, "the same again adds nothing"
    verdict.accept(pets, "deep", "ann")
    found = {"document": {"has": {"kind": "deep"}}}
    assert count(pets, "deep", found) == 10
    assert len(rows_of(pets, "meta_deep")) == 10


def test_later_documents_have_rows_and_a_difference_is_a_proposal(pets: Database, tmp_path):
    verdict.accept(pets, "pets", "ann")
    later = [pet(number) for number in range(100, 110)]
    _, proposed = bring_in(pets, write(str(tmp_path / "later"), {"x.jsonl": later}), "later")
    assert proposed == [] and len(rows_of(pets, "meta_pets")) == 40
    coloured = [pet(number, colour="red", weight=f"{number} kg") for number in range(200, 210)]
    folder = write(str(tmp_path / "third"), {"x.jsonl": coloured})
    assert bring_in(pets, folder, "third")[1] == ["pets"]
    assert bring_in(pets, folder, "third")[1] == ["pets"], "the same again is the same proposal"
    assert [one.status for one in pets.schemas.versions("pets")] == ["active", "provisional"]
    assert look.difference(pets, "pets") == ["+ pets.colour text"]
    before = rows_of(pets, "meta_pets")
    assert len(before) == 50
    assert before[-1]["extra"] == {"colour": "red", "weight": "209 kg"}
    version, _ = verdict.accept(pets, "pets", "ann")
    assert version.version == 2
    rows = rows_of(pets, "meta_pets")
    assert len(rows) == 50 and len({row["node_id"] for row in rows}) == 50
    assert count(pets, "pets", {"colour": "red"}) == 10
    assert all("colour" not in (row["extra"] or {}) for row in rows)
    version, _ = verdict.roll_back(pets, "pets", "ben")
    assert (version.version, version.status) == (1, "active")
    back = rows_of(pets, "meta_pets")
    assert len(back) == 50 and count(pets, "pets", {"colour": "red"}) == 0
    assert sum("colour" in (row["extra"] or {}) for row in back) == 10


def test_who_brought_a_row_is_who_brought_its_document(pets: Database, tmp_path):
    verdict.accept(pets, "pets", "ann")
    both = [pet(number) for number in (5, 1_000)]
    bring_in(pets, write(str(tmp_path / "other"), {"x.jsonl": both}), "other")
    with pets.reading() as connection:
        rows = connection.execute(
            "SELECT batch.name, count(*) FROM observation_batch "
            "JOIN source USING (source_id) JOIN ingest_batch AS batch USING (ingest_batch_id) "
            "WHERE source.description = 'pets' GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert rows == [("first", 30), ("other", 2)]


def test_a_rejected_proposal_does_not_come_again(pets: Database, tmp_path):
    assert verdict.reject(pets, "pets", "ann").status == "rejected"
    more = [pet(number) for number in range(100, 110)]
    assert bring_in(pets, write(str(tmp_path / "b"), {"x.jsonl": more}), "b")[1] == []
    other = [pet(number, colour="red") for number in range(300, 400)]
    assert bring_in(pets, write(str(tmp_path / "c"), {"x.jsonl": other}), "c")[1] == ["pets"]
    assert verdict.accept(pets, "pets", "ann")[0].version == 2
    assert len(rows_of(pets, "meta_pets")) == 140


def test_a_person_changes_what_was_proposed(pets: Database):
    changes = Changes(
        name="dogs", renames={"own_id": "dog_id"}, types={"weight": "text"}, drops=("tags",)
    )
    version, _ = verdict.accept(pets, "pets", "ann", changes)
    assert (version.name, version.version) == ("dogs", 1)
    rows = rows_of(pets, "meta_dogs")
    assert len(rows) == 30 and "tags" not in rows[0] and rows[0]["dog_id"] is not None
    assert sum(row["weight"] == "heavy" for row in rows) == 1
    assert all(row["extra"]["tags"] == ["dog"] for row in rows)
    assert len(rows_of(pets, "meta_dogs_visits")) == 15
    version, _ = verdict.accept(pets, "deep", "ann", Changes(form="table"))
    assert version.choice == "table"
    assert {row["kind"] for row in rows_of(pets, "meta_deep")} == {"deep"}


def test_another_type_is_another_table_and_the_old_one_stays(pets: Database, tmp_path):
    verdict.accept(pets, "pets", "ann")
    others = [pet(number, colour="red") for number in range(200, 210)]
    bring_in(pets, write(str(tmp_path / "b"), {"x.jsonl": others}), "b")
    verdict.accept(pets, "pets", "ann", Changes(types={"weight": "text"}))
    assert len(rows_of(pets, "meta_pets")) == 40
    rows = rows_of(pets, "meta_pets_v2")
    assert len(rows) == 40 and sum(row["weight"] == "heavy" for row in rows) == 1
    verdict.roll_back(pets, "pets", "ann")
    later = [pet(number) for number in range(500, 505)]
    bring_in(pets, write(str(tmp_path / "c"), {"x.jsonl": later}), "c")
    assert len(rows_of(pets, "meta_pets")) == 45 and len(rows_of(pets, "meta_pets_v2")) == 40


def test_rolled_back_without_one_before_nothing_gets_rows_until_it_is_accepted_again(
    pets: Database, tmp_path
):
    verdict.accept(pets, "pets", "ann")
    version, _ = verdict.roll_back(pets, "pets", "ann")
    assert version.status == "former"
    with pytest.raises(UsageError, match="nothing to roll back"):
        verdict.roll_back(pets, "pets", "ann")
    assert verdict.accept(pets, "pets", "ann")[0].status == "active"
    assert len(rows_of(pets, "meta_pets")) == 30


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (Changes(name="node; DROP TABLE node"), "is no name"),
        (Changes(name="json"), "already"),
        (Changes(name="deep"), "already"),
        (Changes(renames={"nothing": "x"}), "there is no column 'nothing'"),
        (Changes(types={"name": "money"}), "is no type"),
    ],
)
def test_a_mistake_changes_nothing(pets: Database, changes: Changes, said: str):
    with pytest.raises(UsageError, match=said):
        verdict.accept(pets, "pets", "ann", changes)
    assert look.chosen(pets, "pets").status == "provisional"
    assert {one.name for one in pets.declared_tables()} <= {"file", "json"}
    with pytest.raises(NotFoundError):
        look.sight(pets, "cats")
    with pytest.raises(NotFoundError, match="no version 7"):
        look.sight(pets, "pets", 7)


BARRIERS = [
    *(("declare", call) for call in (0, 1)),
    *(("activate", call) for call in (0, 1)),
    *(("apply", call) for call in (0, 1, 4, 7)),
    *(("note", call) for call in (0, 1)),
    *(("finish", call) for call in (0, 1)),
]


@pytest.mark.fault
@pytest.mark.seconds(30)
def test_killed_at_every_barrier_and_accepted_again(database: Database, database_url, tmp_path):
    program = os.path.join(ROOT, "tests", "kit", "adapters", "schema_killed.py")
    for number, (place, call) in enumerate(BARRIERS):
        # Another key for each, so that each is a schema of its own.
        kind = f"kind{number}"
        documents = [{f"{key}{number}": n for key in "abcd"} for n in range(30)]
        folder = write(str(tmp_path / kind), {f"{kind}.jsonl": documents})
        assert bring_in(database, folder, kind)[1] == [kind]
        command = [sys.executable, program, database_url, kind, place, str(call)]
        ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": ROOT}, timeout=120)
        assert ended.returncode == -signal.SIGKILL, (place, call)
        verdict.accept(database, kind, "tester")
        rows = rows_of(database, f"meta_{kind}")
        assert sorted(row[f"a{number}"] for row in rows) == list(range(30)), (place, call)
        (version,) = database.schemas.versions(kind)
        assert version.status == "active" and version.replay_time is not None


TRUSTED = SchemasConfig(auto_migrate=("pets",))


def test_what_comes_to_a_trusted_schema_is_accepted(database: Database, tmp_path):
    def come(batch: str, numbers: range, **more: Any) -> list[str]:
        documents = [pet(number, **more) for number in numbers]
        folder = write(str(tmp_path / batch), {"pets.jsonl": documents})
        return bring_in(database, folder, batch, TRUSTED)[1]

    def statuses() -> list[str]:
        return [one.status for one in database.schemas.of("pets")]

    assert come("first", range(30)) == []
    (version,) = database.schemas.of("pets")
    assert (version.status, version.decided_by) == ("active", "auto_migrate")
    assert len(rows_of(database, "meta_pets")) == 30
    assert come("second", range(50, 60), colour="red") == []
    assert statuses() == ["former", "active"] and count(database, "pets", {"colour": "red"}) == 10
    # Who rolled it back meant that; what comes next is for somebody to decide.
    verdict.roll_back(database, "pets", "ann")
    assert come("third", range(70, 80), size=3) == ["pets"]
    assert statuses() == ["active", "former", "provisional"]
    assert verdict.accept(database, "pets", "ann")[0].version == 3
    assert come("fourth", range(90, 100), legs=4) == []
    assert statuses() == ["former", "former", "former", "active"]
    assert count(database, "pets", {"legs": 4}) == 10


def test_a_table_that_somebody_reads_for_long_waits_for_what_comes_next(
    database: Database, database_url: str, tmp_path, monkeypatch
):
    monkeypatch.setattr("sql.core.lock_waits.TABLE_LOCK_ATTEMPTS", 1)

    def come(batch: str, **more: Any) -> list[str]:
        folder = write(str(tmp_path / batch), {"pets.jsonl": [pet(n, **more) for n in range(9)]})
        return bring_in(database, folder, batch, TRUSTED)[1]

    assert come("first") == []
    # As a backup does, or the build of a dataset.
    with psycopg.connect(database_url) as reader:
        reader.execute("SELECT count(*) FROM meta_pets")
        assert come("second", colour="red") == ["pets"]
    assert come("third", colour="blue") == []
    assert count(database, "pets", {"colour": "red"}) == 9


def test_another_schema_waits_for_somebody(database: Database, tmp_path):
    files = {"deep.jsonl": [deep(number) for number in range(10)]}
    folder = write(str(tmp_path / "first"), files)
    assert bring_in(database, folder, "first", TRUSTED)[1] == ["deep"]


@pytest.mark.fault
def test_a_trusted_schema_whose_acceptance_was_killed_is_completed_by_what_comes_next(
    database: Database, database_url, tmp_path
):
    program = os.path.join(ROOT, "tests", "kit", "adapters", "schema_killed.py")
    for place, call in (("activate", 1), ("apply", 0), ("finish", 0)):
        kind = f"kind_{place}"
        documents = [{f"{key}_{place}": n for key in "abcd"} for n in range(30)]
        folder = write(str(tmp_path / kind), {f"{kind}.jsonl": documents})
        assert bring_in(database, folder, kind)[1] == [kind]
        command = [sys.executable, program, database_url, kind, place, str(call)]
        ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": ROOT}, timeout=120)
        assert ended.returncode == -signal.SIGKILL, place
        more = [{f"{key}_{place}": n for key in "abcd"} for n in range(30, 40)]
        folder = write(str(tmp_path / f"{kind}-2"), {f"{kind}.jsonl": more})
        trusted = SchemasConfig(auto_migrate=(kind,))
        assert bring_in(database, folder, f"{kind}-2", trusted)[1] == []
        rows = rows_of(database, f"meta_{kind}")
        assert sorted(row[f"a_{place}"] for row in rows) == list(range(40)), place
        (version,) = database.schemas.versions(kind)
        assert version.status == "active" and version.replay_time is not None


def test_every_document_is_a_row_whatever_lies_in_the_folder(database: Database, tmp_path):
    odd = [
        {},
        {"": 1, " ": 2, "ünï": 3},
        {"select": 1, "Select": 2, "SELECT": 3},
        {f"k{n}": n for n in range(500)},
        {"a": [[], {}, None, {"b": []}]},
        {"node_id": 1, "id": 2, "observation_hash": 3, "extra": {"extra": 1}},
        {"x": 2**100, "y": -0.0, "z": 1e22},
        {"2024-01-01": 1},
        {"2024-01-02": 2},
    ]
    read, proposed = bring_in(database, write(str(tmp_path / "odd"), {"odd.jsonl": odd}), "odd")
    assert read.counts.records == len(odd) and not read.problems
    for name in proposed:
        verdict.accept(database, name, "ann", Changes(form="table"))
    total = sum(len(rows_of(database, f"meta_{name}")) for name in proposed)
    assert total == len(odd)
    with database.reading() as connection:
        kept = [row[0] for row in connection.execute("SELECT document FROM meta_json ORDER BY id")]
    assert kept == odd
