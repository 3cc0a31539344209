"""Small files: replaced whole or not at all, and read as damaged whatever they hold."""

from __future__ import annotations

import os

import pytest
from store_harness import write_files

from fsd.format.layout import EPOCH_NAME, IDENTITY_NAME
from fsd.process.small_file import parse_json, replace_file

DEEP = b"[" * 200_000 + b"]" * 200_000
NO_JSON = [b"", b"{", b"\xff\xfe", b"\0" * 4096, DEEP, b'{"a":' * 200_000]


@pytest.mark.parametrize("text", NO_JSON, ids=range(len(NO_JSON)))
def test_what_is_no_json_is_one_kind_of_error(text):
    with pytest.raises(ValueError):
        parse_json(text)


def test_a_file_is_replaced_or_stays(tmp_path, monkeypatch):
    path = tmp_path / "file"
    replace_file(str(path), b"old")
    monkeypatch.chdir(tmp_path)
    replace_file("file", b"new")
    assert path.read_bytes() == b"new"
    os.mkdir("folder")
    with pytest.raises(OSError):
        replace_file("folder", b"newer")
    assert sorted(os.listdir()) == ["file", "folder", "folder.tmp"]


def test_a_store_starts_whatever_its_memory_of_disks_holds(store, tmp_path):
    one = store(2)
    files = {"a": os.urandom(20_000)}
    keys = one.put(write_files(str(tmp_path / "files"), files), "first")
    one.stop()
    watch = one.config.watch_dir
    for name in ("health.json", "alerts.json", "disk_models.json", "smart.json"):
        with open(os.path.join(watch, name), "wb") as file:
            file.write(DEEP)
    for name in (IDENTITY_NAME, EPOCH_NAME):
        with open(os.path.join(one.disks[0], name), "wb") as file:
            file.write(DEEP)
    one.start()
    assert [disk.state for disk in one.client.disks()] == ["online", "online"]
    one.client.read(keys["a"], str(tmp_path / "read"))
    assert (tmp_path / "read").read_bytes() == files["a"]
