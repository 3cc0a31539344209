"""Room in the outbox: packages are reserved, wait for room, and new batches are refused."""

from __future__ import annotations

import os
import shutil
import time

import pytest
from ingest_harness import PNG, House, ingest_killed
from store_harness import with_quota

from adapters.cold_storage.outbox import confirm
from adapters.ingest.ingest import IngestReport
from adapters.records.errors import SpaceError
from base.errors import UsageError

MB = 1_000_000
QUOTA_BYTES = 10 * MB
LARGE = {f"{number:02d}.png": PNG + bytes([number]) * MB for number in range(13)}


@pytest.fixture
def full_house(houses, store) -> House:
    """A house whose outbox holds 10 MB."""
    return limited(houses(), outbox_bytes=QUOTA_BYTES)


def limited(house: House, **quota: int) -> House:
    house.store.stop()
    house.store.config = with_quota(house.store.root, **quota)
    house.store.start()
    return house


def set_ingest(house: House, line: str) -> None:
    with open(house.config_path, encoding="utf-8") as file:
        text = file.read()
    with open(house.config_path, "w", encoding="utf-8") as file:
        file.write(text.replace("[ingest]\n", f"[ingest]\n{line}\n"))


def occupied_bytes(folder: str) -> int:
    found = 0
    for root, folders, names in os.walk(folder):
        found += sum(os.lstat(os.path.join(root, name)).st_blocks * 512 for name in folders + names)
    return found


def confirm_all(house: House, target: str) -> None:
    for package in house.database.ingests.packages():
        copy = os.path.join(target, package.package_id)
        shutil.copytree(os.path.join(house.area("3b"), package.package_id), copy)
        confirm(house.config_path, package.package_id, copy, house.database)


def ingest_at_last(house: House, folder: str, target: str) -> tuple[IngestReport, int]:
    """Ingest, copying packages away whenever there is no room; returns how often that was."""
    for turn in range(10):
        try:
            return house.ingest(folder, "large"), turn
        except SpaceError:
            assert occupied_bytes(house.area("3b")) <= QUOTA_BYTES
            assert len(os.listdir(folder)) == len(LARGE)
            assert house.database.ingests.batch("large").state == "described"
            confirm_all(house, target)
            # The batch is not packed yet: what the next packages are made of stays.
            assert len(os.listdir(folder)) == len(LARGE)
    raise AssertionError("it never came in")


def test_packages_never_exceed_the_quota_and_go_on_when_there_is_room(full_house, tmp_path):
    house, folder = full_house, full_house.scrape("large", LARGE)
    report, waited = ingest_at_last(house, folder, str(tmp_path))
    assert waited >= 1
    # Who waits does not read what is stored again: one put of the files, and one of the records.
    puts = [job for job in house.store.client.jobs() if job.kind == "put"]
    assert len(puts) == 2
    assert (report.files, report.stored_existing, report.nodes_existing) == (13, 13, 13)
    assert report.state == "packed"
    assert occupied_bytes(house.area("3b")) <= QUOTA_BYTES
    confirm_all(house, str(tmp_path))
    assert not os.path.exists(folder)
    assert house.database.ingests.batch("large").state == "confirmed"
    held = {area.area: area.reserved_bytes for area in house.store.client.capacity().areas}
    assert held["3b"] == 0
    packed = house.rows("SELECT count(DISTINCT record_id) FROM archive_location")
    assert packed >= [(len(LARGE),)]


def test_a_killed_packing_leaves_no_reservation_that_blocks_it(full_house, tmp_path):
    house, folder = full_house, full_house.scrape("large", LARGE)
    ingest_killed(house, folder, "large", "objects", 1)
    assert ingest_at_last(house, folder, str(tmp_path))[0].state == "packed"


def test_the_last_package_confirmed_before_the_batch_was_packed_frees_the_inbox(house, tmp_path):
    folder = house.scrape("large", {"1.png": PNG})
    ingest_killed(house, folder, "large", "register", 1)
    confirm_all(house, str(tmp_path))
    assert os.listdir(folder) == ["1.png"]
    assert house.ingest(folder, "large").state == "confirmed"
    assert not os.path.exists(folder)


