"""The judgement over a disk: properties of the pure state, and disks that really fail."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import time

import pytest
from command import drystone
from engine_processes import child
from hypothesis import given
from hypothesis import strategies as st
from store_checks import assert_readable, damage, disk, keys_of, settle, shard_files, until
from store_harness import MIB, with_settings, write_files

from fsd.format.errors import CorruptError, DiskError, DiskStalledError
from fsd.planning.disk_health import (
    LIMITS,
    LONG_S,
    QUIET_S,
    SHORT_S,
    STATES,
    DiskHealth,
    choose_steady,
    note_failure,
)
from fsd.planning.placement import DiskSpace

troubles = st.lists(
    st.tuples(
        st.sampled_from(["error", "stall", "slow", "nothing"]), st.floats(0, 4 * 3600, width=32)
    ),
    max_size=120,
)


def play(events) -> tuple[list[tuple[float, int]], DiskHealth, float]:
    """Play events after gaps, settling every minute between; returns (time, rank) of changes."""
    health, now, changes = DiskHealth(), 0.0, [(0.0, 0)]

    def look() -> None:
        if changes[-1][1] != health.rank:
            changes.append((now, health.rank))

    for kind, gap in events:
        end = now + gap
        while now < end:
            now = min(now + 300.0, end)
            before = health.rank
            health.settle(now)
            assert health.rank <= before, "time alone made it worse"
            look()
        if kind != "nothing":
            before = health.rank
            health.note(kind, now)
            assert health.rank >= before, "a trouble made it better"
            look()
        assert (health.state == "ok") == (health.reason == "")
    return changes, health, now


@given(troubles)
def test_it_never_flaps(events):
    changes, _, _ = play(events)
    for (before, rank), (after, next_rank) in itertools.pairwise(changes):
        if next_rank < rank:
            assert next_rank == rank - 1, "better by more than one step"
            assert after - before >= QUIET_S, "better too soon"


@given(troubles)
def test_after_a_quiet_time_it_is_well_again(events):
    _, health, now = play(events)
    for _ in range(3):
        now += LONG_S + QUIET_S
        health.settle(now)
    assert health.state == "ok"


@given(st.sampled_from(["error", "stall", "slow"]), st.integers(1, 50))
def test_isolated_troubles_decay(kind, count):
    """One a day, for weeks, is nothing."""
    health = DiskHealth()
    for day in range(count):
        health.note(kind, day * LONG_S)
        health.settle(day * LONG_S + 60)
        assert health.state == "ok"


def test_every_limit_leads_into_its_state_and_one_less_does_not():
    for state, kind, window_s, limit in LIMITS:
        health = DiskHealth()
        step = window_s / (limit + 1)
        for number in range(limit):
            before = health.rank
            health.note(kind, number * step)
        assert health.rank >= STATES.index(state), (state, kind, window_s)
        assert before <= health.rank
        assert str(limit) in health.reason or window_s == LONG_S


@pytest.mark.fault
def test_slow_alone_is_never_failing():
    health = DiskHealth()
    for number in range(1000):
        health.note("slow", number)
    assert health.state == "suspect"
    assert "slow requests" in health.reason


@given(troubles)
def test_more_troubles_are_never_better(events):
    """At the end of a series the state is no better for an additional trouble within it."""
    plain, more, now = DiskHealth(), DiskHealth(), 0.0
    for kind, gap in events:
        now += min(gap, SHORT_S)
        for health in (plain, more):
            if kind != "nothing":
                health.note(kind, now)
        more.note("error", now)
        assert more.rank >= plain.rank


def test_a_clock_set_back_does_no_harm():
    health = DiskHealth()
    health.note("error", 1000.0)
    health.note("error", 10.0)
    health.note("error", 20.0)
    assert health.state == "suspect"


def test_what_a_clock_far_ahead_saw_is_forgotten_in_a_day():
    health, ahead = DiskHealth(), 12 * 365 * LONG_S
    for second in range(3):
        health.note("error", ahead + second)
    again = DiskHealth()
    again.load(health.dump())
    for one in (health, again):
        one.settle(1000.0)
        assert one.state == "suspect"  # It is as if it had been seen just now.
        one.settle(1000.0 + LONG_S + 1)
        assert one.state == "ok"
        one.note("error", 1000.0 + LONG_S + 2)
        assert one.count("error", SHORT_S, 1000.0 + LONG_S + 2) == 1


def spaces_of(*rows: tuple[str, int, bool]) -> list[DiskSpace]:
    return [DiskSpace(name, free, name, eligible) for name, free, eligible in rows]


def eligible(spaces: list[DiskSpace]) -> set[str]:
    return {space.disk_id for space in spaces if space.eligible}


def test_suspect_disks_take_nothing_while_the_others_suffice():
    disks = spaces_of(("a", 10, True), ("b", 10, True), ("c", 99, True), ("d", 99, False))
    assert eligible(choose_steady(disks, {"a", "b"}, 2, 10)) == {"a", "b"}
    assert eligible(choose_steady(disks, {"a", "b"}, 3, 10)) == {"a", "b", "c"}
    assert eligible(choose_steady(disks, {"a", "b"}, 2, 11)) == {"a", "b", "c"}
    assert eligible(choose_steady(disks, {"a", "d"}, 2, 1)) == {"a", "b", "c"}


def test_what_speaks_against_a_disk():
    for error, writing, counts in (
        (DiskError("x", errno=errno.EIO), False, 1),
        (CorruptError("x"), False, 1),
        (DiskError("x", errno=errno.ENOSPC), True, 0),
        (DiskError("x", errno=errno.EROFS), True, 0),
        (DiskError("x", errno=errno.EFBIG), True, 1),
        (DiskError("its process ended"), True, 0),
        (DiskStalledError("hung"), False, 0),
    ):
        health = DiskHealth()
        note_failure(health, error, writing=writing)
        assert health.count("error", LONG_S, time.time()) == counts, error


def health_of(store, number: int) -> str:
    return disk(store, number).health


def test_a_disk_that_rots_is_failing_avoided_and_remembered(store, tmp_path):
    one = store(started=False, shard_size_bytes=MIB)
    one.config = with_settings(one.root, scrub_rate_bytes_per_s=0)
    one.start()
    files = {str(number): os.urandom(1_200_000) for number in range(40)}
    one.put(write_files(str(tmp_path / "files"), files), "first")
    settle(one)
    # Placement is random: take the disk that holds most.
    worst = max(range(3), key=lambda number: len(shard_files(one.disks[number])))
    rotten = shard_files(one.disks[worst])
    assert len(rotten) > 16
    for path in rotten:
        damage(path, 600_000)
    assert one.client.wait(one.client.scrub().job_id).state == "incomplete"
    assert health_of(one, worst) == "failing"
    assert [d.health for d in one.client.disks()].count("ok") == 2
    name = disk(one, worst).name
    notice = next(n for n in one.client.warnings() if n.code == "disk-failing")
    assert notice.severity == "critical"
    assert f"disk drain {name}" in notice.advice
    listed = drystone("disk", "list", "--config", one.config_path).stdout.decode()
    assert "health" in listed.splitlines()[0]
    assert any("failing" in line and name in line for line in listed.splitlines())
    more = {f"more{number}": os.urandom(1_200_000) for number in range(10)}
    one.put(write_files(str(tmp_path / "more"), more), "second")
    for key in keys_of(more).values():
        assert name not in one.client.head(key).disks, "a failing disk took new data"
    assert_readable(one, {**files, **more})
    read_before = disk(one, worst).read_bytes
    for key in keys_of(files).values():
        assert one.client.head(key).disks[0] != name or len(one.client.head(key).disks) == 1
    assert disk(one, worst).read_bytes >= read_before
    one.stop()
    one.start()
    assert health_of(one, worst) == "failing", "a restart made it well"


@pytest.mark.seconds(11)
def test_a_process_that_hangs_is_a_stall(store):
    one = store(started=False)
    one.config = with_settings(one.root, stall_timeout_s=3.0)
    one.start()
    assert health_of(one, 0) == "ok"
    for turn in range(2):
        until(lambda: disk(one, 0).state == "online", "the disk to be back")
        os.kill(child(one.config, disk(one, 0).name).pid, signal.SIGSTOP)
        until(lambda: disk(one, 0).state == "missing", f"stall {turn} to be seen")
    assert health_of(one, 0) == "suspect"
    assert "2 stalls" in disk(one, 0).health_reason
    assert any(n.code == "disk-suspect" for n in one.client.warnings())
