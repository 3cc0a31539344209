"""Models of disks: the estimate against disks whose truth is known, and the file that keeps them.

The reads themselves are tested on an emulated HDD, in tests/lab/test_calibration_truth.py.
"""

from __future__ import annotations

import os
import random

import pytest
from command import drystone, environment, json_lines
from store_harness import write_files

from fsd.disk_io.calibration.calibration import Jump, Samples, Stretch, estimate_model
from fsd.disk_io.calibration.calibration_reads import (
    NEAR_BYTES,
    STRETCHES_LIMIT_S,
    WINDOWS,
    Area,
    Walk,
    choose_stretches,
    find_areas,
)
from fsd.disks.disk_models import KIND, DiskModels
from fsd.disks.watch_file import WatchFile
from fsd.format.errors import CalibrationError
from fsd.planning.disk_model import DEFAULT_MODEL, DiskModel

MIB = 1 << 20
DISK = "ab" * 16


def measure(
    truth: DiskModel, seed: int, *, turn_s: float = 0.0, disturbed: float = 0.0, inner: float = 1.0
) -> Samples:
    """Samples as a disk gives them that turns once in `turn_s`; a share of them far too slow."""
    chance = random.Random(seed)

    def late(seconds: float) -> float:
        return seconds * chance.uniform(2, 40) if chance.random() < disturbed else seconds

    jumps = []
    for _ in range(120):
        distance = int(truth.span_bytes * chance.random() ** 3)
        seek_s = truth.seek_min_s + truth.root_seek_s() * distance**0.5
        jumps.append(Jump(distance, late(seek_s + turn_s * (chance.random() - 0.5))))
    stretches = []
    for number in range(10):
        rate = truth.bandwidth_bytes_per_s * (1 + (inner - 1) * number / 9)
        window_s = 8 * MIB / rate
        seconds = tuple(late(window_s * chance.uniform(0.99, 1.03)) for _ in range(4))
        stretches.append(Stretch(8 * MIB, seconds))
    return Samples(tuple(stretches), tuple(jumps), truth.span_bytes)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("disturbed", [0.0, 0.1])
def test_the_model_of_an_hdd_is_found(seed: int, disturbed: float):
    chance = random.Random(seed)
    seek_min_s = chance.uniform(0.004, 0.008)
    seek_max_s = chance.uniform(0.014, 0.025)
    truth = DiskModel(chance.uniform(60e6, 260e6), seek_min_s, seek_max_s, 4 * 10**12)
    found = estimate_model(measure(truth, seed, turn_s=0.0083, disturbed=disturbed))
    assert found.bandwidth_bytes_per_s == pytest.approx(truth.bandwidth_bytes_per_s, rel=0.1)
    assert found.average_seek_s() == pytest.approx(truth.average_seek_s(), rel=0.1)
    assert found.hole_bytes_max() == pytest.approx(truth.hole_bytes_max(), rel=0.4)


def test_bandwidth_is_what_reading_everything_takes():
    truth = DiskModel(160e6, 0.005, 0.02, 10**12)
    found = estimate_model(measure(truth, 1, inner=0.5))
    # Ten equal parts at 160 ... 80 MB/s.
    rates = [160e6 * (1 - number / 18) for number in range(10)]
    expected = 10 / sum(1 / rate for rate in rates)
    assert found.bandwidth_bytes_per_s == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("rate", [0.5e9, 3e9])
def test_a_disk_without_seeks_has_none(rate: float):
    truth = DiskModel(rate, 80e-6, 80e-6, 10**12)
    found = estimate_model(measure(truth, 3, turn_s=40e-6, disturbed=0.05))
    assert found.bandwidth_bytes_per_s == pytest.approx(rate, rel=0.1)
    assert 40e-6 < found.seek_min_s <= found.average_seek_s() < 160e-6
    # So little is read through: a request costs about as much.
    assert found.hole_bytes_max() < rate * 200e-6


def test_where_places_are_not_known_every_seek_is_the_average():
    jumps = tuple(Jump(0, 0.008 + 0.001 * (number % 5)) for number in range(50))
    stretch = Stretch(MIB, (0.01, 0.01, 0.01))
    found = estimate_model(Samples((stretch, stretch), jumps, 0))
    assert found.seek_min_s == found.seek_max_s == pytest.approx(0.010, rel=0.1)
    assert found.hole_bytes_max() > 0


