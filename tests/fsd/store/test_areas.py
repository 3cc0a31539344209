"""Quotas, reservations that are counted once, and thresholds on a small real partition."""

import os
import subprocess
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from base.errors import ConfigError
from fsd.format.errors import QuotaError
from fsd.store.ssd.areas import Areas, Thresholds

MIB = 1024 * 1024
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")


@pytest.fixture(name="partition")
def small_partition(tmp_path: Path) -> Generator[Path]:
    """16 MiB and 200 inodes."""
    root = tmp_path / "ssd"
    root.mkdir()
    options = "size=16m,nr_inodes=200"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(root)], check=True)
    yield root
    subprocess.run(["umount", str(root)], check=True)


def write(path: Path, size_bytes: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size_bytes)


def used_bytes(areas: Areas, area: str) -> int:
    return next(usage.used_bytes for usage in areas.usage() if usage.area == area)


def reserved_bytes(areas: Areas, area: str) -> int:
    return next(usage.reserved_bytes for usage in areas.usage() if usage.area == area)


def test_folders_are_made_but_never_the_mount_point(tmp_path: Path) -> None:
    areas = Areas(tmp_path, {})
    assert sorted(os.listdir(tmp_path)) == ["3a", "3b", "3c", "3d"]
    assert [(u.area, u.path.name, u.state) for u in areas.usage()] == [
        (area, area, "ok") for area in ("3a", "3b", "3c", "3d")
    ]
    with pytest.raises(FileNotFoundError):
        Areas(tmp_path / "not mounted", {})


@pytest.mark.parametrize(
    ("quotas", "thresholds"),
    [
        ({"3e": 1}, Thresholds()),
        ({"3a": -1}, Thresholds()),
        ({}, Thresholds(0.9, 0.8, 0.95)),
        ({}, Thresholds(0.8, 0.9, 1.5)),
    ],
)
def test_contradictions_are_refused(
    tmp_path: Path, quotas: dict[str, int], thresholds: Thresholds
) -> None:
    with pytest.raises(ConfigError):
        Areas(tmp_path, quotas, thresholds)


def test_threshold_states() -> None:
    states = [Thresholds().state(fill) for fill in (0, 0.79, 0.8, 0.9, 0.949, 0.95, 2)]
    assert states == ["ok", "ok", "warn", "refuse", "refuse", "emergency", "emergency"]


