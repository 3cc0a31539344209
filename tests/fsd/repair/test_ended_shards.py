"""Shards that ended, were damaged on every disk, and of whose seal no catalog had heard yet."""

from __future__ import annotations

import os
import shutil

import pytest
from purge_checks import reindex
from store_checks import (
    assert_batch,
    assert_clean,
    assert_readable,
    is_recovered,
    key_of,
    put,
    settle,
    until,
)
from store_harness import MIB, Store, with_settings, write_files
from test_first_group import forget_entries
from test_reconstruct import (
    FILES,
    Hit,
    Replicas,
    assert_reconstructed,
    filled_store,
    payload,
    replicas_of,
    wait_whole,
)

from base.errors import DrystoneError
from fsd.format.record import FOOTER_TRAILER_BYTES, TRAILER_BYTES
from fsd.format.rewrite import group_spans

LARGE = "large/1"
SMALL = {path: data for path, data in FILES.items() if path != LARGE}
MORE = {f"more/{n}": os.urandom(3000 + 977 * n) for n in range(40)}


@pytest.fixture
def filled(store, short_tmp: str) -> Store:
    return filled_store(store, short_tmp, FILES, 2)


@pytest.fixture
def grouped(store, short_tmp: str) -> Store:
    """A store with a shard of two groups, both of them small files."""
    made: Store = store(2, started=False)
    made.config = with_settings(made.root, grace_s=0, scrub_rate_bytes_per_s=0)
    made.start()
    for name, files in (("first", SMALL), ("more", MORE)):
        put(made, write_files(os.path.join(short_tmp, name), files), name)
    settle(made)
    return made


def large_of(store: Store) -> Replicas:
    key = key_of(FILES[LARGE])
    return replicas_of(store.disks)[store.client.head(key).shard_id]


def footer(shard: Replicas) -> Hit:
    return len(shard.sound) - FOOTER_TRAILER_BYTES, 8


def trailers(shard: Replicas) -> list[Hit]:
    """Return the trailers of the groups."""
    spans = group_spans(shard.entries, shard.data_end)
    return [(one.offset + one.length_bytes - TRAILER_BYTES, 8) for one in spans]


def stop_unheard(store: Store, *, index_is_lost: bool = False) -> None:
    """Stop a store; the catalogs are as they were before they heard of any seal."""
    store.stop()
    forget_entries(store, "shard_seal")
    if index_is_lost:
        shutil.rmtree(store.config.index_root)


def quarantined(store: Store) -> list[str]:
    folders = [os.path.join(disk, "quarantine") for disk in store.disks]
    return [name for folder in folders if os.path.isdir(folder) for name in os.listdir(folder)]


@pytest.mark.fault
@pytest.mark.parametrize("index_is_lost", [False, True])
@pytest.mark.parametrize("sound_footers", [2, 1, 0])
def test_a_large_object_with_another_bad_block_on_each_disk(
    filled: Store, sound_footers: int, index_is_lost: bool
):
    large = large_of(filled)
    (entry,) = large.entries
    stop_unheard(filled, index_is_lost=index_is_lost)
    large.hit(0, payload(entry), payload(entry, 3 * MIB))
    large.hit(1, payload(entry, 700_000))
    for number in range(2 - sound_footers):
        large.hit(number, footer(large))
    filled.start()
    wait_whole(filled)
    assert large.is_sound() and quarantined(filled) == []
    assert_reconstructed(filled)
    reindex(filled)
    assert_reconstructed(filled)
    assert_batch(filled, "first", FILES)


@pytest.mark.fault
def test_a_large_object_whose_group_no_disk_shows_any_more(filled: Store):
    """Its trailer is damaged on both; only the footers know that there is anything."""
    large = large_of(filled)
    (entry,), tails = large.entries, trailers(large)
    stop_unheard(filled, index_is_lost=True)
    large.hit(0, payload(entry), *tails)
    large.hit(1, payload(entry, 700_000), *tails)
    filled.start()
    wait_whole(filled)
    assert large.is_sound()
    assert_reconstructed(filled)