def test_a_new_batch_is_refused_from_90_per_cent_and_one_that_was_begun_is_not(
    full_house, tmp_path
):
    house = full_house
    begun = house.scrape("begun", {"1.png": PNG + b"begun"})
    ingest_killed(house, begun, "begun", "state", 3)
    filler = os.path.join(house.area("3b"), "others-file")
    with open(filler, "wb") as file:
        file.write(os.urandom(int(QUOTA_BYTES * 0.89)))
    # What is promised to a package counts as well.
    house.store.client.reserve_outbox("p-0001", QUOTA_BYTES // 50, 4)
    (area,) = [one for one in house.store.client.capacity().areas if one.area == "3b"]
    assert (area.state, area.refuses) == ("refuse", False)
    new = house.scrape("new", {"1.png": PNG + b"new"})
    with pytest.raises(SpaceError, match=r"the outbox \(3b\) is too full for a new batch"):
        house.ingest(new, "new")
    assert [batch.name for batch in house.database.ingests.batches()] == ["begun"]
    assert house.ingest(begun, "begun").state == "packed"
    house.store.client.release_outbox("p-0001")
    assert house.ingest(new, "new").state == "packed"


def test_a_full_inbox_refuses_folders_from_elsewhere_only(houses, tmp_path):
    house = limited(houses(), inbox_bytes=4 * MB)
    inside = house.scrape("inside", {"1.png": PNG + b"1" * 4 * MB})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "1.png").write_bytes(PNG)
    house.store.stop()  # Measured soon after it starts.
    house.store.start()
    while (area := house.store.client.capacity().areas[0]).used_bytes < 4 * MB:
        time.sleep(0.1)
    assert (area.area, area.state) == ("3a", "emergency")
    with pytest.raises(SpaceError, match=r"the inbox \(3a\) is too full"):
        house.ingest(str(outside), "outside")
    assert house.ingest(inside, "inside").state == "packed"


def test_a_package_that_never_fits_says_so(houses):
    house = limited(houses(), outbox_bytes=2 * MB)
    folder = house.scrape("large", {"1.png": PNG + b"1" * 3 * MB})
    with pytest.raises(UsageError, match=r"may never hold more than 2,000,000: raise outbox_bytes"):
        house.ingest(folder, "large")
    limited(house, outbox_bytes=20 * MB)
    assert house.ingest(folder, "large").state == "packed"


@pytest.mark.parametrize(
    ("call", "state"),
    [(None, ""), (4, "described"), (5, "packed"), (6, "packed"), (7, "confirmed")],
)
def test_without_packages_the_inbox_is_freed_when_the_batch_is_in(
    house: House, call: int | None, state: str
):
    """Also when it was killed before or after it became packed, or while the inbox was freed."""
    set_ingest(house, "packages = false")
    folder = house.scrape("cats", {"1.png": PNG, "new/2.png": PNG + b"2"})
    if call is not None:
        ingest_killed(house, folder, "cats", "state", call)
        assert [batch.state for batch in house.database.ingests.batches()] == [state]
        assert os.path.exists(folder) == (call < 6)
    report = house.ingest(folder, "cats")
    assert (report.state, report.files) == ("confirmed", 2)
    assert not os.path.exists(folder)
    assert house.database.ingests.batch("cats").state == "confirmed"
    assert os.listdir(os.path.join(house.area("3a"), ".ingest")) == ["cats.lock"]
    assert os.listdir(house.area("3b")) == []
    assert len(list(house.store.client.batch_files("cats"))) == 2


def test_a_batch_that_was_packed_before_packages_were_switched_off_keeps_its_files(house: House):
    folder = house.scrape("cats", {"1.png": PNG})
    house.ingest(folder, "cats")
    set_ingest(house, "packages = false")
    assert house.ingest(folder, "cats").state == "packed"
    assert os.listdir(folder) == ["1.png"]
