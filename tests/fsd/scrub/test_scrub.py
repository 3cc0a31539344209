"""The scrub: its order (pure), its memory, its pace, and whole stores whose copies go bad."""

from __future__ import annotations

import mmap
import os
import signal
import threading
import time

import pytest
from command import drystone, json_lines
from engine_processes import child
from hypothesis import given
from hypothesis import strategies as st
from store_checks import (
    assert_clean,
    assert_readable,
    damage,
    finish,
    keys_of,
    settle,
    shard_files,
    until,
)
from store_harness import with_settings, write_files

from fsd.disk_io.queue_rule import PIECE_BYTES, Gate, Kind
from fsd.disk_io.reading.scrub_pace import Pace
from fsd.disks.watch_file import NAME, WatchFile
from fsd.format.catalog import CatalogShard
from fsd.format.errors import CancelledError
from fsd.process.child import Lane, read_steps
from fsd.scrub.scrub_log import METADATA, ROUND, name_of, note_verified, verified_times
from fsd.scrub.scrub_plan import JITTER_SHARE, NEW_AFTER_S, due_at, make_debts

DAY_S = 86400.0
ids = st.binary(min_size=16, max_size=16).map(bytes.hex)


@given(ids, ids, st.integers(1, 2**33), st.floats(1, 1e9))
def test_what_was_scrubbed_is_due_within_the_interval_and_not_together(shard, disk, when, interval):
    due = due_at((shard, disk), 0.0, when, interval)
    assert when + interval * (1 - JITTER_SHARE) - 1e-3 <= due <= when + interval + 1e-3


@given(st.lists(st.tuples(ids, st.integers(1, 100), st.integers(0, 100)), unique_by=lambda x: x[0]))
def test_new_shards_come_first_then_the_longest_not_seen(rows):
    shards = [
        CatalogShard(s, "raw", ["d" * 32], False, True, 1, sealed * 10**9) for s, sealed, _ in rows
    ]
    times = {name_of((shard, "d" * 32)): when for shard, _, when in rows if when}
    debts = make_debts(shards, times, frozenset(), DAY_S)
    assert len(debts) == len(rows)
    never = [debt for debt in debts if not debt.verified_s]
    assert debts[: len(never)] == never
    assert [d.sealed_s for d in never] == sorted((d.sealed_s for d in never), reverse=True)
    rest = [debt.verified_s for debt in debts[len(never) :]]
    assert rest == sorted(rest)


def test_what_a_clock_far_ahead_scrubbed_or_sealed_is_due():
    shards = [
        CatalogShard("aa" * 16, "raw", ["d1"], sealed=True, sealed_ns=10**9),
        CatalogShard("bb" * 16, "raw", ["d1"], sealed=True, sealed_ns=10**18),
    ]
    times = {name_of(("aa" * 16, "d1")): 10**9}
    debts = make_debts(shards, times, frozenset(), DAY_S, latest_s=5000.0)
    assert [debt.verified_s for debt in debts] == [0, 0]
    assert all(debt.due_s <= 5000.0 + NEW_AFTER_S for debt in debts)


def test_open_shards_and_excluded_replicas_are_no_debt():
    open_shard = CatalogShard("aa" * 16, "raw", ["d1", "d2"])
    sealed = CatalogShard("bb" * 16, "raw", ["d1", "d2"], sealed=True, sealed_ns=1)
    debts = make_debts([open_shard, sealed], {}, frozenset({("bb" * 16, "d1")}), DAY_S)
    assert [debt.replica for debt in debts] == [("bb" * 16, "d2")]


def a_lane() -> tuple[Lane, mmap.mmap]:
    page = mmap.mmap(-1, 8)
    return Lane(0, page), page


