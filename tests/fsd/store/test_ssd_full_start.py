"""A start on a full SSD with an index that is older than the shards: all goes on that can.

What the index lacks is not called missing, what it has may be out of date, and nothing that would
rest on it is done until there is room.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

import pytest
from engine_processes import kill_engine
from loop_disks import LoopDisk, needs_loop
from small_ssd import fill_up, filler, is_full, small_ssd, small_ssd_store
from store_checks import (
    assert_clean,
    assert_readable,
    damage,
    disk,
    finish,
    key_of,
    keys_of,
    put,
    read_object,
    settle,
    shard_files,
    until,
    write_manifest,
)
from store_harness import Store, write_files

from fsd.engine.engine import HOUSEKEEPING_S, Engine
from fsd.format.errors import NoReplicaError, NotFoundError, ReindexingError
from fsd.format.layout import shard_path
from fsd.store.ssd import ballast

pytestmark = needs_loop
DISKS = 3
OLD = {"old": os.urandom(1000)}
GONE = {"gone": os.urandom(1000)}
NEW = {f"f{n}": os.urandom(100) for n in range(3000)}


@pytest.fixture
def ssd(short_tmp):
    with small_ssd(short_tmp) as made:
        yield made


@pytest.fixture
def store(ssd, short_tmp):
    """One with two batches, of which `gone` is to be deleted."""
    with small_ssd_store(ssd, short_tmp, DISKS) as made:
        for name, files in (("old", OLD), ("gone", GONE)):
            put(made, write_files(os.path.join(made.root, name), files), name)
        yield made


def start_with_an_older_index(
    store: Store, ssd: LoopDisk, meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Start where no room is left to follow; it lacks the batch `new`, and what was done since."""
    store.stop()
    index = os.path.join(store.config.index_root, "1", "data.mdb")
    with open(index, "rb") as file:
        former = file.read()
    store.start()
    put(store, write_files(os.path.join(store.root, "new"), NEW), "new")
    settle(store)
    store.stop()
    meanwhile()
    with open(index, "wb") as file:
        file.write(former)
    ballast.of_index(store.config.index_root).give_up()
    fill_up(ssd)
    store.start()
    assert is_full(store)


def files_of(store: Store, batch: str) -> dict[str, str] | None:
    with contextlib.suppress(ReindexingError):
        return {f.path: f.key for f in store.client.batch_files(batch)}
    return None


def make_room(ssd: LoopDisk) -> None:
    os.unlink(filler(ssd))


@pytest.mark.fault
def test_what_the_index_lacks_is_not_called_missing(store, ssd, tmp_path):
    start_with_an_older_index(store, ssd)
    assert_readable(store, OLD)
    client, lacking = store.client, key_of(NEW["f0"])
    for ask in (
        lambda: read_object(store, lacking),
        lambda: client.head(lacking),
        client.batches,
        lambda: list(client.batch_files("new")),
        lambda: client.purge("new"),
        lambda: client.pin_manifest(key_of(OLD["old"]), "pin"),
    ):
        with pytest.raises(ReindexingError, match="nothing is lost"):
            ask()
    more = write_files(str(tmp_path / "more"), {"more": b"more"})
    for begin in (
        client.fsck,
        lambda: client.verify("new"),
        lambda: client.purge("old"),
        lambda: client.batch_write(more, "more"),
    ):
        job = client.wait(begin().job_id)
        assert job.state == "failed" and "the SSD is full" in (job.error or ""), job
    make_room(ssd)
    # At once: a job sees to the index first.
    put(store, more, "more")
    assert [batch.batch for batch in client.batches()] == ["gone", "more", "new", "old"]
    assert files_of(store, "new") == keys_of(NEW)
    assert_readable(store, dict(list(NEW.items())[::100]))
    assert_clean(store)


@pytest.mark.fault
def test_housekeeping_takes_it_in_when_there_is_room(store, ssd):
    """Nobody has to begin a job for that."""
    start_with_an_older_index(store, ssd)
    make_room(ssd)
    until(lambda: files_of(store, "new") == keys_of(NEW), "the index to follow")
    assert len(store.client.batches()) == 3


