"""The emulated disk is honest: its content, its barriers and its faults."""

from __future__ import annotations

import fcntl
import mmap
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from . import EmulatedDisk, HddModel, LabError, flush_times, replay, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "the lab is there")

MIB = 1 << 20
BLOCK = 4096
FIBMAP = 1
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
Disks = Callable[..., EmulatedDisk]


def write(path: str, content: bytes, *, sync: bool = True) -> str:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        if sync:
            os.fsync(file.fileno())
    if sync:
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    return path


def overwrite(path: str, block: int, content: bytes) -> None:
    """Write one block in place, past the page cache: it reaches the drive, without a flush."""
    buffer = mmap.mmap(-1, BLOCK)
    buffer.write(content.ljust(BLOCK, content[:1]))
    fd = os.open(path, os.O_WRONLY | os.O_DIRECT)
    try:
        os.pwrite(fd, buffer, block * BLOCK)
    finally:
        os.close(fd)


def read(path: str) -> bytes:
    """Read what the disk holds, and not what the page cache remembers."""
    buffer = mmap.mmap(-1, 8 * MIB)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        return buffer[: os.preadv(fd, [buffer], 0)]
    finally:
        os.close(fd)


def place_of(path: str) -> int:
    """Return where on the disk the first block of a file lies."""
    with open(path, "rb") as file:
        answer = fcntl.ioctl(file, FIBMAP, struct.pack("i", 0))
    return struct.unpack("i", answer)[0] * BLOCK


@pytest.mark.parametrize("sector_bytes", [512, 4096])
def test_content_survives_a_remount(disk: Disks, sector_bytes: int):
    one = disk(HddModel(256 * MIB, sector_bytes=sector_bytes))
    contents = {f"f{n}": os.urandom(random.Random(n).randrange(1, 2 * MIB)) for n in range(20)}
    for name, content in contents.items():
        write(os.path.join(one.path, name), content, sync=False)
    one.unmount()
    one.remount_from()
    assert {name: read(os.path.join(one.path, name)) for name in contents} == contents


def test_every_fsync_is_a_flush_of_the_drive(disk: Disks):
    one = disk(keep_log=True)
    before = one.statistics()["flushes"]
    for number in range(5):
        write(os.path.join(one.path, f"f{number}"), b"x" * BLOCK)
    flushes = one.statistics()["flushes"]
    assert flushes >= before + 5
    assert len(flush_times(one.log)) == flushes


def test_a_power_cut_loses_what_was_not_flushed_and_nothing_else(disk: Disks):
    one = disk()
    path = write(os.path.join(one.path, "file"), b"s" * MIB)
    overwrite(path, 0, b"n")
    assert read(path)[:BLOCK] == b"n" * BLOCK
    image = one.crash(seed=1, mode="lost")
    with pytest.raises(OSError, match="Input/output error"):
        read(path)
    one.remount_from(image)
    assert read(path) == b"s" * MIB


def test_what_a_power_cut_keeps_is_decided_by_the_seed(disk: Disks):
    one = disk(keep_log=True)
    path = write(os.path.join(one.path, "file"), b"0" * (64 * BLOCK))
    place = place_of(path)
    for number in range(64):
        overwrite(path, number, b"1")
    size, now, image = one.model.size_bytes, time.monotonic_ns(), one.path + ".image"
    kept = {}
    for seed, mode in ((1, "some"), (2, "some"), (1, "torn"), (1, "kept"), (1, "prefix")):
        replay(one.log, image, size, now, seed, mode)
        with open(image, "rb") as file:
            blocks = os.pread(file.fileno(), 64 * BLOCK, place)[::BLOCK]
        kept[seed, mode] = [byte == ord("1") for byte in blocks]
        replay(one.log, image + "2", size, now, seed, mode)
        assert subprocess.run(["cmp", image, image + "2"]).returncode == 0
    assert 16 <= sum(kept[1, "some"]) <= 48
    assert kept[1, "some"] != kept[2, "some"]
    assert all(kept[1, "kept"])
    assert kept[1, "prefix"] == sorted(kept[1, "prefix"], reverse=True)


def test_every_flush_boundary_can_be_gone_back_to(disk: Disks):
    one = disk(keep_log=True)
    synced = []
    for number in range(4):
        write(os.path.join(one.path, f"f{number}"), bytes([number]) * (3 * BLOCK))
        synced.append(time.monotonic_ns())
    image = one.path + ".image"
    for count, moment in enumerate(synced, start=1):
        replay(one.log, image, one.model.size_bytes, moment, seed=count, mode="some")
        again = disk(image=image)
        for number in range(count):
            assert read(os.path.join(again.path, f"f{number}")) == bytes([number]) * (3 * BLOCK)
        again.close()


def test_a_dead_disk_gives_errors_and_nothing_else(disk: Disks):
    one = disk()
    path = write(os.path.join(one.path, "file"), b"x" * MIB)
    one.control("die")
    with pytest.raises(OSError, match="Input/output error"):
        read(path)
    assert one.statistics()["errors"] > 0
    one.control("revive")
    assert read(path) == b"x" * MIB


