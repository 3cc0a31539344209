"""Details of copies that all outcomes are the same without, but for time, memory or luck."""

from __future__ import annotations

import os
import signal
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from store_checks import assert_sealed, keys_of, until, write_manifest
from store_fixture import StoreFixture
from store_harness import MIB, with_settings, write_files

from fsd.compile.compile_process import Compiler
from fsd.disk_io.extract.extract import Kept
from fsd.disk_io.reading.read_ahead import BUFFERS, Range, ReadAhead, Reads
from fsd.disk_io.shard_file import no_step
from fsd.disks.disks import Disk, DiskSet
from fsd.documents.models import BatchWriteRequest, MaterialiseRequest
from fsd.engine.engine import Engine
from fsd.export import copy_run
from fsd.format.record import SECTOR_BYTES
from fsd.planning.disk_model import DiskModel

FILES = 60
FILE_BYTES = 100_000
MEMORY_BYTES_MAX = 32 * MIB

Watched = Callable[[Callable[..., "Future[Any]"], Disk, str, tuple[Any, ...]], "Future[Any]"]


@contextmanager
def exporting(
    store: Any, short_tmp: str, monkeypatch: pytest.MonkeyPatch, watched: Watched
) -> Iterator[Callable[[], None]]:
    """Yield how to begin an export, from two disks of which the first one's process stands still.

    Whatever disks are asked for in it goes through `watched`. It has to be right in the end.
    """
    made = store(2, shard_size_bytes=MIB, started=False)
    engine = Engine(with_settings(made.root, stall_timeout_s=1e6))
    engine.start()
    try:
        files = {f"{number}": os.urandom(FILE_BYTES) for number in range(FILES)}
        source = write_files(os.path.join(short_tmp, "source"), files)
        put = engine.batch_write(BatchWriteRequest(folder=source, batch="all"))
        until(lambda: put.state == "done", "the put")
        manifest = write_manifest(os.path.join(short_tmp, "m"), keys_of(files))
        request = MaterialiseRequest(manifest=manifest, target_id="first", layout_id="plain")
        # The manifest is an object afterwards: the next export writes nothing to a disk.
        first = engine.jobs.get(engine.materialise("exports", request).job_id)
        until(lambda: first.state == "done", "the first export")
        asked = Disk.request

        def through(disk: Disk, operation: str, *words: Any, **more: Any) -> Future[Any]:
            return watched(lambda: asked(disk, operation, *words, **more), disk, operation, words)

        monkeypatch.setattr(Disk, "request", through)
        child = next(iter(engine.store.disks.disks.values())).child
        assert child is not None
        os.kill(child.pid, signal.SIGSTOP)
        try:
            again = request.model_copy(update={"target_id": "again"})
            job = engine.jobs.get(engine.materialise("exports", again).job_id)
            yield lambda: child.kill()
        finally:
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGCONT)
        until(lambda: job.state != "running", "the export")
        assert job.state == "done", job.error
        assert_sealed(os.path.join(engine.config.area_path("3d"), "again", "plain"), files)
    finally:
        engine.stop()


def test_what_was_halved_once_may_be_halved_again(store, short_tmp, monkeypatch):
    """The first answer is that all of it is kept."""
    monkeypatch.setattr(copy_run, "HANG_S", 1e6)
    counts, halved, again = dict[int, int](), set[int](), threading.Event()

    def watched(ask: Any, _disk: Disk, operation: str, words: tuple[Any, ...]) -> Future[Any]:
        if operation == "extract":
            counts[words[0]] = len(words[2])
        if operation != "give_back":
            return ask()
        if words[0] in halved:
            again.set()
            return ask()
        halved.add(words[0])
        kept: Future[Any] = Future()
        kept.set_result(Kept(counts[words[0]], False, 0, 0, []))
        return kept

    with exporting(store, short_tmp, monkeypatch, watched):
        assert again.wait(60), "it is asked for once only"


