"""Backups of the embedded server: made, killed, damaged, forgotten, and what their check finds."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import sys
import threading
import time

import psycopg
import pytest
from backup_fixture import (
    NODES,
    BackupStore,
    cut_in_half,
    intent,
    leftovers,
    rows_of,
    served,
    small_filesystem,
)
from command import drystone
from server_fixture import run_python

from base.errors import UsageError
from jobs.runs.workflows.backup_run import BackupParameters
from sql import load_config
from sql.backup.backup import list_backups
from sql.backup.restore_database import restore_to_folder
from sql.backup.snapshot import differences
from sql.copies.folders import Target, find_targets, in_order, warnings_about
from sql.copies.listing import Backup, to_forget
from sql.copies.report import BackupCheck, BackupFacts, BackupReport
from sql.server import server

BACK_UP = """
import sys
from sql.backup.backup import make_backup
make_backup(sys.argv[1], say=lambda text: print(text, flush=True))
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small filesystem")


@pytest.fixture
def store(short_tmp):
    made = BackupStore(os.path.join(short_tmp, "store"))
    yield made
    made.end()


@pytest.fixture
def filled(store):
    store.fill()
    return store


def test_three_backups_hold_their_moments(filled, short_tmp):
    reports, moments = [], []
    for number in range(3):
        filled.add(f"added-{number}")
        moments.append(filled.rows())
        reports.append(filled.back_up())
    assert [report.state for report in reports] == ["ok"] * 3, reports
    assert [report.kind for report in reports] == ["logical"] * 3
    assert filled.listed() == [report.name for report in reports]
    assert leftovers(filled) == []
    for number in (0, 2):
        target = os.path.join(short_tmp, f"restored-{number}")
        restore_to_folder(filled.config_path, reports[number].name, target)
        with served(target) as dsn:
            assert rows_of(dsn) == moments[number]
    tables = moments[0].keys()
    assert {"meta_birdsite", "node", "edge"} <= tables and moments[0] != moments[2]
    with filled.open() as database:
        health = database.health().backup
    assert (health.name, health.state, health.copies) == (reports[2].name, "ok", 2)
    assert health.age_s >= 0 and health.good_age_s == health.age_s


def test_health_knows_of_none(store):
    with store.open() as database:
        assert database.health().backup is None


def test_copies_are_closed_to_others_and_their_sums_are_plain(store):
    report = store.back_up("logical")
    assert [os.path.dirname(copy) for copy in report.copies] == store.folders
    assert report.kind == "logical" and report.check.restored == ("logical export",)
    for copy in report.copies:
        for path, _, names in os.walk(copy):
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
            for name in names:
                assert stat.S_IMODE(os.stat(os.path.join(path, name)).st_mode) == 0o600
        # Whoever has no Drystone can check and read it: sha256sum and pg_restore do.
        assert os.system(f"cd {copy} && sha256sum --quiet --strict -c SHA256SUMS") == 0
    shown = json.loads(open_text(os.path.join(report.copies[1], "report.json")))
    assert shown["state"] == "ok" and shown["check"]["problems"] == []


def open_text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_intents_during_a_backup_are_not_disturbed(filled):
    stop, applied, failures = threading.Event(), [], []

    def write():
        try:
            with filled.open() as database:
                while not stop.is_set():
                    result = database.apply_intent(intent(f"meanwhile-{len(applied)}"))
                    applied.append(result.nodes_new)
        except Exception as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        report = filled.back_up()
    finally:
        stop.set()
        writer.join()
    assert failures == [] and set(applied) == {1}
    assert report.state == "ok", report.problems
    assert len(filled.rows()["node"]) > NODES  # Or nothing was written meanwhile.
    assert report.facts.counts["node"] <= len(filled.rows()["node"])


def test_killed_in_the_middle(filled):
    marks = ("writing", "checking")
    for mark in marks:
        victim = run_python(BACK_UP, filled.config_path)
        seen = next(line for line in victim.stdout if line.startswith(mark))
        time.sleep(0.1)
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
        # While it writes nothing is listed; while it checks it is there, and says so.
        listed = list_backups(load_config(filled.config_path))
        assert len(listed) == marks.index(mark), seen
        assert all(backup.report is None and not backup.good for backup in listed)
        assert leftovers(filled)
    report = filled.back_up()
    assert report.state == "ok", report.problems
    assert leftovers(filled) == []
    assert report.name in filled.listed()