@pytest.mark.fault
def test_what_was_purged_or_moved_since_is_not_told_as_it_was(store, ssd):
    """The index still has the place of before."""
    key = key_of(GONE["gone"])

    def purge_and_compact() -> None:
        store.start()
        finish(store, store.client.purge("gone").job_id)
        store.client.compact()
        store.stop()

    start_with_an_older_index(store, ssd, purge_and_compact)
    for ask in (lambda: store.client.head(key), lambda: read_object(store, key)):
        with pytest.raises(ReindexingError, match="nothing is lost"):
            ask()
    jobs = len(store.client.jobs())
    make_room(ssd)
    until(lambda: files_of(store, "new") == keys_of(NEW), "the index to follow")
    with pytest.raises(NotFoundError, match="no object"):
        store.client.head(key)
    assert len(store.client.jobs()) <= jobs + 1, "each second one that fails"
    assert_readable(store, OLD)


@pytest.mark.fault
def test_a_stage_is_given_back_for_that_makes_room(store, ssd, tmp_path):
    manifest = write_manifest(str(tmp_path / "manifest.jsonl"), keys_of(OLD))
    store.client.stage_to_3c(manifest, "one", "flat")
    folder = os.path.join(store.config.area_path("3c"), "one", "flat")
    until(lambda: os.path.exists(os.path.join(folder, "_SEALED")), "the stage")
    start_with_an_older_index(store, ssd)
    assert os.path.exists(folder)
    finish(store, store.client.release_stage("one", "flat").job_id)
    assert not os.path.exists(folder)


@pytest.mark.fault
def test_a_replica_that_is_lost_is_made_again(store, ssd):
    lost: list[str] = []

    def lose() -> None:
        lost.append(next(path for folder in store.disks for path in shard_files(folder)))
        os.unlink(lost[0])

    start_with_an_older_index(store, ssd, lose)
    name = os.path.basename(lost[0])

    def copies() -> int:
        return sum(os.path.basename(p) == name for path in store.disks for p in shard_files(path))

    until(lambda: copies() == 2, "its second copy")
    assert is_full(store)
    make_room(ssd)
    until(lambda: files_of(store, "new") == keys_of(NEW), "the index to follow")
    settle(store)
    assert_clean(store)


@pytest.mark.fault
def test_a_drain_goes_on_when_the_index_has_followed(store, ssd):
    number = next(n for n, folder in enumerate(store.disks) if shard_files(folder))

    def begin_to_drain() -> None:
        engine = Engine(store.config)
        engine.start()
        try:
            drained = engine.store.disks.by_name(f"d{number}")
            engine.store.catalog.append(("disk_drain", {"disk": drained.disk_id}))
        finally:
            engine.stop()

    start_with_an_older_index(store, ssd, begin_to_drain)
    assert disk(store, number).state == "draining" and shard_files(store.disks[number])
    make_room(ssd)
    until(lambda: not shard_files(store.disks[number]), "the disk to be empty")
    until(lambda: files_of(store, "new") == keys_of(NEW), "the index to follow")
    assert_clean(store)


@pytest.mark.fault
def test_what_has_to_be_written_anew_waits_for_room(store, ssd):
    """A try that finds no room in its midst would leave a shard, and the next one another."""
    files = {f"{number}": os.urandom(3000 + number) for number in range(60)}
    victim = key_of(files["7"])

    put(store, write_files(os.path.join(store.root, "open"), files), "open")
    head = store.client.head(victim)
    paths = {disk.name: disk.path for disk in store.client.disks()}
    kill_engine(store.config, group=True)
    for name in head.disks:
        damage(shard_path(paths[name], head.shard_id), head.offset + 200)
    ballast.of_index(store.config.index_root).give_up()
    fill_up(ssd)
    before = [shard_files(folder) for folder in store.disks]
    store.start()
    assert is_full(store)
    time.sleep(2 * HOUSEKEEPING_S)
    assert [shard_files(folder) for folder in store.disks] == before
    make_room(ssd)
    until(lambda: files_of(store, "open") == keys_of(files), "the index to follow")
    del files["7"]
    assert_readable(store, files)
    with pytest.raises(NoReplicaError):
        read_object(store, victim)