def test_a_pace_keeps_to_its_rate():
    lane, page = a_lane()
    size = 4 * PIECE_BYTES
    began = time.monotonic()
    pace = Pace(lane, Gate(), threading.Event(), size, size / 0.4)
    for _ in range(4):
        assert pace.begin(8 * PIECE_BYTES) == PIECE_BYTES
        pace.end()
    pace.finish()
    assert time.monotonic() - began >= 0.4, "it read faster than its rate"
    assert read_steps(page, 0) > 10, "a waiting lane must show that it lives"


@pytest.mark.parametrize("busy", [False, True])
def test_a_pace_that_is_stopped_ends(busy: bool):
    """While it waits for its rate, or for a foreground that does not rest."""
    gate, stop = Gate(), threading.Event()
    if busy:
        gate.arrive()
    pace = Pace(a_lane()[0], gate, stop, 1 << 40, 1.0)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(CancelledError):
        while True:
            pace.begin(4096)
            pace.end()
    # Who was stopped while it waited waits no more: the next passes.
    if busy:
        gate.answer()
    assert gate.pass_in(Kind.SCRUB, 4096, lambda: None) == 4096


def files_of(count: int = 60) -> dict[str, bytes]:
    return {f"{number}": os.urandom(60_000) for number in range(count)}


def filled_store(store, tmp_path, **settings):
    one = store(started=False)
    one.config = with_settings(one.root, **settings)
    one.start()
    files = files_of()
    one.put(write_files(str(tmp_path / "files"), files), "first")
    settle(one)
    return one, files


def some_replica(one) -> str:
    """Return the path of some replica: which disks have one is random."""
    return next(path for folder in one.disks for path in shard_files(folder))


def test_scrub_now_heals_what_is_damaged_and_counts_as_verified(store, tmp_path):
    one, files = filled_store(store, tmp_path, scrub_rate_bytes_per_s=0)
    before = one.client.scrub_status()
    assert not before.enabled
    assert before.never_scrubbed == before.replicas >= 2
    assert before.due_replicas == 0, "what was sealed just now is not due yet"
    path = some_replica(one)
    damage(path, 30_000)
    job = one.client.wait(one.client.scrub().job_id)
    lines = list(one.client.report(job.job_id))
    assert job.state == "incomplete"
    assert job.result["losses"] == 0
    assert {line["shard"] for line in lines} == {os.path.basename(path).removesuffix(".shard")}
    until(lambda: one.client.scrub_status().damaged_replicas == 0, "the healing")
    until(lambda: one.client.health().rebuild_queue == 0, "all copies")
    after = one.client.scrub_status()
    assert after.never_scrubbed == 1, "the healed copy is to be read again"
    finish(one, one.client.scrub().job_id)
    done = one.client.scrub_status()
    assert (done.never_scrubbed, done.due_replicas) == (0, 0)
    assert done.last_round_finished
    assert_readable(one, files)
    one.stop()
    one.start()
    assert one.client.scrub_status().never_scrubbed == 0, "a restart forgot what was verified"
    assert one.client.scrub_status().last_round_finished == done.last_round_finished
    # The log is only a memory: without it everything is scrubbed again.
    one.stop()
    os.unlink(os.path.join(one.config.watch_dir, NAME))
    one.start()
    assert one.client.scrub_status().never_scrubbed == done.replicas
    assert_clean(one)


def test_the_background_finds_and_heals_by_itself(store, tmp_path):
    # An interval of 2.6 s: everything is due again and again.
    one, files = filled_store(store, tmp_path, scrub_interval_days=0.00003)
    until(lambda: one.client.scrub_status().last_round_finished, "a whole round")
    damage(some_replica(one), 30_000)
    until(
        lambda: any("scrubbing shard" in line for line in one.client.health().last_errors),
        "the scrub to find the damage",
    )
    until(lambda: one.client.scrub_status().damaged_replicas == 0, "the healing")
    assert_readable(one, files)
    assert_clean(one)