def test_a_missing_disk_is_told(store):
    store.copies_go_to(store.folders[0], os.path.join(store.root, "absent", "backup"))
    done = drystone("db", "backup", "--json", "--config", store.config_path, expect=3)
    report = json.loads(done.stdout)
    assert report["state"] == "incomplete" and len(report["copies"]) == 1
    assert b"absent/backup is skipped" in done.stderr and b"1 of 2 copies" in done.stderr
    with store.open() as database:
        assert database.health().backup.state == "incomplete"


def test_an_empty_mount_point_takes_no_backup(store):
    os.makedirs(os.path.join(store.root, "one"))
    store.configure("")
    report = store.back_up("logical")
    assert report.state == "failed" and "is it mounted?" in report.problems[0]
    assert os.listdir(os.path.join(store.root, "one")) == []


def test_a_retired_disk_takes_no_backup(store):
    disk = os.path.join(store.root, "one")
    os.makedirs(disk)
    store.configure("")
    for retired, folders in ((False, [os.path.join(disk, "database-backup")]), (True, [])):
        with open(os.path.join(disk, "drystone-disk.json"), "w", encoding="utf-8") as file:
            json.dump({"disk_id": "1", "retired": retired}, file)
        targets, warnings = find_targets(load_config(store.config_path))
        assert [target.folder for target in targets] == folders
    assert "retired" in warnings[0]


@needs_root
@pytest.mark.parametrize("roomy_size", ["", "200m"])
def test_a_full_disk(filled, roomy_size):
    """A tight filesystem is the first choice (other than the SSD's), or the second one."""
    tight, roomy = os.path.join(filled.root, "tight"), os.path.join(filled.root, "roomy")
    with contextlib.ExitStack() as mounted:
        mounted.enter_context(small_filesystem(tight, "64k"))
        if roomy_size:
            mounted.enter_context(small_filesystem(roomy, roomy_size))
        else:
            os.mkdir(roomy)
        folders = [os.path.join(tight, "backup"), os.path.join(roomy, "backup")]
        filled.copies_go_to(*folders)
        report = filled.back_up()
        assert report.state == "incomplete", report.problems
        assert [os.path.dirname(copy) for copy in report.copies] == [folders[1]]
        said = "no copy in" if roomy_size else "is full"
        assert any(tight in line and said in line for line in report.warnings)
        assert os.listdir(folders[0]) == []
        filled.copies_go_to(folders[0])
        report = filled.back_up()
        assert report.state == "failed" and "no backup was made" in report.problems[0]
        assert os.listdir(os.path.join(tight, "backup")) == []
        with filled.open() as database:
            assert database.health().backup.state == "failed"


# ---- What the check finds --------------------------------------------------------------------


def alerted(store: BackupStore) -> list[str]:
    """Make the alert command append its stdin to a file, and return the settings for that."""
    code = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"
    command = [sys.executable, "-c", code, os.path.join(store.root, "alerts")]
    store.copies_go_to(*store.folders, more=f"alert_command = {json.dumps(command)}")
    return command


def test_rows_that_break_a_foreign_key(filled):
    alerted(filled)
    with filled.open(), psycopg.connect(server.dsn(filled.place)) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "DELETE FROM node WHERE node_id = (SELECT node_id FROM virtual_asset LIMIT 1)"
        )
    done = drystone("db", "backup", "--config", filled.config_path, expect=1)
    assert b"problem: logical export: pg_restore failed" in done.stderr
    (line,) = open_text(os.path.join(filled.root, "alerts")).splitlines()
    assert json.loads(line)["state"] == "failed"
    assert b"failed: " in drystone("db", "backups", "--config", filled.config_path).stdout


def test_an_export_that_was_damaged_before_it_was_checked(filled):
    alerted(filled)

    def damage(said: str) -> None:
        if said.startswith("checking the logical export"):
            for folder in filled.folders:
                cut_in_half(folder, "database.dump")

    report = filled.back_up(say=damage)
    assert report.state == "failed"
    assert any(line.startswith("logical export: ") for line in report.problems)
    assert os.path.exists(os.path.join(filled.root, "alerts"))
    assert (filled.back_up().state, filled.listed()[0]) == ("ok", report.name)


def test_a_broken_alert_command_is_told(store):
    store.copies_go_to(store.folders[0], more='alert_command = ["/nowhere/alert"]')
    assert any("cannot be run" in line for line in store.back_up("logical").warnings)
    store.copies_go_to(store.folders[0], more='alert_command = ["false"]')
    assert any("'false' ended with 1: " in line for line in store.back_up("logical").warnings)


