"""Open shards that wait for a disk: not read again and again, and said to a person by name."""

from __future__ import annotations

import contextlib
import os
import shutil

import pytest
from command import drystone, environment, json_lines
from engine_processes import kill_engine
from store_checks import (
    assert_batch,
    assert_clean,
    assert_readable,
    damage,
    disk,
    finish,
    keys_of,
    put,
    settle,
    until,
    wait_for_state,
)
from store_harness import Store, write_files

from base.errors import DrystoneError, UsageError
from fsd.disks.disks import Disk
from fsd.documents.models import Notice
from fsd.engine.engine import Engine
from fsd.format.layout import shard_path
from fsd.format.record import GROUP_HEADER_BYTES, SHARD_HEADER_BYTES, TRAILER_BYTES

FILES = {f"folder/{number}.bin": os.urandom(3000 + number) for number in range(60)}
GROUP_MAGIC = b"DRYGRUP1"
VICTIM = "folder/7.bin"


@pytest.fixture
def waiting(store, short_tmp: str) -> Store:
    """A stopped store with an open shard: damaged on one of its disks, and the other is away."""
    made: Store = store(3)
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "first")
    head = made.client.head(keys_of(FILES)[VICTIM])
    paths = {one.name: one.path for one in made.config.disk}
    kill_engine(made.config, group=True)
    here, away = (paths[name] for name in head.disks)
    damage(shard_path(here, head.shard_id), head.offset + 200)
    os.rename(away, away + ".away")
    made.disks.sort(key=lambda path: path != away)
    return made


def warning(store: Store) -> Notice | None:
    return next((one for one in store.client.warnings() if one.code == "open-shards"), None)


@pytest.mark.fault
def test_who_it_waits_for_is_said_and_it_goes_on_when_that_is_back(waiting: Store):
    waiting.start()
    said, name = warning(waiting), disk(waiting, 0).name
    assert said is not None and said.severity == "critical"
    assert f"wait for {name}" in said.message and f"rebuild --disk {name}" in said.advice
    assert waiting.client.health().state == "degraded"
    told = drystone("status", env=environment(waiting)).stdout.decode()
    assert said.message in told and said.advice in told
    documents = json_lines(drystone("status", "--json", env=environment(waiting)))
    assert said.message in {one["message"] for one in documents[0]["critical"]}
    os.rename(waiting.disks[0] + ".away", waiting.disks[0])
    wait_for_state(waiting, 0, "online")
    until(lambda: warning(waiting) is None, "the shard to be sealed")
    assert_batch(waiting, "first", FILES)
    assert_clean(waiting)


@pytest.mark.fault
def test_without_the_disk_what_is_sound_is_saved_and_what_is_lost_is_named(waiting: Store):
    waiting.start()
    said, name = warning(waiting), disk(waiting, 0).name
    assert said is not None
    finish(waiting, waiting.client.rebuild(name).job_id)
    assert warning(waiting) is None
    assert_readable(waiting, {path: data for path, data in FILES.items() if path != VICTIM})
    lost = keys_of(FILES)[VICTIM]
    with pytest.raises(DrystoneError):
        waiting.client.read(lost, os.path.join(waiting.root, "lost"))
    assert any(lost in line for line in waiting.client.health().last_errors)
    # A restart forgets none of it; the same file, put again, ends it.
    for _ in range(2):
        told = drystone("health", env=environment(waiting), expect=1).stdout.decode()
        assert "critical lost-objects: no disk gives 1 object any more" in told and lost in told
        waiting.stop()
        waiting.start()
    put(waiting, write_files(os.path.join(waiting.root, "again"), {VICTIM: FILES[VICTIM]}), "again")
    drystone("rebuild", env=environment(waiting))
    told = drystone("health", env=environment(waiting), expect=0).stdout.decode()
    assert "lost-objects" not in told


