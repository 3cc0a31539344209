"""Access beneath a folder, its listing, and what a person reads when the filesystem refuses."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.records.beneath import open_beneath, unlink_beneath
from adapters.records.errors import AdapterError, BatchChangedError, LimitError, RecordError
from adapters.records.folder import REMEMBERED_MAX, ScrapeFolder, list_files, parse_json
from adapters.records.listing import PATH_BYTES_MAX, quarantine_path, reading_error
from base.errors import UsageError

NOBODY = 65534


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be a user whom permissions mean something to, where the tests are root's."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that another user can enter, as pytest's own are not."""
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o755)
    yield Path(folder)
    for path in Path(folder).iterdir():
        path.chmod(0o700)
    shutil.rmtree(folder)


def test_a_file_is_opened_by_its_parts(tmp_path: Path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.txt").write_text("here")
    with os.fdopen(open_beneath(str(tmp_path), "a/b/c.txt")) as file:
        assert file.read() == "here"


@pytest.mark.parametrize("path", ["../x", "a/../x", "/etc/hostname", "a//x", "./x", "a/", "."])
def test_a_path_that_leaves_is_none(tmp_path: Path, path: str):
    (tmp_path / "a").mkdir()
    (tmp_path / "x").write_text("x")
    with pytest.raises(OSError, match="no path beneath"):
        open_beneath(str(tmp_path / "a"), path)
    with pytest.raises(OSError, match="no path beneath"):
        unlink_beneath(str(tmp_path / "a"), path)
    assert (tmp_path / "x").exists()


def test_removing_crosses_no_link(tmp_path: Path):
    (tmp_path / "scrape" / "in").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").write_text("theirs")
    (tmp_path / "scrape" / "in" / "a.txt").write_text("mine")
    root = str(tmp_path / "scrape")
    unlink_beneath(root, "in/a.txt")
    assert list_files(root) == {}
    (tmp_path / "scrape" / "in").rmdir()
    (tmp_path / "scrape" / "in").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="in"):
        unlink_beneath(root, "in/a.txt")
    (tmp_path / "scrape" / "link.txt").symlink_to(tmp_path / "other" / "a.txt")
    with pytest.raises(OSError, match="no regular file"):
        unlink_beneath(root, "link.txt")
    assert (tmp_path / "other" / "a.txt").read_text() == "theirs"


def test_no_descriptor_is_left_open(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_text("b")
    before = len(os.listdir("/proc/self/fd"))
    for path in ("a/none", "none/b", "a/b.txt/c"):
        with pytest.raises(OSError, match=path):
            open_beneath(str(tmp_path), path)
    list_files(str(tmp_path))
    unlink_beneath(str(tmp_path), "a/b.txt")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_path_of_nearly_the_longest_is_listed_and_read(tmp_path: Path):
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(15):
        os.mkdir("n" * 250, dir_fd=here)
        inner = os.open("n" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    last = "m" * (PATH_BYTES_MAX - 15 * 251)
    descriptor = os.open(last, os.O_WRONLY | os.O_CREAT, dir_fd=here)
    os.write(descriptor, b"deep")
    os.close(descriptor)
    os.close(here)
    folder = ScrapeFolder.of(str(tmp_path))
    (path,) = folder.paths
    assert len(path) == PATH_BYTES_MAX and folder.read_bytes(path) == b"deep"


def test_a_folder_and_a_file_that_may_not_be_read_are_named(public: Path):
    (public / "closed").mkdir(mode=0)
    with as_nobody(), pytest.raises(UsageError, match="closed cannot be read: Permission denied"):
        list_files(str(public))
    (public / "closed").rmdir()
    (public / "secret.json").write_text("{}")
    (public / "secret.json").chmod(0)
    folder = ScrapeFolder.of(str(public))
    with as_nobody(), pytest.raises(UsageError, match=r"secret\.json cannot be read"):
        folder.read_json("secret.json")


@pytest.mark.parametrize(
    ("error", "path", "kind"),
    [
        (FileNotFoundError(2, "No such file or directory"), "in/a", BatchChangedError),
        (NotADirectoryError(20, "Not a directory"), "in/a", BatchChangedError),
        (FileNotFoundError(2, "No such file or directory"), "", UsageError),
        (OSError(5, "Input/output error"), "in/a", AdapterError),
    ],
)
def test_what_the_filesystem_refuses_is_one_line(error: OSError, path: str, kind: type):
    found = reading_error("/scrape", path, error)
    assert type(found) is kind and "\n" not in str(found) and "/scrape" in str(found)


def test_a_folder_that_is_none(tmp_path: Path):
    with pytest.raises(UsageError, match="not a folder"):
        list_files(str(tmp_path / "none"))


def test_two_names_are_never_one_path_of_the_quarantine():
    names = ["odd\udcff", r"odd\udcff", r"odd\\udcff", "odd\n", r"odd\n", "odd\\\n", "plain/name"]
    shown = [quarantine_path(name) for name in names]
    assert len(set(shown)) == len(names) and all(path.isprintable() for path in shown)
    assert shown[0] == r"odd\udcff" and shown[-1] == "plain/name"


def test_the_values_that_were_read_last_are_remembered(tmp_path: Path):
    names = [f"{number:02d}.json" for number in range(REMEMBERED_MAX + 1)]
    for name in names:
        (tmp_path / name).write_text('{"a": 1}')
    folder = ScrapeFolder.of(str(tmp_path))
    first = folder.read_json(names[0])
    assert all(folder.read_json(name) == first for name in names[:-1])
    # A part of the folder knows them too, and the oldest is forgotten for one more.
    assert folder.part(names[:2]).read_json(names[0]) is first
    folder.read_json(names[-1])
    again = folder.read_json(names[0])
    assert again == first and again is not first


def test_large_values_are_not_remembered_beside_others(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("adapters.records.folder.REMEMBERED_BYTES_MAX", 20)
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.json").write_text('{"a": 12345}')
    folder = ScrapeFolder.of(str(tmp_path))
    first, second = folder.read_json("a.json"), folder.read_json("b.json")
    assert folder.read_json("b.json") is second
    assert folder.read_json("a.json") is not first


@pytest.mark.parametrize("depth", [200, 201, 100_000])
@pytest.mark.parametrize("marks", ["[]", "{}"])
def test_depth_is_limited(depth: int, marks: str):
    inner = '"a":' if marks == "{}" else ""
    text = (marks[0] + inner) * (depth - 1) + marks + marks[1] * (depth - 1)
    if depth <= 200:
        assert parse_json(text)
        # The deepest is found after shallow ones, and beside them.
        assert parse_json(f"[[], {text[:-1][1:] if marks == '[]' else '1'}, 2]")
        return
    with pytest.raises(LimitError, match="deeper than 200"):
        parse_json(text)
    with pytest.raises(LimitError, match="deeper than 200"):
        parse_json(f"[{'[],' * 300}{text}]")


@pytest.mark.parametrize("text", ["-1e400", "1e999", "[NaN]", "1" * 41, "Infinity", ""])
def test_numbers_that_cannot_be_kept_are_no_json(text: str):
    with pytest.raises(RecordError):
        parse_json(text)


def test_numbers_at_the_edge():
    assert parse_json(f"[{'9' * 40}, -0, 1e-999, 1.7e308]") == [10**40 - 1, 0, 0.0, 1.7e308]
