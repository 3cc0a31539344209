"""The order of a run with several processes, what each compiles, and where a run has its files."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from types import SimpleNamespace

import pytest
import run_order
from compiled_share import make_share
from run_folder import RunFolder


def marked(count: int) -> list[SimpleNamespace]:
    """Return `count` tests without a mark among 60 with one, in an order by chance."""
    marks = [None] * count
    marks += [pytest.mark.seconds(10 + number // 2).mark for number in range(59)]
    marks.append(pytest.mark.seconds(10, long_form=1800).mark)
    random.Random(7).shuffle(marks)
    return [SimpleNamespace(get_closest_marker={"seconds": mark}.get) for mark in marks]


def length(item: SimpleNamespace) -> float:
    return run_order.seconds(item, is_long_form=False)


def test_each_part_begins_with_its_share_of_the_long_ones():
    items = marked(501)
    ordered = items.copy()
    run_order.spread(ordered, 4)
    assert {id(one) for one in ordered} == {id(one) for one in items}
    loads, begin = [], 0
    for left in (4, 3, 2, 1):  # As the scheduler gives them out.
        part = ordered[begin : begin + (len(ordered) - begin) // left]
        begin += len(part)
        seconds = [length(one) for one in part]
        count = sum(1 for one in seconds if one)
        assert all(seconds[:count]) and not any(seconds[count:])
        loads.append(sum(seconds))
    assert max(loads) - min(loads) <= max(map(length, items))


def test_the_long_form_begins_with_the_longest():
    items = marked(501)
    run_order.spread(items, 4, is_long_form=True)
    assert items[0].get_closest_marker("seconds").kwargs == {"long_form": 1800}


def test_few_tests_and_one_process_are_left_alone():
    for count, processes in ((0, 1), (9, 1), (0, 4), (3, 200)):
        items = marked(count)
        before = {id(one) for one in items}
        run_order.spread(items, processes)
        assert {id(one) for one in items} == before and len(items) == count + 60


def test_whoever_sets_a_place_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    folder = RunFolder()
    folder.open()
    assert (folder.path, os.environ["TMPDIR"]) == ("", str(tmp_path))
    folder.close()


def test_each_process_compiles_a_share_and_pytest_takes_it(tmp_path, pytestconfig):
    for number in range(5):
        path = tmp_path / str(number % 2) / f"test_{number}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"def test_it():\n    assert {number} == {number}\n")
    modules = sorted(tmp_path.rglob("test_*.py"))
    shares = [make_share(pytestconfig, tmp_path, number, 2) for number in range(2)]
    assert [len(share) for share in shares] == [3, 2] and sorted(
        [*shares[0], *shares[1]]
    ) == modules
    assert make_share(pytestconfig, tmp_path, 0, 1) == [], "what was made is found"
    compiled = {path: path.stat() for path in tmp_path.rglob("*.pyc")}
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    assert b"5 passed" in subprocess.run(run, cwd=tmp_path, capture_output=True).stdout
    assert {path: path.stat() for path in tmp_path.rglob("test_*.pyc")} == compiled
    modules[1].write_text("def test_it():\n    pass\n")
    assert make_share(pytestconfig, tmp_path, 0, 1) == [modules[1]], "an older form is made anew"
