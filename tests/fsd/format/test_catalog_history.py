"""Checkpoints of the catalog: whatever disks were away, logs say what all entries say."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shard_fixture import golden

from base.errors import DrystoneError
from fsd.format.catalog import (
    CHECKPOINT_KIND,
    OWN_EPOCH_MIN,
    CatalogEntry,
    CatalogState,
    disks_epoch,
    identify,
    merge,
    own_epoch,
    pack_entries,
    pack_frame,
    unpack_frames,
)
from fsd.format.catalog_history import (
    History,
    condense,
    join,
    pack_checkpoint,
    read_history,
)
from fsd.format.purge_marks import pack_keys
from fsd.store.catalog_log import CHECKPOINT_BYTES

EPOCH = OWN_EPOCH_MIN + 7
NAMES = ("a", "b")
SHARD = {"class_name": "raw", "disks": ["d1", "d2"]}
DISKS = ("d1", "d2", "d3", "d4")
KEYS = [bytes([n]) * 32 for n in range(4)]


def entry(sequence: int, kind: str, epoch: int = EPOCH, **data: Any) -> CatalogEntry:
    return CatalogEntry(sequence, epoch, kind, data)


def history_of(*entries: CatalogEntry) -> History:
    return History({identify(one): one for one in entries})


def life(shard: str, first: int, end: str = "shard_drop", epoch: int = EPOCH) -> list[CatalogEntry]:
    return [
        entry(first, "shard_open", epoch, shard=shard, **SHARD),
        entry(first + 1, "shard_seal", epoch, shard=shard, length=1, disks=["d1"], time_ns=1),
        entry(first + 2, "shard_vacate", epoch, shard=shard),
        entry(first + 3, end, epoch, shard=shard),
    ]


# Frames


def test_golden_checkpoint_and_entries_behind_it():
    kept, over = life("ab" * 16, 1)[:2], life("cd" * 16, 3, "shard_abandon")
    log = pack_checkpoint(condense(history_of(*kept, *over)))
    log += pack_entries([entry(7, "batch_open", batch="b", class_name="raw", time_ns=5)])
    # Not byte for byte: zlib's output is that of its version.
    read = read_history(golden("catalog-checkpoint.txt"))
    assert read == read_history(log) and read.checkpoint_bytes == 4096
    assert [one.sequence for one in read.entries.values()] == [1, 2, 7]
    assert read.covered == {EPOCH: [(1, 6)]}


def test_many_entries_take_few_frames_and_come_back_in_order():
    entries = [entry(n, "batch_seal", batch=f"batch-{n}") for n in range(2500)]
    log = pack_entries(entries)
    assert list(unpack_frames(log)) == entries
    assert log.count(b"DRYCAT01") == 3
    assert len(log) < 25 * len(entries)
    assert pack_entries([]) == b""


def test_an_entry_of_an_earlier_version_is_the_same_in_any_frame():
    one = entry(3, "disk_add", 2, disk="d1", name="ä\udcff")
    assert identify(one) == identify(next(unpack_frames(pack_entries([one]))))
    assert identify(one) == identify(next(unpack_frames(pack_frame(one))))


def test_what_a_later_version_adds_is_refused_loudly():
    data = {"frames_xxh3_128": "", "covered": "", "dropped": "", "more": 1}
    with pytest.raises(DrystoneError, match="not understood"):
        read_history(pack_frame(CatalogEntry(0, 0, CHECKPOINT_KIND, data)))
    unknown = next(unpack_frames(pack_frame(entry(1, "entries", entries="", more=1))))
    with pytest.raises(DrystoneError, match="newer"):
        CatalogState().apply(unknown)
    with pytest.raises(DrystoneError, match="not understood"):
        read_history(pack_frame(entry(1, "entries", entries="?")))


def test_an_engine_before_this_version_refuses_the_log_by_the_kind_of_its_frames():
    """It knew frames of one entry alone; of any other kind it says to use a newer version."""
    log = pack_checkpoint(history_of(*life("s", 1)))
    for frame in (log, pack_entries(life("s", 1)[:1])):
        assert b'{"kind":"entries"' in frame or b'{"kind":"checkpoint"' in frame
    for kind in ("entries", "checkpoint"):
        with pytest.raises(DrystoneError, match=rf"\({kind!r}\) is not known .* use a newer one"):
            CatalogState().apply(entry(1, kind))


@given(st.integers(1, 2**31))
def test_two_runs_in_one_epoch_of_the_disks_are_told_apart(epoch: int):
    first, second = own_epoch(epoch), own_epoch(epoch)
    assert first != second and disks_epoch(first) == disks_epoch(second) == epoch
    assert own_epoch(epoch + 1) > max(first, second) > min(first, second) >= OWN_EPOCH_MIN
    assert disks_epoch(12) == 12  # Of an earlier version.


@pytest.mark.parametrize("other", [EPOCH - 1, EPOCH + 1])
def test_what_is_written_after_a_disk_returned_is_behind_all_that_it_brought(other: int):
    """Two runs in one epoch of the disks, of which one reads what the other one wrote."""
    begun = life("s", 1)[:2]
    brought = [entry(n, "shard_vacate", other, shard="s") for n in (3, 4, 5)]
    revived = entry(6, "shard_revive", shard="s")
    joined = join([history_of(*begun, revived), history_of(*begun, *brought)])
    assert not joined.state().shards["s"].vacated
    assert joined.state() == CatalogState.of(merge([[revived], brought, begun]))


@pytest.mark.fault
@settings(max_examples=60)
@given(st.data())
def test_a_damaged_checkpoint_leaves_nothing_out(data: st.DataObject):
    """With a frame of it lost, nothing that it numbers may be taken for said to be over."""
    entries = [one for n in range(3) for one in life(f"s{n}", 4 * n + 1)[:2]]
    dropped = life("gone", 100)
    log = bytearray(pack_checkpoint(condense(history_of(*entries, *dropped))))
    bit = data.draw(st.integers(0, 8 * len(log) - 1))
    log[bit // 8] ^= 1 << bit % 8
    whole = history_of(*entries)
    found = join([read_history(bytes(log)), whole])
    assert found.entries.items() >= whole.entries.items()


# What is left out


def test_a_shard_that_is_over_leaves_nothing_but_the_word_that_its_files_may_go():
    history = condense(history_of(*life("s1", 1), *life("s2", 5, "shard_abandon")))
    assert history == History({}, {EPOCH: [(1, 8)]}, {"s1": None})
    assert condense(history, drops_kept=0).dropped == {}


def test_shards_of_earlier_versions_stay_as_they_are():
    history = history_of(*life("s1", 1, epoch=3))
    assert condense(history) == history
    # Opened by one and dropped by this one: without the last word it would be back.
    both = history_of(*life("s1", 1, epoch=3)[:2], *life("s1", 9)[2:])
    assert condense(both).state() == both.state()


def test_a_disk_that_was_away_through_several_checkpoints_brings_nothing_back():
    away = history_of(*life("s1", 1)[:2], entry(3, "view_publish", **view("a", 1)))
    here = join([away, history_of(*life("s1", 1)[2:], *life("s2", 10))])
    for number in range(20, 23):
        here = condense(here, drops_kept=0)
        here.add(entry(number, "view_publish", **view("a", number)))
    assert len(here.entries) == 2
    again = read_history(pack_checkpoint(here))
    # It was used alone meanwhile, too.
    away.add(entry(4, "batch_open", EPOCH + (1 << 32), batch="b", class_name="raw", time_ns=1))
    joined = join([away, again])
    assert (list(joined.state().shards), list(joined.state().batches)) == ([], ["b"])
    assert joined == join([again, away]) == join([joined, away, again])


def test_what_another_engine_left_out_is_not_known():
    """It dropped a shard that is in use here: of that its checkpoint has nothing but numbers."""
    here = history_of(life("ab", 1)[0])
    there = condense(history_of(*life("ab", 1), *life("cd", 1, epoch=EPOCH + 1)))
    assert not here.knows(there) and there.knows(here)
    assert join([here, there]).knows(there)


def view(name: str, time_ns: int) -> dict[str, Any]:
    place = {"view_kind": "exports", "view": name, "layout": "l"}
    return {**place, "manifest": "ab" * 32, "time_ns": time_ns, "document": {}}


# Any history


class Disk:
    """A log as a disk has it, and all entries that the disk was ever told."""

    def __init__(self) -> None:
        self.log = b""
        self.told: dict[Any, CatalogEntry] = {}

    def append(self, entries: list[CatalogEntry]) -> None:
        self.log += pack_entries(entries)
        self.told |= {identify(one): one for one in entries}


class Engine:
    """One run over some disks, which does as `CatalogLog` does."""

    def __init__(self, disks: list[Disk], rng: random.Random, earlier: bool) -> None:
        self.disks, self.rng = disks, rng
        histories = [read_history(disk.log) for disk in disks]
        self.known = join(histories)
        self.told = told = {key: one for disk in disks for key, one in disk.told.items()}
        for disk, own in zip(disks, histories, strict=True):
            if own.covered != self.known.covered:
                disk.log = pack_checkpoint(self.known)
            else:
                disk.log += pack_entries(own.lacks(self.known))
            disk.told = dict(told)
        later = max((disks_epoch(one.epoch) for one in told.values()), default=0) + 1
        self.epoch = later if earlier else later << 32 | rng.getrandbits(32)
        self.sequence = self.state().sequence

    def welcome(self, disk: Disk) -> None:
        """Take in a disk that returns, and what it knows."""
        own = read_history(disk.log)
        self.known = join([own, self.known])
        self.told |= disk.told
        self.disks = [*self.disks, disk]
        for one in self.disks:
            one.log, one.told = pack_checkpoint(self.known), dict(self.told)
        self.sequence = max(self.sequence, self.state().sequence)

    def state(self) -> CatalogState:
        return self.known.state()

    def write(self, items: list[tuple[str, dict[str, Any]]]) -> None:
        made = [
            CatalogEntry(self.sequence + n, self.epoch, kind, data)
            for n, (kind, data) in enumerate(items, 1)
        ]
        self.sequence += len(made)
        # Some disks fail; where all do, nobody has it.
        for disk in self.rng.sample(self.disks, self.rng.randint(0, len(self.disks))):
            disk.append(made)
            for one in made:
                self.known.add(one)
                self.told[identify(one)] = one

    def checkpoint(self) -> None:
        """Some disks take it, and then it is killed or goes on."""
        history = condense(self.known, self.rng.choice((0, 1, 100)))
        taken = self.rng.sample(self.disks, self.rng.randint(0, len(self.disks)))
        for disk in taken:
            disk.log = pack_checkpoint(history)
            disk.told = dict(self.told)
        if taken:
            self.known = history


def some_items(rng: random.Random, state: CatalogState) -> list[tuple[str, dict[str, Any]]]:
    """Return what an engine might write that knows a state."""
    new, name, disk = f"{rng.getrandbits(64):x}", rng.choice(NAMES), rng.choice(DISKS)
    shard = {"shard": rng.choice([*state.shards, new])}
    purge = {"purge": new}
    marks = dict.fromkeys(rng.sample(sorted(state.shards), min(2, len(state.shards))), "")
    begun = [("purge_begin", {**purge, "batch": name}), ("purge_mark", {**purge, "shards": marks})]
    keys = pack_keys(rng.sample(KEYS, 2))
    single = {**purge, "keys": keys, "batches": [name], "shards": sorted(marks)}
    begun += [("purge_keys", single)] * rng.randint(0, 1)
    settled = [("purge_commit", {**purge, "ended": sorted(marks)}), ("purge_void", purge)]
    doubtful = [("purge_void", {"purge": one}) for one in state.purges]
    place = {"view_kind": "exports", "view": name, "layout": "l"}
    return rng.choice(
        [
            [("shard_open", {"shard": new, **SHARD})],
            [("shard_open", {"shard": new, **SHARD, "large": True})],
            [("shard_seal", {**shard, "length": 1, "disks": ["d1", disk], "time_ns": 1})],
            [(rng.choice(["shard_vacate", "shard_revive"]), shard)],
            [(rng.choice(["shard_drop", "shard_abandon"]), shard)],
            [(rng.choice(["replica_add", "replica_drop"]), {**shard, "disk": disk})],
            [("batch_open", {"batch": name, "class_name": "raw", "time_ns": rng.randrange(9)})],
            [("batch_seal", {"batch": name})],
            [("view_publish", view(name, rng.randrange(9)))],
            [("view_unpublish", place)],
            [("manifest_pin", {"name": name, "manifest": new, "time_ns": 1})],
            [("manifest_unpin", {"name": name})],
            [(rng.choice(["disk_add", "disk_return"]), {"disk": disk, "name": disk})],
            [(rng.choice(["disk_gone", "disk_drain", "disk_undrain"]), {"disk": disk})],
            begun,
            [*begun, rng.choice(settled)],
            doubtful,
            [("keys_stored", {"keys": keys, "purges": rng.randrange(9)})],
        ]
    )


@pytest.mark.fault
@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_with_checkpoints_logs_say_what_all_entries_say(seed: int):
    """Runs that see any of the disks, entries and checkpoints that some of them take alone."""
    rng = random.Random(seed)
    disks = [Disk() for _ in range(rng.randint(1, 4))]
    earlier_runs = rng.randint(0, 2)
    for run in range(rng.randint(1, 9)):
        some = rng.sample(disks, rng.randint(1, len(disks)))
        engine = Engine(some, rng, run < earlier_runs)
        assert_same(engine.state(), some)
        for _ in range(rng.randint(0, 12)):
            away = [disk for disk in disks if disk not in engine.disks]
            if away and rng.random() < 0.1:
                engine.welcome(rng.choice(away))
                assert_same(engine.state(), engine.disks)
            engine.write(some_items(rng, engine.state()))
            if run >= earlier_runs and rng.random() < 0.3:
                engine.checkpoint()
    assert_same(Engine(disks, rng, False).state(), disks)


def assert_same(found: CatalogState, disks: list[Disk]) -> None:
    wanted = CatalogState.of(merge(disk.told.values() for disk in disks))
    assert found.dropped <= wanted.dropped
    assert replace(found, dropped=set()) == replace(wanted, dropped=set())


# Size


@pytest.mark.seconds(15)
def test_a_year_of_small_puts_takes_a_few_megabytes():
    """8,640 puts a day into the batch of each hour, whose shards are merged into one at night.

    Each entry is appended by itself, and at midnight the engine is started again.
    """
    history, log_bytes, checkpoint_bytes, most_bytes = History(), 0, 0, 0
    rng, sequence, epoch = random.Random(1), 0, 0
    for day in range(365):
        epoch = ((epoch >> 32) + 1) << 32 | rng.getrandbits(32)
        for kind, data in day_of_puts(rng, day):
            sequence += 1
            one = CatalogEntry(sequence, epoch, kind, data)
            history.add(one)
            log_bytes += len(pack_entries([one]))
            most_bytes = max(most_bytes, log_bytes)
            if log_bytes - checkpoint_bytes >= max(CHECKPOINT_BYTES, checkpoint_bytes):
                history = condense(history)
                log_bytes = checkpoint_bytes = len(pack_checkpoint(history))
    state = history.state()
    assert (len(state.batches), len(state.shards)) == (365 * 24, 365)
    assert most_bytes < 3_000_000, most_bytes


def day_of_puts(rng: random.Random, day: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """A shard an hour is ended (by whatever seals those that are open), and all at night."""
    disks = [f"{rng.getrandbits(128):032x}"[:32] for _ in range(2)]
    begun_ns = 1_700_000_000 * 10**9 + day * 86400 * 10**9
    made: list[str] = []
    for hour in range(25):
        shard, now = f"{rng.getrandbits(128):032x}", begun_ns + hour * 3600 * 10**9
        time_ns = now + rng.randrange(10**9)
        yield "shard_open", {"shard": shard, "class_name": "raw", "disks": disks}
        sealed = {"shard": shard, "length": rng.randrange(1 << 28) * 4096, "disks": disks}
        yield "shard_seal", {**sealed, "time_ns": time_ns}
        if hour < 24:
            made.append(shard)
            batch = f"camera-{day:03}-{hour:02}"
            yield "batch_open", {"batch": batch, "class_name": "raw", "time_ns": time_ns}
            yield "batch_seal", {"batch": batch}
    for shard in made:
        yield "shard_vacate", {"shard": shard}
    for shard in made:
        yield "shard_drop", {"shard": shard}
