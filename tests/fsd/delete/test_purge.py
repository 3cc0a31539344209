"""Purging a batch: what goes, what stays and why, and that no reindex brings it back."""

from __future__ import annotations

import json
import os

import pytest
from purge_checks import (
    SHARED,
    assert_gone,
    files_of,
    objects,
    own,
    purge,
    quick_store,
    reindex,
    store_batch,
)
from store_checks import (
    assert_batch,
    assert_clean,
    assert_readable,
    assert_sealed,
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
from store_harness import write_files

from base.errors import UsageError
from fsd.format.errors import NotFoundError


@pytest.fixture
def quick(store):
    """A function that makes a started store whose grace is over at once."""
    return lambda disks=3, **settings: quick_store(store, disks, **settings)


def test_what_only_the_batch_has_goes_for_good(quick, short_tmp):
    store = quick()
    first, second = files_of("one"), files_of("two")
    store_batch(store, short_tmp, "first", first)
    store_batch(store, short_tmp, "second", second)
    told, stays = purge(store, "first", dry_run=True)
    assert told["purged_objects"] == 21  # The files but the shared one, and the batch's part.
    assert stays == [
        {"status": "stays", "holder": "batch second", "objects": 1, "size_bytes": len(SHARED)}
    ]
    assert_batch(store, "first", first)
    result, _ = purge(store, "first")
    assert result == told
    assert [batch.batch for batch in store.client.batches()] == ["second"]
    for _ in range(2):
        assert_gone(store, own(first))
        assert_batch(store, "second", second)
        assert_clean(store)
        reindex(store)
    store.stop()
    store.start()
    assert_gone(store, own(first))
    assert_batch(store, "second", second)
    with pytest.raises(NotFoundError):
        store.client.purge("first")


def test_a_purged_batch_can_be_put_again(quick, short_tmp):
    store = quick()
    files = files_of("one")
    store_batch(store, short_tmp, "first", files)
    for _ in range(2):
        purge(store, "first")
        assert_gone(store, list(files.values()))
        store_batch(store, short_tmp, "first", files)
        assert_batch(store, "first", files)
        reindex(store)
        assert_batch(store, "first", files)
    assert store.client.batch("first").files == len(files)
    assert_clean(store)


def test_a_shard_with_nothing_left_is_deleted_on_every_disk(quick, short_tmp):
    store = quick()
    store_batch(store, short_tmp, "first", files_of("one"))
    settle(store)
    assert sum(len(shard_files(path)) for path in store.disks) == 2
    result, _ = purge(store, "first")
    assert result["dropped_shards"] == 1 and result["garbage_shards"] == 0
    until(lambda: not any(shard_files(path) for path in store.disks), "the files to go")
    assert not any(os.listdir(p) for d in store.disks if os.path.isdir(p := f"{d}/quarantine"))
    assert objects(store) == 0
    store.stop()
    store.start()
    assert objects(store) == 0
    assert_clean(store)


def test_within_the_grace_the_files_stay(quick, short_tmp):
    store = quick(grace_s=3600)
    store_batch(store, short_tmp, "first", files_of("one"))
    purge(store, "first")
    assert sum(len(shard_files(path)) for path in store.disks) == 2
    assert store.client.compact_plan().waiting_shards == 1
    reindex(store)
    assert objects(store) == 0 and store.client.health().state == "ok"


def test_views_and_pins_keep_what_they_name(quick, short_tmp):
    store = quick()
    files = files_of("one")
    store_batch(store, short_tmp, "first", files)
    names = sorted(files)
    viewed, pinned = names[:3], names[3:6]
    manifest = write_manifest(f"{short_tmp}/m", {n: key_of(files[n]) for n in viewed})
    view = store.client.export_to_3d(manifest, "e1", "plain", mode="view")
    finish(store, view.job_id)
    path = write_manifest(f"{short_tmp}/p.jsonl", {n: key_of(files[n]) for n in pinned})
    with open(path, "rb") as file:
        data = file.read()
    store_batch(store, short_tmp, "manifests", {"p.jsonl": data}, "generated")
    pin = store.client.pin_manifest(key_of(data), "dataset-1")
    assert store.client.pins() == [pin]
    assert store.client.pin_manifest(key_of(data), "dataset-1") == pin
    # The manifest's own batch goes, and the manifest stays: it is pinned.
    purge(store, "manifests")
    _, stays = purge(store, "first")
    assert {line["holder"] for line in stays} == {"view exports/e1/plain", "pin dataset-1"}
    for _ in range(2):
        assert_readable(store, {name: files[name] for name in viewed + pinned})
        assert read_object(store, key_of(data)) == data
        assert_gone(store, [files[name] for name in names[6:]])
        assert_clean(store)
        store.stop()
        store.start()
    store.client.unpin("dataset-1")
    assert store.client.pins() == []
    with pytest.raises(NotFoundError):
        store.client.unpin("dataset-1")


def test_what_may_not_be_pinned(quick, short_tmp):
    store = quick()
    files = files_of("one")
    lost = json.dumps({"path": "a", "key": "ab" * 32}).encode() + b"\n"
    empty = b""
    files |= {"lost": lost, "nothing": b"not a manifest", "empty": empty}
    store_batch(store, short_tmp, "first", files)
    client = store.client
    for data in (lost, b"not a manifest"):
        with pytest.raises(UsageError):
            client.pin_manifest(key_of(data), "name")
    with pytest.raises(NotFoundError):
        client.pin_manifest("ab" * 32, "name")
    with pytest.raises(UsageError):
        client.pin_manifest(key_of(empty), "a/b")
    client.pin_manifest(key_of(empty), "name")
    other = write_manifest(f"{short_tmp}/p", {"a": key_of(SHARED)})
    with open(other, "rb") as file:
        data = file.read()
    store_batch(store, short_tmp, "second", {"p": data})
    with pytest.raises(UsageError, match="unpin it first"):
        client.pin_manifest(key_of(data), "name")


@pytest.mark.parametrize("purged", ["raw", "generated"])
def test_a_promoted_object_is_there_as_long_as_one_of_its_batches(quick, short_tmp, purged):
    store = quick()
    files = files_of("one")
    for class_name in ("generated", "raw"):
        store_batch(store, short_tmp, class_name, files, class_name)
    left = "raw" if purged == "generated" else "generated"
    # The content has two records, of which both must go with the last of the batches.
    result, _ = purge(store, purged)
    assert result["purged_objects"] == 1
    reindex(store)
    assert_batch(store, left, files)
    assert_clean(store)
    purge(store, left)
    assert_gone(store, list(files.values()))
    reindex(store)
    assert_gone(store, list(files.values()))
    assert objects(store) == 0


def test_a_purge_is_refused_while_a_disk_is_away(quick, short_tmp):
    store = quick()
    files = files_of("one")
    store_batch(store, short_tmp, "first", files)
    settle(store)
    os.rename(store.disks[0], store.disks[0] + "-away")
    until(lambda: any(d.state == "missing" for d in store.client.disks()), "the disk to be missed")
    for dry_run in (True, False):
        ended = store.client.wait(store.client.purge("first", dry_run=dry_run).job_id)
        assert ended.state == "failed" and "its catalog may hold references" in (ended.error or "")
    os.rename(store.disks[0] + "-away", store.disks[0])
    until(lambda: all(d.state == "online" for d in store.client.disks()), "the disk")
    assert_batch(store, "first", files)
    purge(store, "first")
    assert_gone(store, list(files.values()))


def test_a_list_of_references_that_cannot_be_read_refuses(quick, short_tmp):
    store = quick(2)
    files = files_of("one", 3)
    store_batch(store, short_tmp, "first", files)
    store.stop()
    store.start()
    store_batch(store, short_tmp, "second", files_of("two", 3))
    settle(store)
    # A disk process remembers the sector that it read last.
    store.stop()
    shards = [path for disk in store.disks for path in shard_files(disk)]
    for path in shards:
        with open(path, "rb") as file:
            data = file.read()
        place = data.find(b'{"batch": "second"')
        if place >= 0:
            with open(path, "r+b") as file:
                file.seek(place)
                file.write(b"damaged")
    store.start()
    ended = store.client.wait(store.client.purge("first").job_id)
    assert ended.state == "failed" and "no replica of" in (ended.error or "")
    assert_batch(store, "first", files)


def test_a_mount_shows_it_no_more(quick, short_tmp):
    store = quick()
    first, second = files_of("one"), files_of("two")
    store_batch(store, short_tmp, "first", first)
    store_batch(store, short_tmp, "second", second)
    point = store.mount()
    assert sorted(os.listdir(f"{point}/batches")) == ["first", "second"]
    purge(store, "first")
    until(lambda: os.listdir(f"{point}/batches") == ["second"], "the batch to go")
    for path, data in second.items():
        with open(f"{point}/batches/second/{path}", "rb") as file:
            assert file.read() == data


def test_the_store_of_manifests_cannot_be_purged(quick):
    store = quick()
    with pytest.raises((UsageError, NotFoundError)):
        store.client.purge(".manifests")


def test_a_batch_that_is_open_is_purged_too(quick, short_tmp):
    store = quick()
    files = files_of("one")
    folder = write_files(os.path.join(short_tmp, "source"), files)
    os.mkfifo(os.path.join(folder, "odd"))
    os.symlink("nowhere", os.path.join(folder, "link"))
    put(store, folder, "first")
    purge(store, "first")
    assert_gone(store, list(files.values()))


def test_what_is_being_exported_stays(quick, short_tmp):
    """A purge that begins while a copy is made leaves what the copy still needs."""
    store = quick(stall_timeout_s=20)
    files = {f"{n % 20}/{n}": os.urandom(9000) for n in range(4000)}
    store_batch(store, short_tmp, "first", files)
    manifest = write_manifest(f"{short_tmp}/m", keys_of(files))
    answer = store.client.export_to_3d(manifest, "e1", "plain")
    result, stays = purge(store, "first")
    # Which of the two was first, the machine says; nothing between them is right.
    finish(store, answer.job_id)
    held = sum(line["objects"] for line in stays if line["holder"] == "copy exports/e1/plain")
    assert held in (0, len(files)) and result["purged_objects"] >= len(files) - held
    assert_sealed(answer.target_root, files)
