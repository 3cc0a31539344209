"""Disks written into drystone.toml: the text of others stays, and no fault leaves half of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from base.errors import ConfigError
from fsd.disks.config import DiskConfig, load_config
from fsd.disks.config_disks import put_back, read_paths, write_disk

BASE = """# Our store. path = "/mnt/b" was d2's first place.
ssd = 'ssd'
mount = "mount"

[store]
store_id = "5555"
"""
PLAIN = """
[[disk]]  # the old one
disk_id = "a1"
name = "d1"
path = "/mnt/same"   # bay 1

[[disk]]
path = '/mnt/same'
name = "d2"
disk_id = "b2"

[database]
path = "/mnt/same"
"""
INLINE = """disk = [{disk_id = "a1", name = "d1", path = "/mnt/same"},
  {disk_id = "b2", name = "d2", "path"="/mnt/same"}]
"""
PATHS = (
    "/mnt/b",
    "/mnt/with space",
    "/mnt/new\nline\rand\ttab",
    '/mnt/"quotes\'\'\'and"""more\\',
    "/mnt/\x7f\x01\u2028ä🐕",
    "/mnt/\\g<0>\\1$1%s{}",
    "/mnt/#none = [x]",
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "drystone.toml"
    path.write_text(BASE + PLAIN)
    return path


def d2(path: str) -> DiskConfig:
    return DiskConfig(disk_id="b2", name="d2", path=path)


def refused(config: Path, words: str, disk: DiskConfig | None = None) -> None:
    """The edit is an error that says so, and leaves the file and the folder as they were."""
    before, beside = config.read_bytes(), sorted(os.listdir(config.parent))
    with pytest.raises(ConfigError, match=words):
        write_disk(str(config), disk or d2("/mnt/b"))
    assert config.read_bytes() == before and sorted(os.listdir(config.parent)) == beside


@pytest.mark.parametrize("path", PATHS)
def test_a_disk_that_moves_changes_nothing_else(config: Path, path: str):
    before = config.read_bytes()
    assert write_disk(str(config), d2(path)) == before
    after = config.read_text()
    lines = BASE + PLAIN
    assert after.startswith(lines[: lines.index("'/mnt/same'")])
    assert after.endswith(lines[lines.index("'/mnt/same'") + len("'/mnt/same'") :])
    assert read_paths(str(config)) == {"a1": "/mnt/same", "b2": path}
    put_back(str(config), before)
    assert config.read_bytes() == before


@pytest.mark.parametrize("path", PATHS)
def test_a_new_disk_comes_after_everything_else(config: Path, path: str):
    write_disk(str(config), DiskConfig(disk_id="c3", name="d3", path=path))
    assert config.read_text().startswith(BASE + PLAIN)
    assert load_config(str(config)).disk[2].path == os.path.normpath(path)
    assert [one.name for one in load_config(str(config)).disk] == ["d1", "d2", "d3"]


def test_other_ways_to_write_it(config: Path):
    config.write_text(INLINE + BASE)
    write_disk(str(config), d2("/mnt/b"))
    assert read_paths(str(config)) == {"a1": "/mnt/same", "b2": "/mnt/b"}
    assert BASE in config.read_text()
    # There is no way to add one to such a list but by hand: it is said which lines.
    refused(config, 'make it say yourself(?s:.)*name = "d3"',
            DiskConfig(disk_id="c3", name="d3", path="/mnt/c"))  # fmt: skip
    config.write_bytes((BASE + PLAIN).replace("\n", "\r\n").encode())
    write_disk(str(config), d2("/mnt/b"))
    assert (
        config.read_bytes()
        == (BASE + PLAIN).replace("\n", "\r\n").replace("'/mnt/same'", '"/mnt/b"').encode()
    )


def test_a_path_is_written_relative_to_the_file_and_is_nobodys_home(config: Path):
    write_disk(str(config), d2(str(config.parent / "d2")))
    assert 'path = "d2"' in config.read_text()
    write_disk(str(config), d2(str(config.parent / "~root")))
    assert read_paths(str(config))["b2"] == str(config.parent / "~root")


