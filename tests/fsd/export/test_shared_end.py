"""The end of a copy: a disk that has nothing left takes over what another one has not begun."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from lab import EmulatedDisk, HddModel, why_not
from store_checks import assert_sealed, keys_of, until, write_manifest
from store_harness import MIB, with_settings, write_files

from fsd.documents.models import BatchWriteRequest, MaterialiseRequest
from fsd.engine.engine import Engine
from fsd.engine.setup import init_store
from fsd.export import copy_run

pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "the lab is there"),
]

DISK_BYTES = 256 * MIB
SHARD_BYTES = MIB
FILE_BYTES = 100_000
FILES = 120
HELD = 0
PER_SHARD = SHARD_BYTES // FILE_BYTES


@pytest.fixture
def disks(short_tmp: str) -> Iterator[list[EmulatedDisk]]:
    made: list[EmulatedDisk] = []
    try:
        for number in range(2):
            path = os.path.join(short_tmp, f"d{number}")
            made.append(EmulatedDisk(path, HddModel(DISK_BYTES), fast=True, work=short_tmp))
            made[-1].start()
        yield made
    finally:
        for one in made:
            one.control("resume")
            one.close()


def exported(engine: Engine, manifest: str, target_id: str) -> Callable[[], int]:
    """Begin an export; returns how to ask for the files that are done."""
    request = MaterialiseRequest(manifest=manifest, target_id=target_id, layout_id="plain")
    job = engine.jobs.get(engine.materialise("exports", request).job_id)
    return lambda: job.done_files


def test_what_a_late_disk_has_not_begun_is_done_by_the_other(
    disks: list[EmulatedDisk], short_tmp: str, monkeypatch: pytest.MonkeyPatch
):
    """It is late beyond measure here, and nobody takes it for a disk that hangs."""
    monkeypatch.setattr(copy_run, "HANG_S", 1e6)
    root = os.path.join(short_tmp, "s")
    os.makedirs(root)
    paths = [one.path for one in disks]
    init_store(root, paths, None, min_free_bytes=MIB, shard_size_bytes=SHARD_BYTES)
    engine = Engine(with_settings(root, stall_timeout_s=1e6))
    engine.start()
    try:
        files = {f"{number}": os.urandom(FILE_BYTES) for number in range(FILES)}
        source = write_files(os.path.join(short_tmp, "source"), files)
        job = engine.batch_write(BatchWriteRequest(folder=source, batch="all"))
        until(lambda: job.state == "done", "the put")
        manifest = write_manifest(os.path.join(short_tmp, "m"), keys_of(files))
        # The manifest is an object afterwards: the next export writes nothing to a disk.
        done = exported(engine, manifest, "before")
        until(lambda: done() == FILES, "the first export")
        disks[HELD].control("hang")
        done = exported(engine, manifest, "meanwhile")
        # Of its two segments in flight, of a shard each, it keeps the one that it reads.
        until(lambda: done() >= FILES - PER_SHARD, "all but what is being read")
        disks[HELD].control("resume")
        until(lambda: done() == FILES, "the rest")
        target = os.path.join(engine.config.area_path("3d"), "meanwhile", "plain")
        until(lambda: os.path.exists(target), "the seal")
        assert_sealed(target, files)
    finally:
        disks[HELD].control("resume")
        engine.stop()
