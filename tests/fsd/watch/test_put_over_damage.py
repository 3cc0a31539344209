"""`existing` is said of content that was read back just now, and never of what no disk gives."""

from __future__ import annotations

import os

import pytest
from store_checks import (
    assert_clean,
    assert_readable,
    damage,
    finish,
    key_of,
    put,
    settle,
    shard_files,
    until,
)
from store_harness import MIB, Store, write_files

FILES = {f"{number:03}": os.urandom(20_000) for number in range(60)}
HIT = "017"


@pytest.fixture
def source(short_tmp) -> str:
    return write_files(os.path.join(short_tmp, "source"), FILES)


@pytest.fixture
def filled(store, source) -> Store:
    """Two disks, every file on both; the shard is still open."""
    made = store(2, shard_size_bytes=64 * MIB)
    put(made, source, "first")
    return made


def damage_everywhere(made: Store, data: bytes) -> None:
    """Damage one file's bytes at the same place of every copy."""
    hits = 0
    for disk in made.disks:
        for path in shard_files(disk):
            with open(path, "rb") as file:
                offset = file.read().find(data)
            if offset >= 0:
                damage(path, offset + len(data) // 2)
                hits += 1
    assert hits == len(made.disks)


def statuses(lines: list[dict]) -> dict[str, str]:
    return {line["path"]: line["status"] for line in lines if line["path"]}


def assert_put_again(made: Store, source: str, batch: str) -> None:
    """A put over the damage stores the file anew, and says so."""
    found = statuses(put(made, source, batch))
    assert found.pop(HIT) == "written"
    assert set(found) == set(FILES) - {HIT}
    assert_readable(made, {HIT: FILES[HIT]})


@pytest.mark.fault
@pytest.mark.parametrize("batch", ["first", "second"])
def test_damage_that_nobody_has_read_yet(filled, source, batch):
    settle(filled)
    damage_everywhere(filled, FILES[HIT])
    assert_put_again(filled, source, batch)
    until(lambda: filled.client.health().rebuild_queue == 0, "all copies")
    assert_readable(filled, FILES)


@pytest.mark.fault
@pytest.mark.parametrize("batch", ["first", "second"])
def test_damage_in_a_shard_that_is_still_open(filled, source, batch):
    damage_everywhere(filled, FILES[HIT])
    shard = filled.client.head(key_of(FILES[HIT])).shard_id
    assert_put_again(filled, source, batch)
    # What was put again must not lie where it would defeat the repair of the rest.
    assert filled.client.head(key_of(FILES[HIT])).shard_id != shard
    settle(filled)
    assert_clean(filled)
    assert_readable(filled, FILES)


def test_one_damaged_copy_is_found_and_the_content_kept_twice(filled, source):
    settle(filled)
    [path] = shard_files(filled.disks[0])
    with open(path, "rb") as file:
        offset = file.read().find(FILES[HIT])
    damage(path, offset + 100)
    for _ in range(3):  # Whichever copy is read back, the content has two sound ones after it.
        put(filled, source, "second")
    assert_readable(filled, FILES)


@pytest.mark.fault
def test_what_the_mount_finds_is_known_to_the_store(filled, source):
    settle(filled)
    mount = filled.mount()
    damage_everywhere(filled, FILES[HIT])
    with pytest.raises(OSError), open(f"{mount}/batches/first/{HIT}", "rb") as file:
        file.read()
    until(lambda: lost_now(filled), "the damage")
    assert_put_again(filled, source, "second")


def test_a_copy_that_the_mount_could_not_read_is_known_although_another_gave_the_bytes(filled):
    settle(filled)
    mount = filled.mount()
    for path in shard_files(filled.disks[0]):
        with open(path, "rb") as file:
            content = file.read()
        for data in FILES.values():
            if (offset := content.find(data)) >= 0:
                damage(path, offset + 10)
    assert not any(one.errors for one in filled.client.disks())
    for name, data in FILES.items():
        with open(f"{mount}/batches/first/{name}", "rb") as file:
            assert file.read() == data
    until(lambda: any(one.errors for one in filled.client.disks()), "the engine to be told")


def lost_now(made: Store) -> bool:
    """Whether health knows that something is not whole."""
    return made.client.health().state != "ok"


@pytest.mark.fault
def test_scrub_now_reads_open_shards_and_health_and_losses_agree(filled, source):
    damage_everywhere(filled, FILES[HIT])
    result = finish(filled, filled.client.scrub().job_id, "incomplete")
    assert result["problems"] > 0 and result["losses"] == 1
    lost = finish(filled, filled.client.losses().job_id, "incomplete")
    assert lost["files"] == 1 and lost["others"] == 0
    assert filled.client.health().state == "failed"
    assert_put_again(filled, source, "second")
    until(lambda: filled.client.health().state == "ok", "no loss any more")
    assert finish(filled, filled.client.losses().job_id)["files"] == 0


@pytest.mark.fault
def test_all_existing_content_is_read_back(filled, source):
    """Every byte that is called existing was read from a disk."""
    settle(filled)
    before = sum(one.read_bytes for one in filled.client.disks())
    assert set(statuses(put(filled, source, "second")).values()) == {"existing"}
    after = sum(one.read_bytes for one in filled.client.disks())
    assert after - before >= sum(map(len, FILES.values()))
