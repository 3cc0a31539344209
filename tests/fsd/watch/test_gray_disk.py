"""A disk that answers late: suspected for that alone, it is read last and takes nothing new."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bad_disk_rig import DISKS, Rig
from lab import why_not
from store_checks import (
    assert_clean,
    assert_readable,
    disk,
    first_read,
    key_of,
    keys_of,
    settle,
    shard_files,
)

from fsd.engine.engine import Engine
from fsd.process import process
from fsd.replicas.removal_check import shards_on
from fsd.store import hedge
from fsd.store.read import read_small

pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "the lab is there"),
]

# A read that seeks takes 0.5 to 1 s then.
SLOWER = 60
SLOW_S = 0.2
ROUNDS_MAX = 4
STALL_TIMEOUT_S = 60.0


@pytest.fixture
def rig(short_tmp: str) -> Iterator[Rig]:
    made = Rig(short_tmp, stall_timeout_s=STALL_TIMEOUT_S)
    yield made
    made.close()


def read_slowly(rig: Rig, number: int) -> None:
    """Let an engine of this process read a disk that is slow back, until it suspects it."""
    engine = Engine(rig.store.config)
    engine.start()
    try:
        slow = engine.store.disks.by_name(f"d{number + 1}")
        assert slow.health.state == "ok"
        rig.disks[number].control("latency", "on")
        rig.disks[number].control("slow", SLOWER)
        for shard in shards_on(engine.store, slow) * ROUNDS_MAX:
            if slow.health.state == "ok":
                assert engine.replicator.prove(shard.shard_id, slow)
        rig.disks[number].control("latency", "off")
        assert (slow.state, slow.health.state) == ("online", "suspect")
        assert "slow requests" in slow.health.reason
    finally:
        rig.disks[number].control("latency", "off")
        engine.stop()


def assert_read_elsewhere(
    rig: Rig, name: str, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an engine of this process, for which no disk is late: beside other tests one may be."""
    rig.store.stop()
    monkeypatch.setattr(hedge, "HEDGE_SILENT_S", STALL_TIMEOUT_S)
    engine = Engine(rig.store.config)
    engine.start()
    try:
        suspect = engine.store.disks.by_name(name)
        assert suspect.health.state == "suspect"
        before = suspect.counters.read_bytes
        for data in files.values():
            assert read_small(engine.store, bytes.fromhex(key_of(data))) == data
        assert suspect.counters.read_bytes == before, "it was read although others could be"
        assert sum(one.counters.read_bytes for one in engine.store.disks.disks.values())
    finally:
        engine.stop()
    rig.store.start()


@pytest.mark.fault
def test_slow_requests_make_a_disk_suspect_and_it_is_read_last(rig: Rig, monkeypatch):
    client, files = rig.store.client, rig.put("first", 300)
    settle(rig.store)
    first = {key: first_read(rig.store, key) for key in keys_of(files).values()}
    asked = [one for one in range(DISKS) if disk(rig.store, one).name in first.values()]
    number = max(asked, key=lambda one: len(shard_files(rig.disks[one].path)))
    name = disk(rig.store, number).name
    keys = [key for key in first if first[key] == name]
    rig.store.stop()
    monkeypatch.setattr(process, "SLOW_S", SLOW_S)
    read_slowly(rig, number)
    rig.store.start()
    assert disk(rig.store, number).health == "suspect"
    assert any(n.code == "disk-suspect" and name in n.message for n in client.warnings())
    assert all(client.head(key).disks[-1] == name for key in keys)
    assert_read_elsewhere(rig, name, files, monkeypatch)
    more = rig.put("second", 60)
    assert not any(name in client.head(key).disks for key in keys_of(more).values())
    assert_readable(rig.store, more)
    assert_clean(rig.store)
