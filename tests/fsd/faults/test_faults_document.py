"""docs/faults.md names the tests that are marked `fault`, no more and no fewer."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

from command import ROOT

FILE = re.compile(r"`([\w/]*test_\w+\.py)`")
NAME = re.compile(r"`(test_\w+)`")


def marked() -> set[tuple[str, str]]:
    """Return (path below the root, name) of the tests that `--long` runs."""
    found: set[tuple[str, str]] = set()
    for path in Path(ROOT, "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            decorators = getattr(node, "decorator_list", ())
            if any(ast.unparse(one) == "pytest.mark.fault" for one in decorators):
                found.add((os.path.relpath(path, ROOT), node.name))
    return found


def test_the_table_names_the_tests_that_are_marked_and_every_one_of_them():
    with open(os.path.join(ROOT, "docs", "faults.md"), encoding="utf-8") as file:
        rows = [line for line in file if line.startswith("| ") and ".py`" in line]
    assert len(rows) > 30
    faults, named = marked(), set()
    of_store = {path.name: path for path in Path(ROOT, "tests", "fsd").rglob("test_*.py")}
    for row in rows:
        paths = [
            path if "/" in path else os.path.relpath(of_store[path], ROOT)
            for path in FILE.findall(row)
        ]
        names = NAME.findall(row)
        assert names, row
        for name in names:
            # A row's name may be of any of its files.
            of_the_row = {(path, name) for path in paths} & faults
            assert of_the_row, f"docs/faults.md names {name}: no such test is marked `fault`"
            named |= of_the_row
    assert faults == named, "docs/faults.md lacks what is marked `fault`"