@pytest.mark.fault
@pytest.mark.parametrize("lost", ["index", "reindex"])
def test_what_may_be_a_group_is_waited_for_also_without_an_index(store, short_tmp: str, lost: str):
    """The end of the last group is damaged here: as torn, to whoever does not know of it."""
    made: Store = store(3)
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "first")
    head = made.client.head(keys_of(FILES)[VICTIM])
    paths = {one.name: one.path for one in made.config.disk}
    kill_engine(made.config, group=True)
    here, away = (paths[name] for name in head.disks)
    path = shard_path(here, head.shard_id)
    damage(path, os.path.getsize(path) - TRAILER_BYTES, TRAILER_BYTES)
    os.rename(away, away + ".away")
    made.disks.sort(key=lambda one: one != away)
    if lost == "index":
        shutil.rmtree(made.config.index_root)
    made.start()
    if lost == "reindex":
        assert warning(made) is not None
        made.client.wait(made.client.reindex().job_id)
    said, name = warning(made), disk(made, 0).name
    assert said is not None and f"wait for {name}" in said.message
    assert f"bring {name} back" in said.advice and f"rebuild --disk {name}" in said.advice
    os.rename(away + ".away", away)
    wait_for_state(made, 0, "online")
    until(lambda: warning(made) is None, "the shard to be sealed")
    settle(made)
    assert_batch(made, "first", FILES)
    assert_clean(made)


@pytest.mark.fault
def test_a_gap_between_groups_is_waited_for(store, short_tmp: str):
    """Both ends of the first group are damaged here: nothing but the gap tells of it."""
    made: Store = store(3)
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "first")
    put(made, write_files(os.path.join(short_tmp, "more"), {"more": b"more"}), "second")
    head = made.client.head(keys_of(FILES)[VICTIM])
    paths = {one.name: one.path for one in made.config.disk}
    kill_engine(made.config, group=True)
    here, away = (paths[name] for name in head.disks)
    path = shard_path(here, head.shard_id)
    with open(path, "rb") as file:
        behind = file.read().index(GROUP_MAGIC, SHARD_HEADER_BYTES + 1)
    damage(path, SHARD_HEADER_BYTES, GROUP_HEADER_BYTES)
    damage(path, behind - TRAILER_BYTES, TRAILER_BYTES)
    os.rename(away, away + ".away")
    made.disks.sort(key=lambda one: one != away)
    made.start()
    assert warning(made) is not None
    os.rename(away + ".away", away)
    wait_for_state(made, 0, "online")
    until(lambda: warning(made) is None, "the shard to be sealed")
    settle(made)
    assert_batch(made, "first", FILES)
    assert_batch(made, "second", {"more": b"more"})
    assert_clean(made)


@pytest.mark.fault
def test_a_shard_that_ends_with_its_last_group_waits_for_nobody(store, short_tmp: str):
    """Every disk that took part has all that was acknowledged, and one of them is enough."""
    made: Store = store(3)
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "first")
    name = made.client.head(keys_of(FILES)[VICTIM]).disks[0]
    kill_engine(made.config, group=True)
    away = next(one.path for one in made.config.disk if one.name == name)
    os.rename(away, away + ".away")
    shutil.rmtree(made.config.index_root)
    made.start()
    assert warning(made) is None
    assert_readable(made, FILES)
    os.rename(away + ".away", away)
    made.disks.sort(key=lambda one: one != away)
    wait_for_state(made, 0, "online")
    settle(made)
    assert_batch(made, "first", FILES)
    assert_clean(made)


def engine_of(store: Store) -> Engine | None:
    with contextlib.suppress(UsageError):
        return Engine(store.config)
    return None


@pytest.mark.fault
def test_it_is_not_read_again_before_something_changes(waiting: Store, monkeypatch):
    scans: list[str] = []
    request = Disk.request

    def counted(self, operation, *arguments, **keywords):
        if operation == "scan" and arguments[1:] == (True,):
            scans.append(self.name)
        return request(self, operation, *arguments, **keywords)

    monkeypatch.setattr(Disk, "request", counted)
    engine = until(lambda: engine_of(waiting), "the dead engine's lock")
    engine.start()
    try:
        (found,) = engine.open_shards.found.values()
        assert len(scans) == 1, "one disk has it"
        for _ in range(3):
            assert engine.open_shards.recover_all() == 0
        assert len(scans) == 1
        assert engine.open_shards.recover_all(at_once=True) == 0
        assert len(scans) == 2
        os.rename(waiting.disks[0] + ".away", waiting.disks[0])
        until(lambda: not engine.open_shards.found, "the disk that returns")
        assert len(scans) == 4 and found.names[0] in scans
    finally:
        engine.stop()


def test_a_rebuild_that_leaves_one_open_is_not_done(waiting: Store):
    waiting.start()
    before = warning(waiting)
    assert before is not None
    job = waiting.client.wait(waiting.client.rebuild().job_id)
    assert warning(waiting) is not None and job.result["incomplete"], job
    reasons = [line.get("shard") for line in waiting.client.report(job.job_id)]
    assert any(shard_id and shard_id in before.message for shard_id in reasons)
