"""What UA_1 must never do: remove what is not safe elsewhere, open what is complete, lose a row."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from ingest_harness import PNG, SCRAPE, House, ingest_killed

from adapters.audit.audit import audit
from adapters.cold_storage.outbox import confirm, remake
from adapters.ingest.admission import abandon
from adapters.ingest.ingest import ingest
from adapters.records.errors import BatchChangedError
from adapters.work.batch_work import BatchWork, Signal
from base.errors import DrystoneError, UsageError
from base.text import safe_text

LARGE = {f"{number:02d}.png": PNG + bytes([number]) * 300_000 for number in range(12)}


def set_package_size(house: House, size_bytes: int) -> None:
    with open(house.config_path, encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("package_size_bytes")]
    text = "".join(lines).replace("[ingest]\n", f"[ingest]\npackage_size_bytes = {size_bytes}\n")
    with open(house.config_path, "w", encoding="utf-8") as file:
        file.write(text)


def copy_package(house: House, name: str, target: str) -> str:
    shutil.copytree(os.path.join(house.area("3b"), name), target)
    return target


def test_the_inbox_is_not_freed_before_the_batch_is_packed(house: House, tmp_path):
    set_package_size(house, 1 << 20)
    folder = house.scrape("large", LARGE)
    ingest_killed(house, folder, "large", "register", 1)
    copy = copy_package(house, "large-0001", str(tmp_path / "one"))
    # Its place in the outbox may be what the next package waits for.
    assert not confirm(house.config_path, "large-0001", copy, house.database).batch_complete
    assert not os.path.exists(os.path.join(house.area("3b"), "large-0001"))
    assert sorted(os.listdir(folder)) == sorted(LARGE)
    report = house.ingest(folder, "large")
    assert len(report.packages) >= 4
    assert not os.path.exists(os.path.join(house.area("3b"), "large-0001"))
    for number, name in enumerate(report.packages[1:], 1):
        copy = copy_package(house, name, str(tmp_path / f"copy{number}"))
        freed = confirm(house.config_path, name, copy, house.database)
        assert freed.batch_complete == (number == len(report.packages) - 1)
    assert not os.path.exists(folder)


@pytest.mark.parametrize("call", [0, 1])
def test_another_package_size_in_the_repetition_leaves_nothing_out(house: House, call: int):
    set_package_size(house, 1 << 20)
    folder = house.scrape("large", LARGE)
    ingest_killed(house, folder, "large", "register", call)
    set_package_size(house, 3 << 20)
    house.ingest(folder, "large")
    archived = house.rows("SELECT count(DISTINCT record_id) FROM archive_location")
    assert archived >= [(len(LARGE),)]


def test_a_new_scrape_under_a_complete_name_is_refused_and_kept(house: House, tmp_path):
    folder = house.scrape("cats")
    house.ingest(folder, "cats")
    copy = copy_package(house, "cats-0001", str(tmp_path / "cold"))
    confirm(house.config_path, "cats-0001", copy, house.database)
    new = house.scrape("cats", {"new.png": PNG + b"new", "new2.png": PNG + b"new2"})
    with pytest.raises(UsageError, match="is complete"):
        house.ingest(new, "cats")
    confirm(house.config_path, "cats-0001", copy, house.database)
    assert sorted(os.listdir(new)) == ["new.png", "new2.png"]
    assert house.rows("SELECT state FROM ingest_batch") == [("confirmed",)]


def test_a_folder_that_became_a_link_is_not_emptied(house: House, tmp_path):
    folder = house.scrape("cats")
    house.ingest(folder, "cats")
    copy = copy_package(house, "cats-0001", str(tmp_path / "cold"))
    mine = str(tmp_path / "mine")
    shutil.move(os.path.join(folder, "ann"), mine)
    os.symlink(mine, os.path.join(folder, "ann"))
    inside = sorted(os.listdir(mine))
    confirm(house.config_path, "cats-0001", copy, house.database)
    assert sorted(os.listdir(mine)) == inside


@pytest.mark.parametrize("left", ["package", "work"])
def test_a_removal_that_was_cut_off_is_finished_by_the_repetition(house: House, tmp_path, left):
    folder = house.scrape("cats")
    house.ingest(folder, "cats")
    copy = copy_package(house, "cats-0001", str(tmp_path / "cold"))
    work = BatchWork(house.area("3a"), "cats")
    house.database.ingests.confirm_package("cats-0001", copy)
    whole = os.path.join(house.area("3b"), "cats-0001") if left == "package" else work.folder
    parent, name = os.path.split(whole)
    os.rename(whole, os.path.join(parent, ".removed-" + name))
    confirm(house.config_path, "cats-0001", copy, house.database)
    assert not [name for name in os.listdir(house.area("3b")) if "cats" in name]
    assert not os.path.exists(work.folder)
    assert house.rows("SELECT state FROM ingest_batch") == [("confirmed",)]


def test_a_complete_batch_stays_complete(house: House, tmp_path):
    """An extra file, a confirmed folder of the user's own: nothing falls back."""
    folder = house.scrape("cats")
    house.ingest(folder, "cats")
    with open(os.path.join(folder, "extra.png"), "wb") as file:
        file.write(PNG + b"extra")
    with pytest.raises(UsageError, match="is complete"):
        house.ingest(folder, "cats")
    assert house.rows("SELECT state FROM ingest_batch") == [("packed",)]
    own = str(tmp_path / "own")
    shutil.copytree(folder, own)
    house.ingest(own, "own")
    copy = copy_package(house, "own-0001", str(tmp_path / "cold"))
    confirm(house.config_path, "own-0001", copy, house.database)
    assert len(os.listdir(own)) > 0, "a folder outside the inbox is the user's"
    again = house.ingest(own, "own")
    assert again.state == "confirmed"
    assert not os.path.exists(BatchWork(house.area("3a"), "own").folder)


