"""What the index costs at a million objects, and what the engine then needs to run.

    python -m bench.index [--objects 1000000] [--folder /var/tmp] [--json]

Owns a synthetic store: shard files, catalogs and batch parts are made with the format's own code,
in the shape that a put of small files gives them (groups of 64 MiB at 38 KB an object, four groups
to a shard, two copies, a batch part in every group), except that a payload has 16 bytes, because no
figure here depends on it. The engine is the real one: its first start finds no index and makes one
from the shards alone, as `drystone reindex` does.

Two bytes per object are given. `commits`: keys in random order, one transaction per group, as a put
fills the index. `reindex`: one transaction per shard, sorted, as a reindex fills it.
"""

import argparse
import hashlib
import json
import os
import random
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass

from base.config import CONFIG_NAME
from fsd.cli.daemons import daemon
from fsd.client.client import Client
from fsd.disks.config import MIB, Config
from fsd.engine.setup import init_store
from fsd.format import layout
from fsd.format.batch_part import PartFile, format_part
from fsd.format.catalog import CatalogEntry, pack_frame
from fsd.format.group import GroupWriter
from fsd.format.record import (
    RECORD_BATCH_PART,
    Entry,
    ShardHeader,
    iterate_entries,
    pack_footer,
    pack_shard_header,
)
from fsd.store.generation import current_generation
from fsd.store.index import Index, Location

OBJECT_BYTES_MEAN = 38_000
GROUP_OBJECTS = 64 * MIB // OBJECT_BYTES_MEAN
SHARD_GROUPS = 4
PAYLOAD_BYTES = 16
GROUP_BYTES_MAX = 4 * MIB
DISKS = 4
BATCH = "bench"
SMALL_FILES = 1000
SEED = 1


@dataclass(frozen=True, slots=True)
class Shard:
    """One synthetic shard: its id, its disks' positions, and its bytes."""

    shard_id: str
    disks: list[int]
    data: bytes


