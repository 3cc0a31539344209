"""What was quarantined is read again: repairs add up, and come back from cold storage."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from ingest_harness import PNG, QUARANTINED, House
from restore_checks import assert_same, cold_copies, only, refused
from store_harness import write_files

from adapters.audit.audit import audit
from adapters.cold_storage.outbox import confirm
from adapters.cold_storage.restore import restore
from adapters.ingest.replay import replay
from adapters.packages.package_read import read_manifest
from adapters.records.errors import BatchBusyError
from adapters.work.batch_work import BatchWork
from base.errors import DrystoneError, UsageError
from sql import key_of

ROWS = '{"url": "http://m.test/%d.jpg", "caption": "row %d"}\n'
LINES = "".join(ROWS % (number, number) for number in range(3))
MANIFESTS = {
    "a.jsonl": (LINES + "{broken\n").encode(),
    "b.jsonl": ("{broken too\n" + LINES.replace("m.test", "n.test")).encode(),
    "a.png": PNG + b"a",
}


def test_quarantine_is_replayed_with_a_repaired_file(house: House, tmp_path):
    house.ingest(house.scrape("cats"), "cats")
    cold = cold_copies(house, tmp_path)
    confirm(house.config_path, "cats-0001", os.path.join(cold, "cats-0001"), house.database)
    fixed = tmp_path / "fixed"
    fixed.mkdir()
    (fixed / "broken.png.json").write_text(
        json.dumps({"category": "example", "id": 9, "title": "Repaired", "artist": "Bob"})
    )
    before = house.contents()
    report = replay(house.config_path, "cats", str(fixed))
    assert (report.before, report.understood, report.left) == (3, 1, 2)
    after = house.contents()
    assert {row[0] for row in after["node"]} > {row[0] for row in before["node"]}
    assert set(before["common"]) < set(after["common"])
    assert key_of("example:post:9") in {row[0] for row in after["node"]}
    rows = house.database.quarantine.of_batches("cats", open_only=True)
    assert {row.path for row in rows} == QUARANTINED - {"broken.png.json"}
    (fixed / "stranger.json").write_text("{}")
    with pytest.raises(UsageError, match="stranger"):
        replay(house.config_path, "cats", str(fixed))


def repair(house: House, folder: Any, name: str) -> Any:
    """Replay the batch `rows` with one of its manifests repaired."""
    text = MANIFESTS[name].decode()
    whole = "".join(line + "\n" for line in text.splitlines() if "broken" not in line)
    extra = ROWS.replace("m.test", f"repaired-{name}.test") % (9, 9)
    fixed = write_files(str(folder), {name: (whole + extra).encode()})
    return replay(house.config_path, "rows", fixed)


def open_rows(house: House) -> set[tuple[str, int]]:
    return {(row.path, row.record_number) for row in house.database.quarantine.of_batches("rows")}


def test_repairs_of_several_records_add_up_and_come_back(house: House, houses, tmp_path):
    house.ingest(house.scrape("rows", MANIFESTS), "rows", "manifest")
    assert open_rows(house) == {("a.jsonl", 3), ("b.jsonl", 0)}
    first = repair(house, tmp_path / "first", "a.jsonl")
    assert (first.understood, first.left) == (1, 1)
    second = repair(house, tmp_path / "second", "b.jsonl")
    assert (second.before, second.understood, second.left) == (1, 1, 0)
    third = replay(house.config_path, "rows", None)
    assert (third.nodes_new, third.left, open_rows(house)) == (0, 0, set())
    names = sorted(one.batch for one in house.store.client.batches())
    fixed = [name for name in names if name.startswith("rows.fixed-")]
    assert len(fixed) == 3
    assert len([name for name in names if name.startswith("rows.derived-")]) == 3
    repaired = {file.path for file in house.store.client.batch_files(fixed[1])}
    assert repaired == {"a.jsonl", "b.jsonl"}
    found = audit(house.config_path, sample=100)
    assert found.missing_count == found.damaged_count == 0
    packages = {one.package_id: one for one in house.database.ingests.packages()}
    assert len(packages) == 4 and "rows-0001" in packages
    # All of it comes back from cold storage, and twice is once.
    cold, other = cold_copies(house, tmp_path), houses()
    for _ in range(2):
        only(restore(other.config_path, [cold], other.database))
    assert_same(house, other, "rows")
    assert open_rows(other) == set()
    rows = list(other.database.quarantine.of_batches("rows", open_only=False))
    assert len(rows) == 2 and all(row.replay_time is not None for row in rows)
    # The last replay says everything that the others said.
    last = max(name for name in packages if name.startswith("rows-r"))
    third_house = houses()
    replays = [os.path.join(cold, last)]
    assert "packages of a replay" in refused(third_house, replays)
    only(
        restore(
            third_house.config_path,
            [*replays, os.path.join(cold, "rows-0001")],
            third_house.database,
        )
    )
    assert third_house.contents()["node"] == house.contents()["node"]
    assert open_rows(third_house) == set()
    # The batch alone, restored where it was repaired, opens nothing again.
    only(restore(house.config_path, [os.path.join(cold, "rows-0001")], house.database))
    assert open_rows(house) == set()
    assert replay(other.config_path, "rows", None).left == 0


def test_packages_of_replays_are_registered_and_confirmed(house: House, tmp_path):
    house.ingest(house.scrape("rows", MANIFESTS), "rows", "manifest")
    repair(house, tmp_path / "first", "a.jsonl")
    cold = cold_copies(house, tmp_path)
    (name,) = (name for name in os.listdir(cold) if name.startswith("rows-r"))
    head, entries = read_manifest(os.path.join(cold, name))
    assert name == f"rows-r{head.replay}-0001"
    # The listing and what the batch has already are not kept a second time.
    own = {entry.key for entry in read_manifest(os.path.join(cold, "rows-0001"))[1]}
    assert {entry.path for entry in entries if entry.key in own} == set()
    assert {entry.path for entry in entries if entry.set_name == "fixed"} == {"a.jsonl"}
    places = house.rows(f"SELECT count(*) FROM archive_location WHERE filepath LIKE '{name}:%'")
    assert places[0][0] > 0
    for package in ("rows-0001", name):
        confirm(house.config_path, package, os.path.join(cold, package), house.database)
    assert [batch.state for batch in house.database.ingests.batches()] == ["confirmed"]


def test_one_at_a_time_and_nothing_of_others_is_removed(house: House):
    house.ingest(house.scrape("rows", MANIFESTS), "rows", "manifest")
    theirs = write_files(os.path.join(house.area("3a"), ".replay", "rows"), {"files/x": b"x"})
    with (
        BatchWork(house.area("3a"), "rows").locked(),
        pytest.raises(BatchBusyError, match="another process"),
    ):
        replay(house.config_path, "rows", None)
    assert os.path.exists(os.path.join(theirs, "files", "x"))
    report = replay(house.config_path, "rows", None)
    assert (report.understood, report.left) == (0, 2)
    assert not os.path.exists(theirs)


def test_a_batch_that_the_store_has_only_in_part(house: House, tmp_path):
    files = [["a.png", 5, 0], ["b.png", 5, 0]]
    signal = {"folder": "/gone", "batch": "part", "adapter": "plain-folder", "user": None}
    listing = json.dumps({"version": 1, "signal": signal, "files": files}).encode()
    house.store.put(write_files(str(tmp_path / "files"), {"a.png": b"12345"}), "part")
    derived = write_files(str(tmp_path / "derived"), {"listing.json": listing})
    house.store.put(derived, "part.derived")
    house.database.ingests.open("part", "plain-folder", None, "/gone", 2, 10)
    house.database.ingests.set_state("part", "packed", None)
    with pytest.raises(DrystoneError, match="lacks 1 files of batch part"):
        replay(house.config_path, "part", None)
    assert os.listdir(os.path.join(house.area("3a"), ".replay")) == []