def test_killed_before_the_database_knew_and_then_changed(house: House):
    folder = house.scrape("cats")
    ingest_killed(house, folder, "cats", "open_batch", 0)
    os.unlink(os.path.join(folder, "alone.png"))
    with pytest.raises(BatchChangedError, match="gone"):
        house.ingest(folder, "cats")
    assert house.rows("SELECT state FROM ingest_batch") == [("stopped",)]


def test_a_stopped_batch_is_given_up_and_its_folder_comes_in_anew(house: House):
    folder = house.scrape("cats")
    ingest_killed(house, folder, "cats", "batch_write", 0)
    os.unlink(os.path.join(folder, "alone.png"))
    with pytest.raises(BatchChangedError):
        house.ingest(folder, "cats")
    abandon(house.database, "cats", house.area("3a"))
    with pytest.raises(UsageError, match="abandoned"):
        house.ingest(folder, "cats")
    assert house.ingest(folder, "cats-2").state == "packed"
    with pytest.raises(UsageError, match="nothing to give up"):
        abandon(house.database, "cats-2", house.area("3a"))


def test_names_and_folders_are_kept_apart(house: House):
    folder = house.scrape("cats")
    for name in ("cats.derived", "cats.fixed-1", "cats.derived-17", "cats.lock"):
        with pytest.raises(UsageError, match="cannot be the name"):
            house.ingest(folder, name)
    with pytest.raises(UsageError, match="holds the inbox"):
        house.ingest(house.area("3a"), "inbox")
    with pytest.raises(UsageError, match="holds the inbox"):
        house.ingest(house.store.root, "root")
    ingest_killed(house, folder, "one", "batch_write", 0)
    with pytest.raises(UsageError, match="being ingested as batch one"):
        house.ingest(folder, "two")


