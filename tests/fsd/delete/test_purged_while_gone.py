"""A disk that was declared gone and comes back: what was purged meanwhile stays purged."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from purge_checks import assert_gone, compact, own, purge, quick_store, reindex, store_batch
from store_checks import (
    assert_batch,
    assert_clean,
    disk,
    finish,
    settle,
    shard_files,
    until,
    wait_for_state,
)
from store_harness import Store


@pytest.mark.fault
@pytest.mark.parametrize("compacted", [False, True])
def test_what_was_purged_while_a_disk_was_gone_stays_purged(
    store: Callable[..., Store], short_tmp: str, pytestconfig: pytest.Config, compacted: bool
):
    if not compacted and not pytestconfig.getoption("--slow"):
        pytest.skip("the same without a compaction: --slow")
    made = quick_store(store, 3)
    files = {
        name: {f"{name}/{n}": os.urandom(9000) for n in range(8)} for name in ("b1", "b2", "b3")
    }
    for name in ("b1", "b2"):  # In one shard.
        store_batch(made, short_tmp, name, files[name])
    settle(made)
    store_batch(made, short_tmp, "b3", files["b3"])
    settle(made)
    number = next(n for n, path in enumerate(made.disks) if len(shard_files(path)) > 1)
    name, away = disk(made, number).name, f"{made.disks[number]}-away"
    os.rename(made.disks[number], away)
    wait_for_state(made, number, "missing")
    finish(made, made.client.rebuild(name).job_id)
    for batch in ("b1", "b3"):
        purge(made, batch)
    if compacted:
        compact(made, 0.01)
    until(lambda: made.client.compact_plan().waiting_shards == 0, "what is empty to be dropped")
    os.rename(away, made.disks[number])
    made.client.disk_add(made.disks[number])
    wait_for_state(made, number, "online")
    settle(made)
    reindex(made)
    for batch in ("b1", "b3"):
        assert_gone(made, own(files[batch]))
    assert [one.batch for one in made.client.batches()] == ["b2"]
    assert_batch(made, "b2", files["b2"])
    live = {made.client.head(file.key).shard_id for file in made.client.batch_files("b2")}
    left = {os.path.basename(path).split(".")[0] for path in shard_files(made.disks[number])}
    assert left <= live
    assert_clean(made)
