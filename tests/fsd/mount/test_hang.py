"""A disk that hangs in the kernel: the engine and the mount go on reading from the others."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab import EmulatedDisk, HddModel, why_not
from store_checks import (
    assert_clean,
    assert_sealed,
    disk,
    finish,
    key_of,
    keys_of,
    read_object,
    settle,
    until,
    wait_for_state,
    write_manifest,
)
from store_harness import MIB, Store, with_settings, write_files

from fsd.engine.setup import init_store

pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "the lab is there"),
]

DISKS = 3
DISK_BYTES = 256 * MIB
READERS = 4
STALL_TIMEOUT_S = 3.0
HUNG = 1


@pytest.fixture
def lab_store(
    short_tmp: str, request: pytest.FixtureRequest
) -> Iterator[tuple[Store, list[EmulatedDisk]]]:
    """A started store on emulated disks; the parameter is its stall limit."""
    root = os.path.join(short_tmp, "s")
    os.makedirs(root)
    disks: list[EmulatedDisk] = []
    stores: list[Store] = []
    try:
        for number in range(DISKS):
            path = os.path.join(root, f"d{number}")
            disks.append(EmulatedDisk(path, HddModel(DISK_BYTES), fast=True, work=short_tmp))
            disks[-1].start()
        paths = [one.path for one in disks]
        init_store(root, paths, None, min_free_bytes=MIB, shard_size_bytes=MIB)
        config = with_settings(root, stall_timeout_s=getattr(request, "param", STALL_TIMEOUT_S))
        stores.append(Store(root, config, paths))
        stores[0].start()
        yield stores[0], disks
    finally:
        for one in disks:
            one.control("resume")
        for store in stores:
            store.stop()
        for one in disks:
            one.close()


def read_all(read: Callable[[bytes], bytes], contents: list[bytes]) -> None:
    shuffled = random.Random(1).sample(contents, len(contents))
    with ThreadPoolExecutor(READERS) as readers:
        assert list(readers.map(read, shuffled)) == shuffled


@pytest.mark.fault
def test_reads_through_engine_and_mount_while_a_disk_hangs(lab_store, short_tmp):
    """Before the hang is noticed, while its process cannot be killed, and when it is over."""
    store, disks = lab_store
    files = {f"{n}": os.urandom(3000 + 100 * n) for n in range(150)}
    files |= {f"large{n}": os.urandom((2 + n) * MIB + 5) for n in range(3)}
    store.put(write_files(os.path.join(short_tmp, "source"), files), "first")
    settle(store)
    point = store.mount()
    contents = list(files.values())

    def through_mount(content: bytes) -> bytes:
        key = key_of(content)
        with open(os.path.join(point, "objects", key[:2], key[2:4], key), "rb") as file:
            return file.read()

    disks[HUNG].control("hang")
    for _ in range(2):
        read_all(lambda content: read_object(store, key_of(content)), contents)
    read_all(through_mount, contents)
    # Its processes are stuck in the kernel now, and killed as soon as they are not.
    wait_for_state(store, HUNG, "missing")
    read_all(lambda content: read_object(store, key_of(content)), contents)
    disks[HUNG].control("resume")
    wait_for_state(store, HUNG, "online")
    read_all(lambda content: read_object(store, key_of(content)), contents)
    until(lambda: disk(store, HUNG).health in ("ok", "suspect"), "its judgement")
    assert not [name for name in os.listdir(store.root) if name.startswith(".drystone-")]
    assert_clean(store)


@pytest.mark.fault
@pytest.mark.parametrize("lab_store", [120.0], indirect=True)
def test_an_export_ends_while_a_disk_hangs(lab_store, short_tmp):
    """Long before the limit that ends its process: it gives back what it has not begun."""
    store, disks = lab_store
    files = {f"{n}": os.urandom(3000 + 100 * n) for n in range(300)}
    files |= {f"large{n}": os.urandom((2 + n) * MIB + 5) for n in range(6)}
    store.put(write_files(os.path.join(short_tmp, "source"), files), "first")
    settle(store)
    manifest = write_manifest(os.path.join(short_tmp, "m"), keys_of(files))
    # The manifest is an object now: the one below does not wait for the disk to write it.
    finish(store, store.client.export_to_3d(manifest, "set", "before").job_id)
    disks[HUNG].control("hang")
    answer = store.client.export_to_3d(manifest, "set", "meanwhile")
    finish(store, answer.job_id)
    assert_sealed(answer.target_root, files)
    assert disk(store, HUNG).state == "online"
    disks[HUNG].control("resume")
    read_all(lambda content: read_object(store, key_of(content)), list(files.values()))
    assert_sealed(answer.target_root, files)
    assert_clean(store)
