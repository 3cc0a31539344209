"""What a backup sends to cold storage: once, whole, and never more than is needed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from typing import Any

import pytest
from cold_killed import BACKUP_STEPS
from command import ROOT, run_text
from ingest_harness import SCRAPE, House
from restore_checks import cold_copies, only
from store_checks import key_of
from store_harness import write_files

from adapters import backup_partner
from adapters.cold_storage.outbox import confirm
from adapters.cold_storage.restore import restore
from adapters.packages.database_package import DATABASE_PREFIX, read_database
from adapters.packages.package_read import GENERATED_PREFIX, read_manifest, verify_package
from adapters.work.store_batch import store_batch
from base.errors import UsageError
from fsd import load_config
from sql import make_backup
from sql.copies.report import BackupReport


def back_up(house: House) -> BackupReport:
    return make_backup(
        house.config_path,
        check_sample=backup_partner.sample_check(house.config_path),
        package=backup_partner.packager(house.config_path),
    )


def make(house: House, batch: str, data: bytes = b"made", name: str = "a child.png") -> None:
    """Store what an action might have made."""
    folder = write_files(os.path.join(house.store.root, "made", batch), {name: data})
    store_batch(house.store.client, folder, batch, class_name="generated")


def waiting(house: House) -> dict[str, str]:
    """Return the waiting packages that are of no ingest batch, with their kinds."""
    found = house.database.ingests.packages()
    return {one.package_id: one.kind for one in found if one.batch is None}


def lying(house: House) -> set[str]:
    """Return what lies in the outbox and is of no ingest batch."""
    return {name for name in os.listdir(house.area("3b")) if not name[0].isalnum()}


def configure(house: House, section: str, line: str) -> None:
    with open(house.config_path, encoding="utf-8") as file:
        text = file.read()
    with open(house.config_path, "w", encoding="utf-8") as file:
        file.write(text.replace(f"[{section}]", f"[{section}]\n{line}"))


def allow(house: House, outbox_bytes: int) -> None:
    """Give the outbox another quota."""
    with open(house.config_path, encoding="utf-8") as file:
        text = re.sub("outbox_bytes = .*", f"outbox_bytes = {outbox_bytes}", file.read())
    assert "outbox_bytes" in text
    with open(house.config_path, "w", encoding="utf-8") as file:
        file.write(text)
    house.store.stop()
    house.store.config = load_config(house.config_path)
    house.store.start()


def test_each_backup_sends_what_is_new_and_one_database(house: House):
    house.ingest(house.scrape("cats"), "cats")
    make(house, "action-1-1-a")
    make(house, "thumbnails-a", b"small")
    first = back_up(house)
    assert first.state == "ok" and len(first.packages) == 2, first
    assert waiting(house).keys() == lying(house) == set(first.packages)
    (made,) = (name for name in first.packages if name.startswith(GENERATED_PREFIX))
    place = os.path.join(house.area("3b"), made)
    verify_package(place)
    head, entries = read_manifest(place)
    assert head.is_generated and [(e.batch, e.path) for e in entries] == [
        ("action-1-1-a", "a child.png")
    ]
    # Nothing is staged any more, and the second one has what came since; the database is one.
    assert not [name for name in os.listdir(house.area("3c")) if name == "cold-storage"] or (
        os.listdir(os.path.join(house.area("3c"), "cold-storage")) == []
    )
    make(house, "dataset-x-b", b"manifest")
    second = back_up(house)
    assert second.state == "ok" and len(second.packages) == 2
    assert waiting(house).keys() == lying(house)
    databases = [name for name, kind in waiting(house).items() if kind == "database"]
    assert databases == [name for name in second.packages if name.startswith(DATABASE_PREFIX)]
    assert len(back_up(house).packages) == 1
    told = run_text("outbox", "list", config_path=house.config_path)
    assert made in told.stdout and DATABASE_PREFIX in told.stdout and "cats-0001" in told.stdout


def test_a_confirmed_copy_frees_the_outbox(house: House, tmp_path):
    make(house, "action-1-1-a")
    report = back_up(house)
    cold = cold_copies(house, tmp_path)
    for name in report.packages:
        own = os.path.join(house.area("3b"), name)
        with pytest.raises(UsageError, match="the outbox's own"):
            confirm(house.config_path, name, own, house.database)
        words = ("outbox", "confirm", name, "--copy", os.path.join(cold, name))
        told = run_text(*words, config_path=house.config_path)
        assert told.returncode == 0 and told.stderr.count("\n") == 1, told
    assert lying(house) == set() == waiting(house).keys()
    (database,) = (name for name in report.packages if name.startswith(DATABASE_PREFIX))
    with open(os.path.join(cold, database, "logical", "database.dump"), "r+b") as file:
        file.truncate(os.path.getsize(file.name) - 1)
    again = back_up(house)
    (newer,) = again.packages
    words = ("outbox", "confirm", newer, "--copy", os.path.join(cold, database))
    told = run_text(*words, config_path=house.config_path)
    assert told.returncode == 1 and "not as it was written" in told.stderr
    assert waiting(house) == {newer: "database"}


def test_what_was_lost_before_its_copy_is_packed_again(house: House):
    make(house, "action-1-1-a")
    first = back_up(house)
    for name in first.packages:
        shutil.rmtree(os.path.join(house.area("3b"), name))
    second = back_up(house)
    assert len(second.packages) == 2 and waiting(house).keys() == lying(house)
    assert not set(first.packages) & set(second.packages)


def test_weekly_and_never(house: House):
    configure(house, "ingest", "database_package_days = 7")
    assert len(back_up(house).packages) == 1
    make(house, "action-1-1-a")
    report = back_up(house)
    assert [name[: len(GENERATED_PREFIX)] for name in report.packages] == [GENERATED_PREFIX]
    with house.database.connection() as connection:
        connection.execute("UPDATE outbox_package SET create_time = now() - interval '167 h'")
    assert len(back_up(house).packages) == 1
    configure(house, "ingest", "packages = false")
    make(house, "action-1-1-b", b"more")
    assert back_up(house).packages == ()


def test_a_full_outbox_is_told_and_the_database_goes_all_the_same(house: House):
    make(house, "action-1-1-a", os.urandom(3_000_000))
    allow(house, 2_000_000)
    report = back_up(house)
    assert report.state == "incomplete", report
    assert any("the outbox" in line for line in report.warnings)
    assert [name[: len(DATABASE_PREFIX)] for name in report.packages] == [DATABASE_PREFIX]
    allow(house, 0)
    assert back_up(house).state == "ok" and GENERATED_PREFIX in " ".join(waiting(house))


@pytest.mark.fault
@pytest.mark.parametrize("step", BACKUP_STEPS)
def test_a_backup_that_was_killed_leaves_nothing_half(house: House, step: str):
    make(house, "action-1-1-a")
    first: Any = back_up(house) if step == "older dropped" else None
    make(house, "action-1-1-b", b"more")
    path = os.path.join(ROOT, "tests", "kit", "jobs", "cold_killed.py")
    killed = subprocess.run(
        [sys.executable, path, house.config_path, step],
        env={**os.environ, "PYTHONPATH": ROOT},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert back_up(house).state == "ok"
    assert waiting(house).keys() == lying(house)
    kinds = sorted(waiting(house).values())
    assert kinds.count("database") == 1 and kinds.count("generated") == (2 if first else 1)
    batches = []
    for name, kind in waiting(house).items():
        place = os.path.join(house.area("3b"), name)
        if kind == "database":
            facts, state = read_database(place)
            assert state is not None and set(state.batches) >= {"action-1-1-a", "action-1-1-b"}
            assert json.dumps(facts.counts)
        else:
            verify_package(place)
            batches += [entry.batch for entry in read_manifest(place)[1]]
    assert sorted(batches) == ["action-1-1-a", "action-1-1-b"]


def test_batches_that_the_database_did_not_know_to_their_end(house: House, houses, tmp_path):
    """One was on its way when the database was packed, and one came later."""
    house.ingest(house.scrape("cats"), "cats")
    house.database.ingests.set_state("cats", "described")
    back_up(house)
    files = {"later.png": SCRAPE["alone.png"] + b"later"}
    house.ingest(house.scrape("dogs", files), "dogs", "plain-folder")
    cold, other = cold_copies(house, tmp_path), houses()
    told = run_text("restore", cold, config_path=other.config_path)
    assert told.returncode == 0, told
    states = {batch.name: batch.state for batch in other.database.ingests.batches()}
    assert states == {"cats": "confirmed", "dogs": "confirmed"}
    ours, theirs = house.contents(), other.contents()
    assert {name: sorted(rows) for name, rows in theirs.items()} == {
        name: sorted(rows) for name, rows in ours.items()
    }


def test_a_restore_leaves_out_what_was_purged_by_itself_and_nothing_else(
    house: House, houses, tmp_path
):
    """Not what a batch shares that is being purged, nor what came in again later."""
    shared, again, gone = (SCRAPE[name] for name in ("ann/two.png", "alone.png", "ann/one.png"))
    house.ingest(house.scrape("cats"), "cats")
    house.ingest(house.scrape("dogs", {"two.png": shared}), "dogs", "plain-folder")
    before = keys_of(house, "cats")
    cold = cold_copies(house, tmp_path)
    chosen = tmp_path / "chosen"
    chosen.write_text("".join(f"{key_of(data)}\n" for data in (again, gone)))
    done = run_text("purge", "--keys", str(chosen), "--yes", config_path=house.config_path)
    assert done.returncode == 0, done
    # Into the store that purged them, and without its database.
    only(restore(house.config_path, [os.path.join(cold, "cats-0001")], None))
    assert keys_of(house, "cats") == before - {key_of(again), key_of(gone)}
    house.database.ingests.begin_purge("dogs")
    back_up(house)
    house.ingest(house.scrape("more", {"a.png": again}), "more", "plain-folder")
    cold_copies(house, tmp_path)
    other = houses()
    for _ in range(2):
        told = run_text("restore", cold, config_path=other.config_path)
        assert told.returncode == 0, told
        assert keys_of(other, "cats") == before - {key_of(gone)}
        assert keys_of(other, "more") == {key_of(again)}
    hidden = {key for key, reason in reasons(other).items() if reason}
    # The purge that was cut off goes on.
    assert hidden == {key_of(gone), key_of(shared)}
    done = run_text("purge", "--batch", "dogs", "--yes", config_path=other.config_path)
    assert done.returncode == 0, done
    assert {key for key, reason in reasons(other).items() if reason} == {key_of(gone)}


def keys_of(house: House, batch: str) -> set[str]:
    return {file.key for file in house.store.client.batch_files(batch)}


def reasons(house: House) -> dict[str, str | None]:
    query = "SELECT encode(sha256, 'hex'), delete_reason FROM physical_content"
    return dict(house.rows(f"{query} JOIN node USING (node_id)"))


def test_a_backup_while_the_engine_is_down_makes_no_package_and_says_so(house: House):
    house.store.stop()
    report = make_backup(house.config_path, package=backup_partner.packager(house.config_path))
    assert report.state == "ok" and report.packages == ()
    assert any("the engine is down" in line for line in report.warnings)
