"""Everything that people and programs decided leaves the building, and comes back from there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

import database_harness
import pytest
from action_house import lasting_yard
from cold_killed import RESTORE_STEPS
from cold_life import CANARIES, NOT_COMPARED, Life, differences, leave, live, rows_of
from command import ROOT, run_text
from store_harness import MIB, Store

from adapters.audit.audit import audit
from base.config import CONFIG_NAME
from fsd.disks.config import load_config
from fsd.engine.setup import init_store
from sql import Database
from sql import load_config as load_database_config
from sql.core.programs import program
from sql.database.database import place_of
from sql.server import server

EMPTY_AT_LEAST = frozenset(
    (
        "archive_location",
        "gpu_gate",
        "queue_state",
        "delivery",
        "superseded_result",
        "grant_frontier",
        "arrival_count",
    )
)
"""Tables of which the life needs no row; every other one that is compared has some."""


@pytest.fixture(scope="module")
def life(
    database_server: str, database_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Life:
    """What was, of a store that is destroyed: only copies of its packages are left."""
    cold = str(tmp_path_factory.mktemp("cold") / "packages")
    with lasting_yard(database_server, database_template) as yard:
        live(yard)
        left = leave(yard, cold)
    assert not os.path.exists(yard.root)
    return left


@pytest.fixture
def fresh(database_server: str, database_template: str) -> Iterator[Callable[..., Store]]:
    """A function that makes a new store, with a new database of a server or an embedded one."""
    with contextlib.ExitStack() as stack:

        def make(*, embedded: bool = False) -> Store:
            root = tempfile.mkdtemp(prefix="ds-new-")
            stack.callback(shutil.rmtree, root)
            paths = [os.path.join(root, f"d{number}") for number in range(2)]
            init_store(root, paths, None, min_free_bytes=MIB, shard_size_bytes=4 * MIB)
            path = os.path.join(root, CONFIG_NAME)
            if not embedded:
                new = database_harness.new_database(database_server, database_template)
                with open(path, "a", encoding="utf-8") as file:
                    file.write(f"\n[database]\ndsn = {json.dumps(stack.enter_context(new))}\n")
            store = Store(root, load_config(path), paths)
            stack.callback(store.stop)
            store.start()
            return store

        yield make


@pytest.fixture
def packages(life: Life, tmp_path) -> str:
    """A copy of the packages that may be damaged."""
    return shutil.copytree(life.cold, str(tmp_path / "packages"))


def restore(store: Store, *places: str, expect: int = 0) -> str:
    """Restore by command; returns what it said."""
    told = run_text("restore", *places, config_path=store.config_path)
    assert told.returncode == expect, told
    assert "Traceback" not in told.stderr
    return told.stdout + told.stderr


def dsn_of(store: Store) -> str:
    config = load_database_config(store.config_path)
    return server.dsn(place_of(config)) if config.embedded else config.dsn


def database_package(packages: str) -> str:
    (name,) = (name for name in os.listdir(packages) if name.startswith("_database-"))
    return os.path.join(packages, name)


def reseal(package: str) -> None:
    """Make the sums of a package right again: what is in it was written so on purpose."""
    path = os.path.join(package, "SHA256SUMS")
    with open(path, encoding="ascii") as file:
        names = [line[66:].rstrip("\n") for line in file]
    with open(path, "w", encoding="ascii") as file:
        for name in names:
            with open(os.path.join(package, name), "rb") as content:
                file.write(f"{hashlib.file_digest(content, 'sha256').hexdigest()}  {name}\n")


def check_same(life: Life, store: Store) -> None:
    """Compare store and database with what was, row by row and object by object."""
    now = rows_of(dsn_of(store))
    assert differences(life.tables, now) == []
    kept = {row["package_id"]: row["sha256"] for row in life.tables["outbox_package"]}
    found = {row["package_id"]: row["sha256"] for row in now["outbox_package"]}
    assert kept.items() <= found.items()
    assert found.keys() == set(os.listdir(life.cold))
    waiting = [row["package_id"] for row in now["outbox_package"] if not row["confirm_time"]]
    assert waiting == ["bad-0001"]  # Of what was purged, and not restored.
    secrets = [name for name, why in NOT_COMPARED.items() if "none comes back" in why]
    assert len(secrets) == 5
    for name in (*secrets, "webhook_type", "webhook_delivery_event"):
        assert life.tables[name] and not now[name], name
    thumbnails = {name for name in life.objects if name.startswith("thumbnails-")}
    assert thumbnails
    objects = {
        batch.batch: {file.path: file.key for file in store.client.batch_files(batch.batch)}
        for batch in store.client.batches()
    }
    assert objects == {k: v for k, v in life.objects.items() if k not in thumbnails}
    assert {pin.name: pin.manifest for pin in store.client.pins()} == life.pins
    views = [(one.view_id, one.layout_id, one.manifest_key) for one in store.client.views()]
    assert views == life.views and len(views) == 1
    done = audit(store.config_path, sample=10_000)
    assert done.missing_count == done.wrong_size_count == done.damaged_count == 0
    assert done.sampled == done.nodes > 12


def test_a_store_rebuilt_from_packages_alone_has_everything(life, fresh):
    assert life.report is not None and life.report.state == "ok", life.report
    tables = {name: rows for name, rows in life.tables.items() if not name.startswith("meta_")}
    empty = {name for name, rows in tables.items() if not rows}
    assert empty - NOT_COMPARED.keys() <= EMPTY_AT_LEAST, "the life lacks something"
    store = fresh()
    said = restore(store, life.cold)
    check_same(life, store)
    assert "set new ones with `drystone gui user password NAME` for ann" in said
    assert "ann: nightly" in said and "bad had been purged, and stays so" in said
    assert "1 of its contents had been purged: left out" in said
    again = restore(store, life.cold)
    assert "stays as it is" in again
    check_same(life, store)
    # What is back can be worked with.
    done = run_text(
        "dataset", "export", "drawings", "--mode", "copy", config_path=store.config_path
    )
    assert done.returncode == 0, done
    with open(os.path.join(store.root, "word"), "w", encoding="ascii") as file:
        file.write("a new password\n")
    words = ("gui", "user", "password", "ann", "--password-file", file.name)
    assert run_text(*words, config_path=store.config_path).returncode == 0


def test_no_secret_is_in_any_package(life, tmp_path):
    """Searched in every file, and in the export after it was unpacked."""
    text = str(tmp_path / "database.sql")
    dump = os.path.join(database_package(life.cold), "logical", "database.dump")
    subprocess.run([program("pg_restore"), "-f", text, dump], check=True)
    paths = [os.path.join(f, name) for f, _, names in os.walk(life.cold) for name in names]
    for path in (*paths, text):
        with open(path, "rb") as file:
            data = file.read()
        assert not [one for one in CANARIES if one in data], path
    with open(text, "rb") as file:
        data = file.read()
    assert b"ann" in data and b"192.0.2.1" not in data


@pytest.mark.fault
@pytest.mark.parametrize("step", RESTORE_STEPS)
@pytest.mark.parametrize("embedded", [False, True], ids=["server", "embedded"])
def test_a_restore_that_was_killed_goes_on(life, fresh, step, embedded):
    store = fresh(embedded=embedded)
    path = os.path.join(ROOT, "tests", "kit", "jobs", "cold_killed.py")
    killed = subprocess.run(
        [sys.executable, path, store.config_path, step, life.cold],
        env={**os.environ, "PYTHONPATH": ROOT},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    restore(store, life.cold)
    check_same(life, store)


# ---- Bad input -----------------------------------------------------------------------------------


@pytest.mark.fault
@pytest.mark.parametrize("name", ["logical/database.dump", "backup.json", "store.json"])
@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_a_damaged_package_of_the_database_restores_nothing(fresh, packages, name, how):
    path = os.path.join(database_package(packages), name)
    size = os.path.getsize(path)
    if how == "gone":
        os.unlink(path)
    elif how == "cut":
        os.truncate(path, size // 2)
    else:
        with open(path, "r+b") as file:
            file.seek(size // 2)
            byte = file.read(1)[0]
            file.seek(size // 2)
            file.write(bytes([byte ^ 1]))
    store = fresh()
    said = restore(store, packages, expect=1)
    assert "nothing was restored: name another copy of this package" in said
    assert store.client.batches() == []
    with Database.open(store.config_path) as database:
        assert database.cold.is_fresh()


@pytest.mark.fault
def test_an_export_of_a_later_version_says_to_update(fresh, packages):
    package = database_package(packages)
    path = os.path.join(package, "backup.json")
    with open(path, encoding="utf-8") as file:
        facts = json.load(file)
    facts["counts"]["schema_migration"] = 999
    with open(path, "w", encoding="utf-8") as file:
        json.dump(facts, file)
    reseal(package)
    store = fresh()
    for words in (("restore", packages), ("db", "restore", package, "--to-folder", packages + "x")):
        told = run_text(*words, config_path=store.config_path)
        assert told.returncode == 1, told
        assert "999 migrations" in told.stderr and "update Drystone" in told.stderr
    assert store.client.batches() == []


@pytest.mark.fault
def test_a_damaged_package_of_what_was_made_is_told_and_can_be_named_later(life, fresh, packages):
    (name,) = (name for name in os.listdir(packages) if name.startswith("_generated-"))
    with open(os.path.join(packages, name, "objects.tar"), "r+b") as file:
        file.seek(os.path.getsize(file.name) // 2)
        file.write(b"?")
    store = fresh()
    said = restore(store, packages, expect=3)
    assert "is damaged" in said and "were in no package that was named" in said
    assert differences(life.tables, rows_of(dsn_of(store))) == []
    restore(store, os.path.join(life.cold, name))
    restore(store, life.cold)
    done = audit(store.config_path, sample=0)
    assert done.missing_count == 0


def test_a_database_with_something_in_it_is_not_replaced(life, fresh, packages):
    store = fresh()
    cats = os.path.join(packages, "odd-0001")
    restore(store, cats)
    before = rows_of(dsn_of(store))
    said = restore(store, life.cold)
    assert f"db restore {database_package(life.cold)} --replace" in said
    after = rows_of(dsn_of(store))
    assert before["app_user"] == after["app_user"] == []
    assert len(after["label_answer"]) == 0
    assert {row["name"] for row in after["ingest_batch"]} == {"odd", "pictures", "some", "things"}
