"""Purging single objects: they go wherever they are named, and everything else stays as it was."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from purge_checks import (
    SHARED,
    assert_gone,
    compact,
    everything,
    files_of,
    own,
    purge,
    purge_keys,
    quick_store,
    reindex,
    store_batch,
)
from store_checks import (
    assert_batch,
    assert_clean,
    finish,
    key_of,
    keys_of,
    put,
    read_object,
    settle,
    until,
    write_manifest,
)
from store_harness import Store, write_files

from base.errors import UsageError
from fsd.format.errors import NotFoundError
from fsd.store.generation import current_generation
from fsd.store.index import Index

Files = dict[str, bytes]


@pytest.fixture
def filled(store: Callable[..., Store], short_tmp: str) -> tuple[Store, Files, Files]:
    """A started store with two batches that share a shard and a file."""
    made = quick_store(store, 3)
    first, second = files_of("one"), files_of("two")
    store_batch(made, short_tmp, "first", first)
    store_batch(made, short_tmp, "second", second)
    settle(made)
    return made, first, second


def less(files: Files, gone: list[bytes]) -> Files:
    return {path: data for path, data in files.items() if data not in gone}


def losses(store: Store) -> int:
    job = store.client.wait(store.client.losses().job_id)
    return len(list(store.client.report(job.job_id)))


def test_they_go_for_good_and_the_rest_of_their_batches_stays(filled, short_tmp):
    store, first, second = filled
    gone = [first["one/1"], first["one/2"], SHARED]
    told, lines = purge_keys(store, gone, dry_run=True)
    assert (told["purged_objects"], told["kept_objects"], told["named_by_batches"]) == (3, 0, 2)
    assert lines == [
        {"status": "named", "holder": "batch first", "objects": 3},
        {"status": "named", "holder": "batch second", "objects": 1},
    ]
    assert_batch(store, "first", first)
    assert purge_keys(store, gone)[0] == told
    for turn in range(3):
        assert_gone(store, gone)
        until(lambda: store.client.batch("first").files == len(first) - 3, "a listing without them")
        assert_batch(store, "first", less(first, gone))
        assert_batch(store, "second", less(second, gone))
        assert_clean(store)
        assert losses(store) == 0 and store.client.health().state == "ok"
        before = everything(store)
        if turn == 0:
            reindex(store)
        else:
            store.stop()
            store.start()
        assert everything(store) == before
    with pytest.raises(NotFoundError, match="was purged"):
        store.client.head(key_of(SHARED))
    # The same again changes nothing.
    again, _ = purge_keys(store, gone)
    assert (again["purged_objects"], again["purged_before"]) == (0, 3)
    # A compaction writes the others anew, and not these.
    assert compact(store, 0.001)["compacted"] >= 1
    until(lambda: store.client.compact_plan().waiting_shards == 0, "the old shards to go")
    assert store.client.compact_plan().store_garbage_bytes == 0
    reindex(store)
    assert_gone(store, gone)
    assert_batch(store, "first", less(first, gone))
    # A batch that named them goes as ever.
    purge(store, "first")
    assert_batch(store, "second", less(second, gone))
    assert_clean(store)


def test_what_is_put_again_is_stored_anew(filled, short_tmp):
    store, first, second = filled
    gone = [first["one/1"], SHARED]
    purge_keys(store, gone)
    folder = write_files(os.path.join(short_tmp, "again"), {"a": gone[0], "b": first["one/3"]})
    lines = {line["path"]: line["status"] for line in put(store, folder, "again")}
    assert lines == {"a": "written", "b": "existing"}
    settle(store)
    # Whoever named it names it again; the other one stays away.
    until(lambda: store.client.batch("first").files == len(first) - 1, "the listing")
    for _ in range(2):
        assert_batch(store, "first", less(first, [SHARED]))
        assert_batch(store, "again", {"a": gone[0], "b": first["one/3"]})
        assert_batch(store, "second", less(second, [SHARED]))
        assert_gone(store, [SHARED])
        assert_clean(store)
        assert losses(store) == 0
        reindex(store)
    # And goes again.
    assert purge_keys(store, [gone[0]])[0]["purged_objects"] == 1
    assert_gone(store, gone)


def test_a_batch_takes_them_again(filled, short_tmp):
    """One that is open stores them anew, one that is sealed has them no more."""
    store, first, _ = filled
    folder = write_files(os.path.join(short_tmp, "open"), {"a": b"a" * 5000, "b": b"b" * 5000})
    job = store.client.batch_write(folder, "open", "raw", keep_open=True)
    finish(store, job.job_id)
    purge_keys(store, [b"a" * 5000, first["one/1"]])
    job = store.client.batch_write(folder, "open", "raw", keep_open=True)
    result = finish(store, job.job_id)
    assert (result["written"], result["failed"]) == (1, 0)
    assert_batch(store, "open", {"a": b"a" * 5000, "b": b"b" * 5000})
    lines = put(store, os.path.join(short_tmp, "source-first"), "first", "incomplete")
    refused = [line["path"] for line in lines if line["status"] == "failed"]
    assert refused == ["one/1"]
    assert_gone(store, [first["one/1"]])


def test_what_more_than_batches_refer_to_stays(filled, short_tmp):
    store, first, second = filled
    client = store.client
    path = write_manifest(os.path.join(short_tmp, "m"), {"x": key_of(first["one/1"])})
    view = client.export_to_3d(path, "shown", "plain", mode="view")
    finish(store, view.job_id)
    path = write_manifest(os.path.join(short_tmp, "n"), {"y": key_of(first["one/2"])})
    pinned = client.export_to_3d(path, "passing", "plain", mode="view")
    finish(store, pinned.job_id)
    client.pin_manifest(pinned.manifest_key, "kept")
    client.unpublish("exports", "passing", "plain")
    settle(store)
    store.stop()
    root = store.config.index_root
    index = Index(root, current_generation(root) or 0)
    with index.read() as reader:
        part = reader.batch_parts("second")[0].hex()
    index.close()
    store.start()
    chosen = [key_of(first[f"one/{n}"]) for n in (1, 2, 3)] + [part, view.manifest_key, "0" * 64]
    job = client.purge(keys=chosen)
    told = finish(store, job.job_id)
    assert (told["purged_objects"], told["kept_objects"], told["unknown_objects"]) == (1, 4, 1)
    stays = {line["holder"] for line in client.report(job.job_id) if line["status"] == "stays"}
    assert stays == {
        "batch second, whose list of files it is",
        "batch .manifests",
        "view exports/shown/plain",
        "pin kept",
    }
    assert_gone(store, [first["one/3"]])
    assert_batch(store, "first", less(first, [first["one/3"]]))
    assert_batch(store, "second", second)
    assert read_object(store, view.manifest_key)
    client.unpin("kept")
    assert purge_keys(store, [first["one/2"]])[0]["purged_objects"] == 1


def test_a_request_names_a_batch_or_keys(filled):
    store, first, _ = filled
    for wrong in ({}, {"batch": "first", "keys": tuple(keys_of(first).values())}):
        with pytest.raises(UsageError, match="name a batch that goes, or keys"):
            store.client.purge(**wrong)
    assert own(first)