def test_a_lost_package_is_written_again_the_same(house: House, tmp_path):
    folder = house.scrape("cats")
    house.ingest(folder, "cats")
    package = os.path.join(house.area("3b"), "cats-0001")
    kept = copy_package(house, "cats-0001", str(tmp_path / "kept"))
    shutil.rmtree(package)
    assert remake(house.config_path, "cats", house.database) == ["cats-0001"]
    for name in os.listdir(kept):
        with (
            open(os.path.join(kept, name), "rb") as one,
            open(os.path.join(package, name), "rb") as other,
        ):
            assert one.read() == other.read(), name
    assert confirm(house.config_path, "cats-0001", kept, house.database).batch_complete
    with pytest.raises(UsageError, match="no package"):
        remake(house.config_path, "cats", house.database)


def test_another_package_is_not_taken_for_the_copy(house: House, tmp_path):
    """The same content under other paths: only the whole package is what was registered."""
    house.ingest(house.scrape("one", {"a.png": PNG}), "one", "plain-folder")
    house.ingest(house.scrape("two", {"b.png": PNG}), "two", "plain-folder")
    shutil.move(os.path.join(house.area("3b"), "one-0001"), tmp_path / "moved")
    copy = copy_package(house, "two-0001", str(tmp_path / "two"))
    with pytest.raises(UsageError, match="but not one-0001"):
        confirm(house.config_path, "one-0001", copy, house.database)
    assert confirm(
        house.config_path, "one-0001", str(tmp_path / "moved"), house.database
    ).batch_complete


def test_the_first_user_stays_and_names_that_cannot_be_stored_are_refused(house: House):
    folder = house.scrape("cats")
    ingest_killed(house, folder, "cats", "batch_write", 0)
    again = Signal(folder, "cats", "gallery-dl", "somebody else")
    ingest(house.config_path, again, database=house.database)
    assert house.rows('SELECT DISTINCT "user" FROM common_metadata') == [("tester",)]
    for user in ("a\0b", "\udcff", "", "x" * 201):
        with pytest.raises(UsageError, match="cannot be a user"):
            ingest(
                house.config_path,
                Signal(folder, "other", "gallery-dl", user),
                database=house.database,
            )


def test_a_folder_whose_name_is_not_utf8(house: House):
    folder = house.scrape("caf\udce9")
    assert house.ingest(folder, "cafe").state == "packed"
    assert house.rows("SELECT folder FROM ingest_batch") == [(safe_text(folder),)]
    assert house.ingest(folder, "cafe").state == "packed"
    found = audit(house.config_path, sample=5)
    assert (found.missing_count, found.undescribed_count) == (0, 0)


def test_no_node_is_declared_twice(house: House):
    """The intents name every file once, however many files no record mentions."""
    files = {f"{number}.png": PNG + bytes([number]) for number in range(200)}
    house.ingest(house.scrape("many", files), "many", "plain-folder")
    work = BatchWork(house.area("3a"), "many")
    keys: list[str] = []
    for name in sorted(os.listdir(work.intents)):
        with open(os.path.join(work.intents, name), encoding="utf-8") as file:
            keys += [node["key"] for node in json.load(file)["physical_nodes"]]
    assert len(keys) == len(set(keys)) == len(files)


def test_what_the_filesystem_refuses_is_one_line_and_the_next_run_goes_on(house: House):
    folder = house.scrape("cats")
    outbox = house.area("3b")
    os.rename(outbox, outbox + ".away")
    with open(outbox, "w") as file:
        file.write("in the way")
    with pytest.raises(DrystoneError, match="put that right and run it again"):
        house.ingest(folder, "cats")
    os.unlink(outbox)
    os.rename(outbox + ".away", outbox)
    assert house.ingest(folder, "cats").state == "packed"
    assert len(SCRAPE) == house.rows("SELECT file_count FROM ingest_batch")[0][0]


def test_two_names_that_only_look_alike_are_two_rows(house: House):
    """A byte that is not UTF-8, and a name with the characters of its escape."""
    files = {"a\udcff.exe": b"one", "a\\udcff.exe": b"two", "ok.png": PNG}
    house.ingest(house.scrape("odd", files), "odd", "plain-folder")
    rows = list(house.database.quarantine.of_batches("odd"))
    assert len(rows) == len({row.path for row in rows}) == 2
    assert audit(house.config_path, sample=0).undescribed_count == 0
