"""What a scraped folder may not do: lead outside, block, take all memory, stop others."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.ingest.inbox import waiting_folders
from adapters.records.errors import BatchChangedError, LimitError, RecordError
from adapters.records.folder import JSON_VALUES_MAX, ScrapeFolder, list_files, parse_json
from adapters.records.times import parse_time
from adapters.records.values import as_integer
from base.errors import DrystoneError


def test_a_folder_that_became_a_link_is_not_followed(tmp_path: Path):
    (tmp_path / "scrape" / "in").mkdir(parents=True)
    (tmp_path / "scrape" / "in" / "a.txt").write_text("mine")
    folder = ScrapeFolder.of(str(tmp_path / "scrape"))
    os.rename(tmp_path / "scrape" / "in", tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", tmp_path / "scrape" / "in")
    with pytest.raises(BatchChangedError), folder.open("in/a.txt"):
        pass


def test_a_file_that_became_a_fifo_does_not_block(tmp_path: Path):
    (tmp_path / "a.txt").write_text("")
    folder = ScrapeFolder.of(str(tmp_path))
    os.unlink(tmp_path / "a.txt")
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(BatchChangedError), folder.open("a.txt"):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path):
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(DrystoneError, match="closed"):
        list_files(str(tmp_path))


def test_a_path_that_is_too_long_is_one_error(tmp_path: Path):
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("n" * 250, dir_fd=here)
        inner = os.open("n" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    with pytest.raises(DrystoneError, match="cannot be listed"):
        list_files(str(tmp_path))


@pytest.mark.parametrize("seconds", [2**40, -(2**40)])
def test_a_time_of_writing_that_is_no_year(tmp_path: Path, seconds: int):
    (tmp_path / "a.txt").write_text("a")
    folder = ScrapeFolder.of(str(tmp_path))
    entry = folder.files["a.txt"]
    folder.files["a.txt"] = type(entry)(entry.size_bytes, seconds * 10**9)
    assert folder.download_time("a.txt") is None


def test_a_small_file_of_very_many_values_is_refused_before_it_is_read():
    with pytest.raises(LimitError, match="values in one document"):
        parse_json("[" + "[]," * (JSON_VALUES_MAX // 2 + 1) + "[]]")
    assert parse_json("[1,2,[3]]") == [1, 2, [3]]


def test_a_number_that_no_double_holds_is_no_json():
    with pytest.raises(RecordError, match="beyond"):
        parse_json('{"a": 1e999}')
    assert parse_json('{"a": -0, "b": 1.5}') == {"a": 0, "b": 1.5}


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_a_signal_that_is_no_file_blocks_nothing(tmp_path: Path, kind: str):
    ready = tmp_path / "scrape" / "_READY.json"
    ready.parent.mkdir()
    (tmp_path / ".work").mkdir()
    if kind == "fifo":
        os.mkfifo(ready)
    elif kind == "link":
        ready.symlink_to("/etc/hostname")
    else:
        ready.mkdir()
    (found,) = waiting_folders(str(tmp_path))
    assert found.signal is None and found.problem


@pytest.mark.parametrize("user", ['"a\\u0000b"', '"\\udcff"', f'"{"x" * 300}"', "5"])
def test_a_user_that_cannot_be_stored_is_refused(tmp_path: Path, user: str):
    (tmp_path / "scrape").mkdir()
    text = f'{{"batch": "b", "format": "gallery-dl", "user": {user}}}'
    (tmp_path / "scrape" / "_READY.json").write_text(text)
    (found,) = waiting_folders(str(tmp_path))
    assert found.signal is None and "user" in (found.problem or "")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("20200101123000", datetime(2020, 1, 1, 12, 30, tzinfo=UTC)),
        ("202001011230", datetime(2020, 1, 1, 12, 30, tzinfo=UTC)),
        ("20200101", datetime(2020, 1, 1, tzinfo=UTC)),
        (1577881800, datetime(2020, 1, 1, 12, 30, tzinfo=UTC)),
        ("1577881800000", datetime(2020, 1, 1, 12, 30, tzinfo=UTC)),
        (1577881800000000, datetime(2020, 1, 1, 12, 30, tzinfo=UTC)),
        ("1577881800000000000", datetime(2020, 1, 1, 12, 30, tzinfo=UTC)),
        (2020, None),
        (0, None),
        ("0", None),
    ],
)
def test_times_as_digits(written: object, meant: datetime | None):
    assert parse_time(written) == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [("3,5", None), ("1,234", 1234), ("-12,345,678", -12345678), ("1,2345", None), ("12", 12)],
)
def test_commas_are_groups_of_three(written: str, meant: int | None):
    assert as_integer(written) == meant
