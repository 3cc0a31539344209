"""Kill -9 at any moment loses nothing acknowledged and leaves nothing half-sealed.

`--crash-points N` sets the number of kills, `--crash-seed S` replays a run.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
from crash_run import CrashRun
from engine_processes import kill_engine
from store_harness import MIB, Store, with_settings

from fsd.setup import init_store

STORES_AT_ONCE = 4
POINTS_PER_STORE = 20


@pytest.mark.timeout(0)  # Thousands of points take hours; every wait within has its own limit.
def test_kill_at_any_moment(pytestconfig):
    points = pytestconfig.getoption("--crash-points")
    seed = pytestconfig.getoption("--crash-seed") or str(time.time_ns())
    lives = [
        (seed, number, min(POINTS_PER_STORE, points - first))
        for number, first in enumerate(range(0, points, POINTS_PER_STORE))
    ]
    with ThreadPoolExecutor(STORES_AT_ONCE) as threads:
        failures = [failure for failure in threads.map(_live, *zip(*lives, strict=True)) if failure]
    assert not failures, "\n\n".join(itertools.islice(failures, 3))


def _live(seed: str, number: int, points: int) -> str:
    """Run one store through its kill points; returns what went wrong, with how to see it again."""
    folder = tempfile.mkdtemp(prefix="ds-")
    store = _make_store(folder, random.Random(f"{seed}-{number}-store"))
    run = CrashRun(store, folder, random.Random(f"{seed}-{number}"))
    try:
        store.start()
        if run.mounted and number % STORES_AT_ONCE == 0:
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
    return Store(root, with_settings(root, batch_size_bytes=MIB), paths)
