"""Checkpoints of a store's catalog: killed at every barrier, with disks away, refused if untrue."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest
from purge_checks import (
    assert_gone,
    compact,
    crash,
    everything,
    files_of,
    own,
    purge,
    quick_store,
    reindex,
    store_batch,
    take_away,
)
from store_checks import assert_batch, assert_clean, settle, until, wait_for_state
from store_harness import Store
from test_cancel import opened, put

from fsd.engine.engine import Engine
from fsd.format.catalog import CatalogState, unpack_frames
from fsd.format.catalog_history import History, read_history
from fsd.format.errors import FsdError
from fsd.store import catalog_log

BARRIERS = ("packed", "replaced", "done")

Files = dict[str, dict[str, bytes]]


@pytest.fixture
def purged(store, short_tmp) -> tuple[Store, Files]:
    """A store of which a batch was purged and compacted: shards of it were dropped."""
    made = quick_store(store, 3)
    files = {name: files_of(name, 15, 20_000) for name in ("kept", "purged")}
    for name, content in files.items():
        store_batch(made, short_tmp, name, content)
    settle(made)
    purge(made, "purged")
    compact(made, 0.01)
    until(lambda: made.client.compact_plan().waiting_shards == 0, "the old shards to go")
    settle(made)
    return made, files


def logs(store: Store) -> list[bytes]:
    found: list[bytes] = []
    for path in store.disks:
        with open(os.path.join(path, "catalog.log"), "rb") as file:
            found.append(file.read().rstrip(b"\0"))
    return found


def histories(store: Store) -> list[History]:
    return [read_history(log) for log in logs(store)]


def kinds(history: History) -> list[str]:
    return [one.kind for one in history.entries.values()]


def state(engine: Engine) -> CatalogState:
    """Return what the catalog says, but how far it has counted."""
    return replace(engine.store.shards.state, sequence=0)


def check(store: Store, files: Files) -> None:
    assert_batch(store, "kept", files["kept"])
    assert_gone(store, own(files["purged"]))
    assert_clean(store)


@pytest.mark.fault
@pytest.mark.parametrize("index", ["kept", "lost"])
@pytest.mark.parametrize("barrier", BARRIERS)
def test_killed_in_a_checkpoint(purged, short_tmp, barrier, index):
    store, files = purged
    before = everything(store)
    crash(store, "checkpoint", "", barrier, index)
    had = [history.covered != {} for history in histories(store)]
    assert sum(had) == {"packed": 0, "replaced": 1, "done": 3}[barrier]
    store.start()
    check(store, files)
    assert everything(store) == before
    # Whoever has it brings the others up to it.
    found = histories(store)
    assert all(one == found[0] for one in found)
    assert ("shard_drop" in kinds(found[0])) == (barrier == "packed")
    reindex(store)
    assert everything(store) == before
    store_batch(store, short_tmp, "purged", files["purged"])
    assert_batch(store, "purged", files["purged"])
    assert_clean(store)


@pytest.mark.fault
def test_a_disk_that_was_away_through_several_checkpoints_brings_nothing_back(purged, short_tmp):
    store, files = purged
    store.stop()
    take_away(store, 2)
    for name in ("one", "two"):
        with opened(store) as engine:
            engine.store.catalog.append(
                ("manifest_pin", {"name": name, "manifest": "0" * 64, "time_ns": 1}),
                ("manifest_unpin", {"name": name}),
                ("manifest_pin", {"name": "last", "manifest": "0" * 64, "time_ns": 1}),
            )
            engine.store.catalog.checkpoint()
            known = state(engine)
    # Used alone it has all that it was told; both come together again.
    os.rename(f"{store.disks[2]}-away", store.disks[2])
    take_away(store, 0, 1)
    with opened(store) as engine:
        engine.store.catalog.append(
            ("manifest_pin", {"name": "alone", "manifest": "1" * 64, "time_ns": 1})
        )
        engine.store.catalog.checkpoint()
        assert sorted(state(engine).pins) == ["alone"]
    for number in (0, 1):
        os.rename(f"{store.disks[number]}-away", store.disks[number])
    with opened(store) as engine:
        known.pins["alone"] = state(engine).pins["alone"]
        assert state(engine) == known
    found = histories(store)
    assert all(one == found[0] for one in found)
    store.start()
    check(store, files)


@pytest.mark.fault
def test_a_disk_returns_to_a_running_engine_that_has_made_checkpoints(purged):
    store, files = purged
    store.stop()
    with opened(store) as engine:
        disk = list(engine.store.disks.disks.values())[2]
        os.rename(disk.path, f"{disk.path}-away")
        until(lambda: disk.state == "missing", "the disk to be away")
        engine.store.catalog.checkpoint()
        known = state(engine)
        os.rename(f"{disk.path}-away", disk.path)
        disk.look_again_at = 0.0
        until(lambda: disk.state == "online", "the disk to be back")
        assert engine.store.catalog.lacking(disk) == 0
        assert state(engine) == known
    found = histories(store)
    assert all(one == found[0] for one in found) and found[0].covered
    store.start()
    check(store, files)


@pytest.mark.fault
@pytest.mark.parametrize("damaged", ["entries", "checkpoint"])
def test_a_damaged_checkpoint_is_made_anew_from_the_others(purged, damaged):
    """With the frame that numbers what is left out, and with one of those it stands for."""
    store, files = purged
    crash(store, "checkpoint", "", "done", "kept")
    sound = logs(store)[0]
    place = sound.index(b'{"kind":"' + damaged.encode()) + 20
    path = os.path.join(store.disks[0], "catalog.log")
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(bytes([sound[place] ^ 1]))
    assert histories(store)[0].covered == {}
    store.start()
    assert histories(store)[0] == histories(store)[1]
    check(store, files)
    # While it runs a scrub finds it.
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(bytes([logs(store)[0][place] ^ 1]))
    job_id = store.client.scrub().job_id
    store.client.wait(job_id)
    (line,) = [one for one in store.client.report(job_id) if "catalog" in one["reason"]]
    assert line["disk"] == "d1"
    assert histories(store)[0] == histories(store)[1]
    check(store, files)


@pytest.mark.fault
def test_a_checkpoint_that_does_not_say_what_is_known_replaces_nothing(purged, monkeypatch):
    """What lies in memory may be wrong; the logs are the truth."""
    store, _ = purged
    store.stop()
    with opened(store) as engine:
        former = logs(store)
        shard = next(iter(engine.store.shards.state.shards.values()))
        monkeypatch.setattr(shard, "length_bytes", shard.length_bytes + 1)
        with pytest.raises(FsdError, match="does not say what is known"):
            engine.store.catalog.checkpoint()
        assert logs(store) == former


def test_housekeeping_makes_one_when_enough_was_appended(store, monkeypatch):
    made = store(2)
    made.stop()
    monkeypatch.setattr(catalog_log, "CHECKPOINT_BYTES", 16 * 4096)
    with opened(made) as engine:
        for number in range(40):
            engine.store.catalog.append(
                ("manifest_pin", {"name": "p", "manifest": f"{number:064x}", "time_ns": 1})
            )
        engine.changed.set()
        until(lambda: max(map(len, logs(made))) < 8 * 4096, "a checkpoint")
        assert state(engine).pins["p"].manifest_key == f"{39:064x}"
        put(engine, made, "b", {"a": b"a"}).finished.wait()
    with opened(made) as engine:
        assert state(engine).pins["p"].manifest_key == f"{39:064x}"
        assert engine.store.catalog.lacking(engine.store.disks.online()[0]) == 0


@pytest.mark.fault
def test_a_full_disk_keeps_its_log_which_says_as_much(purged):
    """A folder where the checkpoint is to be written: it cannot be made there."""
    store, files = purged
    store.stop()
    with opened(store) as engine:
        os.mkdir(os.path.join(store.disks[0], "catalog.log.tmp"))
        engine.store.catalog.checkpoint()
        shutil.rmtree(os.path.join(store.disks[0], "catalog.log.tmp"))
    found = histories(store)
    assert [one.covered != {} for one in found] == [False, True, True]
    assert set(found[0].entries) > set(found[1].entries)
    store.start()
    wait_for_state(store, 0, "online")
    check(store, files)
    assert histories(store)[0] == histories(store)[1]
    assert "shard_drop" not in [one.kind for log in logs(store) for one in unpack_frames(log)]