def test_measuring_counts_blocks_and_what_others_put_there(tmp_path: Path) -> None:
    areas = Areas(tmp_path, {})
    write(tmp_path / "3a" / "deep" / "file", 100_000)
    empty_bytes = sum(
        path.lstat().st_blocks * 512 for path in (tmp_path / "3a", tmp_path / "3a" / "deep")
    )
    os.link(tmp_path / "3a" / "deep" / "file", tmp_path / "3a" / "again")
    (tmp_path / "3a" / "link").symlink_to("/usr")
    with (tmp_path / "3a" / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    usage = areas.measure("3a")
    allocated_bytes = (tmp_path / "3a" / "again").stat().st_blocks * 512
    assert allocated_bytes >= 100_000
    assert usage.used_bytes == empty_bytes + allocated_bytes
    assert (usage.files, usage.unreadable) == (3, 0)
    assert areas.measure("3b").files == 0


@needs_root
def test_other_mounts_below_an_area_do_not_count(tmp_path: Path, partition: Path) -> None:
    areas = Areas(partition, {})
    inner = partition / "3a" / "inner"
    inner.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", str(inner)], check=True)
    try:
        write(inner / "file", MIB)
        assert areas.measure("3a").used_bytes < MIB
    finally:
        subprocess.run(["umount", str(inner)], check=True)


@needs_root
def test_reservations_share_the_quota(partition: Path) -> None:
    areas = Areas(partition, {"3c": 4 * MIB})
    first = areas.reserve("3c", "job-1", 3 * MIB, 10)
    assert (first.area, first.size_bytes, first.files) == ("3c", 3 * MIB, 10)
    with pytest.raises(QuotaError) as refused:
        areas.reserve("3c", "job-2", 2 * MIB, 1)
    message = str(refused.value)
    assert "area 3c (stage): job job-2 asks for 2,097,152 bytes in 1 files" in message
    assert "1,048,576 are free of its quota of 4,194,304" in message
    assert "raise the quota" in message
    assert areas.reserve("3d", "job-2", 2 * MIB, 1).id != first.id
    areas.release(first.id)
    areas.release(first.id)
    areas.release("never was one")
    areas.reserve("3c", "job-2", 4 * MIB, 1)
    assert reserved_bytes(areas, "3c") == 4 * MIB


@needs_root
def test_reservations_count_in_the_state_and_do_not_refuse(partition: Path) -> None:
    areas = Areas(partition, {"3c": 4 * MIB})
    areas.reserve("3c", "job-1", 15 * MIB // 4, 1)
    assert (areas.usage()[2].state, areas.usage()[2].refuses) == ("refuse", False)
    areas.reserve("3c", "job-1", MIB // 8, 1)
    assert (areas.usage()[2].state, areas.usage()[2].refuses) == ("emergency", False)


@needs_root
def test_what_lies_there_before_counts_without_a_measurement(partition: Path) -> None:
    write(partition / "3c" / "foreign", 3 * MIB)
    areas = Areas(partition, {"3c": 4 * MIB})
    assert not areas.usage()[2].measured
    with pytest.raises(QuotaError, match="1,048,576 are free"):
        areas.reserve("3c", "job", 2 * MIB, 1)
    assert areas.usage()[2].measured


@needs_root
def test_a_growing_output_is_counted_once(partition: Path) -> None:
    areas = Areas(partition, {"3c": 8 * MIB})
    output = partition / "3c" / ".tmp" / "job" / "file"

    def counted_bytes() -> int:
        return used_bytes(areas, "3c") + reserved_bytes(areas, "3c")

    areas.measure("3c")
    reservation = areas.reserve("3c", "job", 4 * MIB, 1)
    write(output, 2 * MIB)
    assert counted_bytes() == 4 * MIB
    areas.consume(reservation.id, 2 * MIB, 0)
    areas.consume(reservation.id, 1 * MIB, 0)  # late and lower: ignored
    assert counted_bytes() == 4 * MIB
    areas.measure("3c")
    assert (used_bytes(areas, "3c"), reserved_bytes(areas, "3c")) == (2 * MIB, 2 * MIB)
    write(output, 4 * MIB)
    areas.consume(reservation.id)
    areas.consume(reservation.id)
    areas.release(reservation.id)
    # Released, but the last 2 MiB were not seen by a walk yet.
    assert counted_bytes() == 4 * MIB
    areas.measure("3c")
    assert (used_bytes(areas, "3c"), reserved_bytes(areas, "3c")) == (4 * MIB, 0)
    areas.consume(reservation.id)
    assert counted_bytes() == 4 * MIB


@needs_root
def test_unreported_bytes_are_counted_twice_rather_than_never(partition: Path) -> None:
    areas = Areas(partition, {"3c": 8 * MIB})
    reservation = areas.reserve("3c", "job", 4 * MIB, 1)
    write(partition / "3c" / "file", 2 * MIB)
    areas.measure("3c")
    assert used_bytes(areas, "3c") + reserved_bytes(areas, "3c") == 6 * MIB
    areas.release(reservation.id)
    assert used_bytes(areas, "3c") + reserved_bytes(areas, "3c") == 2 * MIB


@needs_root
def test_an_area_past_its_refuse_threshold_takes_no_new_job(partition: Path) -> None:
    areas = Areas(partition, {"3a": 4 * MIB})
    for size_mib, state in ((3.0, "ok"), (3.25, "warn"), (3.75, "refuse"), (3.9, "emergency")):
        write(partition / "3a" / "file", int(size_mib * MIB))
        areas.measure("3a")
        assert areas.usage()[0].state == state
        if state in ("ok", "warn"):
            areas.release(areas.reserve("3a", "small", 1, 1).id)
        else:
            with pytest.raises(QuotaError, match=f"state {state}"):
                areas.reserve("3a", "small", 1, 1)


@needs_root
def test_the_partition_refuses_before_it_is_full(partition: Path) -> None:
    areas = Areas(partition, {})
    empty = areas.partition_state()
    assert (empty.used_bytes, empty.available_bytes, empty.state) == (0, 16 * MIB, "ok")
    limit_bytes = int(16 * MIB * 0.9)
    with pytest.raises(QuotaError, match="limit for new jobs: 90%"):
        areas.reserve("3a", "job", limit_bytes + 1, 1)
    one = areas.reserve("3a", "job", limit_bytes - MIB, 1)
    areas.reserve("3d", "job", MIB, 1)
    with pytest.raises(QuotaError, match="the partition of"):
        areas.reserve("3c", "job", 4096, 1)
    # What was written is in the partition's own count, so it leaves the reservation.
    write(partition / "3a" / "file", 8 * MIB)
    areas.consume(one.id, 8 * MIB, 1)
    with pytest.raises(QuotaError):
        areas.reserve("3c", "job", 4096, 1)
    areas.release(one.id)
    areas.reserve("3c", "job", 4096, 1)


@needs_root
def test_inodes_run_out_too(partition: Path) -> None:
    areas = Areas(partition, {})
    with pytest.raises(QuotaError, match="inodes"):
        areas.reserve("3a", "job", 0, 190)
    areas.reserve("3a", "job", 0, 100)
    with pytest.raises(QuotaError, match="inodes"):
        areas.reserve("3a", "job", 0, 80)


@needs_root
def test_an_emergency_refuses_everything_new_and_stops_nothing(partition: Path) -> None:
    areas = Areas(partition, {})
    running = areas.reserve("3c", "job", MIB, 1)
    states: list[str] = []
    for size_mib in (8.0, 13.0, 14.5, 15.5):
        write(partition / "3c" / "file", int(size_mib * MIB))
        states.append(areas.partition_state().state)
    assert states == ["ok", "warn", "refuse", "emergency"]
    with pytest.raises(QuotaError, match="state emergency"):
        areas.reserve("3a", "job", 0, 0)
    areas.consume(running.id, MIB, 1)


@needs_root
def test_parallel_reservations_never_exceed_the_quota(partition: Path) -> None:
    areas = Areas(partition, {"3c": 5 * MIB})
    granted: list[str] = []

    def reserve_many() -> None:
        for _ in range(20):
            try:
                granted.append(areas.reserve("3c", "job", MIB // 4, 1).id)
            except QuotaError:
                areas.measure("3c")

    threads = [threading.Thread(target=reserve_many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(granted) == 20
    assert reserved_bytes(areas, "3c") == 5 * MIB


def test_the_arguments_of_a_program_are_checked(tmp_path: Path) -> None:
    areas = Areas(tmp_path, {})
    with pytest.raises(ValueError, match="no area"):
        areas.reserve("3e", "job", 1, 1)
    with pytest.raises(ValueError, match="no area"):
        areas.measure("..")
    with pytest.raises(ValueError, match="not negative"):
        areas.reserve("3a", "job", -1, 1)
