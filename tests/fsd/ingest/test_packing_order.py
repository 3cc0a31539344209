"""How files lie in a shard: small ones together, larger ones together, each in their order."""

from __future__ import annotations

import json
import os
import random
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from store_checks import assert_batch, put
from store_harness import MIB, with_settings, write_files

from fsd.compile.compile_process import record_sizes
from fsd.documents.models import BatchWriteRequest
from fsd.engine.engine import Engine
from fsd.fixture.corpus import sizes
from fsd.ingest.listing import CHUNK_FILES_MAX, Found, chunks
from fsd.ingest.pack_lane import LARGER_BYTES_MIN, arranged
from fsd.ingest.packer import FileRead
from fsd.planning.disk_model import DiskModel
from fsd.planning.plan import ReadPlan, plan_reads

np = pytest.importorskip("numpy")

SMALL, LARGE = LARGER_BYTES_MIN - 1, LARGER_BYTES_MIN
DISK = DiskModel(140e6, 0.0052, 0.0192, 8 * 10**9)
FILES = 4000
SEED = 7


def wanted(*file_sizes: int) -> list[tuple[int, Found, FileRead]]:
    return [
        (position, Found(f"{position}", "", size), FileRead(b"", size, False, ""))
        for position, size in enumerate(file_sizes)
    ]


def test_each_kind_keeps_its_order():
    files = wanted(SMALL, LARGE, 0, 2 * LARGE, SMALL, LARGE)
    assert [position for position, _, _ in arranged(files, False)] == [0, 2, 4, 1, 3, 5]
    assert [position for position, _, _ in arranged(files, True)] == [1, 3, 5, 0, 2, 4]


def planned(file_sizes: list[int], *, arrange: bool) -> ReadPlan:
    """Plan a random half of files that lie in one shard, as one lane packs them."""
    order: list[int] = []
    found = (Found(str(number), "", size) for number, size in enumerate(file_sizes))
    for number, chunk in enumerate(chunks(found)):
        read = [(int(f.path), f, FileRead(b"", f.size_bytes, False, "")) for f in chunk]
        order += [one[0] for one in (arranged(read, number % 2 == 1) if arrange else read)]
    records = record_sizes(np.array([file_sizes[number] for number in order]))
    offsets = np.cumsum(records) - records
    half = set(random.Random(SEED).sample(range(len(order)), len(order) // 2))
    chosen = [place for place, number in enumerate(order) if number in half]
    shard = np.zeros(len(chosen), np.int32)
    return plan_reads(shard, offsets[chosen], records[chosen], [[0]], [DISK])


def test_a_random_half_takes_fewer_jumps_and_less_time():
    mixed = sizes("mixed", FILES)
    plain, arranged_plan = planned(mixed, arrange=False), planned(mixed, arrange=True)
    assert arranged_plan.seeks < 0.85 * plain.seeks, (arranged_plan.seeks, plain.seeks)
    assert arranged_plan.seconds < 0.98 * plain.seconds


def test_a_put_lays_them_so(store, short_tmp: str):
    under_test = store()
    source = Path(short_tmp) / "source"
    source.mkdir()
    for number in range(40):
        # What scrapers write: a picture, and a sidecar beside it.
        (source / f"{number:03}.json").write_text(json.dumps({"number": number}))
        (source / f"{number:03}.png").write_bytes(os.urandom(LARGE + number))
    put(under_test, str(source), "scrape")
    client = under_test.client
    places = {file.path: client.head(file.key) for file in client.batch_files("scrape")}
    in_shard = sorted(places, key=lambda path: (places[path].shard_id, places[path].offset))
    changes = sum(
        one.endswith("json") != other.endswith("json") for one, other in pairwise(in_shard)
    )
    assert changes < 8, in_shard
    assert_batch(under_test, "scrape", {p: (source / p).read_bytes() for p in places})


def test_a_chunk_begins_with_what_the_one_before_it_ended_with(store, short_tmp: str):
    """Of three chunks the two stretches in the middle are joined with their neighbours."""
    made = store(started=False, shard_size_bytes=64 * MIB)
    engine = Engine(with_settings(made.root, packer_processes=1))
    engine.start()
    try:
        files = {
            f"{number:04}": os.urandom(8) + bytes(0 if number % 64 else LARGE)
            for number in range(3 * CHUNK_FILES_MAX)
        }
        folder = write_files(os.path.join(short_tmp, "source"), files)
        job = engine.batch_write(BatchWriteRequest(folder=folder, batch="chunks"))
        assert job.finished.wait(60) and job.state == "done", job.error
        places = {
            name: engine.store.index.locate(sha256(data).digest()) for name, data in files.items()
        }
    finally:
        engine.stop()
    sizes_in_order = [
        place.length_bytes >= LARGE for place in sorted(filter(None, places.values()))
    ]
    assert len(sizes_in_order) == len(files)
    assert sum(one != other for one, other in pairwise(sizes_in_order)) == 3