def test_a_path_that_is_there_already_is_not_written_again(config: Path):
    before = os.stat(config)
    write_disk(str(config), d2("/mnt/same"))
    assert os.stat(config) == before


def test_a_link_stays_a_link_and_a_secret_a_secret(config: Path):
    real = config.parent / "elsewhere" / "real.toml"
    real.parent.mkdir()
    config.rename(real)
    config.symlink_to(real)
    real.chmod(0o600)
    write_disk(str(config), d2(str(config.parent / "d2")))
    assert config.is_symlink() and real.stat().st_mode & 0o777 == 0o600
    assert read_paths(str(config))["b2"] == str(config.parent / "d2")


def test_what_cannot_be_written_is_an_error_and_changes_nothing(config: Path):
    refused(config, "UTF-8", d2("/mnt/\udcff"))
    refused(config, "lists another disk as 'd1'", DiskConfig(disk_id="c", name="d1", path="/c"))
    in_the_way = config.parent / "drystone.toml.tmp"
    in_the_way.mkdir()
    refused(config, "cannot be written .*so nothing was changed")
    in_the_way.rmdir()
    config.write_text(BASE + PLAIN + "half an ed")
    refused(config, "is not valid TOML: .*so nothing was changed")
    assert read_paths(str(config)) == {}
    for other in ('disk = "none"\n', "disk = [1, 2]\n"):
        config.write_text(other + BASE)
        refused(config, "a way of its own", d2("/mnt/b"))
    config.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        write_disk(str(config), d2("/mnt/b"))
    assert os.listdir(config.parent) == []


@pytest.mark.parametrize("what", ["disk_id", "name"])
def test_two_disks_of_one_name_or_id_are_refused(config: Path, what: str):
    """As a section makes that was copied by hand, and not changed everywhere."""
    text = (BASE + PLAIN).partition("[database]")[0]
    twice = text.replace("b2", "a1") if what == "disk_id" else text.replace('"d2"', '"d1"')
    config.write_text(twice)
    with pytest.raises(ConfigError, match=f"disk: .*two of them have the {what} '[ad]1'"):
        load_config(str(config))


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount")
def test_a_file_that_is_mounted_read_only_is_an_error(config: Path):
    subprocess.run(["mount", "--bind", config, config], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", config], check=True)
        refused(config, "cannot be written .*so nothing was changed")
    finally:
        subprocess.run(["umount", config], check=True)


def test_two_who_write_at_once_both_are_heard(config: Path):
    disks = [DiskConfig(disk_id=f"n{n}", name=f"n{n}", path=f"/mnt/n{n}") for n in range(12)]
    with ThreadPoolExecutor(4) as workers:
        list(workers.map(lambda one: write_disk(str(config), one), disks))
    assert {one.disk_id for one in disks} <= set(read_paths(str(config)))


WRITE_FOR_EVER = """
import itertools, sys
from fsd.disks.config import DiskConfig
from fsd.disks.config_disks import write_disk
for path in itertools.cycle(("/mnt/x", "/mnt/a much longer path than the other one")):
    write_disk(sys.argv[1], DiskConfig(disk_id="b2", name="d2", path=path))
    print(path, flush=True)
"""


@pytest.mark.fault
def test_kill_9_leaves_the_old_file_or_the_new_one(config: Path):
    wanted = {"/mnt/x", "/mnt/a much longer path than the other one"}
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", WRITE_FOR_EVER, str(config)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None and writer.stdout.readline()
            time.sleep(0.005)
            writer.send_signal(signal.SIGKILL)
        document = tomllib.loads(config.read_text())
        assert document["disk"][1]["path"] in wanted
        assert read_paths(str(config))["a1"] == "/mnt/same"
    write_disk(str(config), d2("/mnt/same"))  # Whatever lies beside it is in nobody's way.
    assert sorted(os.listdir(config.parent)) == ["drystone.toml"]
