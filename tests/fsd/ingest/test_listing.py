"""Listing source folders: what is stored, what is skipped and why, and every odd name."""

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fsd.ingest.listing import (
    CHUNK_BYTES_MAX,
    CHUNK_FILES_MAX,
    Found,
    chunks,
    list_folder,
    list_given,
)


def listed(folder: Path | str) -> dict[str, str]:
    """Return {path: size, or why not}."""
    return {
        found.path: found.failed or found.skipped or str(found.size_bytes)
        for found in list_folder(str(folder))
    }


def put(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(path.encode())
    return folder


def test_folders_in_name_order(tmp_path: Path):
    put(tmp_path, "b/2", "b/1", "b/deep/x", "a/z", "c", "a.txt")
    (tmp_path / "empty").mkdir()
    found = list(list_folder(str(tmp_path)))
    assert [one.path for one in found] == ["a.txt", "c", "a/z", "b/1", "b/2", "b/deep/x"]
    assert found[0] == Found("a.txt", str(tmp_path / "a.txt"), 5)
    assert [one.path for one in list_folder(str(tmp_path) + "/")] == [one.path for one in found]


def test_links_to_files_inside_are_stored_as_those(tmp_path: Path):
    put(tmp_path, "sub/file")
    (tmp_path / "near").symlink_to("sub/file")
    (tmp_path / "chain").symlink_to("near")
    (tmp_path / "absolute").symlink_to(tmp_path / "sub/file")
    (tmp_path / "sub/up").symlink_to("../sub/file")
    found = {one.path: one for one in list_folder(str(tmp_path))}
    assert set(found) == {"near", "chain", "absolute", "sub/file", "sub/up"}
    assert {one.real_path for one in found.values()} == {str(tmp_path / "sub/file")}
    assert {one.size_bytes for one in found.values()} == {8}


def test_other_links_are_skipped(tmp_path: Path):
    put(tmp_path, "in/folder/file", "secret", "in-sibling/file")
    root = tmp_path / "in"
    (root / "out").symlink_to("../secret")
    (root / "sibling").symlink_to("../in-sibling/file")
    (root / "absolute").symlink_to("/etc/hostname")
    (root / "folder-link").symlink_to("folder")
    (root / "self").symlink_to("self")
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    (root / "broken").symlink_to("nothing")
    (root / "root").symlink_to(".")
    out = "a symbolic link that leads out of the folder"
    other = "a symbolic link to something that is not a file"
    assert listed(root) == {
        "out": out,
        "sibling": out,
        "absolute": out,
        "folder-link": other,
        "self": other,
        "a": other,
        "b": other,
        "root": out,
        "broken": "a symbolic link that leads nowhere",
        "folder/file": "14",
    }


def test_a_folder_that_is_itself_a_link(tmp_path: Path):
    put(tmp_path, "real/file")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real/inner").symlink_to(tmp_path / "real/file")
    found = list(list_folder(str(tmp_path / "link")))
    assert [(one.path, one.real_path) for one in found] == [
        ("file", str(tmp_path / "real/file")),
        ("inner", str(tmp_path / "real/file")),
    ]


def test_what_is_no_file_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    os.mkfifo(tmp_path / "fifo")
    # A socket's path has a limit that temporary folders exceed.
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    assert listed(tmp_path) == {"fifo": "a FIFO, not a file", "socket": "a socket, not a file"}


def test_devices_are_skipped(tmp_path: Path):
    try:
        os.mknod(tmp_path / "null", 0o20600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("making a device needs root")
    assert listed(tmp_path) == {"null": "a device, not a file"}


def in_child(work: Callable[[], bool]) -> bool:
    """Run in a child process that is nobody; root may read everything."""
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        os._exit(0 if work() else 1)
    return os.waitpid(child, 0)[1] == 0


def test_an_unreadable_folder_is_reported_and_the_rest_listed(tmp_path: Path):
    folder = put(tmp_path / "in", "a/file", "b/file", "c/file")
    for above in (tmp_path, *tmp_path.parents):
        if above.stat().st_mode & 0o077 == 0:
            above.chmod(0o755)
    (folder / "b").chmod(0)
    reason = "the folder cannot be read: Permission denied"
    expected = {"a/file": "6", "b": reason, "c/file": "6"}
    try:
        assert in_child(lambda: listed(folder) == expected)
    finally:
        (folder / "b").chmod(0o755)


def test_a_missing_folder_is_reported(tmp_path: Path):
    found = list(list_folder(str(tmp_path / "missing")))
    assert [one.failed for one in found] == ["the folder cannot be read: No such file or directory"]


NAMES = [
    b"new\nline",
    b"tab\tand \x1b[31m",
    b"not utf-8 \xff\xfe",
    b"\xed\xb3\xbf",
    "ä 😀".encode(),
    b"x" * 255,
    ("ä" * 127).encode(),
    b" ",
    b"-rf",
    b"...",
    b"back\\slash",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_comes_back_as_its_bytes(tmp_path: Path, name: bytes):
    folder = os.path.join(os.fsencode(tmp_path), name)
    os.mkdir(folder)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(b"content")
    (found,) = list_folder(str(tmp_path))
    assert os.fsencode(found.path) == name + b"/" + name
    with open(os.fsencode(found.real_path), "rb") as file:
        assert file.read() == b"content"
    assert list(list_given(str(tmp_path), [found.path])) == [found]


def test_a_tree_deeper_than_a_path_can_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(20):
        os.mkdir("d" * 250)
        os.chdir("d" * 250)
    (tmp_path / "file").write_bytes(b"")
    found = list(list_folder(str(tmp_path)))
    assert [one.failed for one in found] == ["", "the folder cannot be read: File name too long"]


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[str]:
    """A folder in memory where there is one: making files there takes a tenth of the time."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as name:
        yield name


def test_a_hundred_thousand_files_in_chunks(quick_folder: str):
    folder = os.open(quick_folder, os.O_RDONLY)
    for number in range(100_000):
        os.mknod(f"{number:06}", dir_fd=folder)
    os.close(folder)
    groups = list(chunks(list_folder(quick_folder)))
    assert [len(group) for group in groups] == [CHUNK_FILES_MAX] * 390 + [160]
    assert [one.path for group in groups for one in group] == [f"{n:06}" for n in range(100_000)]


def sized(*sizes: int) -> list[Found]:
    return [Found(str(number), "", size) for number, size in enumerate(sizes)]


def test_chunks_by_bytes():
    big = CHUNK_BYTES_MAX
    found = sized(1, big, 1, big - 1, 1, 3 * big, 0)
    assert [[one.size_bytes for one in group] for group in chunks(found)] == [
        [1],
        [big],
        [1, big - 1],
        [1],
        [3 * big],
        [0],
    ]
    assert list(chunks([])) == []


# Named files


def given_one(folder: Path, path: str) -> Found:
    (found,) = list_given(str(folder), [path])
    return found


def test_named_files_follow_the_same_policy(tmp_path: Path):
    folder = put(tmp_path / "in", "a/b", "c")
    (tmp_path / "secret").write_bytes(b"")
    (folder / "link").symlink_to("c")
    (folder / "out").symlink_to("../secret")
    os.mkfifo(folder / "fifo")
    found = list(list_given(str(folder), ["c", "a/b", "link", "out", "fifo", "a", "missing"]))
    assert [one.path for one in found] == ["c", "a/b", "link", "out", "fifo", "a", "missing"]
    assert [one.failed or one.skipped for one in found] == [
        "",
        "",
        "",
        "a symbolic link that leads out of the folder",
        "a FIFO, not a file",
        "a folder, not a file",
        "No such file or directory",
    ]
    assert found[2].real_path == str(folder / "c")


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "../secret", "a/../c", "./c", "a//b", "a/", "", "a/./b", "c\0d"]
)
def test_paths_that_are_not_in_normal_form_are_refused(tmp_path: Path, path: str):
    folder = put(tmp_path / "in", "a/b", "c")
    put(tmp_path, "secret")
    assert "leaves the folder" in given_one(folder, path).failed


def test_named_files_are_not_reached_through_linked_folders(tmp_path: Path):
    folder = put(tmp_path / "in", "real/deep/file")
    put(tmp_path, "outside/secret", "outside/deep/file")
    (folder / "inner").symlink_to("real")
    (folder / "outer").symlink_to("../outside")
    (folder / "real/up").symlink_to("../../outside")
    for path in ("inner/deep/file", "outer/secret", "real/up/secret", "outer/deep/file"):
        found = given_one(folder, path)
        assert (found.real_path, found.skipped) == (
            "",
            "reached through a symbolic link to a folder",
        )
    assert given_one(folder, "real/deep/file").size_bytes == 14


def test_named_files_below_a_linked_root(tmp_path: Path):
    put(tmp_path, "real/a/b")
    (tmp_path / "link").symlink_to("real")
    assert given_one(tmp_path / "link", "a/b").real_path == str(tmp_path / "real/a/b")
