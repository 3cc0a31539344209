"""The scrub's status: how old the oldest proof is, what is overdue, what comes next, how fast."""

from __future__ import annotations

import datetime
import os
import time

import pytest
from store_checks import disk, finish, settle, shard_files
from store_harness import MIB, Store, with_settings, write_files

from fsd.disks.watch_file import WatchFile
from fsd.documents.watch_models import ScrubStatus
from fsd.scrub.scrub import RATE_WINDOW_S
from fsd.scrub.scrub_log import Replica, note_verified
from fsd.scrub.scrub_plan import JITTER_SHARE

INTERVAL_DAYS = 10
INTERVAL_S = INTERVAL_DAYS * 86400
HOUR_S = 3600


@pytest.fixture
def made(store, tmp_path) -> Store:
    """A settled store of a few shards that scrubs nothing by itself."""
    one = store(3, started=False, shard_size_bytes=MIB)
    settings = {"scrub_rate_bytes_per_s": 0, "scrub_interval_days": INTERVAL_DAYS}
    one.config = with_settings(one.root, **settings)
    one.start()
    files = {f"{number}": os.urandom(200_000 + number) for number in range(20)}
    one.put(write_files(str(tmp_path / "files"), files), "first")
    settle(one)
    return one


def sizes_of(made: Store) -> dict[Replica, int]:
    """Every replica and its bytes, by what is on the disks."""
    sizes: dict[Replica, int] = {}
    for number, folder in enumerate(made.disks):
        for path in shard_files(folder):
            shard_id = os.path.basename(path).removesuffix(".shard")
            sizes[shard_id, disk(made, number).disk_id] = os.path.getsize(path)
    return sizes


def verified_at(made: Store, times: dict[Replica, int]) -> None:
    """Let the engine remember that replicas were verified then."""
    made.stop()
    file = WatchFile(made.config.watch_dir)
    for replica, when in times.items():
        note_verified(file, replica, when)
    file.close()
    made.start()


def status_between(made: Store) -> tuple[float, ScrubStatus, float]:
    """The status, and the moments between which it was made."""
    before = time.time()
    status = made.client.scrub_status()
    return before, status, time.time()


def due_s(status: ScrubStatus) -> float:
    assert status.next_due is not None
    return datetime.datetime.fromisoformat(status.next_due).timestamp()


def test_age_and_debt_and_what_is_next(made):
    sizes = sizes_of(made)
    replicas = sorted(sizes)
    assert len(replicas) > 5
    now = int(time.time())
    # Two are overdue, by more than the interval; the others not before a day, jitter included.
    times = {replica: now - number * HOUR_S for number, replica in enumerate(replicas)}
    older, oldest = replicas[2], replicas[4]
    times |= {older: now - INTERVAL_S - HOUR_S, oldest: now - INTERVAL_S - 5 * HOUR_S}
    verified_at(made, times)
    before, status, after = status_between(made)
    assert (status.replicas, status.never_scrubbed) == (len(sizes), 0)
    assert status.total_bytes == sum(sizes.values())
    assert before - times[oldest] <= status.oldest_age_s <= after - times[oldest]
    assert status.oldest_shard == oldest[0]
    assert status.due_replicas == 2
    assert status.overdue_bytes == sizes[older] + sizes[oldest]
    names = {one.disk_id: one.name for one in made.client.disks()}
    assert (status.next_shard, status.next_disk) == (oldest[0], names[oldest[1]])
    earliest = times[oldest] + INTERVAL_S * (1 - JITTER_SHARE)
    assert earliest - 1 <= due_s(status) <= times[oldest] + INTERVAL_S + 1


def test_a_debt_that_is_paid(made):
    sizes = sizes_of(made)
    before, status, after = status_between(made)
    # While nothing was ever verified the age counts from the sealing, after the store was made.
    assert status.never_scrubbed == len(sizes) and status.rate_bytes_per_s == 0
    assert 0 < status.oldest_age_s <= after - os.path.getmtime(made.config_path)
    result = finish(made, made.client.scrub().job_id)
    assert result["read_bytes"] == sum(sizes.values())
    _, status, after = status_between(made)
    assert status.rate_bytes_per_s == pytest.approx(sum(sizes.values()) / RATE_WINDOW_S)
    assert (status.never_scrubbed, status.due_replicas, status.overdue_bytes) == (0, 0, 0)
    assert status.oldest_age_s <= after - before + 1
    # The first of all, a share of the interval after it was verified.
    earliest = before + INTERVAL_S * (1 - JITTER_SHARE)
    assert earliest - 1 <= due_s(status) <= after + INTERVAL_S
