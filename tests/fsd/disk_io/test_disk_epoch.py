"""The epoch of a disk: golden bytes; no damage is taken for another engine, and none hides one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from store_checks import assert_batch, assert_clean, put
from store_harness import MIB, write_files

from fsd.disk_io.place.disk_epoch import enter_epoch, heal_metadata, read_epoch
from fsd.disk_io.place.identity import make_identity
from fsd.format.errors import DiskRefusedError
from fsd.format.layout import EPOCH_NAME, EPOCH_TWIN_NAME
from fsd.process.process import Child

pytest_plugins = ("child_fixture",)

STORE = "5" * 32
NAMES = (EPOCH_NAME, EPOCH_TWIN_NAME)
# Written once; the checksum is sha256 of the sorted JSON without it.
GOLDEN = b'{"epoch": 12, "checksum": "047f163945bee54c"}'
EARLIER = b'{"epoch": 12}'


@pytest.fixture
def entered(tmp_path: Path) -> Path:
    """A disk in epoch 12."""
    make_identity(str(tmp_path), STORE, "d1")
    assert enter_epoch(str(tmp_path), 12) == []
    return tmp_path


def flipped(good: bytes, bit: int) -> bytes:
    damaged = bytearray(good)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def contents(disk: Path) -> list[bytes]:
    return [(disk / name).read_bytes() for name in NAMES]


def test_golden_epoch(entered: Path):
    assert contents(entered) == [GOLDEN, GOLDEN]


@pytest.mark.fault
@pytest.mark.parametrize("name", NAMES)
def test_every_flipped_bit_is_found_and_never_taken_for_another_epoch(entered: Path, name: str):
    other = next(one for one in NAMES if one != name)
    for bit in range(8 * len(GOLDEN)):
        (entered / name).write_bytes(flipped(GOLDEN, bit))
        assert read_epoch(str(entered)) == 12
        (entered / other).unlink()
        assert read_epoch(str(entered)) == 0, flipped(GOLDEN, bit)
        (entered / other).write_bytes(GOLDEN)
        assert heal_metadata(str(entered), 12) == [f"{name} was damaged"]
        assert contents(entered) == [GOLDEN, GOLDEN]
    assert heal_metadata(str(entered), 12) == []


def test_an_epoch_of_an_earlier_version_is_read_and_written_anew(entered: Path):
    (entered / EPOCH_TWIN_NAME).unlink()
    (entered / EPOCH_NAME).write_bytes(EARLIER)
    assert read_epoch(str(entered)) == 12
    with pytest.raises(DiskRefusedError, match=r"took .* over"):
        enter_epoch(str(entered), 11)
    assert enter_epoch(str(entered), 13) == []
    assert read_epoch(str(entered)) == 13
    assert all(json.loads(content)["checksum"] for content in contents(entered))


@pytest.mark.fault
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("other", [GOLDEN, b"", None], ids=["earlier", "damaged", "none"])
def test_a_later_epoch_in_one_file_is_another_engine(entered: Path, name: str, other: bytes | None):
    """As a crash between the two writes leaves it, or damage of the other: never healed away."""
    enter_epoch(str(entered), 13)
    beside = entered / next(one for one in NAMES if one != name)
    beside.unlink()
    if other is not None:
        beside.write_bytes(other)
    before = (entered / name).read_bytes()
    for write in (enter_epoch, heal_metadata):
        with pytest.raises(DiskRefusedError, match=r"took .* over"):
            write(str(entered), 12)
    assert (entered / name).read_bytes() == before
    assert read_epoch(str(entered)) == 13
    assert enter_epoch(str(entered), 14) == [f"{beside.name} was damaged"] * (other == b"")
    assert read_epoch(str(entered)) == 14
    assert contents(entered)[0] == contents(entered)[1]


DIES_BETWEEN = """
import os, signal, sys
from fsd.disk_io.place.disk_epoch import enter_epoch

rename = os.rename

def rename_and_die(*paths):
    rename(*paths)
    os.kill(os.getpid(), signal.SIGKILL)

os.rename = rename_and_die
enter_epoch(sys.argv[1], 13)
"""


@pytest.mark.fault
def test_killed_between_the_two_writes_the_disk_is_entered(entered: Path):
    done = subprocess.run([sys.executable, "-c", DIES_BETWEEN, entered])
    assert done.returncode == -signal.SIGKILL
    assert len(set(contents(entered))) == 2
    assert read_epoch(str(entered)) == 13
    with pytest.raises(DiskRefusedError, match=r"took .* over"):
        enter_epoch(str(entered), 12)
    assert enter_epoch(str(entered), 14) == []
    assert len(set(contents(entered))) == 1 and read_epoch(str(entered)) == 14


@pytest.mark.fault
@pytest.mark.parametrize("name", NAMES)
def test_a_running_engine_keeps_a_damaged_disk_and_leaves_one_that_was_taken_over(
    child: Child, disk: tuple[str, str], name: str
):
    path = os.path.join(disk[0], name)
    good = Path(path).read_bytes()
    assert b'"epoch": 1,' in good
    Path(path).write_bytes(good.replace(b'"epoch": 1,', b'"epoch": 3,'))
    assert child.call("check", disk[1], 1)
    assert child.call("heal_metadata", 1) == [f"{name} was damaged"]
    assert Path(path).read_bytes() == good
    Path(path).write_bytes(GOLDEN)
    with pytest.raises(DiskRefusedError, match="another engine took"):
        child.call("heal_metadata", 1)
    with pytest.raises(DiskRefusedError, match="another engine took"):
        child.call("check", disk[1], 1)


@pytest.mark.fault
def test_a_second_engine_has_no_damaged_disk_either(
    child: Child, spawn: Callable[[], Child], disk: tuple[str, str]
):
    assert child.alive
    for name in NAMES:
        Path(disk[0], name).write_bytes(b"")
    with pytest.raises(DiskRefusedError, match="holds the lock"):
        spawn().call("attach", disk[0], disk[1], STORE, 9)
    assert [Path(disk[0], name).read_bytes() for name in NAMES] == [b"", b""]


@pytest.mark.fault
def test_damage_is_told_at_the_start_and_what_follows_is_in_a_later_epoch(store, tmp_path):
    """With all epochs gone the catalog says which there were: entries keep their order."""
    made = store(2, shard_size_bytes=MIB)
    made.stop()
    made.start()
    epoch = made.client.health().epoch
    files = {"a": os.urandom(20_000)}
    put(made, write_files(str(tmp_path / "files"), files), "first")
    made.stop()
    for path in made.disks:
        for name in NAMES:
            Path(path, name).write_bytes(b"{")
    made.start()
    health = made.client.health()
    assert health.epoch == epoch + 1
    told = "\n".join(health.last_errors)
    for name in NAMES:
        assert told.count(f"{name} was damaged; written again") == 2, told
    assert [read_epoch(path) for path in made.disks] == [epoch + 1] * 2
    assert_batch(made, "first", files)
    assert_clean(made)
