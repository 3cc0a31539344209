"""The bench of the planning process works on a small index; and what an entry takes in memory."""

import random
import tracemalloc

from bench.planner import command as planner
from bench.planner import compiler
from fsd.format.manifest.manifest import parse_manifest
from fsd.format.manifest.manifest_keys import deduplicate

ENTRIES = 20_000


def test_the_whole_process_is_measured(tmp_path):
    figures = compiler.measure(str(tmp_path), 3000, 0.5, planner.DISKS)
    assert figures["objects"] == 3000
    assert 1300 < figures["wanted"] < 1700
    assert figures["peak_mb"] >= figures["load_mb"] > 0
    assert all(figures[f"{step}_s"] > 0 for step in ("load", "tree", "plan", "segments", "bound"))


def test_an_entry_takes_no_object_of_its_own():
    # As objects, an entry took 340 bytes: 10 M of them do not fit into what a planner may take.
    numbers = list(range(ENTRIES))
    random.Random(1).shuffle(numbers)
    path_bytes = len("gallery/0000000.jpg")
    tracemalloc.start()
    try:
        lines = (
            b'{"path":"gallery/%07d.jpg","key":"%064x","node_id":%d}\n' % (n, n, n) for n in numbers
        )
        columns, _, _ = deduplicate(parse_manifest(lines).columns, "by_node")
        kept_bytes, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(columns) == ENTRIES
    assert kept_bytes / ENTRIES < path_bytes + 80
    assert peak_bytes / ENTRIES < 300  # while the paths are sorted
