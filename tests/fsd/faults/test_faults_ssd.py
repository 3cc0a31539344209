"""An SSD that is too small or fills up: nothing half-made stays, and nothing stored is lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess

import pytest
from engine_processes import children
from store_checks import (
    assert_clean,
    assert_readable,
    assert_sealed,
    finish,
    key_of,
    keys_of,
    put,
    until,
    write_manifest,
)
from store_harness import MIB, with_quota, with_settings, write_files

from base.errors import DrystoneError
from fsd.format.errors import QuotaError


@pytest.fixture
def small_ssd(short_tmp):
    """A folder on a small tmpfs."""
    if os.getuid() != 0:
        pytest.skip("needs root to mount a tmpfs")
    path = os.path.join(short_tmp, "ssd")
    os.makedirs(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", "-l", path], check=True)


@pytest.fixture
def small_store(small_ssd, short_tmp):
    """A started store with its SSD areas (and its index) on the small tmpfs."""
    from store_harness import Store

    from fsd.engine.setup import init_store

    root = os.path.join(short_tmp, "store")
    paths = [os.path.join(root, f"d{n}") for n in range(2)]
    init_store(root, paths, small_ssd, min_free_bytes=MIB, shard_size_bytes=4 * MIB)
    with_quota(root, exports_bytes=0)  # The partition is what is full here.
    store = Store(root, with_settings(root, stall_timeout_s=3.0), paths)
    store.start()
    yield store
    store.stop()


def test_an_export_that_does_not_fit_is_refused_up_front(small_store, tmp_path):
    files = {f"f{n}": os.urandom(MIB) for n in range(60)}
    put(small_store, write_files(str(tmp_path / "source"), files), "first")
    manifest = write_manifest(str(tmp_path / "m"), keys_of(files))
    with pytest.raises(QuotaError, match="partition"):
        small_store.client.export_to_3d(manifest, "set", "plain")
    assert [n for n in os.listdir(small_store.config.area_path("3d")) if n != ".tmp"] == []
    some = write_manifest(str(tmp_path / "n"), keys_of(dict(list(files.items())[:10])))
    answer = small_store.client.export_to_3d(some, "set", "plain")
    finish(small_store, answer.job_id)
    assert_sealed(answer.target_root, dict(list(files.items())[:10]))


def fill(path: str) -> None:
    """Write a file until there is no room."""
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 12))


@pytest.mark.fault
def test_an_export_during_which_the_ssd_fills_up_cleans_up(small_store, small_ssd, tmp_path):
    files = {f"f{n}": os.urandom(MIB // 2) for n in range(50)}
    put(small_store, write_files(str(tmp_path / "source"), files), "first")
    manifest = write_manifest(str(tmp_path / "m"), keys_of(files))
    # The manifest is stored by now, so that the export's first need of room is for its files.
    finish(small_store, small_store.client.export_to_3d(manifest, "v", "v", mode="view").job_id)
    temporary = os.path.join(small_store.config.area_path("3d"), ".tmp", "set,plain")
    filler = os.path.join(small_ssd, "somebody's file")
    disks = [child.pid for child in children(small_store.config)]
    for pid in disks:
        os.kill(pid, signal.SIGSTOP)
    try:
        answer = small_store.client.export_to_3d(manifest, "set", "plain")
        until(lambda: os.path.isdir(temporary), "the export to begin")
        fill(filler)
    finally:
        for pid in disks:
            os.kill(pid, signal.SIGCONT)
    ended = small_store.client.wait(answer.job_id)
    assert ended.state == "failed" and "SSD is full" in str(ended.error), ended
    assert not os.path.exists(answer.target_root) and not os.path.exists(temporary)
    states = {d.state for d in small_store.client.disks()}
    assert states == {"online"}, "the SSD was full, not a disk"
    os.unlink(filler)
    assert {usage.reserved_bytes for usage in small_store.client.capacity().areas} == {0}
    answer = small_store.client.export_to_3d(manifest, "set", "plain")
    finish(small_store, answer.job_id)
    assert_sealed(answer.target_root, files)


@pytest.mark.fault
def test_a_put_while_the_ssd_is_full(small_store, small_ssd, tmp_path):
    """The put is refused before anything is stored, says what to do, and later it goes on."""
    files = {f"f{n}": os.urandom(20 + n % 50) for n in range(20_000)}
    source = write_files(str(tmp_path / "source"), files)
    filler = os.path.join(small_ssd, "filler")
    fill(filler)
    job = small_store.client.wait(small_store.client.batch_write(source, "first").job_id)
    assert job.state == "failed", job
    assert "the SSD is full" in str(job.error) and "remove exports" in str(job.error), job
    assert list(small_store.client.report(job.job_id)) == small_store.client.batches() == []
    os.unlink(filler)
    put(small_store, source, "first")
    listed = {f.path: f.key for f in small_store.client.batch_files("first")}
    assert listed == keys_of(files)
    assert_clean(small_store)
    assert_readable(small_store, dict(list(files.items())[::100]))


@pytest.mark.fault
def test_an_output_that_cannot_be_written_leaves_nothing(small_store, small_ssd, tmp_path):
    data = os.urandom(60 * MIB)
    put(small_store, write_files(str(tmp_path / "source"), {"one": data}), "first")
    output = os.path.join(small_ssd, "output")
    with pytest.raises(DrystoneError, match="full"):
        small_store.client.read(key_of(data), output)
    assert not os.path.exists(output)
    with pytest.raises(DrystoneError, match="exists"):
        small_store.client.read(key_of(data), str(tmp_path / "source" / "one"))
    assert json.loads(json.dumps(small_store.client.health().state)) == "ok"
