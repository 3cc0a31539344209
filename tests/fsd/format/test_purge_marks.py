"""Marks of purged records and what the catalog makes of them: golden text, doubt, and decision."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsd.delete.compact_plan import Victim, choose_victims, group_rounds
from fsd.format.catalog import CatalogEntry, CatalogState
from fsd.format.errors import CorruptError
from fsd.format.purge_marks import DeadRecords, pack_keys, pack_offsets, unpack_keys, unpack_offsets
from fsd.store.index import ShardRow

OFFSETS = st.sets(st.integers(0, (1 << 48) // 8 - 1).map(lambda n: 8 * n), min_size=1)
SHARDS = [
    ("disk_add", {"disk": "d1", "name": "one"}),
    ("shard_open", {"shard": "s1", "class_name": "raw", "disks": ["d1"]}),
    ("shard_open", {"shard": "s2", "class_name": "raw", "disks": ["d1"]}),
    ("batch_open", {"batch": "b", "class_name": "raw", "time_ns": 1}),
]
BEGIN = [
    ("purge_begin", {"purge": "p", "batch": "b"}),
    ("purge_mark", {"purge": "p", "shards": {"s1": "", "s2": pack_offsets([4160])}}),
]


def state_of(*items: tuple[str, dict[str, Any]]) -> CatalogState:
    state = CatalogState()
    for number, (kind, data) in enumerate(items, 1):
        state.apply(CatalogEntry(number, 1, kind, data))
    return state


@given(OFFSETS)
def test_offsets_there_and_back(offsets: set[int]):
    assert unpack_offsets(pack_offsets(offsets)) == offsets


def test_golden_offsets():
    # Steps of 8 bytes: 520, 1, 127, 128.
    packed = base64.b64decode(pack_offsets([4160, 4168, 5184, 6208]))
    assert packed == bytes([0x88, 0x04, 0x01, 0x7F, 0x80, 0x01])


@pytest.mark.parametrize("offsets", [[], [4161], [-8]])
def test_what_is_no_offset_is_not_packed(offsets: list[int]):
    with pytest.raises(ValueError, match=r"record|mark"):
        pack_offsets(offsets)


@pytest.mark.parametrize("text", ["*", "iA==", "QQ", "ä"])
def test_a_damaged_mark_is_not_read(text: str):
    with pytest.raises(CorruptError):
        unpack_offsets(text)


def test_which_records_are_dead():
    some = DeadRecords([pack_offsets([64]), pack_offsets([8, 64])])
    assert some and 64 in some and 8 in some and 16 not in some and not some.all_dead
    assert not DeadRecords([])
    for every in (DeadRecords([pack_offsets([8]), ""]), DeadRecords([], all_dead=True)):
        assert every and every.all_dead and 16 in every


def test_a_purge_in_doubt_hides():
    state = state_of(*SHARDS, *BEGIN)
    assert state.hidden_batches() == {"b"} and "b" in state.batches
    assert 4160 in state.shards["s2"].dead_records() and 8 in state.shards["s1"].dead_records()
    assert not state.shards["s1"].vacated


def test_a_committed_purge_is_for_good_until_the_batch_is_put_again():
    state = state_of(*SHARDS, *BEGIN, ("purge_commit", {"purge": "p"}))
    assert state.purges == {} and state.hidden_batches() == {"b"} and state.batches == {}
    assert state.shards["s1"].vacated and not state.shards["s2"].vacated
    again = ("batch_open", {"batch": "b", "class_name": "raw", "time_ns": 2})
    state = state_of(*SHARDS, *BEGIN, ("purge_commit", {"purge": "p"}), again)
    assert state.hidden_batches() == set() and state.batches["b"].created_ns == 2
    assert state.batches["b"].purges == state.purge_counts["b"] == 1
    assert 4160 in state.shards["s2"].dead_records()


def test_a_purge_that_was_given_up_leaves_nothing():
    state = state_of(*SHARDS, *BEGIN, ("purge_void", {"purge": "p"}))
    assert state.hidden_batches() == set() and list(state.batches) == ["b"]
    assert state.shards == state_of(*SHARDS).shards


def test_marks_without_a_beginning_and_of_unknown_shards_mean_nothing():
    lone = state_of(*SHARDS, BEGIN[1], ("purge_commit", {"purge": "p"}))
    assert lone.shards == state_of(*SHARDS).shards and list(lone.batches) == ["b"]
    other = ("purge_mark", {"purge": "p", "shards": {"s9": ""}})
    assert "s9" not in state_of(*SHARDS, BEGIN[0], other).shards


def test_what_the_index_followed_tells_states_apart():
    marks = set()
    for items in ([], BEGIN, [*BEGIN, ("purge_commit", {"purge": "p"})]):
        marks.add(state_of(*SHARDS, *items).shards["s1"].mark)
    assert len(marks) == 3
    assert state_of(*SHARDS, ("shard_vacate", {"shard": "s1"})).shards["s1"].mark not in marks


def row(number: int, payload: int, dead: int = 0, **more: Any) -> ShardRow:
    fields = {"sealed": True, "object_count": 3, **more}
    return ShardRow(
        number, f"{number:032x}", "raw", [], payload_bytes=payload, dead_bytes=dead, **fields
    )


def test_victims_have_enough_garbage():
    rows = [row(1, 100, 29), row(2, 100, 30), row(3, 100), row(4, 100, 90), row(5, 0)]
    rows += [row(6, 100, 100, sealed=False), row(7, 100, 100, dead_mark="vacated ")]
    found = choose_victims(rows, [(3, 40, 1)], 0.3)
    assert [(one.number, one.live_bytes) for one in found.victims] == [(4, 10), (3, 60), (2, 70)]
    assert found.total_bytes == 29 + 30 + 40 + 90


def test_large_shards_go_whole_or_not():
    rows = [row(1, 100, 0, large=True), row(2, 100, 100, large=True)]
    assert [one.number for one in choose_victims(rows, [], 0.3).victims] == [2]
    assert [one.number for one in choose_victims(rows, [(1, 100, 2)], 0.3).victims] == [2]
    assert [one.number for one in choose_victims(rows, [(1, 100, 9)], 0.3).victims] == [1, 2]


def test_what_a_cut_off_compaction_has_copied_is_not_thrown_away():
    # Shard 1 is half dead, and 2 has the copies of what lives in it.
    found = choose_victims([row(1, 100, 50), row(2, 50)], [(2, 50, 1)], 0.3)
    assert [one.number for one in found.victims] == [1]


@given(st.lists(st.tuples(st.sampled_from(["raw", "generated"]), st.integers(0, 120))))
def test_rounds_are_of_one_class_and_fill_a_shard(given_victims: list[tuple[str, int]]):
    victims = [Victim(f"{n}", n, c, 9, live, 5) for n, (c, live) in enumerate(given_victims)]
    rounds = group_rounds(victims, 100)
    assert sorted(one.number for group in rounds for one in group) == list(range(len(victims)))
    for group in rounds:
        assert group and len({one.class_name for one in group}) == 1
        assert len(group) == 1 or sum(one.live_bytes for one in group) <= 100


@given(st.sets(st.binary(min_size=32, max_size=32)))
def test_keys_there_and_back(keys: set[bytes]):
    assert unpack_keys(pack_keys(keys)) == keys


@pytest.mark.parametrize("text", ["?", base64.b64encode(bytes(33)).decode()])
def test_what_is_no_list_of_keys_is_refused(text: str):
    with pytest.raises(CorruptError):
        unpack_keys(text)
