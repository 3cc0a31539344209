"""A manifest that no disk gives any more is stored anew by whoever makes something of it."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from purge_checks import store_batch
from store_checks import (
    damage,
    disk,
    finish,
    keys_of,
    read_object,
    settle,
    shard_files,
    wait_for_state,
    write_manifest,
)
from store_harness import Store

FILES = {f"{n}": os.urandom(2000 + n) for n in range(6)}


@pytest.mark.fault
@pytest.mark.parametrize("mode", ["view", "copy"])
@pytest.mark.parametrize("name", ["first", "other"])
def test_a_lost_manifest_is_stored_anew(
    store: Callable[..., Store], short_tmp: str, mode: str, name: str
):
    made = store(4, copies_raw=3, copies_generated=1)
    store_batch(made, short_tmp, "b", FILES)
    settle(made)
    path = write_manifest(os.path.join(short_tmp, "manifest"), keys_of(FILES))
    answer = made.client.export_to_3d(path, "first", "plain", mode=mode)
    finish(made, answer.job_id)
    settle(made)
    whole = read_object(made, answer.manifest_key)
    (gone,) = made.client.head(answer.manifest_key).disks
    number = next(n for n in range(len(made.disks)) if disk(made, n).name == gone)
    os.rename(made.disks[number], f"{made.disks[number]}-away")
    wait_for_state(made, number, "missing")
    made.client.wait(made.client.rebuild(gone).job_id)
    assert made.client.head(answer.manifest_key).copies == 0
    again = made.client.export_to_3d(path, name, "plain", mode=mode)
    finish(made, again.job_id)
    assert again.manifest_key == answer.manifest_key
    head = made.client.head(answer.manifest_key)
    assert head.copies == 1
    assert read_object(made, answer.manifest_key) == whole
    # What there is of it is not written again.
    finish(made, made.client.export_to_3d(path, "third", "plain", mode=mode).job_id)
    assert made.client.head(answer.manifest_key).shard_id == head.shard_id


@pytest.mark.fault
@pytest.mark.parametrize("mode", ["view", "copy"])
def test_a_damaged_manifest_is_a_loss_to_health_and_losses_alike(
    store: Callable[..., Store], short_tmp: str, mode: str
):
    made = store(2)
    store_batch(made, short_tmp, "b", FILES)
    path = write_manifest(os.path.join(short_tmp, "manifest"), keys_of(FILES))
    answer = made.client.export_to_3d(path, "e", "plain", mode=mode)
    finish(made, answer.job_id)
    finish(made, made.client.verify().job_id)
    settle(made)
    head = made.client.head(answer.manifest_key)
    for path in [path for folder in made.disks for path in shard_files(folder)]:
        if head.shard_id in path:
            damage(path, head.offset + head.size_bytes // 2)
    made.client.wait(made.client.scrub().job_id)
    assert made.client.health().state == "failed"
    listed = made.client.wait(made.client.losses().job_id)
    (line,) = made.client.report(listed.job_id)
    assert line["key"] == answer.manifest_key and "damaged" in line["reason"]
    assert listed.result["others"] == 1
