"""Backups put back: damaged copies, lost data, databases in use, and other servers."""

from __future__ import annotations

import json
import os
import shutil

import psycopg
import pytest
from backup_fixture import BackupStore, flip_bit, rows_of, served
from command import drystone
from psycopg import conninfo

from base.errors import UsageError
from sql import Database, load_config
from sql.backup.restore_database import restore_in_place, restore_to_database, restore_to_folder
from sql.cli.database_companion import companion
from sql.copies import unrestored
from sql.copies.files import seal
from sql.core.errors import BackupDamagedError, NotFoundError
from sql.server import server


@pytest.fixture
def store(short_tmp):
    made = BackupStore(os.path.join(short_tmp, "store"))
    yield made
    made.end()


@pytest.fixture
def filled(store):
    store.fill()
    return store


def test_a_damaged_copy_gives_way_to_the_other(filled, short_tmp):
    before, report = filled.rows(), filled.back_up()
    damaged = flip_bit(report.copies[0], "")
    said: list[str] = []
    target = os.path.join(short_tmp, "restored")
    done = restore_to_folder(filled.config_path, "latest", target, said.append)
    assert any(damaged in line for line in said) and done.source == "logical"
    with served(target) as dsn:
        assert rows_of(dsn) == before
    with pytest.raises(UsageError, match="not empty"):
        restore_to_folder(filled.config_path, "latest", target)


def test_two_damaged_copies_replace_nothing(filled):
    before, report = filled.rows(), filled.back_up()
    paths = [flip_bit(copy, "") for copy in report.copies]
    data = os.stat(filled.data).st_ino
    with pytest.raises(BackupDamagedError) as caught:
        restore_in_place(filled.config_path, report.name, cut_off=True)
    assert all(path in str(caught.value) for path in paths)
    dry = ("db", "restore", report.name, "--replace", "--dry-run", "--config", filled.config_path)
    assert b"Traceback" not in drystone(*dry, expect=1).stderr
    assert os.stat(filled.data).st_ino == data and filled.rows() == before
    assert sorted(os.listdir(os.path.dirname(filled.data))) == ["database", "database.ballast"]


@pytest.mark.seconds(10)
def test_a_base_backup_of_a_former_version(filled, short_tmp):
    """Of those that held a base backup the logical export is restored, whatever they build upon."""
    before, report = filled.rows(), filled.back_up()
    name = report.name.replace("-logical", "-base")
    for copy in report.copies:
        old = os.path.join(os.path.dirname(copy), name)
        os.rename(copy, old)
        os.mkdir(os.path.join(old, "base"))
        with open(os.path.join(old, "base", "PG_VERSION"), "w", encoding="ascii") as file:
            file.write("18\n")
        for document in ("backup.json", "report.json"):
            rewrite(os.path.join(old, document), name)
        os.unlink(os.path.join(old, "SHA256SUMS"))
        seal(old)
    filled.add("later")
    listed = json.loads(drystone("db", "backups", "--json", "--config", filled.config_path).stdout)
    assert [(one["name"], one["kind"], one["check"]) for one in listed] == [
        (name, "incremental", "ok")
    ]
    target = os.path.join(short_tmp, "restored")
    done = restore_to_folder(filled.config_path, "latest", target)
    assert (done.name, done.source) == (name, "logical")
    with served(target) as dsn:
        assert rows_of(dsn) == before
    assert filled.back_up().state == "ok" and filled.listed()[0] == name


def rewrite(path: str, name: str) -> None:
    """Make a document of a backup what the last version wrote of an incremental one."""
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    facts = document.get("facts", document)
    for one in (document, facts):
        one |= {"name": name, "kind": "incremental"}
    facts["chain"] = ["20260101T000000Z-base", name]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file)


@pytest.mark.seconds(10)
def test_in_place(filled):
    before = filled.rows()
    first = filled.back_up()
    filled.add("given-up")
    changed = filled.rows()
    replace = ("db", "restore", first.name, "--replace", "--config", filled.config_path)
    with psycopg.connect(server.dsn(filled.place), application_name="somebody"):
        refused = drystone(*replace, expect=2)
        assert b"somebody" in refused.stderr and b"--yes" in refused.stderr
        assert filled.rows() == changed
        done = json.loads(drystone(*replace, "--yes", "--json").stdout)
    assert filled.rows() == before
    with served(done["aside"]) as dsn:
        assert rows_of(dsn) == changed
    filled.add("another-future")
    assert filled.back_up().state == "ok"
    with filled.open() as database:
        assert database.health().backup.kind == "logical"


