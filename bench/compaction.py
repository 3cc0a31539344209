"""How fast a compaction copies what lives, beside `cp` of the same bytes to two folders.

    python -m bench.compaction [--batches 24] [--batch-mib 16] [--file-kib 100] [--folder /var/tmp]

Owns a store on folder disks whose batches share shards; every second one is purged, so that half of
each shard is garbage. A compaction proves every object by its SHA-256, writes it to two disks,
syncs and reads back. `cp` writes the same files twice and syncs. All folders lie on one filesystem.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zlib

from base.config import CONFIG_NAME
from fsd.cli.daemons import daemon
from fsd.client.client import Client
from fsd.disks.config import MIB, Config
from fsd.engine.setup import init_store
from fsd.fixture.corpus import write_files

DISKS = 3
SHARD_BYTES = 64 * MIB
CONFIG_LINES = "grace_s = 0\nscrub_rate_bytes_per_s = 0\n"


def write_batch(folder: str, size_bytes: int, file_bytes: int) -> str:
    """Write random files of one size, others in each folder; returns the folder."""
    seed = zlib.crc32(os.path.basename(folder).encode())
    write_files(folder, [file_bytes] * (size_bytes // file_bytes), seed=seed)
    return folder


def make_store(folder: str) -> Config:
    """Make and start a store whose shards several batches share."""
    root = os.path.join(folder, "store")
    disks = [os.path.join(root, f"d{number}") for number in range(DISKS)]
    config = init_store(root, disks, None, min_free_bytes=MIB, shard_size_bytes=SHARD_BYTES)
    path = os.path.join(root, CONFIG_NAME)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("[store]\n", f"[store]\n{CONFIG_LINES}"))
    daemon.start_engine(config, path)
    return config


def finish(client: Client, job_id: str) -> dict[str, int]:
    """Wait for a job that must succeed; returns its result."""
    job = client.wait(job_id)
    if job.state != "done":
        raise SystemExit(f"{job.kind} {job.state}: {job.error}")
    return job.result


def time_compaction(client: Client) -> tuple[float, dict[str, int]]:
    """Return the seconds of a compaction and what it did."""
    os.sync()
    started = time.perf_counter()
    result = finish(client, client.compact(0.01).job_id)
    return time.perf_counter() - started, result


def time_copies(folders: list[str], target: str) -> float:
    """Return the seconds in which `cp` makes two durable copies of the folders."""
    os.sync()
    started = time.perf_counter()
    for number in range(2):
        place = os.path.join(target, f"copy{number}")
        os.makedirs(place)
        subprocess.run(["cp", "-a", *folders, place], check=True)
    subprocess.run(["sync", "-f", target], check=True)
    return time.perf_counter() - started


def main() -> None:
    """Measure once and print the figures as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batches", type=int, default=24)
    parser.add_argument("--batch-mib", type=int, default=16)
    parser.add_argument("--file-kib", type=int, default=100)
    parser.add_argument("--folder", default="/var/tmp")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="ds-compact-", dir=options.folder)
    config = None
    try:
        config = make_store(folder)
        client = Client(config.socket_path)
        sources: list[str] = []
        for number in range(options.batches):
            source = os.path.join(folder, f"b{number}")
            write_batch(source, options.batch_mib * MIB, options.file_kib << 10)
            finish(client, client.batch_write(source, f"b{number}").job_id)
            sources.append(source)
        for number in range(0, options.batches, 2):
            finish(client, client.purge(f"b{number}").job_id)
        compact_s, result = time_compaction(client)
        copy_s = time_copies(sources[1::2], folder)
    finally:
        if config is not None:
            daemon.stop_engine(config)
        shutil.rmtree(folder)
    figures = {
        **result,
        "compact_s": round(compact_s, 3),
        "copied_bytes_per_s": round(result["copied_bytes"] / compact_s),
        "cp_twice_s": round(copy_s, 3),
        "x_cp_twice": round(copy_s / compact_s, 2),
    }
    json.dump(figures, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
