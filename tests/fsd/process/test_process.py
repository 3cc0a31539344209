"""Child processes with real disks below them: answers, stalls, deaths, and the loan of slots."""

import contextlib
import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from bad_disk_fixture import bad_disk
from shard_fixture import SHARD_ID, build_shard, store_shard

from base.errors import DrystoneError
from fsd.compile import compile_process
from fsd.disk_io import disk_process
from fsd.format import layout
from fsd.format.errors import CorruptError, DiskError, DiskRefusedError, DiskStalledError
from fsd.process.process import Child, Watchdog
from fsd.process.slots import SlotPool

pytest_plugins = ("child_fixture",)

STORE = "5" * 32
SLOT_BYTES = 1 << 20
STALL_S = 0.6
HEX_ID = SHARD_ID.hex()


@pytest.fixture
def watchdog() -> Iterator[Callable[..., Watchdog]]:
    started: list[Watchdog] = []

    def watch(*children: Child) -> Watchdog:
        started.append(Watchdog(lambda: list(children), STALL_S))
        return started[-1]

    yield watch
    for one in started:
        one.stop()


def wait_until(condition: Callable[[], bool], limit_s: float = 60.0) -> bool:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def free_slots(pool: SlotPool) -> int:
    """Count the free slots by taking them all, and give them back."""
    taken = []
    try:
        while True:
            taken.append(pool.acquire(0.001))
    except DrystoneError:
        pass
    for slot in taken:
        pool.release(slot)
    return len(taken)


def test_a_process_that_plans_starts_no_threads_of_numpy(pool: SlotPool):
    """They take half of the import, which every copy waits for."""
    child = Child("fsd.compile.compile_process", "plan", compile_process.LANES, pool)
    try:
        child.call("plan", {}, [])
        with open(f"/proc/{child.pid}/maps", encoding="utf-8") as file:
            assert "openblas" in file.read()
        assert len(os.listdir(f"/proc/{child.pid}/task")) == 1 + 1
    finally:
        child.kill()
        assert child.wait_dead(60)


# Requests


def test_a_request_is_answered(child: Child, disk: tuple[str, str]):
    assert child.call("find", disk[1], ["/nowhere", disk[0]]) == disk[0]
    size, free, readonly = child.call("check", disk[1], 1)
    assert size >= free > 0
    assert readonly is False
    assert child.alive and child.pid > 0


def test_errors_keep_their_kind(child: Child, disk: tuple[str, str]):
    with pytest.raises(DiskError) as missing:
        child.call("scan", HEX_ID)
    assert (missing.value.errno, missing.value.disk) == (errno.ENOENT, "d1")
    store_shard(disk[0], build_shard([[b"x"]]), b"no shard")
    with pytest.raises(CorruptError):
        child.call("copy_begin", HEX_ID)
    with pytest.raises(DiskRefusedError):
        child.call("check", "another id", 1)
    with pytest.raises(DrystoneError, match="copy_create: ValueError") as fault:
        child.call("copy_create", "\0", 4096)
    assert not isinstance(fault.value, DiskError)
    assert child.alive


def test_bytes_go_through_slots(child: Child, pool: SlotPool, disk: tuple[str, str]):
    shard = build_shard([[b"hello"], [bytes(70_000)]])
    slot = pool.acquire()
    position, head = 4096, bytes(shard.data[:4096])
    for offset, length in [*shard.groups, (len(shard.data), len(shard.footer))]:
        slot.view[:length] = shard.sealed()[offset : offset + length]
        group = (head, 1 << 20, slot.number, offset, length, offset == len(shard.data))
        request = child.request("write_group", HEX_ID, *group, slots=(slot,))
        assert request.result(60) is None
        position, head = position + length, b""
    with open(layout.shard_path(disk[0], HEX_ID), "rb") as file:
        assert file.read() == shard.sealed()
    assert child.call("list_shards") == ({HEX_ID: position}, [])
    slot.view[:SLOT_BYTES] = bytes(SLOT_BYTES)
    window = ("read_window", HEX_ID, 4096, slot.number, 8192, 4096)
    assert child.request(*window, slots=(slot,)).result(60) == 4096
    assert slot.view[8192:12288] == shard.data[4096:8192]
    assert not any(slot.view[:8192])
    assert child.call("verify", HEX_ID).problems == []
    pool.release(slot)