@pytest.mark.fault
def test_what_is_lost_of_a_large_object_is_told_by_name(filled: Store, short_tmp: str):
    """One block is bad on both; the file is put again, and its shard is whole again."""
    large = large_of(filled)
    (entry,) = large.entries
    stop_unheard(filled)
    for number in range(2):
        large.hit(number, payload(entry, 700_000))
    filled.start()
    codes = {"damaged", "lost"}
    until(lambda: codes <= {one.code for one in filled.client.warnings()}, "the loss to be told")
    told = {one.code: one.message for one in filled.client.warnings()}
    assert f"first: {LARGE}" in told["lost"] and entry.key.hex() in told["damaged"]
    assert_readable(filled, {path: data for path, data in FILES.items() if path != LARGE})
    put(filled, write_files(os.path.join(short_tmp, "again"), {"again": FILES[LARGE]}), "again")
    until(large.is_sound, "the shard to be whole")
    assert_reconstructed(filled)


@pytest.mark.fault
@pytest.mark.parametrize("trailer_is_there", [True, False])
def test_a_large_object_that_was_torn_is_given_up(
    filled: Store, short_tmp: str, trailer_is_there: bool
):
    """Nobody was told of it: it is no shard without objects, which nobody could copy or compact."""
    large = large_of(filled)
    (entry,), tails = large.entries, trailers(large)
    stop_unheard(filled, index_is_lost=True)
    for number, path in enumerate(large.paths):
        os.truncate(path, large.data_end)
        large.hit(number, payload(entry, 5 * MIB), *([] if trailer_is_there else tails))
    filled.start()
    with pytest.raises(DrystoneError):
        filled.client.head(entry.key.hex())
    assert not any(os.path.exists(path) for path in large.paths)
    # What may be more than torn is set aside.
    assert len(quarantined(filled)) == (2 if trailer_is_there else 0)
    put(filled, write_files(os.path.join(short_tmp, "again"), FILES), "again")
    assert_batch(filled, "again", FILES)
    assert filled.client.health().state == "ok"
    assert_clean(filled)


@pytest.mark.fault
def test_a_large_object_that_was_acknowledged_is_not_deleted(filled: Store):
    """All that says where it lies is damaged on both disks; the index knows that it was there."""
    large = large_of(filled)
    tails = trailers(large)
    stop_unheard(filled)
    for number in range(2):
        large.hit(number, footer(large), *tails)
    filled.start()
    until(lambda: is_recovered(filled), "the open shards to be recovered")
    assert len(quarantined(filled)) == 2


@pytest.mark.fault
@pytest.mark.parametrize("way", ["both footers", "one footer", "no trailer", "no index"])
def test_a_shard_of_small_files_keeps_a_footer_that_is_true(grouped: Store, way: str):
    """The index knows its last group, or a disk has that whole: nothing is written to it."""
    shard = max(replicas_of(grouped.disks).values(), key=lambda one: len(one.entries))
    tails = trailers(shard)
    assert len(tails) == 2, "two groups are needed"
    stop_unheard(grouped, index_is_lost=way == "no index")
    shard.hit(0, payload(shard.entries[3]))
    shard.hit(1, payload(shard.entries[5]))
    if way == "one footer":
        shard.hit(1, footer(shard))
    if way == "no trailer":
        for number in range(2):
            shard.hit(number, *tails)
    grouped.start()
    wait_whole(grouped)
    assert shard.is_sound() and quarantined(grouped) == []
    for _ in range(2):
        assert_batch(grouped, "more", MORE)
        assert_reconstructed(grouped, {**SMALL, **MORE})
        reindex(grouped)


@pytest.mark.fault
def test_a_footer_of_which_nobody_knows_whether_it_is_true_is_not_written_over(grouped: Store):
    """The last group has no trailer on any disk, and the index is lost: all that is sound stays."""
    shard = max(replicas_of(grouped.disks).values(), key=lambda one: len(one.entries))
    tails = trailers(shard)
    stop_unheard(grouped, index_is_lost=True)
    shard.hit(0, tails[-1], payload(shard.entries[3]))
    shard.hit(1, tails[-1], payload(shard.entries[-3]))
    grouped.start()
    for _ in range(2):
        assert_batch(grouped, "more", MORE)
        assert_readable(grouped, {**SMALL, **MORE})
        assert_clean(grouped)
        reindex(grouped)
    assert len(quarantined(grouped)) == 2
