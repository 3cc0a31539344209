"""Rates and seeks of the emulated disk agree with its model.

By the drive's own count of busy time within 5 %, in the default run. By the clock within 10 %, and
only with `--slow`, since a busy machine is not an honest disk. `python -m bench.drives` compares
what fio measures with the model, within 5 %.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from . import HddModel, why_not
from .drive import Drive

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "the lab is there")

MIB = 1 << 20
BLOCK = 4096
TOLERANCE = 0.05
WALL_TOLERANCE = 0.10


MODEL = HddModel(1 << 30)


@dataclass
class Raw:
    """A drive without a filesystem, and a descriptor that reads past every cache."""

    drive: Drive
    fd: int

    def transfer(self, requests: list[tuple[int, int]], *, writing: bool) -> float:
        """Do the requests one after the other; returns the seconds by the clock."""
        buffer = memoryview(mmap.mmap(-1, max(length for _, length in requests)))
        operation = os.pwritev if writing else os.preadv
        begun = time.perf_counter()
        for offset, length in requests:
            assert operation(self.fd, [buffer[:length]], offset) == length
        return time.perf_counter() - begun

    def measure(self, requests: list[tuple[int, int]], *, writing: bool) -> dict[str, float]:
        """Do the requests from where the first begins; returns statistics and `wall_s`."""
        self.transfer([(requests[0][0] - BLOCK, BLOCK)], writing=writing)
        self.drive.control("reset-stats")
        wall_s = self.transfer(requests, writing=writing)
        return {**self.drive.control("stats"), "wall_s": wall_s}


@contextlib.contextmanager
def raw_drive(folder: str, *, fast: bool) -> Iterator[Raw]:
    drive = Drive(folder, os.path.join(folder, "image"), MODEL, fast=fast)
    try:
        fd = os.open(drive.device, os.O_RDWR | os.O_DIRECT)
        try:
            yield Raw(drive, fd)
        finally:
            os.close(fd)
    finally:
        drive.close()


def sequential(edge: str) -> list[tuple[int, int]]:
    first = MIB if edge == "outer" else MODEL.size_bytes - 101 * MIB
    return [(first + number * 4 * MIB, 4 * MIB) for number in range(25)]


def scattered(length: int) -> list[tuple[int, int]]:
    chance = random.Random(7)
    places = MODEL.size_bytes // length
    return [(chance.randrange(1, places) * length, length) for _ in range(200)]


@pytest.mark.parametrize("writing", [False, True], ids=["read", "write"])
@pytest.mark.parametrize("edge", ["outer", "inner"])
def test_sequential_transfer_takes_the_time_of_the_place(short_tmp: str, edge: str, writing: bool):
    requests = sequential(edge)
    with raw_drive(short_tmp, fast=True) as raw:
        found = raw.measure(requests, writing=writing)
    expected_s = MODEL.sequential_s(requests[0][0], 100 * MIB)
    assert found["busy_s"] == pytest.approx(expected_s, rel=TOLERANCE)
    assert found["seeks"] == 0
    assert found["written_bytes" if writing else "read_bytes"] == 100 * MIB


@pytest.mark.parametrize("writing", [False, True], ids=["read", "write"])
@pytest.mark.parametrize("length", [BLOCK, 256 * 1024])
def test_scattered_transfer_pays_a_seek_each(short_tmp: str, length: int, writing: bool):
    requests = scattered(length)
    with raw_drive(short_tmp, fast=True) as raw:
        found = raw.measure(requests, writing=writing)
    expected_s, seeks = MODEL.cost(requests, requests[0][0])
    assert found["busy_s"] == pytest.approx(expected_s, rel=TOLERANCE)
    assert found["seeks"] == seeks
    # And that is what the model promises of random places: its closed form, without a request.
    mean_rate = (MODEL.rate_outer_bytes_per_s + MODEL.rate_inner_bytes_per_s) / 2
    assert expected_s == pytest.approx(
        len(requests) * (MODEL.mean_positioning_s + length / mean_rate), rel=TOLERANCE
    )


def test_a_small_gap_is_cheaper_than_a_seek(short_tmp: str):
    requests = [(MIB + number * 2 * 65536, 65536) for number in range(50)]
    with raw_drive(short_tmp, fast=True) as raw:
        found = raw.measure(requests, writing=False)
    assert found["seeks"] == 0
    assert found["busy_s"] == pytest.approx(MODEL.sequential_s(MIB, 99 * 65536), rel=TOLERANCE)


@pytest.mark.parametrize("writing", [False, True], ids=["read", "write"])
@pytest.mark.parametrize("case", ["outer", "inner", "scattered", "slowed"])
def test_the_clock_agrees_with_the_model(
    request: pytest.FixtureRequest, short_tmp: str, case: str, writing: bool
):
    if not request.config.getoption("--slow"):
        pytest.skip("measures by the clock, which needs a quiet machine: --slow")
    requests = sequential(case) if case in ("outer", "inner") else scattered(65536)
    with raw_drive(short_tmp, fast=False) as raw:
        if case == "slowed":
            raw.drive.control("slow", 2)
        found = raw.measure(requests, writing=writing)
    expected_s, _ = MODEL.cost(requests, requests[0][0])
    expected_s *= 2 if case == "slowed" else 1
    assert found["busy_s"] == pytest.approx(expected_s, rel=TOLERANCE)
    assert found["wall_s"] == pytest.approx(expected_s, rel=WALL_TOLERANCE)
    print(f"{case}: wall {found['wall_s']:.3f} s, model {expected_s:.3f} s")
