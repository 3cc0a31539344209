"""Every case of every platform, as it is and mutated: never a crash, never a lost file."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import pytest
from conformance import check_adapter, copy_mutated
from sources.cases import case_names, expected_of, folder_of, lines_of

from adapters.sources.registry import adapter_named

MUTATIONS = 1
"""Of each case, in every run; the long form is that of the conformance of adapters."""


@pytest.mark.parametrize("case", case_names())
def test_a_case(case: str):
    expected = expected_of(case)
    adapter = expected[0]["adapter"]
    check_adapter(adapter_named(adapter), folder_of(case))
    found = lines_of(adapter, folder_of(case))
    assert found == expected, "if this is meant: python -m tests.adapters.sources.cases " + case


@pytest.mark.parametrize("case", case_names())
def test_a_mutated_case(case: str, tmp_path: Path):
    adapter = adapter_named(expected_of(case)[0]["adapter"])
    chance = random.Random(zlib.crc32(case.encode()))
    for number in range(MUTATIONS):
        target = copy_mutated(folder_of(case), str(tmp_path / str(number)), chance.randrange(2**32))
        check_adapter(adapter, target)