def test_absurd_measurements_are_brought_within_limits():
    slow = Samples((Stretch(65536, (900.0,)),) * 3, (Jump(10**9, 50.0),) * 20, 10**9)
    found = estimate_model(slow)
    assert (found.bandwidth_bytes_per_s, found.seek_max_s) == (1e6, 0.2)
    assert 0 <= found.seek_min_s <= found.seek_max_s
    fast = Samples((Stretch(8 * MIB, (0.0,)),) * 3, (Jump(5, 0.0),) * 20, 0)
    found = estimate_model(fast)
    assert (found.bandwidth_bytes_per_s, found.seek_min_s) == (50e9, 10e-6)
    assert found.span_bytes > 0
    assert found.root_seek_s() == 0
    falling = tuple(Jump(n * n, 0.020 - 0.0001 * n) for n in range(100))
    found = estimate_model(Samples(fast.stretches, falling, 10**4))
    assert found.seek_min_s == found.seek_max_s == pytest.approx(0.015, rel=0.1)


def test_too_few_samples_are_no_model():
    whole = measure(DEFAULT_MODEL, 1)
    with pytest.raises(CalibrationError, match="10 stretches and 3 jumps"):
        estimate_model(whole._replace(jumps=whole.jumps[:3]))
    with pytest.raises(CalibrationError, match="1 stretches"):
        estimate_model(whole._replace(stretches=whole.stretches[:1]))
    with pytest.raises(CalibrationError):
        estimate_model(Samples((), (), 0))


def areas(count: int, gap_bytes: int) -> list[Area]:
    return [Area(number, 0, 4096 + number * gap_bytes, 64 * MIB) for number in range(count)]


def test_a_walk_knows_every_magnitude_of_distance_and_no_place_twice():
    walk = Walk(areas(40, 10 * 10**9), random.Random(1))
    steps = [walk.next() for _ in range(200)]
    places = [(step[1], step[2]) for step in steps if step]
    assert len(set(places)) == len(places) == 200
    assert all(offset % 4096 == 0 and offset < 64 * MIB for _, offset in places)
    distances = [step[0] for step in steps if step and step[0] is not None]
    assert min(distances) >= NEAR_BYTES
    # Each tenth of the magnitudes that areas 10 GB apart can have.
    for low, high in ((0, 64 * MIB), (9 * 10**9, 40 * 10**9), (40 * 10**9, 10**12)):
        assert sum(low <= distance < high for distance in distances) >= 20


def test_a_walk_ends_when_all_is_read():
    walk = Walk([Area(3, 0, 4096, 8192)], random.Random(1))
    assert [walk.next() is None for _ in range(3)] == [False, False, True]
    assert Walk([], random.Random(1)).next() is None


