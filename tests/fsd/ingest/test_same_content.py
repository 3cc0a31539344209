"""The same content from many puts at once is stored once, in two copies: payload bytes counted."""

from __future__ import annotations

import os
import random
from collections import Counter

from store_checks import assert_batch, assert_clean, finish, key_of, settle, shard_files
from store_harness import MIB, Store, write_files

from fsd.disk_io.reading.scan import scan_shard
from fsd.format.record import iterate_entries

PUTS = 8
COPIES = 2


def stored_payloads(store: Store) -> Counter[tuple[str, int]]:
    """Count the records on all disks by key and payload length, as the shards themselves say."""
    found: Counter[tuple[str, int]] = Counter()
    for disk in store.disks:
        for path in shard_files(disk):
            shard_id = bytes.fromhex(os.path.basename(path).partition(".")[0])
            with open(path, "rb") as file:
                scan = scan_shard(file.fileno(), shard_id, whole=True)
            for group in scan.groups:
                for entry in iterate_entries(group.entries):
                    found[entry.key.hex(), entry.length_bytes] += 1
    return found


def test_eight_puts_of_the_same_content_at_once_store_it_once(store, tmp_path):
    made = store(3, shard_size_bytes=4 * MIB)
    lots = random.Random(5)
    files = {f"{n % 9}/f{n}": lots.randbytes(lots.randrange(1, 40_000)) for n in range(700)}
    files |= {"large": lots.randbytes(9 * MIB), "again": files["0/f0"], "empty": b""}
    names = [f"put {number}" for number in range(PUTS)]
    sources = {name: write_files(str(tmp_path / name), files) for name in names}
    jobs = [made.client.batch_write(source, name).job_id for name, source in sources.items()]
    states: Counter[str] = Counter()
    for job_id in jobs:
        finish(made, job_id)
        states.update(line["status"] for line in made.client.report(job_id))
    settle(made)
    contents = {key_of(data): len(data) for data in files.values()}
    assert states == {"written": len(contents), "existing": PUTS * len(files) - len(contents)}
    stored = stored_payloads(made)
    ours = {place: count for place, count in stored.items() if place[0] in contents}
    assert ours == dict.fromkeys(contents.items(), COPIES)
    size_bytes = sum(size * count for (_, size), count in stored.items())
    payload_bytes = COPIES * sum(contents.values())
    # Beside the files: the listings of the batches, in as many copies.
    assert payload_bytes <= size_bytes < 1.05 * payload_bytes
    for name in names:
        assert_batch(made, name, files)
    assert_clean(made)
