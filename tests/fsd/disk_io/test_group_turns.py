"""A group on its way to one disk: its requests, and that an export between them can be kept off."""

from __future__ import annotations

import mmap
import os
from multiprocessing import Pipe
from pathlib import Path

import pytest

from base.files import sync_folder
from fsd.disk_io import disk_process
from fsd.disk_io.disk_process import DiskProcess
from fsd.disk_io.growing_shards import Group, GrowingShards
from fsd.disk_io.place.identity import make_identity
from fsd.disk_io.queue_rule import GRACE_S, Gate, GatedStep, Kind
from fsd.disk_io.shard_file import FreeStep
from fsd.format.layout import part_path, shard_path
from fsd.process.child import LANES_MAX, ChildServer, Lane, read_steps

HEAD = b"h" * 4096
GROUP_BYTES = 3 << 20
SYNC = 0
STORE_ID = "5" * 32
SHARD_ID = "ab" * 16


class Asking(FreeStep):
    """Notes what is asked for, and how long the file was then; no two requests run at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[tuple[int, int]] = []
        self.runs = False

    def begin(self, wanted_bytes: int) -> int:
        assert not self.runs
        self.runs = True
        self.asked.append((wanted_bytes, self.path.stat().st_size if self.path.exists() else -1))
        return wanted_bytes

    def end(self) -> None:
        self.runs = False


@pytest.mark.parametrize("head", [HEAD, b""], ids=["first", "later"])
def test_all_that_moves_the_head_is_a_request(tmp_path: Path, head: bytes):
    """Making the file and syncing it too: between two of them nobody else is let in for a while."""
    path = tmp_path / "aa" / "shard"
    step = Asking(path)
    growing = GrowingShards(step)
    view = memoryview(mmap.mmap(-1, GROUP_BYTES))
    view[:] = b"g" * GROUP_BYTES
    if not head:
        path.parent.mkdir()
        path.write_bytes(HEAD)
    assert growing.write([Group(str(path), head, 8 << 20, view, len(HEAD))]) == [None]
    whole = len(HEAD) + GROUP_BYTES
    first = -1 if head else len(HEAD)
    heads = [(len(HEAD), 0)] if head else []
    read_back = [(len(HEAD), whole)] if head else []
    pieces = [(1 << 20, whole)] * 3
    expected = [(SYNC, first), *heads, (GROUP_BYTES, len(HEAD)), (SYNC, whole)]
    assert step.asked == [*expected, *read_back, *pieces]
    assert path.read_bytes() == HEAD + b"g" * GROUP_BYTES


def test_a_copy_is_adopted_in_one_turn(tmp_path: Path, monkeypatch):
    """Its journal is written where the head is, not between two pieces of other copies."""
    disk_id = make_identity(str(tmp_path), STORE_ID, "d1")["disk_id"]
    process = DiskProcess(ChildServer(Pipe()[0], mmap.mmap(-1, 8 * LANES_MAX), LANES_MAX), [])
    process.attach(str(tmp_path), disk_id, STORE_ID, 1)
    path = Path(shard_path(str(tmp_path), SHARD_ID))
    path.parent.mkdir(parents=True)
    Path(part_path(str(tmp_path), SHARD_ID)).write_bytes(HEAD)
    process._write = step = Asking(path)
    synced: list[bool] = []

    def sync(folder: str) -> None:
        synced.append(step.runs and path.exists())
        sync_folder(folder)

    monkeypatch.setattr(disk_process, "sync_folder", sync)
    process.adopt_part(SHARD_ID)
    assert step.asked == [(SYNC, -1)] and path.read_bytes() == HEAD
    assert synced and all(synced)


@pytest.mark.parametrize("head", [HEAD, b""], ids=["first", "later"])
def test_a_new_file_is_synced_with_the_names_that_lead_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: bytes
):
    """A journal often keeps the names with the file; no file system has to."""
    path = tmp_path / "aa" / "shard"
    growing, synced, fsync = GrowingShards(FreeStep()), list[str](), os.fsync
    if not head:
        path.parent.mkdir()
        path.write_bytes(HEAD)

    def noting(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    view = memoryview(mmap.mmap(-1, GROUP_BYTES))
    assert growing.write([Group(str(path), head, 8 << 20, view, len(HEAD))]) == [None]
    names = [path, path.parent, tmp_path] if head else [path]
    assert synced == list(map(str, names))


def test_a_put_has_its_turn_until_it_pauses():
    """An export that came meanwhile reads on when the put has read back what it wrote."""
    gate, put, export = Gate(), object(), object()
    steps: list[int] = []
    for _ in range(5):
        gate.pass_in(Kind.BATCH, 4096, lambda: None, put)
        gate.go_out(Kind.BATCH)
    gate.pass_in(Kind.BATCH, 4096, lambda: steps.append(1), export)
    gate.go_out(Kind.BATCH)
    assert steps, f"it did not wait for {GRACE_S} s of rest"


def test_an_entry_for_the_catalog_comes_between_and_leaves_the_turn_where_it_was():
    """Whoever waits at the gate counts steps meanwhile; the end of a request is one."""
    gate, page = Gate(), mmap.mmap(-1, 8 * LANES_MAX)
    put = GatedStep(Lane(0, page), gate)
    catalog = GatedStep(Lane(1, page), gate, stream=False)
    for step in (put, catalog, put, catalog):
        step.begin(4096)
        step.end()
    assert (read_steps(page, 0), read_steps(page, 1)) == (2, 2)
