"""Rebalancing real stores: after adding a disk, cancelled, and killed at any moment of it."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from command import drystone, environment
from engine_processes import kill_engine
from loop_disks import loop_store, needs_loop
from store_checks import (
    assert_batch,
    assert_clean,
    assert_copies,
    disk,
    finish,
    put,
    settle,
    shard_files,
    until,
)
from store_harness import MIB, Store, write_files

pytestmark = needs_loop


@pytest.fixture
def grown(short_tmp) -> Iterator[tuple[Store, dict[str, bytes]]]:
    """A store of three small disks with a settled batch `first`, and a fourth, empty disk."""
    rng = random.Random(5)
    files = {f"{n % 5}/{n}": rng.randbytes(40_000 + n * 977 % 200_000) for n in range(450)}
    with loop_store(short_tmp, 4, in_use=3) as (made, disks):
        put(made, write_files(os.path.join(short_tmp, "source"), files), "first")
        settle(made)
        made.client.disk_add(disks[3].path, "new")
        made.disks.append(disks[3].path)
        yield made, files


def stored(store: Store) -> list[int]:
    return [disk(store, number).stored_bytes for number in range(len(store.disks))]


def spread(store: Store) -> float:
    fills = [share.fill for share in store.client.rebalance_plan().disks]
    return max(fills) - min(fills)


def test_a_new_disk_gets_its_share(grown):
    store, files = grown
    before = stored(store)
    plans: list[dict[str, Any]] = []

    def is_steady() -> bool:
        """The free space that plans are made by is looked at every second."""
        time.sleep(1.5)
        result = drystone("disk", "rebalance", "--dry-run", "--json", env=environment(store))
        plans.append(json.loads(result.stdout))
        return plans[-1:] == plans[-2:-1]

    until(is_steady, "a plan that stays")
    plan = plans[-1]
    assert plan["moves"] > 0 and stored(store) == before
    text = drystone("disk", "rebalance", "--dry-run", env=environment(store)).stdout
    assert b"to be moved: " in text and b" shards, " in text and b"new" in text
    drystone("disk", "rebalance", env=environment(store))
    after = stored(store)
    assert sum(after) == sum(before)
    assert after[3] == plan["move_bytes"]
    # The engine looks at the free space every second.
    until(lambda: spread(store) <= 0.06, "equally full disks")
    assert_batch(store, "first", files)
    assert_copies(store, files, 2)
    assert_clean(store)
    # What is balanced stays.
    assert store.client.rebalance_plan().move_bytes <= 2 * MIB


def test_files_are_gone_where_replicas_left(grown):
    store, _ = grown
    before = [len(shard_files(path)) for path in store.disks]
    moved = finish(store, store.client.rebalance().job_id)["moved"]
    after = [len(shard_files(path)) for path in store.disks]
    assert moved > 0 and sum(after) == sum(before) and after[3] == moved


@pytest.mark.seconds(12)
@pytest.mark.fault
@pytest.mark.parametrize("seed", range(3))
def test_kill_9_during_a_rebalance(grown, seed):
    store, files = grown
    rng = random.Random(seed)
    for number in range(1, 4):
        store.client.rebalance()
        until(lambda least=3 * number: len(shard_files(store.disks[3])) >= least, "some moves")
        time.sleep(rng.uniform(0, 0.05))
        kill_engine(store.config, group=True)
        store.start()
        assert_batch(store, "first", files)
    finish(store, store.client.rebalance().job_id)
    settle(store)
    assert_batch(store, "first", files)
    assert_copies(store, files, 2)
    assert_clean(store)
    assert store.client.rebalance_plan().move_bytes <= 3 * MIB
