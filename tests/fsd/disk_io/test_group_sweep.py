"""Several groups on their way to one disk: synced together, read back in one sweep, each judged."""

from __future__ import annotations

import errno
import mmap
import os
import threading
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from fsd.disk_io import growing_shards
from fsd.disk_io.disk_process import LANE_WRITE, SWEEP_BYTES_MAX, DiskProcess
from fsd.disk_io.growing_shards import Group, GrowingShards
from fsd.disk_io.place.identity import make_identity, read_identity
from fsd.disk_io.shard_file import FreeStep, Step
from fsd.format.errors import CorruptError, DiskError
from fsd.format.layout import shard_path
from fsd.process.child import LANES_MAX, ChildServer

HEAD = b"h" * 4096
GROUP_BYTES = 1 << 20
GROUPS = 4
STORE_ID = "5" * 32


def group(folder: Path, number: int) -> Group:
    view = memoryview(mmap.mmap(-1, GROUP_BYTES))
    view[:] = bytes([number]) * GROUP_BYTES
    return Group(str(folder / f"s{number}" / "shard"), HEAD, 2 << 20, view, len(HEAD))


def sweep(folder: Path) -> list[Group]:
    return [group(folder, number) for number in range(GROUPS)]


def test_nothing_is_read_between_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """All are written, then all are synced, then all are read back."""
    seen: list[str] = []

    def noting(name: str) -> None:
        real = getattr(growing_shards, name)

        def note(fd: int, view: memoryview, offset: int, *rest: Any) -> None:
            if len(view) > len(HEAD):
                seen.append(name)
            real(fd, view, offset, *rest)

        monkeypatch.setattr(growing_shards, name, note)

    fsync = os.fsync

    def noting_sync(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("/shard"):
            seen.append("fsync")
        fsync(descriptor)

    noting("write_full")
    noting("check_written")
    monkeypatch.setattr(os, "fsync", noting_sync)
    assert GrowingShards(FreeStep()).write(sweep(tmp_path)) == [None] * GROUPS
    assert seen == ["write_full"] * GROUPS + ["fsync"] * GROUPS + ["check_written"] * GROUPS


def test_a_close_that_fails_costs_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Some filesystems write at a close; all groups are answered, and all files closed."""
    groups, close = [one._replace(last=True) for one in sweep(tmp_path)], os.close
    closed: list[str] = []

    def refusing(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        close(descriptor)
        if path.endswith("/shard"):
            closed.append(path)
            if path == groups[1].path:
                raise OSError(errno.EIO, "close")

    monkeypatch.setattr(os, "close", refusing)
    answers = GrowingShards(FreeStep()).write(groups)
    assert [type(one) for one in answers] == [type(None), OSError, type(None), type(None)]
    assert closed == [one.path for one in groups]


def test_a_group_that_fails_costs_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One cannot be written, one not synced, one is read back otherwise; the fourth is durable."""
    groups, fsync, check = sweep(tmp_path), os.fsync, growing_shards.check_written
    os.makedirs(os.path.dirname(groups[0].path))
    Path(groups[0].path).write_bytes(b"there already")

    def refusing(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}") == groups[1].path:
            raise OSError(errno.EIO, "sync")
        fsync(descriptor)

    def damaging(fd: int, view: memoryview, offset: int, scratch: memoryview, step: Step) -> None:
        if os.readlink(f"/proc/self/fd/{fd}") == groups[2].path:
            os.pwrite(fd, memoryview(mmap.mmap(-1, 4096)), len(HEAD))
        check(fd, view, offset, scratch, step)

    monkeypatch.setattr(os, "fsync", refusing)
    monkeypatch.setattr(growing_shards, "check_written", damaging)
    errors = GrowingShards(FreeStep()).write(groups)
    assert isinstance(errors[0], FileExistsError)
    assert isinstance(errors[1], OSError) and errors[1].errno == errno.EIO
    assert isinstance(errors[2], CorruptError)
    assert errors[3] is None
    assert Path(groups[3].path).read_bytes() == HEAD + bytes([3]) * GROUP_BYTES


def test_a_file_is_synced_once_and_a_failed_sync_fails_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Tried again on the same file it may succeed although the kernel has dropped the pages."""
    first = group(tmp_path, 0)
    pieces = [first, first._replace(head=b"", offset=first.offset + GROUP_BYTES)]
    synced: list[int] = []

    def refusing(descriptor: int) -> None:
        synced.append(descriptor)
        raise OSError(errno.EIO, "sync")

    monkeypatch.setattr(os, "fsync", refusing)
    errors = GrowingShards(FreeStep()).write(pieces)
    assert all(isinstance(error, OSError) for error in errors) and len(synced) == 1


@pytest.fixture
def served(tmp_path: Path):
    """A disk's process with slots, without threads: (process, its server, the engine's end)."""
    ours, theirs = Pipe()
    slots = [memoryview(mmap.mmap(-1, GROUP_BYTES)) for _ in range(GROUPS)]
    for number, slot in enumerate(slots):
        slot[:] = bytes([number]) * GROUP_BYTES
    server = ChildServer(theirs, mmap.mmap(-1, 8 * LANES_MAX), LANES_MAX)
    disk = tmp_path / "disk"
    disk.mkdir()
    disk_id = make_identity(str(disk), STORE_ID, "d1")["disk_id"]
    process = DiskProcess(server, slots)
    process.attach(str(disk), disk_id, STORE_ID, 1)
    return process, server, ours


def asked(number: int, length: int = GROUP_BYTES) -> tuple[Any, ...]:
    return f"{number:02x}" * 16, HEAD, 2 << 20, number, len(HEAD), length, False, True


def answers(connection: Connection, count: int) -> dict[int, tuple[bool, Any]]:
    found: dict[int, tuple[bool, Any]] = {}
    for _ in range(count):
        assert connection.poll(20)
        request_id, succeeded, value = connection.recv()
        found[request_id] = succeeded, value
    return found


def serve(server: ChildServer, process: DiskProcess) -> None:
    """Let the lane work; not the loop that ends the whole process with its connection."""
    arguments = server.lanes[LANE_WRITE], process.operations()
    threading.Thread(target=server.work, args=arguments, daemon=True).start()


def test_what_waits_goes_together_and_each_gets_its_answer(tmp_path: Path, served, monkeypatch):
    process, server, connection = served
    lane = server.lanes[LANE_WRITE]
    sizes: list[int] = []
    write = GrowingShards.write

    def noting(self: GrowingShards, groups: list[Group]) -> list[Exception | None]:
        sizes.append(len(groups))
        return write(self, groups)

    monkeypatch.setattr(GrowingShards, "write", noting)
    # The third file is there already: it is refused, and the others are not.
    path = Path(shard_path(str(tmp_path / "disk"), asked(2)[0]))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    for number in range(GROUPS):
        lane.queue.put((1, number, (number, "write_group", asked(number))))
    serve(server, process)
    found = answers(connection, GROUPS)
    assert sizes == [GROUPS]
    assert [found[number][0] for number in range(GROUPS)] == [True, True, False, True]
    error = found[2][1]
    assert isinstance(error, DiskError) and error.errno == errno.EEXIST
    for number in (0, 1, 3):
        whole = Path(shard_path(str(tmp_path / "disk"), asked(number)[0])).read_bytes()
        assert whole == HEAD + bytes([number]) * GROUP_BYTES


def test_large_ones_go_alone_and_other_requests_keep_their_place(served, monkeypatch):
    """What was asked for between two groups comes between them: a removal, a cut, an adoption."""
    process, server, connection = served
    lane, sizes, write = server.lanes[LANE_WRITE], list[int](), GrowingShards.write

    def noting(self: GrowingShards, groups: list[Group]) -> list[Exception | None]:
        sizes.append(len(groups))
        return write(self, groups)

    monkeypatch.setattr(GrowingShards, "write", noting)
    monkeypatch.setattr("fsd.disk_io.disk_process.SWEEP_BYTES_MAX", 2 * GROUP_BYTES)
    assert SWEEP_BYTES_MAX > GROUP_BYTES
    requests = [
        ("write_group", asked(0)),
        ("write_group", asked(1)),
        ("write_group", asked(2)),
        ("remove_shard", (asked(2)[0],)),
        ("write_group", asked(2)),
    ]
    for number, (name, arguments) in enumerate(requests):
        lane.queue.put((1, number, (number, name, arguments)))
    serve(server, process)
    assert all(succeeded for succeeded, _ in answers(connection, len(requests)).values())
    assert sizes == [2, 1, 1]


def test_what_is_more_urgent_than_what_was_seen_is_not_taken_for_it(served):
    """It arrives between the look at the next group and the taking of that."""
    _, server, _ = served
    lane = server.lanes[LANE_WRITE]
    lane.queue.put((1, 7, (7, "write_group", asked(0))))
    seen = lane.peek()
    assert seen is not None and seen[:2] == (7, "write_group")
    lane.queue.put((0, 8, (8, "remove_shard", (asked(1)[0],))))
    assert not lane.take(7)
    assert lane.queue.get()[2][0] == 8
    assert lane.take(7)
    assert lane.peek() is None


def test_between_groups_the_head_stays_where_it_is(tmp_path: Path, served, monkeypatch):
    """A disk that has nothing to write for a moment is asked for what it was given last."""
    process, _, _ = served
    disk_id = read_identity(str(tmp_path / "disk"))["disk_id"]
    reads: list[str] = []

    def noting(path: str) -> dict[str, Any]:
        reads.append(path)
        return read_identity(path)

    monkeypatch.setattr("fsd.disk_io.disk_process.read_identity", noting)

    def looks(count: int = 3) -> int:
        reads.clear()
        for _ in range(count):
            process.check(disk_id, 1)
        return len(reads)

    assert looks() == 3, "nothing was written: its identity, each time"
    process.write_group(*asked(0))
    process.check(disk_id, 1)  # The writing itself shows that it lives.
    assert looks() == 0
    # Where that cannot be read it is asked who it is, which says what is wrong.
    path = shard_path(str(tmp_path / "disk"), asked(0)[0])
    preadv = os.preadv

    def failing(fd: int, views: list[Any], offset: int) -> int:
        if os.readlink(f"/proc/self/fd/{fd}") == path:
            raise OSError(errno.EIO, "dead")
        return preadv(fd, views, offset)

    monkeypatch.setattr(os, "preadv", failing)
    assert looks() == 3
    monkeypatch.setattr(os, "preadv", preadv)
    os.rename(path, path + "-away")
    assert looks() == 3
    os.rename(path + "-away", path)
    assert looks() == 0
    # Once in a while its identity is read anyway, and each time when no put is under way.
    monkeypatch.setattr("fsd.disk_io.disk_process.COLD_S", 0.0)
    assert looks() == 3