@pytest.mark.fault
def test_losses_are_listed_by_name_until_the_file_comes_again(store, tmp_path):
    one, files = filled_store(store, tmp_path, scrub_rate_bytes_per_s=0)
    replicas: dict[str, list[str]] = {}
    for folder in one.disks:
        for path in shard_files(folder):
            replicas.setdefault(os.path.basename(path), []).append(path)
    victim = next(paths for paths in replicas.values() if len(paths) == 2)
    for path in victim:
        damage(path, 30_000)
    lines = json_lines(drystone("scrub", "--now", "--json", "--config", one.config_path, expect=3))
    status = one.client.scrub_status()
    assert len(status.losses) == 1
    batch, name = status.losses[0].split(": ")
    assert batch == "first"
    assert any(line.get("status") == "lost" and line["path"] == f"first: {name}" for line in lines)
    notice = next(notice for notice in one.client.warnings() if notice.code == "lost")
    assert notice.severity == "critical"
    assert f"first: {name}" in notice.message
    shown = drystone("scrub", "--config", one.config_path, expect=3)
    assert f"first: {name}" in shown.stderr.decode()
    again = write_files(str(tmp_path / "again"), {name: files[name]})
    one.put(again, "again")
    until(lambda: not one.client.scrub_status().losses, "the loss to be over")
    assert_readable(one, {name: files[name]})


def test_shards_on_disks_that_are_away_say_nothing_of_the_index(store, tmp_path):
    """Nobody is told to reindex while disks are away: that is what must not be done then."""
    one, files = filled_store(store, tmp_path, scrub_rate_bytes_per_s=0)
    holders = one.client.head(next(iter(keys_of(files).values()))).disks
    paths = [disk.path for disk in one.config.disk if disk.name in holders]
    for path in paths:
        os.rename(path, f"{path}-away")
    until(lambda: sum(d.state == "missing" for d in one.client.disks()) == 2, "two to be missing")
    job = one.client.wait(one.client.scrub().job_id)
    assert job.state == "incomplete"
    assert any("no replica" in line["reason"] for line in one.client.report(job.job_id))
    assert "index-damaged" not in {notice.code for notice in one.client.warnings()}
    for path in paths:
        os.rename(f"{path}-away", path)
    until(lambda: all(d.state == "online" for d in one.client.disks()), "them to be back")
    assert_readable(one, files)
    assert_clean(one)


def test_a_start_does_not_put_the_daily_check_off(store, tmp_path):
    one, _ = filled_store(store, tmp_path, scrub_rate_bytes_per_s=0)

    def checked_s() -> int:
        file = WatchFile(one.config.watch_dir)
        try:
            return verified_times(file)[name_of(METADATA)]
        finally:
            file.close()

    one.stop()
    file = WatchFile(one.config.watch_dir)
    note_verified(file, METADATA, 1_700_000_000)
    file.close()
    one.start()
    assert checked_s() == 1_700_000_000
    finish(one, one.client.scrub().job_id)
    assert checked_s() > 1_700_000_000


@pytest.mark.fault
def test_a_scrub_job_can_be_cancelled_and_what_it_did_counts(store, tmp_path):
    """It waits for a disk that does not answer; the others have paid their debt by then."""
    one, files = filled_store(store, tmp_path, scrub_rate_bytes_per_s=0, stall_timeout_s=120.0)
    owing = [len(shard_files(folder)) for folder in one.disks]
    number = next(number for number, count in enumerate(owing) if count)
    process = child(one.config, one.config.disk[number].name).pid
    os.kill(process, signal.SIGSTOP)
    job_id = one.client.scrub().job_id
    others = sum(owing) - owing[number]
    until(lambda: one.client.job(job_id).done_files == others > 0, "the other disks")
    one.client.cancel(job_id)
    assert one.client.wait(job_id).state == "cancelled"
    os.kill(process, signal.SIGCONT)
    assert one.client.scrub_status().never_scrubbed == owing[number]
    finish(one, one.client.scrub().job_id)
    assert one.client.scrub_status().never_scrubbed == 0
    assert_readable(one, files)
    assert_clean(one)


def test_the_round_has_a_name_no_replica_has():
    assert ROUND == ("0" * 32, "0" * 32)