@pytest.mark.warns("a disk's process is ended")
def test_nobody_writes_what_a_process_had_before_that_is_dead(store, short_tmp, monkeypatch):
    wait_buried, lost, events = DiskSet.wait_buried, set[str](), list[str]()

    def buried(disks: DiskSet, disk: Disk) -> None:
        wait_buried(disks, disk)
        events.append("buried")

    def watched(ask: Any, disk: Disk, operation: str, words: tuple[Any, ...]) -> Future[Any]:
        if operation == "extract":
            paths = {path for item in words[2] for path in item[3]}
            events.append("again" if paths & lost else "first")
            if disk.name == stopped:
                lost.update(paths)
        return ask()

    stopped = "d1"
    monkeypatch.setattr(copy_run, "HANG_S", 1e6)
    monkeypatch.setattr(DiskSet, "wait_buried", buried)
    with exporting(store, short_tmp, monkeypatch, watched) as kill:
        until(lambda: lost, "the disk to have its segments")
        kill()
        until(lambda: "again" in events, "another disk to do it")
    assert events.index("buried") < events.index("again"), events


def test_a_burial_lasts_till_the_process_is_dead(store):
    made = store(1, copies_raw=1, copies_generated=1, started=False)
    engine = Engine(made.config)
    engine.start()
    try:
        disks = engine.store.disks
        (disk,) = disks.online()
        disk.burying = disk.child
        assert disk.burying is not None
        waiting = threading.Thread(target=disks.wait_buried, args=(disk,))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive(), "it does not wait"
        disk.burying.kill()
        waiting.join()
        assert disk.burying.wait_dead(0.0)
    finally:
        engine.stop()


def test_nothing_is_read_ahead_from_where_it_ends_on(tmp_path: Path, monkeypatch):
    path, ranges = tmp_path / "file", [Range(n * 4096, (n + 1) * 4096) for n in range(12)]
    content = os.urandom(len(ranges) * SECTOR_BYTES)
    path.write_bytes(content)
    preadv, begun = os.preadv, list[int]()

    def noted(fd: int, views: list[memoryview], offset: int) -> int:
        begun.append(offset)
        return preadv(fd, views, offset)

    monkeypatch.setattr(os, "preadv", noted)
    fd = os.open(path, os.O_RDONLY)
    ahead = ReadAhead(no_step)
    reads = Reads(ahead, fd, ranges)
    for number in range(BUFFERS):
        assert reads.next() == content[slice(*ranges[number])]
        reads.end_before(ranges[BUFFERS + 1].start)
    ahead.thread.submit(int).result()  # Behind all that was begun.
    reads.close()
    assert max(begun) == ranges[BUFFERS].start
    # Whoever wants more than that gets it.
    reads.skip(1)
    assert reads.next() == content[slice(*ranges[BUFFERS + 1])]
    reads.close()
    os.close(fd)


def test_a_shard_number_that_is_far_too_high_takes_no_memory(tmp_path: Path):
    """A table over all numbers is made; one bit of a row would make it have a thousand million."""
    pytest.importorskip("numpy")
    fixture = StoreFixture(str(tmp_path))
    keys = fixture.add([b"one", b"two", b"three"])
    wrong = fixture.locations[keys[1]]._replace(shard_number=1 << 26)
    fixture.write(lambda writer: writer.put_object(keys[1], wrong))
    generation = fixture.index.generation
    fixture.close()
    manifest = write_manifest(
        str(tmp_path / "m"), {f"{n}": key.hex() for n, key in enumerate(keys)}
    )
    # Its server is only asked to count its steps.
    server: Any = SimpleNamespace(lanes=[SimpleNamespace(step=no_step)])
    compiler = Compiler(server)
    compiler.load_manifest(
        manifest, fixture.index_root, generation, "by_node", False, str(tmp_path / "c")
    )
    compiler.plan({1: [0]}, [DiskModel(140e6, 0.005, 0.02, 1 << 33)])
    tracemalloc.start()
    try:
        heads, unreadable, *_ = compiler.plan({1: [0]}, [DiskModel(140e6, 0.005, 0.02, 1 << 33)])
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (sum(head.files for head in heads), unreadable) == (2, [keys[1].hex()])
    assert peak_bytes < MEMORY_BYTES_MAX
