"""Making a store: what `init` refuses, and that a refusal leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from command import drystone

from base.config import CONFIG_NAME
from base.errors import UsageError
from fsd.disk_io.place.identity import check_identity, read_identity
from fsd.disks.config import load_config
from fsd.engine.setup import init_store
from fsd.format.errors import DiskRefusedError
from fsd.replicas.disk_rebind import rebind_disk


@pytest.fixture
def mounted(tmp_path) -> Iterator[str]:
    if os.geteuid() != 0:
        pytest.skip("mounting a filesystem needs root")
    point = tmp_path / "hdd1"
    point.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(point)])
    if made.returncode:
        pytest.skip("no filesystem can be mounted here")
    yield str(point)
    subprocess.run(["umount", "-l", str(point)], check=True)


def test_an_empty_mount_point_beside_mounted_disks_is_refused(mounted, disk_tmp):
    """On a disk: a folder in memory is no part of the root's filesystem."""
    empty, root = os.path.join(disk_tmp, "hdd2"), os.path.join(disk_tmp, "store")
    os.mkdir(empty)
    with pytest.raises(UsageError, match="is it mounted"):
        init_store(root, [mounted, empty], None)
    assert not os.path.exists(root)
    assert os.listdir(mounted) == os.listdir(empty) == []


def test_the_areas_have_quotas_by_the_size_of_the_ssd(tmp_path, disk_tmp):
    config = init_store(str(tmp_path / "store"), [str(tmp_path / name) for name in "ab"], disk_tmp)
    found = os.statvfs(disk_tmp)
    quotas = config.quota.by_area()
    assert 0.8 < sum(quotas.values()) / (found.f_blocks * found.f_frsize) < 0.9
    assert min(quotas.values()) > 0 and max(quotas, key=quotas.__getitem__) == "3c"


def test_folders_of_one_device_are_a_try_out(tmp_path):
    disks = [str(tmp_path / name) for name in ("a", "b")]
    config = init_store(str(tmp_path / "store"), disks, None)
    assert config.store.allow_same_device
    assert [read_identity(path)["name"] for path in disks] == ["a", "b"]


@pytest.mark.parametrize("disks", [[], ["a"], ["a", "a"]])
def test_too_few_disks_are_refused(tmp_path, disks):
    with pytest.raises(UsageError):
        init_store(str(tmp_path / "store"), [str(tmp_path / name) for name in disks], None)
    assert not (tmp_path / "store" / CONFIG_NAME).exists()


def test_a_copied_disk_takes_the_original_s_place_only_when_told(tmp_path):
    disks = [str(tmp_path / name) for name in ("a", "b")]
    config = init_store(str(tmp_path / "store"), disks, None)
    copy = str(tmp_path / "copy")
    shutil.copytree(disks[0], copy)
    identity = read_identity(disks[0])["disk_id"], config.store.store_id
    with pytest.raises(DiskRefusedError, match="disk rebind"):
        check_identity(copy, *identity)
    written = os.path.join(config.root, CONFIG_NAME)
    with pytest.raises(UsageError, match="still there"):
        rebind_disk(config, written, "a", copy)
    shutil.rmtree(disks[0])
    rebind_disk(config, written, "a", copy)
    check_identity(copy, *identity)


def test_a_disk_of_another_store_is_refused(tmp_path):
    disks = [str(tmp_path / name) for name in ("a", "b", "c")]
    init_store(str(tmp_path / "one"), disks[:2], None)
    with pytest.raises(UsageError, match="already is a disk"):
        init_store(str(tmp_path / "two"), disks[1:], None)


def test_one_copy_is_asked_for_first(tmp_path):
    root, disk = str(tmp_path / "store"), str(tmp_path / "hdd1")
    one = ("--copies", "1", "--copies-generated", "1")
    asked = ("init", root, "--disk", disk, *one)
    for answer in (b"n\n", b""):
        refused = drystone(*asked, input=answer, expect=1)
        assert b"a disk that dies takes its files with it" in refused.stderr
        assert not os.path.exists(root) and not os.path.exists(disk)
    drystone(*asked, input=b"y\n")
    assert load_config(os.path.join(root, CONFIG_NAME)).store.copies_raw == 1
    other, second = str(tmp_path / "other"), str(tmp_path / "hdd2")
    drystone("init", other, "--disk", second, *one, "--yes", stdin=subprocess.DEVNULL)
    assert os.path.exists(os.path.join(other, CONFIG_NAME))
