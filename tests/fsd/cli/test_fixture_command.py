"""`drystone fixture` as somebody calls it: unequal disks, files of known sizes, taken away."""

from __future__ import annotations

import filecmp
import json
import os

import numpy as np
import pytest
from command import drystone
from loop_disks import needs_loop

from base.errors import UsageError
from fsd.client.client import Client
from fsd.disks.config import load_config
from fsd.fixture.corpus import even_sizes, make_corpus, sizes, write_files
from fsd.fixture.disks import mounts_below
from fsd.fixture.store import disk_sizes_of, make_fixture

SMALL = disk_sizes_of("32,32")


@pytest.mark.parametrize(
    "loop", [False, pytest.param(True, marks=needs_loop)], ids=["folders", "loop"]
)
def test_it_is_made_filled_and_taken_away(short_tmp: str, loop: bool):
    work = os.path.join(short_tmp, "try")
    given = ["--files", "120", "--disks", "160,120,90", *["--loop"] * loop]
    answer = json.loads(drystone("fixture", work, *given, "--json").stdout)
    try:
        assert answer["count"] == 120 and answer["root"] == work
        config = load_config(os.path.join(work, "drystone.toml"))
        assert [disk.name for disk in config.disk] == ["d1", "d2", "d3"]
        assert len(mounts_below(work)) == 3 * loop
        if loop:
            found = [os.statvfs(disk.path) for disk in config.disk]
            assert len({one.f_blocks for one in found}) == 3, "they are unequal"
        path = os.path.join(work, "drystone.toml")
        drystone("up", "--no-mount", "--config", path)
        drystone("put", answer["files"], "--batch", "first", "--config", path)
        stored = Client(config.socket_path).batch("first")
        assert (stored.files, stored.size_bytes) == (120, answer["size_bytes"])
    finally:
        drystone("fixture", work, "--clean")
    assert not os.path.exists(work) and not mounts_below(short_tmp)


def test_95_in_100_are_small_and_the_seed_decides(tmp_path):
    many = np.array(sizes("mixed", 2_000))
    small, large = many[many < 300_000], many[many >= 8_000_000]
    assert (len(many), len(large)) == (2_000, 20)
    # The 95 % have no limit but a distribution: some of them are as large as the 4 %.
    assert 1_900 - 20 < len(small) <= 1_900 and 22_000 < np.median(small) < 26_000
    folders = [str(tmp_path / name) for name in ("one", "same", "other")]
    pairs = zip(folders, (7, 7, 8), strict=True)
    made = [make_corpus("small", 60, folder, seed) for folder, seed in pairs]
    assert made[0].sizes == made[1].sizes != made[2].sizes
    paths = list(made[0].sizes)
    assert filecmp.cmpfiles(folders[0], folders[1], paths, shallow=False) == (paths, [], [])
    assert filecmp.cmpfiles(folders[0], folders[2], paths, shallow=False)[0] == []
    sized = even_sizes(5, 10, 20)
    written = write_files(str(tmp_path / "png"), sized, extension="png", head=b"<", tail=b">")
    assert list(written.values()) == [size + 2 for size in sized]
    for path, size in written.items():
        content = (tmp_path / "png" / path).read_bytes()
        assert len(content) == size and content[:1] + content[-1:] == b"<>"


def test_what_cannot_be_made_is_told_and_nothing_is_left(short_tmp: str):
    work = os.path.join(short_tmp, "try")
    for given, said in (
        (["--disks", "5,x"], b"is no list of sizes"),
        (["--disks", "100"], b"at least 2 disks"),
        (["--disks", "100,1"], b"at least 32 MiB"),
        (["--files", "9999999"], b"ask for fewer files"),
    ):
        assert said in drystone("fixture", work, *given, expect=2).stderr
        assert not os.path.exists(work)
    os.mkdir(work)
    with open(os.path.join(work, "mine"), "w", encoding="ascii"):
        pass
    assert b"is not empty" in drystone("fixture", work, expect=2).stderr
    assert b"there is no demo in" in drystone("fixture", work, "--clean", expect=2).stderr
    assert os.listdir(work) == ["mine"]


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount filesystems")
def test_more_than_fits_on_the_disks_is_refused(short_tmp: str):
    with pytest.raises(UsageError, match="do not fit on disks of"):
        make_fixture(os.path.join(short_tmp, "small"), 2_000, loop=True, sizes_mib=SMALL)
    assert os.listdir(short_tmp) == []
