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

from sql import Database, load_config
from sql.backup.restore_database import restore_in_place, restore_to_database, restore_to_folder
from sql.cli.database_companion import companion
from sql.core.errors import BackupDamagedError, NotFoundError, UsageError
from sql.database import unrestored
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
    assert any(damaged in line for line in said) and done.source == "base"
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
    assert os.listdir(os.path.dirname(filled.data)) == ["database"]


def test_a_lost_base_gives_way_to_the_export(filled, short_tmp):
    filled.back_up()
    filled.add("later")
    before, report = filled.rows(), filled.back_up()
    assert report.kind == "incremental"
    for folder in filled.folders:
        shutil.rmtree(os.path.join(folder, report.facts.chain[0]))
    target = os.path.join(short_tmp, "restored")
    done = restore_to_folder(filled.config_path, report.name, target)
    assert done.source == "logical"
    with served(target) as dsn:
        assert rows_of(dsn) == before
    # The next backup does not build upon nothing.
    assert filled.back_up().kind == "full"


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
    # History was turned back: an increment upon anything later would be wrong.
    filled.add("another-future")
    assert filled.back_up().state == "ok"
    with filled.open() as database:
        assert database.health().backup.kind == "full"


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
    filled.copies_go_to(*filled.folders, more="backups_kept = 1\nbackups_full_every = 1")
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
    # Restored, it is the server of the old backups again.
    last = filled.back_up()
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
        with pytest.raises(UsageError, match="base backups are for the embedded"):
            filled.back_up("base")
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
