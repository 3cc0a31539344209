"""Small files: replaced whole or not at all, and read as damaged whatever they hold."""

from __future__ import annotations

import errno
import os

import pytest
from store_harness import write_files

from base.files import OWNER_AS_IT_IS, parse_json, remove_folder, sync_filesystem, write_durably
from fsd.disks.watch_file import WatchFile
from fsd.format.layout import EPOCH_NAME, IDENTITY_NAME

DEEP = b"[" * 200_000 + b"]" * 200_000
NO_JSON = [b"", b"{", b"\xff\xfe", b"\0" * 4096, DEEP, b'{"a":' * 200_000]


@pytest.mark.parametrize("text", NO_JSON, ids=range(len(NO_JSON)))
def test_what_is_no_json_is_one_kind_of_error(text):
    with pytest.raises(ValueError):
        parse_json(text)


def test_a_file_is_replaced_or_stays(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_durably(str(path), b"old")
    monkeypatch.chdir(tmp_path)
    write_durably("file", b"new")
    assert path.read_bytes() == b"new"
    os.mkdir("folder")
    with pytest.raises(OSError):
        write_durably("folder", b"newer")
    assert sorted(os.listdir()) == ["file", "folder"]


def test_a_store_starts_whatever_its_memory_of_disks_holds(store, tmp_path):
    one = store(2)
    files = {"a": os.urandom(20_000)}
    keys = one.put(write_files(str(tmp_path / "files"), files), "first")
    one.stop()
    watch = one.config.watch_dir
    saved = WatchFile(watch)
    for kind in ("health", "alerts", "model", "suspect"):
        rows = {name: [[3]] for name in ("raised", "outbox", one.config.disk[0].disk_id)}
        saved.write(kind, rows)
    saved.close()
    for name in (IDENTITY_NAME, EPOCH_NAME):
        with open(os.path.join(one.disks[0], name), "wb") as file:
            file.write(DEEP)
    one.start()
    assert [disk.state for disk in one.client.disks()] == ["online", "online"]
    one.client.read(keys["a"], str(tmp_path / "read"))
    assert (tmp_path / "read").read_bytes() == files["a"]


def test_mode_and_owner_are_exact_and_a_planted_link_is_not_followed(tmp_path):
    path, victim = tmp_path / "file", tmp_path / "victim"
    victim.write_bytes(b"stays")
    (tmp_path / "file.tmp").symlink_to(victim)
    before = os.umask(0o077)
    try:
        write_durably(str(path), b"a", mode=0o644)
        assert path.stat().st_mode & 0o777 == 0o600
        write_durably(str(path), b"b", mode=0o644, owner=OWNER_AS_IT_IS)
        assert path.stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)
    assert path.read_bytes() == b"b" and victim.read_bytes() == b"stays"
    if os.geteuid() == 0:
        write_durably(str(path), b"c", mode=0o600, owner=(65534, 65534))
        assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


def test_a_write_that_fails_leaves_the_old(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_durably(str(path), b"old")

    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "the disk")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="the disk"):
        write_durably(str(path), b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


def test_a_folder_is_removed_with_what_a_crash_left_of_an_earlier_removal(tmp_path):
    for name in ("batch", ".removed-batch"):
        (tmp_path / name / "in").mkdir(parents=True)
    remove_folder(str(tmp_path / "batch"))
    remove_folder(str(tmp_path / "batch"))
    assert os.listdir(tmp_path) == []


def test_a_filesystem_is_synced_by_folder_and_by_descriptor(tmp_path):
    sync_filesystem(tmp_path)
    with pytest.raises(OSError, match="discard what was written"):
        sync_filesystem(10_000)