def test_when_all_data_are_gone(filled):
    before, report = filled.rows(), filled.back_up()
    server.stop(filled.place)
    shutil.rmtree(filled.data)
    assert b"ok" in drystone("db", "backups", "--config", filled.config_path).stdout
    assert not os.path.exists(filled.data)
    done = restore_in_place(filled.config_path, "latest")
    assert done.name == report.name and done.aside == ""
    assert filled.rows() == before


def test_a_lost_ssd_is_told_and_its_backups_outlive_those_of_the_new_one(filled):
    """`up` makes an empty database then: nobody may learn of it only when the backups are gone."""
    filled.copies_go_to(*filled.folders, more="backups_kept = 1")
    before, report = filled.rows(), filled.back_up()
    assert report.facts.system_identifier and "restore" not in companion_text(filled)
    lose_data(filled)
    said = []
    companion.start(filled.config_path, said.append)
    told = next(line for line in said if line.startswith("warning:"))
    assert report.name in told and "`drystone db restore latest --replace --yes`" in told
    # Once said it stays, at another start and after backups of the empty database too.
    again = []
    companion.start(filled.config_path, again.append)
    assert any("warning" in line and report.name in line for line in again)
    new = [filled.back_up() for _ in range(2)][-1]
    assert new.state == "ok" and filled.listed() == [report.name, new.name]
    assert any("of another" in line and report.name in line for line in new.warnings)
    command = f"drystone db restore {report.name} --replace --yes"
    assert command in companion_text(filled) and command in "".join(new.warnings)
    shown = drystone(*command.split()[1:], "--config", filled.config_path)
    assert shown.returncode == 0 and filled.rows() == before
    assert "restore" not in companion_text(filled)
    # Restored, it is the database of the old backups again, on a server of a new identity.
    last = filled.back_up()
    assert last.facts.system_identifier != report.facts.system_identifier
    assert last.removed == (report.name,) and filled.listed() == [new.name, last.name]


def test_a_new_database_that_is_wanted(store):
    """Without backups nothing is said; and who removes the mark hears no more of it."""
    said = []
    companion.start(store.config_path, said.append)
    assert not any("warning" in line for line in said)
    store.back_up("logical")
    lose_data(store)
    with store.open():
        assert "restore" in companion_text(store)
    os.unlink(unrestored.mark_path(load_config(store.config_path)))
    assert "restore" not in companion_text(store)


def lose_data(store: BackupStore) -> None:
    server.stop(store.place)
    shutil.rmtree(os.path.dirname(store.data))
    os.mkdir(os.path.dirname(store.data))


def companion_text(store: BackupStore) -> str:
    return companion.status(store.config_path)[1]


def test_what_is_not_there(store):
    with pytest.raises(NotFoundError, match="drystone db backups"):
        restore_to_folder(store.config_path, "latest", os.path.join(store.root, "new"))
    assert drystone("db", "restore", "x", "--config", store.config_path, expect=2)
    assert b"check" in drystone("db", "backups", "--config", store.config_path).stdout


# ---- A server that is not ours ---------------------------------------------------------------


def test_a_foreign_server(filled, database_server):
    """To a new database of another server; that one backed up; and back into a data folder."""
    before, report = filled.rows(), filled.back_up("logical")
    name = f"test_restored_{os.getpid()}"
    dsn = conninfo.make_conninfo(database_server, dbname=name)
    try:
        done = restore_to_database(filled.config_path, report.name, dsn)
        assert done.rows == sum(report.facts.counts.values())
        assert rows_of(dsn) == before
        with pytest.raises(UsageError, match="tables; name a new database"):
            restore_to_database(filled.config_path, report.name, dsn)
        with Database.connect(dsn) as database:  # The reading role has its rights again.
            assert sum(1 for _ in database.physical_contents()) == len(before["physical_content"])
        server.stop(filled.place)
        filled.copies_go_to(*filled.folders, more=f"dsn = {json.dumps(dsn)}")
        with pytest.raises(UsageError, match="not ours to replace"):
            restore_in_place(filled.config_path, report.name)
        foreign = filled.back_up()
        assert (foreign.kind, foreign.state) == ("logical", "ok")
        target = os.path.join(filled.root, "restored")
        restore_to_folder(filled.config_path, foreign.name, target)
        with served(target) as restored:
            assert rows_of(restored) == before
    finally:
        with psycopg.connect(database_server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
