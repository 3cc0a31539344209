"""A purge is known to the database: nothing counts on what is gone, and it can be cut anywhere."""

from __future__ import annotations

import hashlib
import os
import shutil
import time

import pytest
from command import drystone, json_lines
from ingest_harness import PNG, SCRAPE, House

from adapters.audit.audit import audit
from adapters.ingest.purge import PurgePlace, begin, plan
from adapters.records.names import derived_batch

SHARED = {"alone.png": SCRAPE["alone.png"], "other.png": PNG + b"other"}
PICTURES = "version: 1\nwhere: {media_type: image}\n"


def run(house: House, *arguments: str, expect: int = 0):
    return drystone(*arguments, "--config", house.config_path, expect=expect)


def key_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pictures(house: House, tmp_path) -> set[str]:
    """Return the keys of the pictures that a selector finds."""
    path = tmp_path / "selector.yaml"
    path.write_text(PICTURES)
    return {row["key"] for row in json_lines(run(house, "select", str(path), "--json"))}


def outcomes(house: House) -> list[str]:
    """Return what the audit log says came of each purge."""
    rows = house.rows(
        "SELECT outcome FROM audit_entry JOIN audit_outcome USING (entry_key)"
        " WHERE operation = 'ingest.purge' ORDER BY end_time"
    )
    return [outcome for (outcome,) in rows]


def states(house: House) -> dict[str, str]:
    return {one.name: one.state for one in house.database.ingests.batches()}


@pytest.fixture
def purgeable(house: House) -> House:
    """Two ingested batches, which share a picture."""
    house.ingest(house.scrape("cats"), "cats")
    house.ingest(house.scrape("dogs", SHARED), "dogs", "plain-folder")
    return house


def assert_purged(house: House, tmp_path) -> None:
    """Only what the second batch has is left, and nobody misses anything."""
    assert states(house) == {"cats": "purged", "dogs": "packed"}
    assert pictures(house, tmp_path) == {key_of(data) for data in SHARED.values()}
    found = audit(house.config_path, sample=50)
    assert (found.missing_count, found.damaged_count, found.unlisted_count) == (0, 0, 0)
    assert {key for key, _ in house.database.physical_contents()} >= {
        key_of(data) for data in SHARED.values()
    }
    names = [one.batch for one in house.store.client.batches()]
    assert "cats" not in names and derived_batch("cats") not in names
    run(house, "audit", "--sample", "5")


def test_a_purged_batch_is_missed_by_nobody(purgeable: House, tmp_path):
    house = purgeable
    one = key_of(SCRAPE["ann/one.png"])
    with house.database.connection() as connection:
        connection.execute(
            "INSERT INTO thumbnail (node_id, reason)"
            " SELECT node_id, 'no picture' FROM node JOIN physical_content USING (node_id)"
        )
    before = house.rows("SELECT count(*) FROM thumbnail")[0][0]
    cache = os.path.join(house.store.config.ssd, "thumbnails")
    kept = f"{key_of(SCRAPE['alone.png'])}-small.webp"
    for name in (f"{one}-small.webp", f"{one}-large.broken-2", f"{one}.text", kept):
        os.makedirs(os.path.join(cache, name[:2]), exist_ok=True)
        with open(os.path.join(cache, name[:2], name), "wb") as file:
            file.write(b"a picture")
    run(house, "purge", "--batch", "cats", "--dry-run")
    assert states(house)["cats"] == "packed" and one in pictures(house, tmp_path)
    said = run(house, "purge", "--batch", "cats", "--yes").stderr.decode()
    assert "without bytes now" in said
    assert_purged(house, tmp_path)
    assert 0 < house.rows("SELECT count(*) FROM thumbnail")[0][0] < before
    assert [name for _, _, names in os.walk(cache) for name in names] == [kept]
    # No act of a person brings back what nobody has.
    with house.database.connection() as connection:
        sample = connection.execute(
            "SELECT delete_reason FROM physical_content JOIN node USING (node_id)"
            " WHERE sha256 = %s",
            [bytes.fromhex(one)],
        ).fetchone()
    assert sample == ("purged",)
    assert "purged" in run(house, "purge", "--batch", "cats", "--yes", expect=2).stderr.decode()
    assert outcomes(house) == ["done", "refused"]
    refused = run(house, "ingest", house.scrape("cats"), "--batch", "cats", expect=2)
    assert b"was purged; take another name" in refused.stderr


