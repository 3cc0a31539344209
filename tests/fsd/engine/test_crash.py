"""Kill -9 at any moment loses nothing acknowledged and leaves nothing half-sealed.

`--crash-points N` sets the number of kills, `--crash-seed S` replays a run. Each store is a test of
its own, so that they are spread over the processes of a run; every other one lies on a disk, where
a sync takes its time.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
import traceback

import pytest
from crash_run import CrashRun
from engine_processes import kill_engine
from run_folder import for_stores, on_disk
from store_harness import MIB, Store, with_settings

from fsd.engine.setup import init_store

MOUNTED_EVERY = 4
POINTS_PER_STORE = 20


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give every store its number and its share of the points."""
    points = metafunc.config.getoption("--crash-points")
    lives = [
        (number, min(POINTS_PER_STORE, points - first))
        for number, first in enumerate(range(0, points, POINTS_PER_STORE))
    ]
    metafunc.parametrize(("number", "points"), lives, ids=[f"store{one[0]}" for one in lives])


@pytest.mark.seconds(40)
@pytest.mark.fault
@pytest.mark.timeout(0)  # Every wait within has its own limit.
def test_kill_at_any_moment(pytestconfig, number: int, points: int):
    seed = pytestconfig.getoption("--crash-seed") or str(time.time_ns())
    failure = _live(seed, number, points)
    assert not failure, failure


def _live(seed: str, number: int, points: int) -> str:
    """Run one store through its kill points; returns what went wrong, with how to see it again."""
    folder = tempfile.mkdtemp(prefix="ds-", dir=on_disk() if number % 2 else for_stores())
    store = _make_store(folder, random.Random(f"{seed}-{number}-store"))
    run = CrashRun(store, folder, random.Random(f"{seed}-{number}"))
    try:
        store.start()
        if run.mounted and number % MOUNTED_EVERY == 0:
            store.mount()
        for _ in range(points):
            run.step()
        run.check_fully()
    except BaseException:
        steps = "\n".join(f"  {n}. {step}" for n, step in enumerate(run.history, 1))
        return (
            f"--crash-seed {seed}, store {number}, kept in {folder}, steps:\n{steps}\n"
            f"{traceback.format_exc()}\nThe engine's log:\n{store.log()[-3000:]}"
        )
    else:
        store.stop()
        shutil.rmtree(folder)
        return ""
    finally:
        kill_engine(store.config, group=True)
        store.stop()


def _make_store(folder: str, rng: random.Random) -> Store:
    root = os.path.join(folder, "s")
    paths = [os.path.join(root, f"d{number}") for number in range(rng.choice((3, 3, 4)))]
    copies = rng.choice((2, 2, 3))
    init_store(root, paths, None, min_free_bytes=MIB, shard_size_bytes=2 * MIB, copies_raw=copies)
    # What is left open is recovered before the engine answers, or by a job beside all else.
    at_once = rng.choice((0, 8 * MIB))
    settings = {"batch_size_bytes": MIB, "recovered_at_start_bytes": at_once}
    return Store(root, with_settings(root, **settings), paths)