def test_lanes_run_beside_each_other(child: Child, tmp_path: Path):
    blocker = tmp_path / "fifo"
    os.mkfifo(blocker)
    # Opening a FIFO as a folder's identity blocks the lane of writes until somebody writes to it.
    os.mkdir(tmp_path / "odd")
    os.rename(blocker, tmp_path / "odd" / layout.IDENTITY_NAME)
    blocked = child.request("find", "none", [str(tmp_path / "odd")])
    assert child.request("read_catalog").result(60) == b""
    assert not blocked.done()
    with open(tmp_path / "odd" / layout.IDENTITY_NAME, "w") as fifo:
        fifo.write("{}")
    assert blocked.result(60) is None


def blocking_find(child: Child, folder: Path) -> tuple[Future[Any], str]:
    """Block the lane of writes for good; returns the request and the FIFO that frees it."""
    folder.mkdir()
    os.mkfifo(folder / layout.IDENTITY_NAME)
    request = child.request("find", "none", [str(folder)])
    return request, str(folder / layout.IDENTITY_NAME)


def taken_up(fifo: str) -> int:
    """Wait until somebody reads a FIFO, and return its other end: they go on when it is closed."""
    ends: list[int] = []

    def is_read() -> bool:
        with contextlib.suppress(OSError):  # Nobody reads it yet.
            ends.append(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        return bool(ends)

    assert wait_until(is_read)
    return ends[0]


def test_a_lane_takes_the_urgent_first(child: Child, tmp_path: Path):
    blocked, fifo = blocking_find(child, tmp_path / "odd")
    held = taken_up(fifo)
    done: list[str] = []
    requests = []
    for name, priority in (("late", 2), ("normal", 1), ("urgent", 0), ("second", 1)):
        request = child.request("find", name, [], priority=priority)
        request.add_done_callback(lambda _, name=name: done.append(name))
        requests.append(request)
    # Requests are taken in as they come: once a later one is answered, these wait in their lane.
    child.call("read_catalog")
    with open(held, "w") as file:
        file.write("{}")
    for request in (blocked, *requests):
        request.result(60)
    assert done == ["urgent", "normal", "second", "late"]


# Stalls and deaths


def test_a_busy_child_is_not_stalled(child: Child):
    """However long it goes on: each look finds steps that the one before did not."""
    now = time.monotonic()
    for _ in range(20):
        # One ends after the look before, the other may still wait at this one.
        first, ahead = child.request("read_catalog"), child.request("read_catalog")
        first.result(60)
        now += 10 * STALL_S
        assert child.stalled_s(now) == 0.0
        ahead.result(60)


def test_an_idle_child_is_not_stalled(child: Child, watchdog: Callable[..., Watchdog]):
    watchdog(child)
    assert child.stalled_s(time.monotonic() + 3600.0) == 0.0
    assert child.call("read_catalog") == b""


def looks_beyond_the_limit(child: Child) -> list[float]:
    """Return a list of what the watchdog's looks find from here on, beyond its limit."""
    found: list[float] = []
    look = child.stalled_s

    def noted(now: float) -> float:
        stalled_s = look(now)
        if stalled_s > STALL_S:
            found.append(stalled_s)
        return stalled_s

    child.stalled_s = noted
    return found


def test_a_stopped_child_is_killed_by_the_first_look_beyond_its_limit(
    child: Child, watchdog: Callable[..., Watchdog]
):
    beyond = looks_beyond_the_limit(child)
    os.kill(child.pid, signal.SIGSTOP)
    watchdog(child)
    with pytest.raises(DiskStalledError, match="d1 made no progress"):
        child.call("read_catalog")
    assert len(beyond) == 1
    assert child.wait_dead(60)
    assert not child.alive
    with pytest.raises(DiskStalledError):
        child.call("read_catalog")


def test_a_hanging_lane_is_found_while_another_is_busy(
    child: Child, watchdog: Callable[..., Watchdog], tmp_path: Path
):
    request, _ = blocking_find(child, tmp_path / "odd")
    beyond = looks_beyond_the_limit(child)
    watchdog(child)
    with pytest.raises(DiskError):
        while True:
            child.call("read_catalog")
    with pytest.raises(DiskStalledError):
        request.result(60)
    assert len(beyond) == 1


def test_a_child_has_a_limit_of_its_own(pool: SlotPool, watchdog: Callable[..., Watchdog]):
    patient = Child(
        "fsd.disk_io.disk_process", "d1", disk_process.LANES, pool, stall_timeout_s=60.0
    )
    patient.call("find", "none", [])
    os.kill(patient.pid, signal.SIGSTOP)
    request = patient.request("read_catalog")
    watchdog(patient)
    time.sleep(2 * STALL_S)
    assert patient.alive and not request.done()
    patient.kill()
    assert patient.wait_dead(5)


@pytest.mark.parametrize("attempt", range(2))
def test_a_request_too_long_for_the_socket_does_not_hold_the_watchdog(
    child: Child, watchdog: Callable[..., Watchdog], attempt: int
):
    os.kill(child.pid, signal.SIGSTOP)
    watchdog(child)
    answers: list[BaseException] = []

    def ask() -> None:
        try:
            child.call("find", "none", ["x" * 100] * 100_000)
        except BaseException as error:
            answers.append(error)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [type(error) for error in answers] == [DiskStalledError] * 3


def test_a_killed_child_fails_what_is_out(child: Child, tmp_path: Path):
    request, _ = blocking_find(child, tmp_path / "odd")
    waiting = child.request("find", "none", [])
    os.kill(child.pid, signal.SIGKILL)
    for future in (request, waiting):
        with pytest.raises(DiskError, match="the process of d1 ended"):
            future.result(60)
    assert not child.alive
    with pytest.raises(DiskError, match="ended"):
        child.request("read_catalog").result(0)


def test_the_first_reason_for_a_death_is_told(child: Child):
    os.kill(child.pid, signal.SIGSTOP)
    request = child.request("read_catalog")
    child.kill(DiskError("pulled out"))
    child.kill(DiskError("another reason"))
    with pytest.raises(DiskError, match="pulled out"):
        request.result(60)
    with pytest.raises(DiskError, match="pulled out"):
        child.call("read_catalog")


# Slots


def test_a_slot_comes_back_after_the_answer(child: Child, pool: SlotPool):
    slot = pool.acquire()
    request = child.request("find", "none", [], slots=(slot,))
    request.result(60)
    assert free_slots(pool) == 2
    pool.release(slot)
    assert free_slots(pool) == 3


def test_a_lent_slot_comes_back_only_after_the_death(child: Child, pool: SlotPool):
    os.kill(child.pid, signal.SIGSTOP)
    slot = pool.acquire()
    request = child.request("find", "none", [], slots=(slot,))
    pool.release(slot)
    time.sleep(0.1)
    assert free_slots(pool) == 2
    child.kill()
    with pytest.raises(DiskError):
        request.result(60)
    assert child.wait_dead(60)
    assert wait_until(lambda: free_slots(pool) == 3)


def test_a_disk_that_hangs_in_the_kernel_frees_the_caller_but_not_the_slot(
    spawn: Callable[[], Child], pool: SlotPool, watchdog: Callable[..., Watchdog], tmp_path: Path
):
    child = spawn()
    (tmp_path / "file").write_bytes(bytes(4096))
    folder = str(tmp_path / "mnt")
    hangs = tmp_path / "hangs"
    hangs.touch()
    with bad_disk(folder, str(tmp_path / "file"), [(0, 4096)], hangs_while=str(hangs)):
        slot = pool.acquire()
        request = child.request("find", "none", [folder], slots=(slot,))
        pool.release(slot)
        watchdog(child)
        with pytest.raises(DiskStalledError):
            request.result(60)
        # SIGKILL does not end it now, and it might still write into the slot.
        assert not child.wait_dead(0.2)
        assert free_slots(pool) == 2
        with pytest.raises(DiskStalledError):
            child.call("read_catalog")
        hangs.unlink()
        assert child.wait_dead(60)
        assert wait_until(lambda: free_slots(pool) == 3)


def test_a_slot_lent_to_two_waits_for_both(spawn: Callable[[], Child], pool: SlotPool):
    first, second = spawn(), spawn()
    os.kill(second.pid, signal.SIGSTOP)
    slot = pool.acquire()
    answered = first.request("find", "none", [], slots=(slot,))
    stopped = second.request("find", "none", [], slots=(slot,))
    answered.result(60)
    pool.release(slot)
    assert free_slots(pool) == 2
    os.kill(second.pid, signal.SIGCONT)
    stopped.result(60)
    assert wait_until(lambda: free_slots(pool) == 3)


def test_a_request_that_fails_at_once_borrows_nothing(child: Child, pool: SlotPool):
    child.kill()
    slot = pool.acquire()
    with pytest.raises(DiskError):
        child.request("find", "none", [], slots=(slot,)).result(60)
    pool.release(slot)
    assert free_slots(pool) == 3


def test_no_slot_free(pool: SlotPool):
    slots = [pool.acquire() for _ in range(3)]
    with pytest.raises(DrystoneError, match="no transfer buffer came free"):
        pool.acquire(0.01)
    waiter: list[Any] = []
    thread = threading.Thread(target=lambda: waiter.append(pool.acquire(5)))
    thread.start()
    pool.release(slots[1])
    thread.join(60)
    assert waiter == [slots[1]]
    for slot in slots:
        pool.release(slot)
    assert free_slots(pool) == 3
