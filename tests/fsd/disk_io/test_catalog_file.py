"""A catalog log that is replaced: a kill at any barrier leaves the former one or the new one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fsd.disk_io import catalog_file
from fsd.disk_io.catalog_file import AHEAD_BYTES, CatalogFile
from fsd.disk_io.shard_file import no_step

FORMER, NEW, MORE = (letter * 4096 for letter in (b"f", b"n", b"m"))

DIES = """
import os, signal, sys
from fsd.disk_io import catalog_file
from fsd.disk_io.shard_file import no_step

path, name, when = sys.argv[1:]
owner = catalog_file if hasattr(catalog_file, name) else os
real = getattr(owner, name)

def die(*arguments):
    if when == "after":
        real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, name, die)
catalog_file.CatalogFile(no_step).replace(path, b"n" * 4096 * 3)
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A log of one frame."""
    log = str(tmp_path / "catalog.log")
    CatalogFile(no_step).append(log, FORMER)
    return log


@pytest.mark.fault
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["write_full", "fsync", "rename", "sync_folder"])
def test_killed_at_every_barrier_of_a_replacement(path: str, name: str, when: str):
    done = subprocess.run([sys.executable, "-c", DIES, path, name, when])
    assert done.returncode == -signal.SIGKILL
    renamed = (name, when) in {("rename", "after"), ("sync_folder", "before")}
    left = NEW * 3 if renamed or name == "sync_folder" else FORMER
    again = CatalogFile(no_step)
    assert again.read(path) == left
    again.append(path, MORE)
    assert again.read(path) == left + MORE
    again.replace(path, NEW)  # Whatever lies beside it.
    again.append(path, MORE)
    assert again.read(path) == CatalogFile(no_step).read(path) == NEW + MORE
    assert os.listdir(os.path.dirname(path)) == ["catalog.log"]


def test_what_follows_a_replacement_changes_no_size(path: str):
    catalog = CatalogFile(no_step)
    catalog.replace(path, NEW)
    size = os.path.getsize(path)
    assert size == 4096 + AHEAD_BYTES
    catalog.append(path, MORE)
    assert os.path.getsize(path) == size


@pytest.mark.fault
def test_what_a_disk_gives_back_otherwise_replaces_nothing(path: str, monkeypatch):
    def wrong(fd: int, view: memoryview, offset: int, step: object) -> None:
        os.pwrite(fd, bytes(view[:-5000]) + b"?" + bytes(view[-4999:]), offset)

    monkeypatch.setattr(catalog_file, "write_full", wrong)
    with pytest.raises(OSError, match="other bytes"):
        CatalogFile(no_step).replace(path, bytes(reversed(NEW + MORE)))
    monkeypatch.undo()
    assert CatalogFile(no_step).read(path) == FORMER


@pytest.mark.fault
def test_a_full_disk_keeps_its_log(path: str, monkeypatch):
    def full(*_arguments: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(catalog_file, "write_full", full)
    with pytest.raises(OSError):
        CatalogFile(no_step).replace(path, NEW)
    assert CatalogFile(no_step).read(path) == FORMER
    assert os.listdir(os.path.dirname(path)) == ["catalog.log"]
