"""Disks that join the store, by every wrong name and half done, and those that come back to it."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import threading
import time
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from command import drystone, environment
from engine_processes import kill_engine
from loop_disks import loop_store, needs_loop
from store_checks import (
    assert_batch,
    assert_clean,
    disk,
    finish,
    put,
    settle,
    shard_files,
    until,
    wait_for_state,
)
from store_harness import MIB, Store, write_files

from base.errors import ConfigError, UsageError
from fsd.disk_io.place.identity import make_identity
from fsd.engine.drain import retire
from fsd.engine.engine import Engine
from fsd.format.errors import EngineUnavailableError

BAD_NAMES = ("d1", "--help", "a\nb", "a/b", ".x", "50%", "\udcff", "x" * 300)


def folder(base: str, name: str) -> str:
    path = os.path.join(base, name)
    os.makedirs(path)
    return path


def listed(store: Store) -> list[str]:
    """Return the names of the disks in drystone.toml."""
    with open(store.config_path, "rb") as file:
        return [one["name"] for one in tomllib.load(file)["disk"]]


def names(store: Store) -> list[str]:
    return [one.name for one in store.client.disks()]


def test_a_name_that_no_command_could_take_changes_nothing(store, short_tmp):
    made = store(2)
    path = folder(short_tmp, "new")
    for name in (*BAD_NAMES, made.config.disk[0].disk_id):
        with pytest.raises(UsageError, match="cannot be the name of a disk"):
            made.client.disk_add(path, name)
        assert os.listdir(path) == []
    done = drystone("disk", "add", path, "--name", "a\nb", env=environment(made), expect=2)
    assert done.stderr.startswith(b"drystone: ") and done.stderr.count(b"\n") == 1
    odd = folder(short_tmp, "\udcfe")
    assert b"TOML" in drystone("disk", "add", odd, env=environment(made), expect=2).stderr
    assert os.listdir(odd) == []
    assert names(made) == listed(made) == ["d1", "d2"]


def test_disks_that_join_one_after_the_other_or_at_once_have_their_own_names(store, short_tmp):
    made = store(2)
    assert made.client.disk_add(folder(short_tmp, "a")).name == "d3"
    paths = [folder(short_tmp, name) for name in "bcd"]
    with ThreadPoolExecutor(3) as workers:
        joined = list(workers.map(made.client.disk_add, paths))
    assert sorted(one.name for one in joined) == ["d4", "d5", "d6"]
    assert sorted(names(made)) == sorted(listed(made)) == [f"d{number}" for number in range(1, 7)]
    made.stop()
    made.start()
    assert {one.state for one in made.client.disks()} == {"online"}


def test_nothing_is_placed_on_a_disk_that_cannot_be_written_down(store, short_tmp):
    """After a restart nobody would know the disk, nor what was acknowledged on it."""
    made = store(2)
    path, in_the_way = folder(short_tmp, "new"), folder(made.root, "drystone.toml.tmp")
    with pytest.raises(ConfigError, match="cannot be written"):
        made.client.disk_add(path)
    assert names(made) == listed(made) == ["d1", "d2"]
    os.rmdir(in_the_way)
    # Its identity is there already, as after a crash in the middle: it is taken in all the same.
    assert made.client.disk_add(path).name == "d3"
    assert names(made) == listed(made) == ["d1", "d2", "d3"]
    with pytest.raises(UsageError, match="already is a disk of this store: d3, online"):
        made.client.disk_add(path)


def test_a_disk_that_cannot_be_entered_leaves_drystone_toml_as_it_was(store, short_tmp):
    made = store(2)
    path = folder(short_tmp, "new")
    make_identity(path, made.config.store.store_id, "half")
    shutil.copytree(path, os.path.join(short_tmp, "copy"))
    done = drystone("disk", "add", f"{short_tmp}/copy", env=environment(made), expect=1)
    assert b"looks like a copy" in done.stderr
    done = drystone("disk", "add", "/proc", env=environment(made), expect=2)
    assert b"cannot be a disk: it holds" in done.stderr
    assert names(made) == listed(made) == ["d1", "d2"]


class TestMountPoints:
    """An add of a mount point that nothing is mounted on."""

    pytestmark = needs_loop

    def test_an_empty_mount_point_is_refused(self, disk_tmp):
        if os.stat(disk_tmp).st_dev != os.stat("/").st_dev:
            pytest.skip("the folder for temporary files is not on the system's filesystem")
        with loop_store(disk_tmp, 3, in_use=2) as (made, disks):
            disks[2].unmount()
            with pytest.raises(UsageError, match="is it mounted"):
                made.client.disk_add(disks[2].path)
            assert os.listdir(disks[2].path) == []
            disks[2].mount()
            assert made.client.disk_add(disks[2].path).state == "online"


@pytest.fixture
def single(store, short_tmp) -> tuple[Store, dict[str, bytes], int]:
    """A store of one copy, its files, and the number of a disk that alone holds some of them."""
    made = store(3, shard_size_bytes=MIB, copies_raw=1, copies_generated=1)
    files = {f"{number}": os.urandom(200_000) for number in range(40)}
    put(made, write_files(os.path.join(short_tmp, "source"), files), "first")
    settle(made)
    return made, files, max(range(3), key=lambda number: disk(made, number).shards)


def test_a_disk_that_alone_gives_something_is_not_declared_gone_while_it_is_read(single):
    store, files, number = single
    name = disk(store, number).name
    done = drystone("rebuild", "--disk", name, "--yes", env=environment(store), expect=2)
    assert b"the only disk that gives" in done.stderr
    assert f"drystone disk drain {name}".encode() in done.stderr
    assert disk(store, number).state == "online"
    assert_batch(store, "first", files)


def test_what_was_declared_gone_comes_back_with_all_it_held(single):
    store, files, number = single
    path, name = store.disks[number], disk(store, number).name
    shards = disk(store, number).shards
    os.rename(path, path + ".away")
    wait_for_state(store, number, "missing")
    asked = drystone("rebuild", "--disk", name, env=environment(store), input=b"n\n", expect=1)
    assert b"WOULD BE LOST" in asked.stderr
    drystone("rebuild", "--disk", name, "--yes", env=environment(store), expect=3)
    assert store.client.health().unreadable_shards == shards
    os.rename(path + ".away", path)
    # It is kept out until somebody says so, after a restart too.
    store.stop()
    store.start()
    assert disk(store, number).state == "gone"
    drystone("disk", "add", path, env=environment(store))
    until(lambda: store.client.health().state == "ok", "its copies to count")
    assert disk(store, number).shards == shards
    store.stop()
    store.start()
    assert disk(store, number).state == "online" and listed(store).count(name) == 1
    assert_batch(store, "first", files)
    assert_clean(store)


def test_a_retired_disk_is_not_taken_in_again_by_any_way(store):
    made = store(3)
    made.client.disk_retire("d3")
    path = made.disks[2]
    for command in (("add", path), ("rebind", "d3", path), ("retire", "d3"), ("calibrate", "d3")):
        done = drystone("disk", *command, env=environment(made), expect=2)
        assert b"retired" in done.stderr and done.stderr.count(b"\n") == 1
    made.stop()
    made.start()
    assert disk(made, 2).state == "retired"


def test_a_disk_does_not_replace_itself(single):
    store, files, number = single
    name = disk(store, number).name
    done = drystone(
        "disk", "replace", name, store.disks[number], "--yes", env=environment(store), expect=2
    )
    assert b"itself" in done.stderr.splitlines()[-1]
    assert disk(store, number).state == "online"
    assert len(shard_files(store.disks[number])) == disk(store, number).shards
    assert_batch(store, "first", files)


def test_a_replacement_that_cannot_begin_adds_no_disk(single, short_tmp):
    store, _, number = single
    name = disk(store, number).name
    job = store.client.disk_drain(name)
    try:
        store.client.disk_replace(name, folder(short_tmp, "new"))
    except UsageError as error:
        assert "drystone job wait" in str(error)
        assert len(store.client.disks()) == 3
    else:  # The drain was faster.
        assert len(store.client.disks()) == 4
    finish(store, job.job_id)


def interrupt(store: Store, act: Callable[[], object], after_s: float) -> None:
    """Kill the engine so long after something has begun, and start it again."""

    def begin() -> None:
        with contextlib.suppress(EngineUnavailableError):
            act()

    thread = threading.Thread(target=begin)
    thread.start()
    time.sleep(after_s)
    kill_engine(store.config, group=True)
    thread.join()
    store.start()


def test_kill_9_while_a_disk_joins_or_comes_back(single, short_tmp):
    """Said again it is one disk of the store, by one name, and nothing is lost."""
    store, files, number = single
    path = folder(short_tmp, "new")
    interrupt(store, lambda: store.client.disk_add(path), random.uniform(0, 0.1))
    with contextlib.suppress(UsageError):  # It is one already.
        store.client.disk_add(path)
    assert names(store) == listed(store) == ["d1", "d2", "d3", "d4"]
    away = store.disks[number]
    os.rename(away, away + ".away")
    wait_for_state(store, number, "missing")
    store.client.wait(store.client.rebuild(disk(store, number).name).job_id)
    os.rename(away + ".away", away)
    interrupt(store, lambda: store.client.disk_add(away), random.uniform(0, 0.1))
    with contextlib.suppress(UsageError):
        store.client.disk_add(away)
    assert names(store) == listed(store) == ["d1", "d2", "d3", "d4"]
    until(lambda: store.client.health().state == "ok", "its copies to count")
    assert_batch(store, "first", files)
    assert_clean(store)


def test_no_disk_is_retired_while_the_index_is_made_anew(store):
    """It would wait for that longer than anybody waits for an answer, and be retired later."""
    made = store(3, started=False)
    engine = Engine(made.config)
    try:
        engine.start()
        with engine.maintenance:
            job = engine.reindex()  # It goes on when this is let go.
            with pytest.raises(UsageError, match="being reindexed"):
                retire(engine, "d3", force=False)
        assert job.finished.wait(60) and job.state == "done"
        assert retire(engine, "d3", force=False).shown_state == "retired"
    finally:
        engine.stop()