def test_stretches_lie_evenly_and_fit():
    chosen = choose_stretches(areas(100, 10**9))
    assert sorted(fd // 10 for fd, _, _ in chosen) == list(range(10))
    assert {window for _, _, window in chosen} == {4 * MIB}
    # A disk of 30 MB/s as well is measured in all its places: some alone are not what all of it is.
    assert sum(WINDOWS * window for _, _, window in chosen) < 30e6 * STRETCHES_LIMIT_S
    small = [Area(number, 4096, 10**6 * number, MIB) for number in range(4)]
    windows = [window for _, _, window in choose_stretches(small)]
    assert windows == [MIB // WINDOWS // 4096 * 4096] * 4
    assert choose_stretches([Area(1, 0, 4096, 4096)]) == choose_stretches([]) == []


def test_stretches_of_a_young_disk_are_as_many():
    chosen = sorted(choose_stretches([Area(1, 4096, 10**6, 128 * MIB)]))
    assert len(chosen) == 10
    ends = [start + WINDOWS * window for _, start, window in chosen]
    starts = [start for _, start, _ in chosen[1:]]
    assert all(end <= start for end, start in zip(ends[:-1], starts, strict=True))
    assert ends[-1] <= 4096 + 128 * MIB
    two = sorted(choose_stretches([Area(1, 0, 1, 40 * MIB), Area(2, 0, 10**9, 400 * MIB)]))
    assert [fd for fd, _, _ in two].count(2) == 9 and len(two) == 10


def test_the_areas_of_a_file_cover_it(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(3 * MIB + 5))
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        found = find_areas(fd)
    finally:
        os.close(fd)
    assert sum(area.length for area in found) == 3 * MIB
    assert found[0].start == 0


def test_models_are_kept(tmp_path):
    path = str(tmp_path / "watch")
    models = DiskModels(WatchFile(path))
    assert (models.get(DISK), models.model(DISK)) == (None, DEFAULT_MODEL)
    first = DiskModel(150e6, 0.005, 0.02, 10**12)
    models.put(DISK, first, 5000)
    again = DiskModels(WatchFile(path))
    assert again.get(DISK) == models.get(DISK)
    assert again.model(DISK) == first


def test_a_disk_that_became_slow_is_told_from_its_best(tmp_path):
    models = DiskModels(WatchFile(str(tmp_path)))
    best = DiskModel(150e6, 0.005, 0.02, 10**12)
    assert not models.put(DISK, best, 1).slow
    assert not models.put(DISK, DiskModel(100e6, 0.005, 0.02, 10**12), 1).slow
    gray = models.put(DISK, DiskModel(70e6, 0.005, 0.02, 10**12), 1)
    assert gray.slow
    assert gray.best_bandwidth_bytes_per_s == 150e6
    assert not models.put(DISK, DiskModel(160e6, 0.005, 0.02, 10**12), 1).slow
    taken = models.put(DISK, DiskModel(30e6, 0.005, 0.02, 10**12), 1, accept=True)
    assert (taken.slow, taken.best_bandwidth_bytes_per_s) == (False, 30e6)


def test_a_copy_that_took_another_time_puts_the_model_in_doubt(tmp_path):
    models = DiskModels(WatchFile(str(tmp_path)))
    for planned_s, busy_s, doubted in ((60, 70, False), (2, 9, False), (60, 95, True)):
        models.note_copy(DISK, planned_s, busy_s)
        assert models.doubted(DISK) is doubted
    models.put(DISK, DEFAULT_MODEL, 1)
    assert not models.doubted(DISK)
    models.note_copy(DISK, 60, 30)
    assert models.doubted(DISK)


def test_a_model_that_no_disk_can_be_is_measured_again_and_costs_nothing_else(tmp_path):
    """As another version, or a person, may have written it."""
    DiskModels(file := WatchFile(str(tmp_path))).put(DISK, DEFAULT_MODEL, 5000)
    fields = file.rows(KIND)[DISK]
    absurd = [
        {**fields, "model": {**fields["model"], name: value}}
        for name, value in (("span_bytes", 0), ("seek_max_s", 0.001), ("seek_min_s", -1.0))
    ]
    absurd += [{**fields, "best_bandwidth_bytes_per_s": float("nan")}, {"model": 1}, [fields], "x"]
    for row in absurd:
        file.write(KIND, {DISK: row, "cd" * 16: fields})
        models = DiskModels(file)
        assert models.get(DISK) is None, row
        assert models.get("cd" * 16) is not None


def test_disks_that_hold_too_little_are_said(filled):
    result = drystone("disk", "calibrate", "d1", env=environment(filled), expect=1)
    assert result.stdout == b""
    assert b"disk d1 holds" in result.stderr and b"at least are needed" in result.stderr
    every = drystone("disk", "calibrate", "--json", env=environment(filled), expect=3)
    (job,) = json_lines(every)
    assert set(job["result"]["skipped"]) == {"d1", "d2", "d3"}
    unknown = drystone("disk", "calibrate", "d9", env=environment(filled), expect=2)
    assert b"there is no disk d9" in unknown.stderr
    assert [disk.model for disk in filled.client.disks()] == [None] * 3


def test_a_young_disk_is_measured_by_shards_that_still_grow(store, tmp_path):
    made = store(2, shard_size_bytes=128 * MIB)
    made.put(write_files(str(tmp_path), {f"{n}": os.urandom(6 * MIB) for n in range(12)}), "b")
    job = made.client.wait(made.client.disk_calibrate().job_id)
    assert (job.state, job.result["skipped"]) == ("done", {})
    assert set(job.result["measured"]) == {"d1", "d2"}
