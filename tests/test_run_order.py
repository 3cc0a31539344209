"""The order of a run with several processes, and where a run keeps its files."""

from __future__ import annotations

import os
import random
from pathlib import Path
from types import SimpleNamespace

import run_order
from run_folder import RunFolder


def named(count: int) -> list[SimpleNamespace]:
    names = [f"tests/fsd/test_quick.py::test_{number}" for number in range(count)]
    for begin in run_order.SECONDS:
        names += [f"tests/fsd/{begin}[{number}]" for number in range(3)]
    random.Random(7).shuffle(names)
    return [SimpleNamespace(nodeid=name) for name in names]


def test_each_part_begins_with_its_share_of_the_long_ones():
    items = named(501)
    ordered = items.copy()
    run_order.spread(ordered, 4)
    assert sorted(one.nodeid for one in ordered) == sorted(one.nodeid for one in items)
    loads, begin = [], 0
    for left in (4, 3, 2, 1):  # As the scheduler gives them out.
        part = ordered[begin : begin + (len(ordered) - begin) // left]
        begin += len(part)
        seconds = [run_order._seconds(one.nodeid, run_order.SECONDS) for one in part]
        count = sum(1 for one in seconds if one)
        assert all(seconds[:count]) and not any(seconds[count:])
        loads.append(sum(seconds))
    assert max(loads) - min(loads) <= max(run_order.SECONDS.values())


def test_the_long_form_begins_with_the_longest():
    items = named(501)
    run_order.spread(items, 4, run_order.SECONDS_LONG_FORM)
    assert items[0].nodeid.startswith("tests/fsd/test_power_cut_flush.py")


def test_few_tests_and_one_process_are_left_alone():
    for count, processes in ((0, 1), (9, 1), (0, 4), (3, 200)):
        items = named(count)
        before = sorted(one.nodeid for one in items)
        run_order.spread(items, processes)
        assert sorted(one.nodeid for one in items) == before


def test_every_long_test_exists():
    here = Path(__file__).parent
    found = {path.name: path.read_text(encoding="utf-8") for path in here.rglob("test_*.py")}
    for begin in run_order.SECONDS:
        module, _, function = begin.partition("::")
        assert f"def {function}" in found[module], begin


def test_whoever_sets_a_place_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    folder = RunFolder()
    folder.open()
    assert (folder.path, os.environ["TMPDIR"]) == ("", str(tmp_path))
    folder.close()
