"""What the engine keeps in memory has a bound that neither the batch nor the store moves."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from collections.abc import Callable

from store_harness import with_settings

from bench.growth.watch import anonymous_bytes, peaks
from fsd.cli.daemons import daemon
from fsd.disks.config import Config
from fsd.documents.models import JobStatus
from fsd.format.record import Entry, pack_entry, pack_footer_of

FILES = 40_000
PUT_BYTES_MAX = 36 << 20
"""Groups as large as a batch part took 54 MB for these files."""
REINDEX_BYTES_MAX = 11 << 20
"""An object for each entry of a shard took 17 MB."""
ENTRIES = 50_000
FOOTER_BYTES_MAX = 300 * ENTRIES
"""Sorted as objects they took 450 bytes each."""


def write_tiny_files(folder: str) -> str:
    for number in range(FILES):
        if number % 1000 == 0:
            os.makedirs(os.path.join(folder, str(number // 1000)))
        fd = os.open(os.path.join(folder, f"{number // 1000}/{number}"), os.O_WRONLY | os.O_CREAT)
        os.write(fd, b"%d" % number)
        os.close(fd)
    return folder


def growth(config: Config, work: Callable[[], JobStatus]) -> int:
    """Run a job; returns by how many bytes the engine grew at most meanwhile."""
    pid = daemon.status(config).engine_pid
    assert pid is not None
    before = anonymous_bytes(pid)
    with peaks(pid) as seen:
        assert work().state == "done"
    return seen.engine_bytes - before


def test_a_put_and_a_reindex_of_tiny_files_take_little_memory(store, tmp_path):
    made = store(2, started=False, shard_size_bytes=64 << 20)
    # One lane has them all, as each lane of a larger batch has.
    made.config = with_settings(made.root, packer_processes=1)
    made.start()
    client, folder = made.client, write_tiny_files(str(tmp_path / "in"))
    put = growth(made.config, lambda: client.wait(client.batch_write(folder, "b").job_id))
    assert put < PUT_BYTES_MAX
    assert client.batches()[0].files == FILES
    made.stop()
    made.start()
    reindex = growth(made.config, lambda: client.wait(client.reindex().job_id))
    assert reindex < REINDEX_BYTES_MAX


def test_a_footer_is_sorted_without_an_object_for_each_entry():
    keys = (hashlib.sha256(b"%d" % number).digest() for number in range(ENTRIES))
    packed = b"".join(pack_entry(Entry(key, 8 * n, 1, 0)) for n, key in enumerate(keys))
    tracemalloc.start()
    try:
        footer = pack_footer_of(bytes(16), packed, 4096, [])
        assert tracemalloc.get_traced_memory()[1] < FOOTER_BYTES_MAX
    finally:
        tracemalloc.stop()
    assert len(footer) > len(packed)
