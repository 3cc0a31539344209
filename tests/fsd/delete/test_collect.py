"""Manifests that nothing names any more go with a compaction, after a grace; nothing else does."""

from __future__ import annotations

import os
import shutil

import pytest
from purge_checks import (
    assert_gone,
    compact,
    everything,
    files_of,
    purge,
    quick_store,
    reindex,
    store_batch,
)
from store_checks import (
    assert_batch,
    assert_clean,
    disk,
    finish,
    keys_of,
    settle,
    wait_for_state,
    write_manifest,
)
from store_harness import Store, with_settings

from fsd.format.errors import NotFoundError

LAYOUT = "plain"


def publish(store: Store, folder: str, name: str, files: dict[str, bytes], mode: str) -> str:
    """Export some files and return the key of the manifest."""
    path = write_manifest(os.path.join(folder, f"{name}.jsonl"), keys_of(files))
    answer = store.client.export_to_3d(path, name, LAYOUT, mode=mode)
    finish(store, answer.job_id)
    return answer.manifest_key


def test_only_what_nothing_names_goes_and_only_when_it_is_old(store, short_tmp):
    made = quick_store(store, 3)
    client = made.client
    files = files_of("b", 12)
    store_batch(made, short_tmp, "b", files)
    names = sorted(files)
    parts = {name: {path: files[path] for path in names[n:]} for n, name in enumerate("abcde")}
    unused = publish(made, short_tmp, "a", parts["a"], "view")
    kept = {
        "view": publish(made, short_tmp, "b", parts["b"], "view"),
        "pin": publish(made, short_tmp, "c", parts["c"], "view"),
        "folder": publish(made, short_tmp, "d", parts["d"], "copy"),
        "batch": publish(made, short_tmp, "e", parts["e"], "view"),
    }
    some = keys_of({path: files[path] for path in names[5:]})
    part = client.stage_to_3c(write_manifest(os.path.join(short_tmp, "f.jsonl"), some), "7", "l/0")
    finish(made, part.job_id)
    kept["part of a stage"] = part.manifest_key
    client.pin_manifest(kept["pin"], "mine")
    output = os.path.join(short_tmp, "manifest")
    client.read(kept["batch"], output)
    with open(output, "rb") as file:
        store_batch(made, short_tmp, "of manifests", {"one": file.read()})
    for name in ("a", "c", "e"):
        client.unpublish("exports", name, LAYOUT)
    settle(made)
    assert compact(made)["collected_manifests"] == 0, "none is old enough"
    made.stop()
    made.config = with_settings(made.root, manifest_grace_days=0)
    made.start()
    assert compact(made)["collected_manifests"] == 1
    with pytest.raises(NotFoundError):
        client.head(unused)
    for key in kept.values():
        assert client.head(key).copies >= 2
    before = everything(made)
    reindex(made)
    assert everything(made) == before
    assert_clean(made)
    assert_batch(made, "b", files)
    # What kept them goes, and then they do; the first one comes again when it is wanted.
    client.unpin("mine")
    client.unpublish("exports", "b", LAYOUT)
    shutil.rmtree(os.path.join(made.config.area_path("3d"), "d", LAYOUT))
    purge(made, "of manifests")
    assert compact(made)["collected_manifests"] == 3 + 1
    assert publish(made, short_tmp, "a", parts["a"], "view") == unused
    assert_gone(made, [])
    assert_clean(made)
    assert_batch(made, "b", files)


def test_with_a_disk_away_they_stay_and_it_is_said(store, short_tmp):
    made = quick_store(store, 3, manifest_grace_days=0)
    files = files_of("b", 12)
    store_batch(made, short_tmp, "b", files)
    key = publish(made, short_tmp, "a", files, "view")
    made.client.unpublish("exports", "a", LAYOUT)
    settle(made)
    os.rename(made.disks[0], made.disks[0] + ".away")
    wait_for_state(made, 0, "missing")
    job_id = made.client.compact().job_id
    assert made.client.wait(job_id).result["collected_manifests"] == 0
    assert any("unused manifests stay" in line["reason"] for line in made.client.report(job_id))
    assert made.client.head(key)
    os.rename(made.disks[0] + ".away", made.disks[0])
    wait_for_state(made, 0, "online")
    assert disk(made, 0).state == "online"
    assert compact(made)["collected_manifests"] == 1
    assert_clean(made)


def test_manifests_that_cannot_be_read_stay_and_stop_no_compaction(store, short_tmp):
    made = quick_store(store, 3)
    files = files_of("b", 6)
    store_batch(made, short_tmp, "b", files)
    key = publish(made, short_tmp, "a", files, "view")
    made.client.unpublish("exports", "a", LAYOUT)
    settle(made)
    made.stop()
    made.config = with_settings(made.root, manifest_grace_days=0)
    made.start()
    names = made.client.head(key).disks
    away = [n for n in range(3) if disk(made, n).name in names]
    for number in away:
        os.rename(made.disks[number], f"{made.disks[number]}.away")
        wait_for_state(made, number, "missing")
    assert compact(made)["collected_manifests"] == 0
    for number in away:
        os.rename(f"{made.disks[number]}.away", made.disks[number])
        wait_for_state(made, number, "online")
    assert compact(made)["collected_manifests"] == 1
    assert_clean(made)