@pytest.mark.parametrize("cut_after", ["begun", "files gone", "all gone"])
def test_cut_anywhere_the_same_again_goes_on(purgeable: House, tmp_path, cut_after: str):
    house = purgeable
    place = PurgePlace(house.config_path)
    names = plan(place, "cats")
    assert names is not None and set(names) == {"cats", derived_batch("cats")}
    begin(place, "cats")
    gone = {"begun": (), "files gone": ("cats",), "all gone": names}[cut_after]
    for name in gone:
        assert house.store.client.wait(house.store.client.purge(name).job_id).state == "done"
    # Whatever was cut, nothing is shown that may be gone, and nothing counts as missing.
    assert states(house)["cats"] == "purging"
    assert not pictures(house, tmp_path) & {key_of(SCRAPE["ann/one.png"])}
    assert audit(house.config_path, sample=50).missing_count == 0
    run(house, "purge", "--batch", "cats", "--yes")
    assert_purged(house, tmp_path)


def test_purged_content_that_comes_again_is_there_again(purgeable: House, tmp_path):
    house = purgeable
    run(house, "purge", "--batch", "cats", "--yes")
    house.ingest(house.scrape("again"), "again")
    wanted = {key_of(data) for path, data in SCRAPE.items() if path.endswith(("png", "svg"))}
    assert pictures(house, tmp_path) >= wanted
    assert audit(house.config_path, sample=50).missing_count == 0


def test_what_a_person_deleted_stays_deleted_where_the_store_keeps_it(purgeable: House, tmp_path):
    house = purgeable
    path = tmp_path / "shared.yaml"
    path.write_text(f"version: 1\nwhere: {{key: {key_of(SHARED['alone.png'])}}}\n")
    run(house, "node", "delete", "--selector", str(path), "--yes")
    run(house, "purge", "--batch", "cats", "--yes")
    assert key_of(SHARED["alone.png"]) not in pictures(house, tmp_path)
    rows = house.rows(
        "SELECT is_delete, delete_reason FROM physical_content JOIN node USING (node_id)"
        f" WHERE sha256 = decode('{key_of(SHARED['alone.png'])}', 'hex')"
    )
    assert rows == [(True, None)]


def test_a_purge_that_the_store_refuses_changes_nothing(purgeable: House, tmp_path):
    house, before = purgeable, pictures(purgeable, tmp_path)
    # A disk that is away may have what the batch refers to: no purge is sure without it.
    away = house.store.disks[0]
    os.rename(away, away + ".away")
    try:
        deadline = time.monotonic() + 60
        while all(one.state != "missing" for one in house.store.client.disks()):
            assert time.monotonic() < deadline, "the disk is not missed"
            time.sleep(0.05)
        said = run(house, "purge", "--batch", "cats", "--yes", expect=1).stderr.decode()
        assert "nothing was deleted; the database shows the batch as before" in said
        assert "bring it back" in said and "Traceback" not in said
        assert outcomes(house) == ["failed"]
    finally:
        os.rename(away + ".away", away)
    assert states(house) == {"cats": "packed", "dogs": "packed"}
    assert pictures(house, tmp_path) == before


def test_a_purged_batch_comes_back_from_its_packages(purgeable: House, tmp_path):
    house, before = purgeable, pictures(purgeable, tmp_path)
    copy = str(tmp_path / "cats-0001")
    shutil.copytree(os.path.join(house.area("3b"), "cats-0001"), copy)
    run(house, "purge", "--batch", "cats", "--yes")
    run(house, "outbox", "confirm", "cats-0001", "--copy", copy)
    assert states(house)["cats"] == "purged" and pictures(house, tmp_path) != before
    run(house, "restore", copy)
    assert states(house)["cats"] == "confirmed" and pictures(house, tmp_path) == before
    assert audit(house.config_path, sample=50).missing_count == 0


def test_a_batch_that_the_database_does_not_know_is_purged_as_ever(purgeable: House, tmp_path):
    house = purgeable
    folder = house.scrape("plain", {"x.bin": b"only in the store"})
    house.store.put(folder, "plain")
    run(house, "purge", "--batch", "plain", "--yes")
    assert "plain" not in [one.batch for one in house.store.client.batches()]
    assert states(house) == {"cats": "packed", "dogs": "packed"}
