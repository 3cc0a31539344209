"""The catalog: golden frames, what survives damage, the union over disks, and what entries mean."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shard_fixture import dump, golden

from base.errors import DrystoneError
from fsd.format.catalog import (
    CatalogEntry,
    CatalogShard,
    CatalogState,
    identify,
    merge,
    pack_frame,
    unpack_frames,
)
from fsd.format.purge_marks import pack_keys
from fsd.store.index import BatchRow, ViewRow

DOCUMENT = {"job_id": "j", "text": "ä\udcff" * 360, "expected_files": 3}
VIEW = {
    "view_kind": "exports",
    "view": "e1",
    "layout": "l1",
    "manifest": "ab" * 32,
    "time_ns": 9,
    "document": DOCUMENT,
}
# One entry of every kind, with the fields as the store writes them.
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("disk_add", {"disk": "d1", "name": "hdd ä"}),
    ("disk_add", {"disk": "d2", "name": "two"}),
    ("shard_open", {"shard": "s1", "class_name": "raw", "disks": ["d1", "d2"]}),
    ("shard_open", {"shard": "s2", "class_name": "generated", "disks": ["d1"], "large": True}),
    ("shard_open", {"shard": "s3", "class_name": "raw", "disks": ["d1", "d2"]}),
    ("shard_seal", {"shard": "s1", "length": 8192, "disks": ["d1"], "time_ns": 5}),
    ("shard_abandon", {"shard": "s3"}),
    ("replica_add", {"shard": "s1", "disk": "d3"}),
    ("replica_drop", {"shard": "s1", "disk": "d1"}),
    ("batch_open", {"batch": "b1", "class_name": "raw", "time_ns": 7}),
    ("batch_open", {"batch": "b2", "class_name": "raw", "time_ns": 8}),
    ("batch_seal", {"batch": "b1"}),
    ("view_publish", VIEW),
    ("view_publish", {**VIEW, "view": "e2", "document": {}}),
    ("view_unpublish", {"view_kind": "exports", "view": "e2", "layout": "l1"}),
    ("disk_gone", {"disk": "d2"}),
]
# Kinds that came later have a golden file of their own: the first one is never made again.
LATER_KINDS: list[tuple[str, dict[str, Any]]] = [
    ("disk_drain", {"disk": "d1"}),
    ("disk_undrain", {"disk": "d1"}),
    ("disk_drain", {"disk": "d1", "retire": True}),
    ("disk_retire", {"disk": "d1"}),
]
RETURN_KINDS: list[tuple[str, dict[str, Any]]] = [("disk_return", {"disk": "d2", "name": "two"})]
PURGE_KINDS: list[tuple[str, dict[str, Any]]] = [
    ("manifest_pin", {"name": "p1", "manifest": "cd" * 32, "time_ns": 11}),
    ("manifest_pin", {"name": "p2", "manifest": "cd" * 32, "time_ns": 12}),
    ("manifest_unpin", {"name": "p2"}),
    ("purge_begin", {"purge": "0a" * 8, "batch": "b2"}),
    ("purge_mark", {"purge": "0a" * 8, "shards": {"s1": "QEA=", "s2": ""}}),
    ("purge_commit", {"purge": "0a" * 8}),
    ("purge_begin", {"purge": "0b" * 8, "batch": "b1"}),
    ("purge_mark", {"purge": "0b" * 8, "shards": {"s1": "QQ=="}}),
    ("purge_void", {"purge": "0b" * 8}),
    ("purge_begin", {"purge": "0c" * 8, "batch": "b1"}),
    ("purge_mark", {"purge": "0c" * 8, "shards": {"s1": "QQ=="}}),
    ("shard_vacate", {"shard": "s1"}),
    ("shard_drop", {"shard": "s2"}),
]


# A field that came later: `ended` of a commit.
ENDED_KINDS: list[tuple[str, dict[str, Any]]] = [
    ("purge_begin", {"purge": "0d" * 8, "batch": "b2"}),
    ("purge_commit", {"purge": "0d" * 8, "ended": ["s1", "s2"]}),
]
REVIVE_KINDS: list[tuple[str, dict[str, Any]]] = [("shard_revive", {"shard": "s1"})]
ONE, TWO = bytes(range(32)), bytes(range(32, 64))
# Purges of single objects.
KEYS_KINDS: list[tuple[str, dict[str, Any]]] = [
    ("purge_begin", {"purge": "0e" * 8, "batch": ".keys"}),
    (
        "purge_keys",
        {"purge": "0e" * 8, "keys": pack_keys([TWO, ONE]), "batches": ["b1"], "shards": ["s2"]},
    ),
    ("purge_mark", {"purge": "0e" * 8, "shards": {"s1": "QQ=="}}),
    ("purge_commit", {"purge": "0e" * 8}),
    ("keys_stored", {"keys": pack_keys([TWO])}),
]


def entry(sequence: int, kind: str = "batch_seal", epoch: int = 1, **data: Any) -> CatalogEntry:
    return CatalogEntry(sequence, epoch, kind, data)


def log_of(*entries: CatalogEntry) -> bytes:
    return b"".join(map(pack_frame, entries))


def all_kinds() -> list[CatalogEntry]:
    return [CatalogEntry(n, 2, kind, data) for n, (kind, data) in enumerate(KINDS, 1)]


# Frames


def test_golden_log():
    log = log_of(*all_kinds())
    assert dump(log) == dump(golden("catalog.txt"))
    assert list(unpack_frames(golden("catalog.txt"))) == all_kinds()


def test_logs_that_say_alike_are_decoded_once_and_damage_is_never_taken_for_it():
    seen: dict[bytes, CatalogEntry] = {}
    log = log_of(*all_kinds())
    first = list(unpack_frames(log, seen))
    again = list(unpack_frames(log, seen))
    assert first == again == all_kinds()
    assert all(one is other for one, other in zip(first, again, strict=True))
    damaged = bytearray(log)
    damaged[60] ^= 1  # In the first frame's payload: that one is not any that was seen.
    damaged[4095] ^= 1  # In its padding, which says nothing.
    assert list(unpack_frames(bytes(damaged), seen)) == all_kinds()[1:]


def test_an_entry_is_the_same_whether_it_was_read_or_made():
    read = list(unpack_frames(log_of(*all_kinds())))
    assert list(map(identify, read)) == list(map(identify, all_kinds()))
    padded = bytearray(log_of(entry(1)))
    padded[-1] ^= 1
    assert list(map(identify, unpack_frames(bytes(padded)))) == [identify(entry(1))]


def test_golden_log_of_the_later_kinds():
    entries = [CatalogEntry(n, 2, kind, data) for n, (kind, data) in enumerate(LATER_KINDS, 1)]
    assert dump(log_of(*entries)) == dump(golden("catalog-disks.txt"))
    assert list(unpack_frames(golden("catalog-disks.txt"))) == entries


def test_golden_log_of_the_kinds_of_a_purge():
    entries = [CatalogEntry(n, 3, kind, data) for n, (kind, data) in enumerate(PURGE_KINDS, 1)]
    assert dump(log_of(*entries)) == dump(golden("catalog-purge.txt"))
    assert list(unpack_frames(golden("catalog-purge.txt"))) == entries


def test_golden_log_of_a_return():
    entries = [CatalogEntry(n, 4, kind, data) for n, (kind, data) in enumerate(RETURN_KINDS, 1)]
    assert dump(log_of(*entries)) == dump(golden("catalog-return.txt"))
    assert list(unpack_frames(golden("catalog-return.txt"))) == entries


def test_golden_log_of_a_revival():
    entries = [CatalogEntry(n, 5, kind, data) for n, (kind, data) in enumerate(REVIVE_KINDS, 1)]
    assert dump(log_of(*entries)) == dump(golden("catalog-revive.txt"))
    assert list(unpack_frames(golden("catalog-revive.txt"))) == entries


def test_golden_log_of_a_purge_of_single_objects():
    entries = [CatalogEntry(n, 7, kind, data) for n, (kind, data) in enumerate(KEYS_KINDS, 1)]
    assert dump(log_of(*entries)) == dump(golden("catalog-keys.txt"))
    assert list(unpack_frames(golden("catalog-keys.txt"))) == entries


def test_golden_log_of_a_purge_with_shards_that_ended_before():
    entries = [CatalogEntry(n, 6, kind, data) for n, (kind, data) in enumerate(ENDED_KINDS, 1)]
    assert dump(log_of(*entries)) == dump(golden("catalog-ended.txt"))
    assert list(unpack_frames(golden("catalog-ended.txt"))) == entries


def test_frames_fill_sectors():
    full = 4096 - 40 - len('{"kind":"batch_seal","text":""}')
    sizes = [len(pack_frame(entry(1, text="x" * n))) for n in (0, 4000, full, full + 1, 9000)]
    assert sizes == [4096, 4096, 4096, 8192, 12288]


@given(st.integers(0, 3 * 4096 * 8 - 1))
def test_a_flipped_bit_costs_its_own_entry_at_most(bit: int):
    entries = [entry(n, text="x" * 3900) for n in (1, 2, 3)]
    log = bytearray(log_of(*entries))
    log[bit // 8] ^= 1 << bit % 8
    hit = bit // 8 // 4096
    found = list(unpack_frames(bytes(log)))
    used = bit // 8 % 4096 < 40 + len('{"kind":"batch_seal","text":""}') + 3900
    assert found == [one for n, one in enumerate(entries) if n != hit or not used]


@given(st.integers(0, 5 * 4096))
def test_a_torn_tail_is_not_there(length: int):
    entries = [entry(1), entry(2, text="x" * 9000), entry(3)]
    log = log_of(*entries)
    used = [len(log_of(*entries[:n])) + 40 + payload_bytes(entries[n]) for n in range(3)]
    assert len(log) == 5 * 4096
    assert list(unpack_frames(log[:length])) == [
        one for one, end in zip(entries, used, strict=True) if end <= length
    ]


def payload_bytes(one: CatalogEntry) -> int:
    return len(pack_frame(one).rstrip(b"\0")) - 40


def test_garbage_in_the_middle_is_stepped_over():
    rows = [entry(n) for n in (1, 2, 3)]
    noise = random.Random(0).randbytes(3 * 4096)
    # The beginning of a frame whose rest was never written, as a crash leaves it.
    torn = pack_frame(entry(9, text="x" * 9000))[:4096] + bytes(4096)
    log = log_of(rows[0]) + noise + log_of(rows[1]) + torn + log_of(rows[2]) + b"tail"
    assert list(unpack_frames(log)) == rows


def test_a_frame_longer_than_the_log_is_stepped_over():
    long = bytearray(pack_frame(entry(9)))
    long[24:28] = b"\xff" * 4
    assert list(unpack_frames(bytes(long) + log_of(entry(1)))) == [entry(1)]


def test_no_log_at_all():
    for log in (b"", b"DRYCAT01", bytes(39), bytes(50_000)):
        assert list(unpack_frames(log)) == []


def test_text_that_looks_like_a_frame_is_text():
    tricky = entry(1, text="x" * (4096 - 40 - 30) + "DRYCAT01" * 600)
    damaged = bytearray(log_of(tricky, entry(2)))
    damaged[50] ^= 1
    assert list(unpack_frames(log_of(tricky, entry(2)))) == [tricky, entry(2)]
    assert list(unpack_frames(bytes(damaged))) == [entry(2)]


# Union


def test_the_union_of_disks():
    rows = [entry(n) for n in range(1, 7)]
    assert merge([rows[:3], rows[2:5], [rows[5]], []]) == rows


def test_epochs_go_before_sequences():
    old, new = [entry(n, epoch=1) for n in (1, 2, 3)], [entry(n, epoch=2) for n in (2, 3)]
    assert merge([new, old]) == [*old, *new]


def test_no_branch_is_superseded():
    # Two runs with different disks numbered alike: in one epoch even, or in two.
    first = [entry(1), entry(2, batch="a"), entry(3, batch="b")]
    for epoch in (1, 2):
        other = entry(2, batch="c", epoch=epoch)
        union = merge([first, [entry(1), other]])
        assert sorted(map(repr, union)) == sorted(map(repr, [*first, other]))


@settings(max_examples=50)
@given(st.permutations(range(4)), st.lists(st.integers(0, 15), max_size=20))
def test_the_union_does_not_depend_on_the_disks_order(order: list[int], holes: list[int]):
    rows = [entry(n, epoch=e, batch=f"{n}{e}") for e in (1, 2) for n in range(1, 5)]
    logs = [[row for n, row in enumerate(rows) if (n + disk) not in holes] for disk in range(4)]
    assert merge([logs[n] for n in order]) == merge(logs)
    assert merge([merge(logs), *logs]) == merge(logs)


# Meaning


def state_of(*items: tuple[str, dict[str, Any]]) -> CatalogState:
    state = CatalogState()
    for number, (kind, data) in enumerate(items, 1):
        state.apply(CatalogEntry(number, 1, kind, data))
    return state


def test_every_kind():
    view = ViewRow("exports", "e1", "l1", "ab" * 32, 9, document=DOCUMENT)
    assert state_of(*KINDS) == CatalogState(
        sequence=len(KINDS),
        disks={"d1": "hdd ä"},
        gone={"d2"},
        shards={
            "s1": CatalogShard(
                "s1", "raw", ["d3"], sealed=True, length_bytes=8192, sealed_ns=5, ended=0
            ),
            "s2": CatalogShard("s2", "generated", ["d1"], large=True),
        },
        batches={"b1": BatchRow("b1", "raw", 7, sealed=True), "b2": BatchRow("b2", "raw", 8)},
        views={"exports/e1/l1": view},
    )


def test_every_kind_the_state_knows_is_tested():
    known = {name.removeprefix("_apply_") for name in dir(CatalogState) if "_apply_" in name}
    later = LATER_KINDS + PURGE_KINDS + RETURN_KINDS + REVIVE_KINDS + KEYS_KINDS
    assert known == {kind for kind, _ in KINDS + later}


def test_a_disk_drains_until_it_is_taken_back_or_retired():
    add, other = ("disk_add", {"disk": "d1", "name": "one"}), ("disk_drain", {"disk": "d9"})
    drain, undrain, retiring, retire = LATER_KINDS
    assert state_of(add, drain, other).draining == {"d1": False}
    assert state_of(add, drain, undrain).draining == {}
    assert state_of(add, drain, retiring).draining == {"d1": True}
    state = state_of(add, drain, retire, drain)
    assert (state.draining, state.disks) == ({}, {})
    assert (state.gone, state.retired) == ({"d1"}, {"d1"})


def test_a_disk_that_was_declared_gone_may_return_and_a_retired_one_not():
    add, gone = ("disk_add", {"disk": "d2", "name": "two"}), ("disk_gone", {"disk": "d2"})
    opened = ("shard_open", {"shard": "s", "class_name": "raw", "disks": ["d1", "d2"]})
    (back,) = RETURN_KINDS
    again = ("replica_add", {"shard": "s", "disk": "d2"})
    state = state_of(add, opened, gone, again, back)
    assert (state.gone, state.disks, state.shards["s"].disks) == (set(), {"d2": "two"}, ["d1"])
    assert state_of(add, opened, gone, back, again).shards["s"].disks == ["d1", "d2"]
    retired = state_of(add, ("disk_retire", {"disk": "d2"}), back)
    assert (retired.gone, retired.disks) == ({"d2"}, {})


def test_a_retired_disk_holds_nothing_that_counts():
    opened = ("shard_open", {"shard": "s", "class_name": "raw", "disks": ["d1", "d2"]})
    assert state_of(opened, LATER_KINDS[-1]).shards["s"].disks == ["d2"]


@pytest.mark.parametrize("kind", ["shard_seal", "replica_add", "replica_drop", "batch_seal"])
def test_what_is_said_of_the_unknown_means_nothing(kind: str):
    data = next(data for name, data in KINDS if name == kind)
    state = state_of((kind, data))
    assert (state.shards, state.batches) == ({}, {})


def test_repeating_an_entry_changes_nothing():
    once, twice = state_of(*KINDS[:10]), state_of(*KINDS[:10], *KINDS[7:10])
    twice.sequence = once.sequence
    assert once == twice


def test_a_batch_that_is_opened_again_keeps_its_time():
    again = ("batch_open", {"batch": "b1", "class_name": "raw", "time_ns": 99})
    assert state_of(*KINDS, again).batches["b1"] == BatchRow("b1", "raw", 7, sealed=True)


@settings(max_examples=50)
@given(st.permutations(range(4)), st.lists(st.integers(0, 23), max_size=30))
def test_a_shard_is_revived_in_whatever_order_catalogs_are_joined(
    order: list[int], holes: list[int]
):
    """Each disk lacks some entries; two runs that saw different disks numbered alike."""
    opened = entry(1, "shard_open", shard="s", class_name="raw", disks=["d1", "d2"])
    rows = [
        opened,
        entry(2, "shard_seal", shard="s", length=8192, disks=["d1", "d2"], time_ns=5),
        entry(3, "disk_gone", 2, disk="d3"),
        entry(3, "shard_vacate", 2, shard="s"),
        entry(4, "batch_open", 2, batch="b", class_name="raw", time_ns=7),
        entry(5, "shard_revive", 2, shard="s"),
    ]
    logs = [[row for n, row in enumerate(rows) if n + 6 * disk not in holes] for disk in range(4)]
    union = merge([*(logs[n] for n in order), rows])
    assert CatalogState.of(union) == CatalogState.of(merge(rows_of(rows)))
    assert not CatalogState.of(union).shards["s"].vacated
    # What says later that it was given up, by whoever did so, holds until it is revived again.
    later = entry(1, "shard_vacate", 3, shard="s")
    assert CatalogState.of(merge([[later], union])).shards["s"].vacated
    again = entry(6, "shard_revive", 3, shard="s")
    assert not CatalogState.of(merge([[again], [later], union])).shards["s"].vacated


def rows_of(rows: list[CatalogEntry]) -> list[list[CatalogEntry]]:
    return [[row] for row in reversed(rows)]


def test_what_is_purged_stays_dead_in_a_shard_that_is_revived():
    opened = ("shard_open", {"shard": "s1", "class_name": "raw", "disks": ["d1"]})
    sealed = KINDS[5]
    state = state_of(opened, sealed, *PURGE_KINDS[3:6], ("shard_vacate", {"shard": "s1"}))
    assert 8 in state.shards["s1"].dead_records() and state.shards["s1"].vacated
    purged = state.shards["s1"].purged_records().offsets
    state.apply(entry(99, "shard_revive", shard="s1"))
    assert state.shards["s1"].dead_records().offsets == purged != frozenset()
    dropped = state_of(opened, sealed, ("shard_drop", {"shard": "s1"}), *REVIVE_KINDS)
    assert (dropped.shards, dropped.dropped) == ({}, {"s1"})


def test_keys_that_were_purged_are_known_until_they_are_stored_again():
    shards = [
        ("shard_open", {"shard": name, "class_name": "raw", "disks": ["d1"]})
        for name in ("s1", "s2")
    ]
    begun = state_of(*shards, *KEYS_KINDS[:3])
    assert begun.purged_keys == {} and begun.purges["0e" * 8].keys == {ONE, TWO}
    # In doubt the records are hidden, in the shard that nobody could look into by their keys.
    assert begun.shards["s2"].dead_records().has(4160, ONE)
    assert not begun.shards["s2"].dead_records().has(4160, bytes(32))
    assert 65 * 8 in begun.shards["s1"].dead_records()
    void = ("purge_void", {"purge": "0e" * 8})
    given_up = state_of(*shards, *KEYS_KINDS[:3], void)
    assert not any(shard.dead_records() for shard in given_up.shards.values())
    assert (given_up.purged_keys, given_up.key_purges) == ({}, {})
    done = state_of(*shards, *KEYS_KINDS[:4])
    assert done.purged_keys == {ONE: ("b1",), TWO: ("b1",)} and done.key_purges == {"b1": 1}
    assert done.shards["s2"].mark != given_up.shards["s2"].mark
    again = state_of(*shards, *KEYS_KINDS)
    assert again.purged_keys == {ONE: ("b1",)} and again.key_purges == {"b1": 2}
    # Of what was found before they were purged once more it says nothing.
    second = [(kind, {**data, "purge": "0f" * 8}) for kind, data in KEYS_KINDS[:4]]
    for purges, left in ((1, {ONE, TWO}), (2, {ONE})):
        stored = ("keys_stored", {"keys": pack_keys([TWO]), "purges": purges})
        assert state_of(*shards, *KEYS_KINDS[:4], *second, stored).purged_keys.keys() == left
    # That they are stored again says nothing of records: those of before stay dead.
    assert again.shards["s2"].dead_records().has(4160, TWO)


def test_the_state_does_not_share_lists_with_entries():
    data: dict[str, Any] = {"shard": "s", "class_name": "raw", "disks": ["d1"]}
    state = state_of(("shard_open", data), ("replica_add", {"shard": "s", "disk": "d2"}))
    assert state.shards["s"].disks == ["d1", "d2"]
    assert data["disks"] == ["d1"]


def test_an_unknown_kind_is_refused_loudly():
    state = state_of(*KINDS[:3])
    for kind in ("shard_moved", "", "_init__", "apply"):
        with pytest.raises(DrystoneError, match=r"entry 7 of epoch 3 .* newer"):
            state.apply(CatalogEntry(7, 3, kind, {}))
    assert state.sequence == 3


def test_an_unknown_or_missing_field_is_refused_loudly():
    for data in ({"disk": "d", "name": "n", "more": 1}, {"disk": "d"}):
        with pytest.raises(DrystoneError, match="not understood by this version"):
            state_of(("disk_add", data))


def test_the_highest_sequence_counts():
    state = CatalogState()
    for number in (5, 3):
        state.apply(entry(number, "disk_add", disk="d", name="n"))
    assert state.sequence == 5