def test_a_database_that_is_gone(store):
    command = json.dumps(alerted(store))
    gone = f'dsn = "host={store.root} dbname=x user=x"\nalert_command = {command}'
    store.copies_go_to(*store.folders, more=gone)
    assert (
        b"does not answer"
        in drystone("db", "backup", "--config", store.config_path, expect=1).stderr
    )
    assert "does not answer" in open_text(os.path.join(store.root, "alerts"))


def test_the_store_is_asked_about_a_sample(filled):
    asked = []

    def lacks(keys: list[str]) -> list[str]:
        asked.extend(keys)
        return [f"{keys[0]} is not there"]

    report = filled.back_up("logical", check_sample=lacks)
    assert report.state == "failed" and report.problems == (
        f"not in the store: {asked[0]} is not there",
    )
    with filled.open() as database:
        assert set(asked) <= {key for key, _ in database.physical_contents()}
    assert report.check.sample_compared == len(set(asked)) > 50
    report = filled.back_up("logical")
    assert report.check.sample_compared is None
    assert any("not compared with the store" in line for line in report.warnings)


def test_counts_are_compared():
    assert differences("x", {"a": 5, "b": 7}, {"a": 5, "b": 6}, {"a": 5, "b": 9}) == []
    assert differences("x", {"b": 5}, {"a": 5, "b": 6}, {"a": 5, "b": 9}) == [
        "x: table a is missing",
        "x: table b has 5 rows in place of 6 to 9",
    ]
    # A table that came while the backup ran may be there or not.
    assert differences("x", {}, {}, {"new": 3}) == []
    assert differences("x", {"new": 4}, {}, {"new": 3}) == [
        "x: table new has 4 rows in place of 0 to 3"
    ]


# ---- Methods, folders, retention -------------------------------------------------------------


def test_methods_that_cannot_be(store):
    with pytest.raises(UsageError, match="for a system service"):
        store.back_up("pgbackrest")
    refused = drystone("db", "backup", "--method", "tape", "--config", store.config_path, expect=2)
    assert b"there is no method tape" in refused.stderr and b"Traceback" not in refused.stderr


def test_a_young_good_backup_is_enough(store):
    store.back_up()
    young = drystone("db", "backup", "--unless-within-h", "5", "--config", store.config_path)
    assert b"is good and younger than 5 hours" in young.stderr
    assert len(store.listed()) == 1
    drystone("db", "backup", "--unless-within-h", "0", "--config", store.config_path)
    assert len(store.listed()) == 2


def test_folders_are_ordered():
    ssd = Target("ssd", 1, 900, True)
    a, a2, b = Target("a", 2, 50, False), Target("a2", 2, 40, False), Target("b", 3, 10, False)
    assert in_order([ssd, a2, b, a]) == [a, b, ssd, a2]
    assert in_order([b, a]) == [a, b]
    assert warnings_about([a, b]) == []
    assert "one device" in warnings_about([a, a2])[0]
    assert "SSD" in warnings_about([ssd])[0]


def backup(name: str, *, good: bool = True) -> Backup:
    """A backup as a listing has it."""
    facts = BackupFacts.model_construct(name=name)
    check = BackupCheck.model_construct(problems=() if good else ("wrong",))
    return Backup(facts, (), BackupReport.model_construct(check=check))


@pytest.mark.parametrize(
    ("backups", "kept", "forgotten"),
    [
        ([backup("a"), backup("b"), backup("c")], 1, "ba"),
        ([backup("a"), backup("b"), backup("c")], 2, "a"),
        ([backup("a"), backup("b"), backup("c")], 3, ""),
        # Only a was good: it stays however many bad ones came later.
        ([backup("a"), backup("b", good=False), backup("c", good=False)], 1, "b"),
        ([], 1, ""),
    ],
)
def test_what_is_forgotten(backups, kept, forgotten):
    assert "".join(one.name for one in to_forget(backups, kept)) == forgotten


def test_retention(store):
    store.copies_go_to(*store.folders, more="backups_kept = 2")
    reports = [store.back_up() for _ in range(3)]
    assert [report.removed for report in reports] == [(), (), (reports[0].name,)]
    assert store.listed() == [reports[1].name, reports[2].name]
    assert all(len(os.listdir(folder)) == 2 for folder in store.folders)


def test_the_method_of_a_former_version(store):
    """Scripts and schedules that ask for a base backup go on, and get what is restored today."""
    done = drystone("db", "backup", "--method", "base", "--config", store.config_path)
    assert b"not made any more" in done.stderr and b"logical  ok" in done.stdout
    assert BackupParameters(method="base").method == "auto"
