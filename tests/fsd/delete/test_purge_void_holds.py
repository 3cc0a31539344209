"""A purge that was given up stays given up, whoever comes back and says that it was committed."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from purge_checks import (
    batches,
    crash,
    files_of,
    forget_last_entries,
    quick_store,
    reindex,
    store_batch,
)
from store_checks import assert_batch, assert_clean, disk, finish, settle, until, wait_for_state
from store_harness import Store


@pytest.mark.fault
def test_the_disk_that_alone_knew_of_the_commit_was_declared_gone_and_comes_back(
    store: Callable[..., Store], short_tmp: str
):
    made = quick_store(store, 4)
    files = {name: files_of(name, 8, 20_000) for name in ("b1", "b2")}
    for name, content in files.items():
        store_batch(made, short_tmp, name, content)
    settle(made)
    crash(made, "purge", "b1", "committed", "lost")
    for number in (0, 1, 3):
        forget_last_entries(made, number, "purge_commit")
    away = f"{made.disks[2]}-away"
    os.rename(made.disks[2], away)
    made.start()
    wait_for_state(made, 2, "missing")
    finish(made, made.client.rebuild(disk(made, 2).name).job_id)
    # All disks that there are know of no commit: it is given up, and stored again is what it was.
    until(lambda: batches(made) == ["b1", "b2"], "the batch to be shown again")
    assert_batch(made, "b1", files["b1"])
    store_batch(made, short_tmp, "b3", files["b1"])
    settle(made)
    os.rename(away, made.disks[2])
    made.client.disk_add(made.disks[2])
    wait_for_state(made, 2, "online")
    for _ in range(2):
        for name in ("b1", "b2", "b3"):
            assert_batch(made, name, files.get(name, files["b1"]))
        assert_clean(made)
        reindex(made)
        made.stop()
        made.start()
