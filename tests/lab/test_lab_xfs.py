"""An emulated disk with xfs on it is a disk like one with ext4."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from . import EmulatedDisk, HddModel, run, why_not
from .test_lab import BLOCK, MIB, overwrite, read, write

pytestmark = pytest.mark.skipif(bool(why_not("xfs")), reason=why_not("xfs") or "the lab is there")

Disks = Callable[..., EmulatedDisk]
SIZE_BYTES = 320 * MIB
"""mkfs.xfs makes no filesystem of less than 300 MiB."""


@pytest.fixture
def xfs(disk: Disks) -> EmulatedDisk:
    one = disk(HddModel(SIZE_BYTES), filesystem="xfs")
    assert run("findmnt", "--noheadings", "--output", "FSTYPE", one.path) == "xfs"
    return one


def test_content_survives_a_remount_also_while_somebody_holds_a_file(xfs: EmulatedDisk):
    contents = {f"f{number}": os.urandom(number * 1000 + 1) for number in range(20)}
    for name, content in contents.items():
        write(os.path.join(xfs.path, name), content)
    with open(os.path.join(xfs.path, "f1"), "rb"):
        xfs.vanish()
        xfs.remount_from()
        assert {name: read(os.path.join(xfs.path, name)) for name in contents} == contents


@pytest.mark.parametrize(("mode", "left"), [("lost", b"s"), ("kept", b"n")])
def test_a_power_cut_decides_what_was_not_flushed_and_nothing_else(
    xfs: EmulatedDisk, mode: str, left: bytes
):
    path = write(os.path.join(xfs.path, "file"), b"s" * MIB)
    overwrite(path, 0, b"n")
    xfs.remount_from(xfs.crash(seed=1, mode=mode))
    assert read(path) == left * BLOCK + b"s" * (MIB - BLOCK)
