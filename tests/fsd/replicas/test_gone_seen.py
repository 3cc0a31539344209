"""Disks that were declared gone and are here again: that is noticed while the engine runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from disk_folders import ODD, folder, moved, where
from store_checks import assert_batch, disk, put, settle, until
from store_harness import Store, with_settings, write_files

from fsd.disk_io import disk_process
from fsd.disks.config import Config
from fsd.disks.config_disks import toml_text
from fsd.disks.disk import Disk
from fsd.disks.disks import find_path
from fsd.engine.engine import Engine
from fsd.format.errors import DiskRefusedError
from fsd.format.layout import IDENTITY_NAME
from fsd.process.process import Child, Watchdog
from fsd.process.slots import SlotPool
from fsd.watch.report import warnings

FILES = {f"{number}": os.urandom(50_000) for number in range(12)}


def advised(engine: Engine) -> list[str]:
    return [one.advice for one in warnings(engine.watch) if one.code == "disk-gone"]


@contextmanager
def one_gone(store: Store, config: Config) -> Iterator[tuple[Engine, Disk]]:
    """The store's engine in this process, and its first disk: taken away, and declared gone."""
    engine = Engine(config)
    try:
        engine.start()
        gone = engine.store.disks.by_name("d1")
        os.rename(store.disks[0], f"{store.disks[0]}.away")
        until(lambda: gone.state == "missing", "the disk to be missing")
        assert engine.rebuild_lost(gone, "rebuild").finished.wait(90)
        yield engine, gone
    finally:
        engine.stop()


@pytest.mark.fault
@pytest.mark.parametrize("place", ["old", "configured"])
def test_a_gone_disk_that_is_here_again_is_noticed_while_the_engine_runs(
    store, monkeypatch, short_tmp, place
):
    monkeypatch.setattr("fsd.disks.disks.LOOK_FOR_GONE_S", 0.2)
    made: Store = store(3, started=False)
    with one_gone(made, made.config) as (engine, gone):
        path = made.disks[0]
        assert gone.state == "gone" and not advised(engine)
        back = path
        if place == "configured":
            back = os.path.join(short_tmp, ODD)
            text = Path(made.config_path).read_text()
            edited = text.replace('path = "d1"', f"path = {toml_text(back)}")
            Path(made.config_path).write_text(edited)
        os.rename(f"{path}.away", back)
        assert "drystone disk add" in until(lambda: advised(engine), "the warning")[0]
        assert gone.state == "gone" and gone.seen_at == back
        # It is said as long as it is so.
        os.rename(back, f"{path}.away")
        until(lambda: not advised(engine), "the warning to end")
        os.rename(f"{path}.away", back)
        until(lambda: advised(engine), "the warning")
        engine.add_disk(back, None)
        assert gone.state == "online" and not advised(engine)


@pytest.mark.fault
def test_a_gone_disk_that_hangs_is_looked_for_by_one_process_and_holds_nobody_up(
    store, monkeypatch
):
    monkeypatch.setattr("fsd.disks.disks.LOOK_FOR_GONE_S", 0.1)
    made: Store = store(3, started=False)
    with one_gone(made, with_settings(made.root, stall_timeout_s=0.5)) as (engine, gone):
        path = made.disks[0]
        os.mkdir(path)
        os.mkfifo(os.path.join(path, IDENTITY_NAME))
        asked = until(lambda: gone.burying, "a look")
        until(lambda: gone.burying not in (asked, None), "another look")
        others = [one for one in engine.store.disks.disks.values() if one is not gone]
        assert all(one.state == "online" for one in others)
        assert not advised(engine)
        shutil.rmtree(path)
        os.rename(f"{path}.away", path)
        until(lambda: advised(engine), "the warning")


def test_a_gone_disk_comes_back_at_another_place_and_stays(store, short_tmp):
    made: Store = store(3)
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "first")
    settle(made)
    path = moved(made, 0, os.path.join(short_tmp, ODD))
    until(lambda: made.client.disks()[0].state == "missing", "the disk to be missing")
    made.client.wait(made.client.rebuild("d1").job_id)
    assert made.client.disk_add(path).state == "online"
    assert where(made)["d1"] == path
    made.stop()
    made.start()
    assert disk(made, 0).state == "online"
    until(lambda: made.client.health().state == "ok", "its copies to count")
    assert_batch(made, "first", FILES)


def test_where_another_disk_hangs_nobody_looks(store, short_tmp):
    """As long as the process that was lost there has not ended: who looked there would hang too."""
    made: Store = store(2, started=False)
    pool = SlotPool(1, 4096)
    try:
        disks = {one.disk_id: Disk(one, one.path) for one in made.config.disk}
        looked, hanging = disks.values()
        child = hanging.burying = Child("fsd.disk_io.disk_process", "d2", disk_process.LANES, pool)
        shutil.rmtree(made.disks[0])
        os.rename(made.disks[1], made.disks[0])
        os.mkfifo(os.path.join(folder(made.disks[1]), IDENTITY_NAME))
        other = Child("fsd.disk_io.disk_process", "d1", disk_process.LANES, pool)
        watchdog = Watchdog(lambda: [other], 2.0)
        with pytest.raises(DiskRefusedError, match="holds d2, another disk of this store"):
            find_path(made.config, disks, looked, other)
        watchdog.stop()
        for one in (child, other):
            one.kill()
            assert one.wait_dead(60)
    finally:
        pool.close()
