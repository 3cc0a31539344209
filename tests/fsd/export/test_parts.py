"""Parts of a copy: the cut by bytes, and a journal that never vouches for another plan."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import ROOT
from hypothesis import given
from hypothesis import strategies as st

from fsd.export.copying import JOURNAL_NAME, Journal, cut_parts
from fsd.format.paths import check_relative_path


@pytest.fixture
def filesystem_fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("sizes", "limit", "parts"),
    [
        ([], 10, []),
        ([5], 10, [(0, 1)]),
        ([50], 10, [(0, 1)]),
        ([5, 5], 10, [(0, 2)]),
        ([5, 6], 10, [(0, 1), (1, 2)]),
        ([50, 1, 1, 50], 10, [(0, 1), (1, 3), (3, 4)]),
        ([0, 0, 0], 10, [(0, 3)]),
    ],
)
def test_cut(sizes: list[int], limit: int, parts: list[tuple[int, int]]):
    assert cut_parts(sizes, limit) == [range(*part) for part in parts]


@given(st.lists(st.integers(0, 100), max_size=30), st.integers(1, 150))
def test_parts_are_runs_as_long_as_the_limit_allows(sizes: list[int], limit: int):
    parts = cut_parts(sizes, limit)
    assert [number for part in parts for number in part] == list(range(len(sizes)))
    for part in parts:
        size = sum(sizes[number] for number in part)
        assert size <= limit or len(part) == 1
        if part.stop < len(sizes):
            assert size + sizes[part.stop] > limit


def test_the_journal_survives_its_process(tmp_path: Path, filesystem_fd: int):
    journal = Journal(tmp_path, "plan")
    assert journal.empty
    journal.add(range(3), 700, filesystem_fd)
    journal.add(range(5, 6), 1, filesystem_fd)
    again = Journal(tmp_path, "plan")
    assert not again.empty
    assert [again.has(range(*part)) for part in ((0, 3), (5, 6), (3, 5), (0, 2))] == [
        True,
        True,
        False,
        False,
    ]
    assert (again.size_bytes(range(3)), again.size_bytes(range(5, 6))) == (700, 1)


def test_golden_journal(tmp_path: Path, filesystem_fd: int):
    Journal(tmp_path, "ab" * 32).add(range(3), 700, filesystem_fd)
    text = (tmp_path / "_PARTS").read_text()
    assert text == '{"plan": "' + "ab" * 32 + '", "parts": {"0-3": 700}}'
    assert os.listdir(tmp_path) == ["_PARTS"]


def test_another_plan_begins_anew(tmp_path: Path, filesystem_fd: int):
    Journal(tmp_path, "plan").add(range(3), 700, filesystem_fd)
    other = Journal(tmp_path, "other plan")
    assert other.empty
    other.add(range(3, 4), 5, filesystem_fd)
    assert not Journal(tmp_path, "other plan").has(range(3))
    assert Journal(tmp_path, "plan").empty


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "7", "{}", '{"plan": "plan"}', '{"plan": "plan", "parts": 3}']
)
def test_a_damaged_journal_vouches_for_nothing(tmp_path: Path, text: str):
    (tmp_path / JOURNAL_NAME).write_text(text)
    assert Journal(tmp_path, "plan").empty


def test_bytes_that_are_no_text_vouch_for_nothing(tmp_path: Path):
    (tmp_path / JOURNAL_NAME).write_bytes(b"\xff\xfe")
    assert Journal(tmp_path, "plan").empty


def test_it_is_removed_before_the_seal(tmp_path: Path, filesystem_fd: int):
    journal = Journal(tmp_path, "plan")
    journal.remove()
    journal.add(range(1), 1, filesystem_fd)
    journal.remove()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", [JOURNAL_NAME, JOURNAL_NAME + ".tmp"])
def test_no_file_of_a_manifest_can_take_its_name(name: str):
    # The journal is renamed onto that name and deleted before the seal: the file would be lost.
    for spelling in (name, name.lower(), name + "/x"):
        assert "reserved" in (check_relative_path(spelling) or "")
    assert check_relative_path("a/" + name) is None


def test_a_crash_while_it_is_written_leaves_the_journal_before(tmp_path: Path):
    code = (
        "import os, sys; from pathlib import Path; from fsd.export import copying\n"
        "folder = Path(sys.argv[1]); fd = os.open(folder, os.O_RDONLY)\n"
        "journal = copying.Journal(folder, 'plan'); journal.add(range(0, 1), 1, fd)\n"
        "os.fsync = lambda _fd: os._exit(9); journal.add(range(1, 2), 2, fd)\n"
    )
    root = ROOT
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=root)
    assert done.returncode == 9
    journal = Journal(tmp_path, "plan")
    assert (journal.has(range(1)), journal.has(range(1, 2))) == (True, False)
    assert json.loads((tmp_path / JOURNAL_NAME).read_text())["parts"] == {"0-1": 1}
