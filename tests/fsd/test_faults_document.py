"""docs/faults.md names tests that are there."""

from __future__ import annotations

import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILE = re.compile(r"`([\w/]*test_\w+\.py)`")
NAME = re.compile(r"`(test_\w+)`")


def test_every_test_in_the_table_is_there():
    with open(os.path.join(ROOT, "docs", "faults.md"), encoding="utf-8") as file:
        rows = [line for line in file if line.startswith("| ") and ".py`" in line]
    assert len(rows) > 30
    for row in rows:
        code = ""
        for path in FILE.findall(row):
            full = path if "/" in path else f"tests/fsd/{path}"
            with open(os.path.join(ROOT, full), encoding="utf-8") as file:
                code += file.read()
        names = NAME.findall(row)
        assert names, row
        for name in names:
            assert f"def {name}(" in code, f"docs/faults.md names {name}, which is not there"
