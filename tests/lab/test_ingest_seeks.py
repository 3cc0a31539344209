"""How often the heads move for a put: counted by the drives, whatever the machine is doing."""

from __future__ import annotations

import os

import pytest

from bench.disks.lab import Disks
from bench.disks.store import StoreUnderTest
from fsd.disks.config import MIB
from fsd.fixture.corpus import make_corpus

from . import why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "the lab is there")

FILES = 1600
SHARD_BYTES = 4 * MIB
SEEKS_MAX = 12
"""Of a replica that one group fills: there, to the journal, back to read, and its share of the
catalog appends make five. They were 28 when header, group, footer, cut and catalog entries were
written and synced one after the other."""


@pytest.mark.parametrize("read_back", [True, False])
def test_a_replica_costs_few_seeks(short_tmp: str, read_back: bool):
    with Disks(short_tmp, size_scale=0.1) as disks:
        corpus = make_corpus("small", FILES, os.path.join(disks.ssd, "corpus"))
        store = StoreUnderTest(disks, SHARD_BYTES, read_back=read_back)
        try:
            with disks.instantly():
                work = store.ingest(corpus)
            place = store.placement()
        finally:
            store.close()
    replicas = sum(map(len, place.holders))
    assert replicas == 2 * len(place.shards) and len(place.shards) > 10
    assert work.span.seeks / replicas <= SEEKS_MAX, [disk.seeks for disk in work.span.disks]
    # Written once, and read back once where it is to be; little else.
    for disk, held in zip(work.span.disks, place.disk_bytes(), strict=True):
        assert held <= disk.written_bytes <= 1.2 * held + MIB
        read_bytes = held if read_back else 0
        assert read_bytes <= disk.read_bytes <= read_bytes + 0.2 * held + MIB