def test_errors_on_a_range(disk: Disks):
    one = disk()
    good = write(os.path.join(one.path, "good"), b"g" * MIB)
    bad = write(os.path.join(one.path, "bad"), b"b" * MIB)
    begin = place_of(bad)
    one.control("eio", begin, begin + BLOCK, "read")
    with pytest.raises(OSError, match="Input/output error"):
        read(bad)
    overwrite(bad, 0, b"c")
    assert read(good) == b"g" * MIB
    one.control("eio-clear")
    assert read(bad)[:BLOCK] == b"c" * BLOCK


def test_a_readonly_disk_still_reads(disk: Disks):
    one = disk()
    path = write(os.path.join(one.path, "file"), b"x" * BLOCK)
    one.control("readonly", "on")
    with pytest.raises(OSError, match="Input/output error"):
        overwrite(path, 0, b"y")
    assert read(path) == b"x" * BLOCK
    one.control("readonly", "off")
    overwrite(path, 0, b"y")
    assert read(path) == b"y" * BLOCK


def test_a_flipped_bit(disk: Disks):
    one = disk()
    path = write(os.path.join(one.path, "file"), b"\x00" * BLOCK)
    one.control("flip", place_of(path) + 17, 0b100)
    assert read(path) == b"\x00" * 17 + b"\x04" + b"\x00" * (BLOCK - 18)
    with pytest.raises(LabError, match="out of range"):
        one.control("flip", one.model.size_bytes, 1)


def test_a_hanging_disk_answers_when_it_resumes(disk: Disks):
    one = disk()
    path = write(os.path.join(one.path, "file"), b"x" * BLOCK)
    one.control("hang")
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(read(path)), daemon=True)
    reader.start()
    reader.join(0.3)
    assert found == []
    one.control("resume")
    reader.join(60)
    assert found == [b"x" * BLOCK]


def test_a_hanging_disk_can_be_taken_away(disk: Disks):
    one = disk()
    path = write(os.path.join(one.path, "file"), b"x" * BLOCK)
    one.control("hang")
    failed: list[OSError] = []

    def attempt() -> None:
        try:
            read(path)
        except OSError as error:
            failed.append(error)

    reader = threading.Thread(target=attempt, daemon=True)
    reader.start()
    one.close()
    reader.join(60)
    assert len(failed) == 1


def test_a_disk_vanishes_and_returns_elsewhere_with_old_content(disk: Disks):
    one = disk()
    path = write(os.path.join(one.path, "file"), b"old")
    snapshot = one.snapshot()
    write(path, b"new")
    with open(path, "rb") as held:
        one.vanish()
        with pytest.raises(OSError, match="Input/output error"):
            os.fsync(held.fileno())
    assert not os.path.exists(path)
    one.remount_from(path=one.path + "-elsewhere")
    assert read(os.path.join(one.path, "file"))[:3] == b"new"
    one.remount_from(snapshot)
    assert read(os.path.join(one.path, "file"))[:3] == b"old"


def test_a_write_cache_of_nothing_loses_nothing(disk: Disks):
    one = disk(HddModel(256 * MIB, cache_bytes=0))
    path = write(os.path.join(one.path, "file"), b"s" * BLOCK)
    overwrite(path, 0, b"n")
    one.remount_from(one.crash(seed=1, mode="lost"))
    assert read(path) == b"n" * BLOCK


def backing_of(device: str) -> str:
    try:
        with open(f"/sys/block/{os.path.basename(device)}/loop/backing_file") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def test_nothing_is_left_behind_even_when_somebody_holds_a_file(disk: Disks):
    one = disk()
    device = one.drive.device
    assert one.work_folder in backing_of(device)
    with open(write(os.path.join(one.path, "file"), b"x"), "rb"):
        one.close()
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        assert one.path + " " not in file.read()
    deadline = time.monotonic() + 60
    while one.work_folder in backing_of(device):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not os.path.exists(one.work_folder)


def test_what_is_missing_for_a_filesystem_is_named(short_tmp: str, monkeypatch: pytest.MonkeyPatch):
    for program in ("cc", "pkg-config", "losetup", "mkfs.ext4", "mount", "umount"):
        os.symlink(str(shutil.which(program)), os.path.join(short_tmp, program))
    monkeypatch.setenv("PATH", short_tmp)
    assert why_not() == ""
    assert why_not("xfs") == "emulated disks need the program mkfs.xfs"


def test_anyone_starts_one_with_one_command(short_tmp: str):
    path = os.path.join(short_tmp, "m")
    command = [sys.executable, "-m", "tests.lab", path]
    options = ["--size", "64M", "--fast", "--work", short_tmp]
    running = subprocess.Popen([*command, *options], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    assert "is an emulated disk" in running.stderr.readline()
    write(os.path.join(path, "file"), b"x")
    asked = subprocess.run(
        [*command, "--control", "stats"], cwd=ROOT, capture_output=True, text=True
    )
    assert '"flushes"' in asked.stdout
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0
    running.stderr.close()
    assert not os.path.ismount(path)
