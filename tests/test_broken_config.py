"""drystone.toml that is cut off or broken: it is refused, and what runs is stopped all the same."""

from __future__ import annotations

import os
import tomllib

import pytest
from command import drystone

from base.config import END_LINE, LAST_NAME, read_config
from base.errors import ConfigError
from fsd.disks.config import DiskConfig, load_config
from fsd.disks.config_disks import write_disk
from fsd.engine.setup import init_store


@pytest.fixture
def config_path(short_tmp: str) -> str:
    root = os.path.join(short_tmp, "store")
    paths = [os.path.join(root, f"d{n}") for n in range(2)]
    made = init_store(root, paths, None, min_free_bytes=1 << 20, shard_size_bytes=1 << 20)
    return os.path.join(made.root, "drystone.toml")


def content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def test_cut_off_anywhere_it_is_refused(config_path: str):
    whole = content(config_path)
    valid = 0
    first = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    for length in range(first, len(whole) - 1):
        write(config_path, whole[:length])
        with pytest.raises(ConfigError):
            load_config(config_path)
        try:
            tomllib.loads(whole[:length].decode())
            valid += 1
        except tomllib.TOMLDecodeError:
            pass
    assert valid > 20, "half of it is TOML often enough"
    write(config_path, whole)
    assert len(load_config(config_path).disk) == 2


def test_a_disk_and_a_section_that_are_added_leave_it_whole(config_path: str):
    write_disk(config_path, DiskConfig(disk_id="x", name="new", path="/mnt/new"))
    assert content(config_path).decode().splitlines()[-1] == END_LINE
    write(config_path, content(config_path) + b'[alerts]\ncommand = ["true"]\n')
    assert [disk.name for disk in load_config(config_path).disk][-1] == "new"


def test_one_of_before_that_promises_no_end_is_read(config_path: str):
    lines = content(config_path).decode().splitlines()
    former = [line for line in lines if END_LINE not in line]
    write(config_path, "\n".join(former).encode())
    assert len(load_config(config_path).disk) == 2


@pytest.mark.parametrize("broken", ["cut off", "no TOML", "refused"])
def test_what_runs_is_stopped_whatever_became_of_the_file(config_path: str, broken: str):
    whole = content(config_path)
    drystone("up", "--no-mount", "--config", config_path)
    changed = {
        "cut off": whole[: whole.index(b"[[disk]]")],
        "no TOML": whole[: len(whole) // 2] + b"= = =\n",
        "refused": whole.replace(b"copies_raw", b"copies_rew"),
    }[broken]
    try:
        write(config_path, changed)
        refused = drystone("up", "--config", config_path, expect=2)
        assert b"Traceback" not in refused.stderr
        stopped = drystone("down", "--config", config_path)
        assert b"the engine is down\n" in stopped.stderr and b"warning: " in stopped.stderr
        assert b"the database is down\n" in stopped.stderr
        kept = os.path.join(os.path.dirname(config_path), LAST_NAME)
        assert read_config(kept).content == whole
        if broken != "refused":
            assert kept.encode() in refused.stderr, "it says from where to repair it"
    finally:
        write(config_path, whole)
        drystone("down", "--config", config_path)
