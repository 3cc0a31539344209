"""Copies of whole shards, killed in the middle: the same again goes on, and nothing is lost.

One disk's process is stopped while copies go on, so that they cannot end; then it is killed, or
the engine with all its processes. `--crash-seed S` chooses the same disks again.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

import pytest
from engine_processes import child, kill_engine, kill_process
from store_checks import (
    assert_batch,
    assert_clean,
    assert_copies,
    disk,
    finish,
    put,
    settle,
    until,
    wait_for_state,
)
from store_harness import MIB, Store, write_files

from fsd.documents.models import JobStatus

DISKS = 5
TRIES = 2
FILES = {f"{number}": os.urandom(150_000 + number) for number in range(400)}


@pytest.fixture
def full(store) -> Store:
    """Two copies of some sixty shards on five disks."""
    one = store(DISKS, shard_size_bytes=MIB)
    put(one, write_files(os.path.join(one.root, "source"), FILES), "first")
    settle(one)
    return one


def name_of(one: Store, number: int) -> str:
    return next(disk.name for disk in one.client.disks() if disk.path == one.disks[number])


def begin_rebuild(one: Store, number: int) -> JobStatus:
    os.rename(one.disks[number], one.disks[number] + ".dead")
    wait_for_state(one, number, "missing")
    return one.client.rebuild(name_of(one, number))


def begin_drain(one: Store, number: int) -> JobStatus:
    return one.client.disk_drain(name_of(one, number))


@pytest.mark.fault
@pytest.mark.parametrize("victim", ["engine", "disk"])
@pytest.mark.parametrize("begin", [begin_rebuild, begin_drain])
def test_killed_in_the_middle_of_copies(
    full: Store,
    pytestconfig: pytest.Config,
    begin: Callable[[Store, int], JobStatus],
    victim: str,
):
    seed = pytestconfig.getoption("--crash-seed") or str(time.time_ns())
    held, *others = random.Random(seed).sample(range(DISKS), 1 + TRIES)
    process = child(full.config, name_of(full, held))
    lost, job_id = next(
        (number, job_id)
        for number in others
        if (job_id := stopped_in_the_middle(full, begin, number, process.pid))
    )
    if victim == "engine":
        kill_engine(full.config, group=True)
        full.start()
    else:
        kill_process(process.pid)
        until(lambda: child(full.config, process.label).pid != process.pid, "another process")
        wait_for_state(full, held, "online")
        assert full.client.wait(job_id).state in ("done", "incomplete", "failed")
    # What the same command says again is done, whatever has gone on by itself meanwhile.
    if begin is begin_rebuild:
        finish(full, full.client.rebuild().job_id)
    elif victim == "disk" and disk(full, lost).shards:
        finish(full, full.client.disk_drain(name_of(full, lost)).job_id)
    else:  # It goes on by itself.
        until(lambda: not disk(full, lost).shards, "the drain to go on")
    assert_batch(full, "first", FILES)
    assert_copies(full, FILES, 2, name_of(full, lost))
    assert_clean(full)


def stopped_in_the_middle(
    full: Store, begin: Callable[[Store, int], JobStatus], number: int, pid: int
) -> str:
    """Begin, and stop a process when copies go on: the job's id, or none when it was too late."""
    job_id = begin(full, number).job_id
    while not (job := full.client.job(job_id)).done_files and job.state == "running":
        pass
    os.kill(pid, signal.SIGSTOP)
    done_files = -1
    # Until nothing goes on that does not need it.
    while (job := full.client.job(job_id)).state == "running" and job.done_files != done_files:
        done_files = job.done_files
        time.sleep(0.3)
    if job.state == "running":
        return job_id
    os.kill(pid, signal.SIGCONT)
    finish(full, job_id)
    return ""
