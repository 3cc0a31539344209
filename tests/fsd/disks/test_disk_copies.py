"""Copies of disks, beside the original and in its place: only what was rebound is the disk."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import drystone, environment
from disk_folders import ODD, folder, mounting, moved, where
from store_checks import until
from store_harness import Store

from base.errors import UsageError
from fsd.disk_io.place.identity import make_identity, read_identity, write_identity
from fsd.format.errors import DiskRefusedError
from fsd.format.layout import IDENTITY_NAME
from fsd.replicas.disk_rebind import rebind_disk


@pytest.fixture
def mounts() -> Iterator[Callable[..., str]]:
    with mounting() as mount:
        yield mount


@pytest.mark.fault
def test_a_copy_beside_the_original_is_never_taken_for_it(store, short_tmp):
    made: Store = store(2)
    copy = os.path.join(short_tmp, "copy")
    shutil.copytree(made.disks[0], copy)
    with pytest.raises(UsageError, match="is a copy of d1, which is in use at"):
        made.client.disk_add(copy)
    before = where(made)
    made.stop()
    # drystone.toml says the copy's place, and the original is somewhere else.
    moved(made, 0, os.path.join(made.root, "d9"))
    os.rename(copy, os.path.join(made.root, "d1"))
    made.start()
    assert "looks like a copy of disk d1" in made.client.disks()[0].reason
    with pytest.raises(DiskRefusedError, match="drystone disk rebind d1"):
        made.client.disk_add(os.path.join(made.root, "d1"))
    assert where(made) == before
    assert made.client.disk_add(made.disks[0]).state == "online"


@pytest.mark.fault
def test_the_original_is_found_behind_its_copy(store, short_tmp, mounts):
    made: Store = store(2)
    made.stop()
    original, place = made.disks[0], mounts(f"{short_tmp}/m", "-t", "tmpfs", "none")
    shutil.copytree(original, f"{original}.copy")
    shutil.move(original, f"{place}/x")
    os.rename(f"{original}.copy", original)
    document = read_identity(f"{place}/x")
    make_anew(f"{place}/x", document)
    bound = mounts(f"{short_tmp}/bound", "--bind", f"{place}/x")
    made.start()
    one = made.client.disks()[0]
    assert (one.state, one.path) == ("online", bound)


def make_anew(path: str, document: dict[str, object]) -> None:
    """Make a folder the disk of this document."""
    fresh = folder(f"{path}.fresh")
    binding = make_identity(fresh, "x", "x")["binding"]
    write_identity(path, {**document, "binding": {**binding, "root_inode": os.stat(path).st_ino}})
    shutil.rmtree(fresh)


def test_a_rebind_is_written_down_and_a_running_engine_follows(store, short_tmp):
    made: Store = store(2)
    copy = os.path.join(short_tmp, ODD)
    shutil.copytree(made.disks[0], copy)
    refused = drystone("disk", "rebind", "d1", copy, env=environment(made), expect=2)
    assert b"the original is still there" in refused.stderr
    shutil.rmtree(made.disks[0])
    until(lambda: made.client.disks()[0].state == "missing", "the disk to be missing")
    # Another disk at the original's place is not the original.
    assert made.client.disk_add(folder(made.disks[0])).name == "d3"
    os.mkdir(f"{made.config_path}.tmp")
    identity = Path(copy, IDENTITY_NAME).read_bytes()
    drystone("disk", "rebind", "d1", copy, env=environment(made), expect=2)
    assert Path(copy, IDENTITY_NAME).read_bytes() == identity
    os.rmdir(f"{made.config_path}.tmp")
    drystone("disk", "rebind", "d1", copy, env=environment(made))
    assert where(made)["d1"] == copy
    until(lambda: made.client.disks()[0].state == "online", "the copy to be found")
    assert made.client.disks()[0].path == copy


def test_a_rebind_is_refused_while_the_original_is_mounted_elsewhere(store, short_tmp, mounts):
    made: Store = store(2)
    made.stop()
    copy = os.path.join(short_tmp, "copy")
    shutil.copytree(made.disks[0], copy)
    moved(made, 0, os.path.join(short_tmp, "kept"))
    elsewhere = mounts(f"{short_tmp}/elsewhere", "--bind", made.disks[0])
    with pytest.raises(UsageError, match=f"still there .{elsewhere}"):
        rebind_disk(made.config, made.config_path, "d1", copy)
    with pytest.raises(UsageError, match="holds no copy of d1"):
        rebind_disk(made.config, made.config_path, "d1", short_tmp)
    assert where(made)["d1"] == os.path.join(made.root, "d1")


def test_a_rebind_of_what_cannot_be_written_changes_nothing(store, short_tmp, mounts):
    made: Store = store(2)
    made.stop()
    copy = os.path.join(short_tmp, "copy")
    shutil.copytree(made.disks[0], copy)
    shutil.rmtree(made.disks[0])
    mounts(copy, "--bind", copy)
    subprocess.run(["mount", "-o", "remount,bind,ro", copy], check=True)
    before = Path(made.config_path).read_bytes()
    with pytest.raises(DiskRefusedError, match="Read-only file system; mount it writable"):
        rebind_disk(made.config, made.config_path, "d1", copy)
    assert Path(made.config_path).read_bytes() == before