def commit_bytes_per_object(folder: str, count: int) -> tuple[float, float]:
    """Fill an index as puts do; returns (bytes per object, seconds)."""
    generator = random.Random(SEED)
    index = Index(folder, 1)
    started = time.perf_counter()
    for first in range(0, count, GROUP_OBJECTS):
        with index.write() as writer:
            for number in range(first, min(count, first + GROUP_OBJECTS)):
                location = Location(number // 7000, number % 7000 * 40_000, OBJECT_BYTES_MEAN)
                writer.put_object(generator.randbytes(32), location)
    seconds = time.perf_counter() - started
    size = index.size_bytes()
    index.close()
    return size / count, seconds


def make_store(root: str, count: int) -> Config:
    """Make a store that holds `count` objects in sealed shards, and no index."""
    disks = [os.path.join(root, f"d{number}") for number in range(DISKS)]
    config = init_store(root, disks, None, min_free_bytes=MIB)
    ids = [disk.disk_id for disk in config.disk]
    entries: list[tuple[str, dict[str, object]]] = [
        ("disk_add", {"disk": disk.disk_id, "name": disk.name}) for disk in config.disk
    ]
    now = time.time_ns()
    entries.append(("batch_open", {"batch": BATCH, "class_name": "raw", "time_ns": now}))
    for shard in shards(count, config.store.store_id):
        for disk in shard.disks:
            write(layout.shard_path(disks[disk], shard.shard_id), shard.data)
        where = {"shard": shard.shard_id, "disks": [ids[disk] for disk in shard.disks]}
        entries.append(("shard_open", {**where, "class_name": "raw"}))
        entries.append(("shard_seal", {**where, "length": len(shard.data), "time_ns": now}))
    entries.append(("batch_seal", {"batch": BATCH}))
    log = b"".join(
        pack_frame(CatalogEntry(sequence, 1, kind, data))
        for sequence, (kind, data) in enumerate(entries, 1)
    )
    for disk in disks:
        write(os.path.join(disk, layout.CATALOG_NAME), log)
    return config


def write(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def shards(count: int, store_id: str) -> Iterator[Shard]:
    """Make shards with `count` objects in all."""
    generator = random.Random(SEED)
    per_shard = GROUP_OBJECTS * SHARD_GROUPS
    for number, first in enumerate(range(0, count, per_shard)):
        shard_id = generator.randbytes(16).hex()
        objects = range(first, min(count, first + per_shard))
        data = shard_bytes(bytes.fromhex(shard_id), bytes.fromhex(store_id), objects, number)
        yield Shard(shard_id, generator.sample(range(DISKS), 2), data)


def shard_bytes(shard_id: bytes, store_id: bytes, objects: range, number: int) -> bytes:
    header = ShardHeader(shard_id, store_id, time.time_ns(), "raw", False)
    data = bytearray(pack_shard_header(header))
    entries: list[Entry] = []
    digests: list[bytes] = []
    for first in range(0, len(objects), GROUP_OBJECTS):
        buffer = memoryview(bytearray(GROUP_BYTES_MAX))
        group = GroupWriter(buffer, len(buffer), shard_id, len(digests), len(entries))
        members = objects[first : first + GROUP_OBJECTS]
        fill_group(group, members, number * SHARD_GROUPS + len(digests))
        length, digest = group.close()
        for entry in iterate_entries(group.entries()):
            entries.append(entry._replace(offset=entry.offset + len(data)))
        data += buffer[:length]
        digests.append(digest)
    return bytes(data + pack_footer(shard_id, entries, len(data), digests))


def fill_group(group: GroupWriter, objects: range, part_number: int) -> None:
    """Lay objects and the part that names them; `number` alone decides content and path."""
    files: list[PartFile] = []
    for number in objects:
        payload = number.to_bytes(PAYLOAD_BYTES, "little")
        key = hashlib.sha256(payload).digest()
        group.add(key, payload)
        path = f"gallery/{number % 997:03d}/{key[:8].hex()}_{number:08d}.jpg"
        files.append(PartFile(path, key.hex(), PAYLOAD_BYTES))
    part = format_part(BATCH, "raw", part_number, files)
    group.add(hashlib.sha256(part).digest(), part, RECORD_BATCH_PART)


def anonymous_mb(config: Config) -> float:
    """The engine's own anonymous memory; that of its child processes is not in it."""
    pid = daemon.status(config).engine_pid
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        found = re.search(r"RssAnon:\s+(\d+) kB", file.read())
    assert found is not None
    return round(int(found[1]) * 1024 / 1e6, 1)


def start_s(config: Config) -> float:
    started = time.perf_counter()
    daemon.start_engine(config, os.path.join(config.root, CONFIG_NAME))
    return round(time.perf_counter() - started, 2)


def finish(client: Client, job_id: str) -> float:
    """Wait for a job; returns its seconds."""
    started = time.perf_counter()
    job = client.wait(job_id)
    if job.state != "done":
        raise SystemExit(f"{job.kind} ended {job.state}: {job.error}")
    return round(time.perf_counter() - started, 2)


def put_and_export(client: Client, root: str) -> None:
    """A small put and a small export, so that the engine has worked once with the index open."""
    source = os.path.join(root, "source")
    for number in range(SMALL_FILES):
        write(os.path.join(source, f"{number}.txt"), b"small" * number)
    finish(client, client.batch_write(source, "small").job_id)
    manifest = os.path.join(root, "manifest.jsonl")
    with open(manifest, "w", encoding="ascii") as file:
        for stored in client.batch_files("small"):
            file.write(json.dumps({"path": stored.path, "key": stored.key}) + "\n")
    finish(client, client.export_to_3d(manifest, "bench", "plain", "copy").job_id)


def index_bytes(config: Config) -> tuple[int, int]:
    """Return the bytes of (the index, the tree files) of the current generation."""
    generation = current_generation(config.index_root)
    assert generation is not None
    index = Index(config.index_root, generation, readonly=True)
    trees = os.path.dirname(index.tree_path("any"))
    sizes = index.size_bytes(), sum(entry.stat().st_size for entry in os.scandir(trees))
    index.close()
    return sizes


def engine_figures(root: str, count: int) -> dict[str, float]:
    started = time.perf_counter()
    config = make_store(root, count)
    figures = {"made_s": round(time.perf_counter() - started, 1)}
    client = Client(config.socket_path)
    try:
        figures["first_start_s"] = start_s(config)
        figures["anonymous_after_first_start_mb"] = anonymous_mb(config)
        index_size, tree_size = index_bytes(config)
        figures["reindex_bytes_per_object"] = round(index_size / count, 1)
        figures["tree_bytes_per_path"] = round(tree_size / count, 1)
        daemon.stop_engine(config)
        figures["start_s"] = start_s(config)
        figures["anonymous_after_start_mb"] = anonymous_mb(config)
        put_and_export(client, root)
        figures["anonymous_after_put_and_export_mb"] = anonymous_mb(config)
        figures["reindex_s"] = finish(client, client.reindex().job_id)
        figures["anonymous_after_reindex_mb"] = anonymous_mb(config)
    finally:
        daemon.stop_engine(config)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--folder", default="/var/tmp", help="where to work; not on tmpfs")
    parser.add_argument("--json", action="store_true", help="one line of JSON, no table")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="drystone-bench-") as folder:
        size, seconds = commit_bytes_per_object(os.path.join(folder, "index"), given.objects)
        figures = {
            "objects": given.objects,
            "commits_bytes_per_object": round(size, 1),
            "commits_s": round(seconds, 1),
            **engine_figures(os.path.join(folder, "store"), given.objects),
        }
    if given.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{name:34}{value:>12}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
