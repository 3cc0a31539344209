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
    keys_of,
    settle,
    shard_files,
)

from fsd import process
from fsd.departure import shards_on
from fsd.engine import Engine

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


def late_reads(rig: Rig, name: str) -> int:
    """How often another disk than the named one let a reader wait for too long."""
    return sum(one.late_reads for one in rig.store.client.disks() if one.name != name)


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
    before = disk(rig.store, number).read_bytes, late_reads(rig, name)
    assert_readable(rig.store, files)
    # Beside other tests another disk may be late: then nobody waits for that one.
    after = disk(rig.store, number).read_bytes, late_reads(rig, name)
    assert after[0] == before[0] or after[1] > before[1], "it was read although others could be"
    more = rig.put("second", 60)
    assert not any(name in client.head(key).disks for key in keys_of(more).values())
    assert_readable(rig.store, more)
    assert_clean(rig.store)
