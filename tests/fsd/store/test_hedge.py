"""Single reads beside a disk that hangs, dies or lies: right, from another replica, and at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from engine_processes import child, children, kill_process
from store_checks import (
    assert_clean,
    assert_readable,
    damage,
    disk,
    first_read,
    key_of,
    put,
    read_object,
    settle,
    shard_files,
    until,
    wait_for_state,
)
from store_harness import MIB, Store, with_settings, write_files

from fsd.disk_io.queue_rule import PIECE_BYTES

STALL_TIMEOUT_S = 120.0
"""Longer than a test: whatever is read meanwhile was not saved by the watchdog."""
READERS = 8


@pytest.fixture
def reading_store(store, tmp_path) -> Callable[..., tuple[Store, dict[str, bytes]]]:
    """A function that makes a store with small and large objects, every one on two of its disks."""

    def make(disks: int = 3, stall_timeout_s: float = STALL_TIMEOUT_S):
        made = store(disks, started=False)
        made.config = with_settings(made.root, stall_timeout_s=stall_timeout_s)
        made.start()
        files = {f"small/{n}": os.urandom(1000 + 37 * n) for n in range(240)}
        files |= {f"large/{n}": os.urandom((3 + n) * PIECE_BYTES + 99) for n in range(4)}
        put(made, write_files(str(tmp_path / "source"), files), "first")
        settle(made)
        return made, files

    return make


@pytest.fixture
def stopped() -> Iterator[Callable[[int], int]]:
    """A function that stops a process; it goes on when the test ends."""
    pids: list[int] = []

    def stop(pid: int) -> int:
        os.kill(pid, signal.SIGSTOP)
        pids.append(pid)
        return pid

    yield stop
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def is_stopped(pid: int) -> bool:
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"


def assert_nothing_left(store: Store) -> None:
    left = [n for n in os.listdir(store.root) if n.startswith(("read-", ".drystone-"))]
    assert not left, "a read left something behind"


def test_many_reads_while_a_disk_hangs(reading_store, stopped):
    """Nobody waits for the watchdog: it has killed nothing when all of them are answered."""
    store, files = reading_store()
    keys = [key_of(data) for data in files.values()]
    contents = {key_of(data): data for data in files.values()}
    name = first_read(store, keys[0])
    number = next(number for number in range(3) if disk(store, number).name == name)
    pid = stopped(child(store.config, name).pid)
    with ThreadPoolExecutor(READERS) as readers:
        answers = readers.map(lambda key: read_object(store, key) == contents[key], keys * 2)
        assert all(answers)
    assert is_stopped(pid) and disk(store, number).state == "online"
    # One read finds out that the disk hangs, and those that are on their way with it.
    assert 0 < disk(store, number).late_reads <= 2 * READERS
    assert disk(store, number).errors == 0
    assert_nothing_left(store)
    os.kill(pid, signal.SIGCONT)
    # The losers' answers come now, to nobody; the disk is asked again.
    before = disk(store, number).read_bytes
    until(
        lambda: assert_readable(store, files) or disk(store, number).read_bytes > before,
        "its reads",
    )
    assert child(store.config, name).pid == pid
    assert_nothing_left(store)
    assert_clean(store)


def test_reads_go_on_when_the_hanging_disk_is_killed(reading_store, stopped):
    """Also those that wait for it alone are answered, by its next process."""
    store, files = reading_store(disks=2, stall_timeout_s=2.0)
    pids = [stopped(child(store.config, name).pid) for name in ("d1", "d2")]
    with ThreadPoolExecutor(READERS) as readers:
        answers = readers.map(lambda data: read_object(store, key_of(data)), files.values())
        assert list(answers) == list(files.values())
    assert not any(os.path.exists(f"/proc/{pid}") and is_stopped(pid) for pid in pids)
    wait_for_state(store, 0, "online")
    wait_for_state(store, 1, "online")
    assert_nothing_left(store)
    assert_clean(store)


def _processes_of(config, label):
    return [one for one in children(config) if one.label == label]


def test_reads_while_disk_processes_are_killed_again_and_again(reading_store):
    store, files = reading_store()
    with ThreadPoolExecutor(READERS) as readers:
        answers = [readers.submit(read_object, store, key_of(data)) for data in files.values()]
        for label in ("d1", "d2", "d1"):
            # One that finds the disk not free yet ends, and another one looks for it again.
            found = until(lambda name=label: _processes_of(store.config, name), "a new one")
            kill_process(found[0].pid)
        assert [answer.result() for answer in answers] == list(files.values())
    assert_nothing_left(store)
    assert_clean(store)


def test_a_large_object_is_read_around_what_is_damaged(reading_store):
    """Each disk has other bad blocks of it: no replica is whole, and yet it is read."""
    store, files = reading_store(disks=2)
    large = files["large/3"]
    for number, path in enumerate(store.disks):
        for shard in shard_files(path):
            with open(shard, "rb") as file:
                content = file.read()
            piece = large[2 * number * PIECE_BYTES + 1000 :][:64]
            if (place := content.find(piece)) > 0:
                damage(shard, place)
    assert read_object(store, key_of(large)) == large
    assert_nothing_left(store)
    assert_clean(store)


def test_a_name_that_is_taken_is_not_overwritten(reading_store, tmp_path):
    store, files = reading_store(disks=2)
    taken = tmp_path / "taken"
    taken.write_bytes(b"mine")
    with pytest.raises(Exception, match="nothing is overwritten"):
        store.client.read(key_of(files["small/1"]), str(taken))
    missing = "ab" * 32
    with pytest.raises(Exception, match="no object"):
        store.client.read(missing, str(tmp_path / "none"))
    assert sorted(os.listdir(tmp_path)) == ["source", "taken"]
    assert taken.read_bytes() == b"mine"


def test_puts_go_on_while_many_reads_wait_for_a_disk(reading_store, stopped, tmp_path):
    """A read borrows no transfer buffer: however many wait, a put finds its own."""
    store, files = reading_store(disks=3, stall_timeout_s=4.0)
    pid = stopped(child(store.config, "d1").pid)
    more = {f"more/{n}": os.urandom(MIB // 2) for n in range(8)}
    with ThreadPoolExecutor(32) as readers:
        answers = [readers.submit(read_object, store, key_of(data)) for data in files.values()]
        put(store, write_files(str(tmp_path / "more"), more), "second")
        assert [answer.result() for answer in answers] == list(files.values())
    assert not (os.path.exists(f"/proc/{pid}") and is_stopped(pid))
    wait_for_state(store, 0, "online")
    assert_readable(store, more)
    assert_clean(store)
