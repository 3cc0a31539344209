"""UA_1 end to end: a scraped folder becomes stored, described, connected and packed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import threading

import pytest
from ingest_harness import PNG, QUARANTINED, SCRAPE, House, ingest_killed, killed_ingests

from adapters.audit.audit import audit
from adapters.cold_storage.outbox import confirm
from adapters.ingest.inbox import waiting_folders
from adapters.ingest.ingest import ingest
from adapters.packages.package_read import read_manifest, verify_package
from adapters.records.errors import BatchBusyError, BatchChangedError, PackageError
from adapters.work.batch_work import Signal
from base.errors import DrystoneError, UsageError
from base.text import safe_text
from sql import key_of


def test_a_scrape_is_stored_described_and_connected(house: House):
    report = house.ingest(house.scrape("cats"), "cats")
    assert (report.files, report.records, report.state) == (len(SCRAPE), 5, "packed")
    stored = {file.path: file.key for file in house.store.client.batch_files("cats")}
    assert stored == {path: hashlib.sha256(data).hexdigest() for path, data in SCRAPE.items()}
    contents = house.contents()
    assert {row[0] for row in contents["quarantine"]} == QUARANTINED
    nodes = {row[0] for row in contents["node"]}
    assert nodes >= {key for path, key in stored.items() if path not in QUARANTINED}
    assert not nodes & {stored[path] for path in QUARANTINED}
    post, author = key_of("example:post:1"), key_of("example:username:Ann")
    edges = {row[:3] for row in contents["edge"]}
    assert (author, post, "authored") in edges
    assert (post, stored["ann/one.png"], "contains") in edges
    assert (post, stored["ann/one.svg"], "contains") in edges
    assert any(edge[1] == stored["ann/one.png.json"] and edge[2] == "record" for edge in edges)


def test_the_tree_of_a_post_and_not_of_its_author(house: House):
    house.ingest(house.scrape("cats"), "cats")
    rows = dict(
        house.rows(
            "SELECT encode(n.sha256, 'hex'), encode(r.sha256, 'hex') FROM node n "
            "JOIN node r ON r.node_id = n.root_id"
        )
    )
    one = hashlib.sha256(SCRAPE["ann/one.png"]).hexdigest()
    assert rows[one] == key_of("example:post:1")
    assert rows[key_of("example:post:1")] == key_of("example:post:1")


def test_the_same_again_changes_nothing(house: House):
    folder = house.scrape("cats")
    house.ingest(folder, "cats")
    before = house.contents()
    again = house.ingest(folder, "cats")
    assert house.contents() == before
    assert again.stored_new == 0 and again.packages == ["cats-0001"]


def test_two_batches_meet_at_the_author_and_keep_both_observations(house: House):
    house.ingest(house.scrape("cats"), "cats")
    later = {
        "one.png": SCRAPE["ann/one.png"],
        "one.png.json": json.dumps(
            {"category": "example", "id": 1, "title": "One, renamed", "artist": "Ann", "num": 1}
        ).encode(),
    }
    report = house.ingest(house.scrape("later", later), "later")
    assert report.nodes_existing >= 3
    titles = house.rows(
        "SELECT title FROM common_metadata JOIN node USING (node_id) "
        f"WHERE sha256 = decode('{key_of('example:post:1')}', 'hex') ORDER BY 1"
    )
    assert titles == [("One",), ("One, renamed",)]
    authors = house.rows("SELECT count(*) FROM virtual_asset WHERE description LIKE '%:Ann'")
    assert authors == [(1,)]


BARRIERS = [
    ("write_json", 0),
    ("open_batch", 0),
    ("open_batch", 1),
    ("batch_write", 1),
    ("wait", 1),
    ("state", 0),
    ("record", 0),
    ("write_durably", 0),
    ("write_durably", 1),
    ("write_json", 2),
    ("write_json", 4),
    ("batch_write", 3),
    ("wait", 3),
    ("declare", 1),
    ("apply", 0),
    ("apply", 1),
    ("quarantine", 0),
    ("quarantine", 1),
    ("state", 2),
    ("state", 3),
    ("objects", 0),
    ("objects", 1),
    ("package_sync", 0),
    ("package_sync", 2),
    ("package_sync", 3),
    ("register", 0),
    ("register", 1),
    ("state", 5),
]


@pytest.mark.seconds(36)
def test_killed_at_every_barrier_and_run_again(house: House):
    """One batch per barrier; the one that nobody killed says what all must come to."""
    folder = house.scrape("whole")
    house.ingest(folder, "whole")
    killed = 0
    with killed_ingests(house) as ingest_and_die:
        for number, (place, call) in enumerate(BARRIERS):
            copy = os.path.join(house.area("3a"), f"copy{number}")
            shutil.copytree(folder, copy)
            code = ingest_and_die(copy, f"copy{number}", place, call)
            killed += code != 0
            report = house.ingest(copy, f"copy{number}")
            assert report.state == "packed", (place, call)
    assert killed >= len(BARRIERS) - 4
    # The same content: every copy found all nodes and edges, and packed the same objects.
    for name in os.listdir(house.area("3b")):
        verify_package(os.path.join(house.area("3b"), name))
        _head, entries = read_manifest(os.path.join(house.area("3b"), name))
        packed = {entry.path: entry.key for entry in entries if entry.set_name == "files"}
        assert packed == {p: hashlib.sha256(data).hexdigest() for p, data in SCRAPE.items()}
    assert len(house.rows("SELECT DISTINCT file_count FROM outbox_package")) == 1
    assert house.rows("SELECT count(*) FROM outbox_package") == [(len(BARRIERS) + 1,)]
    states = house.rows("SELECT DISTINCT state FROM ingest_batch")
    assert states == [("packed",)]
    contents = house.contents()
    assert len({row[:3] for row in contents["edge"]}) == len(contents["edge"])
    assert len({row[:2] for row in contents["common"]}) == len(contents["common"])
    found = audit(house.config_path, sample=20)
    assert (found.missing_count, found.damaged_count, found.undescribed_count) == (0, 0, 0)


@pytest.mark.parametrize("change", ["new", "gone", "changed"])
def test_a_folder_that_changes_after_the_signal_stops(house: House, change: str):
    folder = house.scrape("cats")
    ingest_killed(house, folder, "cats", "batch_write", 0)
    path = os.path.join(folder, "ann/two.png" if change != "new" else "ann/three.png")
    if change == "gone":
        os.unlink(path)
    else:
        with open(path, "ab") as file:
            file.write(b"more")
    with pytest.raises(BatchChangedError, match=f"{change}: ann/t"):
        house.ingest(folder, "cats")
    assert house.rows("SELECT state FROM ingest_batch") == [("stopped",)]
    # Nothing of it is described, and nothing in the folder was touched.
    assert house.rows("SELECT count(*) FROM node") == [(0,)]


def test_one_name_is_one_folder(house: House):
    house.ingest(house.scrape("cats"), "cats")
    with pytest.raises(UsageError, match="another batch name"):
        house.ingest(house.scrape("dogs"), "cats")


def test_two_runs_of_one_batch_do_not_meet(house: House):
    folder = house.scrape("cats")
    results: list[object] = []

    def run() -> None:
        try:
            results.append(house.ingest(folder, "cats").state)
        except BatchBusyError as error:
            results.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "packed" in results
    assert all(result == "packed" or "another process" in str(result) for result in results)


def test_confirm_frees_the_outbox_and_then_the_inbox(house: House, tmp_path):
    folder = house.scrape("cats")
    house.ingest(folder, "cats")
    package = os.path.join(house.area("3b"), "cats-0001")
    copy = str(tmp_path / "cold")
    shutil.copytree(package, copy)
    with open(os.path.join(copy, "objects.tar"), "r+b") as file:
        file.seek(2000)
        byte = file.read(1)
        file.seek(2000)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(PackageError, match="damaged"):
        confirm(house.config_path, "cats-0001", copy, house.database)
    with pytest.raises(UsageError, match="outbox's own"):
        confirm(house.config_path, "cats-0001", package, house.database)
    assert os.path.exists(package) and os.path.exists(os.path.join(folder, "alone.png"))
    shutil.rmtree(copy)
    shutil.copytree(package, copy)
    # A file that came later is not of the batch: it stays.
    with open(os.path.join(folder, "later.txt"), "w") as file:
        file.write("not frozen")
    freed = confirm(house.config_path, "cats-0001", copy, house.database)
    assert freed.batch_complete and freed.inbox_files == len(SCRAPE)
    assert not os.path.exists(package)
    assert os.listdir(folder) == ["later.txt"]
    again = confirm(house.config_path, "cats-0001", copy, house.database)
    assert again.batch_complete and again.inbox_files == 0


def test_packages_are_cut_at_their_size(house: House):
    files = {f"{number}.png": PNG + os.urandom(300_000) for number in range(12)}
    with open(house.config_path, encoding="utf-8") as file:
        text = file.read()
    with open(house.config_path, "w", encoding="utf-8") as file:
        file.write(text.replace("[ingest]", f"[ingest]\npackage_size_bytes = {1 << 20}"))
    report = house.ingest(house.scrape("large", files), "large", "plain-folder")
    assert len(report.packages) >= 4
    for name in report.packages:
        size = os.path.getsize(os.path.join(house.area("3b"), name, "objects.tar"))
        assert size <= (1 << 20) + 20_480
    locations = house.rows("SELECT count(DISTINCT record_id) FROM archive_location")
    assert locations[0][0] >= 12


def test_audit_finds_what_each_side_lacks(house: House):
    house.ingest(house.scrape("cats"), "cats")
    house.rows("SELECT 1")
    with house.database.connection() as connection:
        connection.execute(
            "WITH n AS (INSERT INTO node (sha256, is_physical, root_id, component_id) "
            "VALUES (decode(repeat('ab', 32), 'hex'), true, 1, 1) RETURNING node_id) "
            "INSERT INTO physical_content (node_id, file_size_bytes, file_extension_id) "
            "SELECT node_id, 5, 1 FROM n"
        )
        connection.execute("UPDATE physical_content SET file_size_bytes = 7 WHERE record_id = 1")
        connection.execute("DELETE FROM quarantine WHERE path = 'program.exe'")
    found = audit(house.config_path, sample=0)
    assert (found.missing_count, found.wrong_size_count, found.undescribed_count) == (1, 1, 1)
    assert any("program.exe" in line for line in found.examples)


# ---- The inbox -------------------------------------------------------------------------------


def test_signals_of_the_inbox(house: House):
    ready = house.scrape("ready")
    house.scrape("silent")
    wrong = house.scrape("wrong")
    for folder, text in (
        (ready, '{"format": "gallery-dl", "batch": "b1", "user": "ann"}'),
        (wrong, '{"format": "no-such-format", "batch": "b2", "colour": 1}'),
    ):
        with open(os.path.join(folder, "_READY.json"), "w") as file:
            file.write(text)
    found = {os.path.basename(one.folder): one for one in waiting_folders(house.area("3a"))}
    assert found["ready"].signal == Signal(ready, "b1", "gallery-dl", "ann")
    assert found["silent"].signal is None
    assert "colour" in (found["wrong"].problem or "")
    signal = found["ready"].signal
    assert signal is not None
    report = ingest(house.config_path, signal, database=house.database)
    assert report.files == len(SCRAPE), "the signal itself is no data"


def test_a_store_that_is_down_is_said_and_nothing_is_described(house: House):
    folder = house.scrape("cats")
    house.store.stop()
    with pytest.raises(Exception, match=r"(?i)engine|store"):
        house.ingest(folder, "cats")
    assert house.rows("SELECT count(*) FROM node") == [(0,)]
    house.store.start()
    assert house.ingest(folder, "cats").state == "packed"


def test_hostile_names_of_batches_are_refused(house: House):
    folder = house.scrape("cats")
    for name in ("../up", "", ".hidden", "a/b", "x" * 200, "nul\0"):
        with pytest.raises(DrystoneError):
            house.ingest(folder, name)
    assert safe_text("odd\udcff.png") in {
        safe_text(file) for file in os.listdir(os.fsdecode(folder))
    }


def test_members_of_an_archive_are_nodes_and_the_archive_is_no_problem(house: House):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in (("a.png", PNG + b"tar"), ("a.json", b'{"id": 1}'), ("../b.png", PNG)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    report = house.ingest(house.scrape("tars", {"s.tar": buffer.getvalue()}), "tars", "webdataset")
    nodes = {row[0] for row in house.contents()["node"]}
    assert hashlib.sha256(PNG + b"tar").hexdigest() in nodes
    assert all("s.tar:" not in line.replace(", ", ":") for line in report.problems)
    assert [
        row for row in house.database.quarantine.of_batches("tars") if row.path == "s.tar"
    ] == []
    found = audit(house.config_path)
    assert (found.missing_count, found.undescribed_count) == (0, 0)
    head = house.store.client.head(hashlib.sha256(PNG + b"tar").hexdigest())
    assert head.copies == 2
