"""UA_1 end to end: records per second, and what share each step takes.

    python -m bench.ingest [--records 50000] [--folder DIR]

Makes a scrape of small pictures with a sidecar each (every tenth record is a post of three), a
store of four folders on one disk with two verified copies, and an embedded PostgreSQL that syncs,
all below DIR. Beside it, in the same run: `cp -a` of the same files and a sync.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import tempfile
import time

from adapters.ingest.ingest import IngestReport, ingest
from adapters.work.batch_work import Signal
from fsd.cli.daemons import daemon
from fsd.engine.setup import init_store
from sql import Database, companion

SEED = 1
AUTHORS = 500


def make_scrape(folder: str, records: int) -> None:
    chance = random.Random(SEED)
    for number in range(records):
        place = os.path.join(folder, f"{number // 1000:03d}")
        os.makedirs(place, exist_ok=True)
        post = number if number % 10 > 2 else number - number % 10
        record = {
            "category": "twitter",
            "subcategory": "timeline",
            "tweet_id": 10**18 + post,
            "conversation_id": 10**18 + post,
            "author": {"id": 1000 + post % AUTHORS, "name": f"user{post % AUTHORS}", "nick": "U"},
            "user": {"id": 1000 + post % AUTHORS, "name": f"user{post % AUTHORS}", "nick": "U"},
            "content": f"picture {post} #cats",
            "hashtags": ["cats"],
            "date": f"2026-01-{1 + post % 28:02d} 12:00:00",
            "favorite_count": post % 1000,
            "retweet_count": post % 100,
            "num": number % 10 + 1 if number % 10 <= 2 else 1,
            "count": 3 if number % 10 <= 2 else 1,
            "width": 640,
            "height": 480,
            "extension": "png",
            "filename": f"m{number}",
        }
        name = os.path.join(place, f"{10**18 + post}_{number}.png")
        with open(name, "wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n" + chance.randbytes(chance.randrange(1_000, 8_000)))
        with open(name + ".json", "w", encoding="ascii") as file:
            json.dump(record, file)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--records", type=int, default=50_000)
    arguments.add_argument("--folder", default=None)
    options = arguments.parse_args()
    root = tempfile.mkdtemp(prefix="ds-bench-", dir=options.folder)
    os.chmod(root, 0o755)
    scrape = os.path.join(root, "scrape")
    make_scrape(scrape, options.records)
    begun = time.monotonic()
    subprocess.run(["cp", "-a", scrape, os.path.join(root, "copy")], check=True)
    subprocess.run(["sync", "-f", root], check=True)
    copy_s = time.monotonic() - begun
    store = os.path.join(root, "store")
    disks = [os.path.join(store, f"d{number}") for number in range(1, 5)]
    config = init_store(store, disks, None, min_free_bytes=1 << 20)
    config_path = os.path.join(store, "drystone.toml")
    daemon.start_engine(config, config_path)
    try:
        with Database.open(config_path) as database:
            begun = time.monotonic()
            signal = Signal(scrape, "bench", "gallery-dl", "bench")
            report = ingest(config_path, signal, database=database)
            took_s = time.monotonic() - begun
        show(report, took_s, copy_s)
    finally:
        companion.stop(config_path)
        daemon.stop_engine(config)
        shutil.rmtree(root)


def show(report: IngestReport, took_s: float, copy_s: float) -> None:
    print(
        f"{report.records:,} records, {report.files:,} files, {report.size_bytes / 1e6:,.0f} MB in "
        f"{took_s:.1f} s: {report.records / took_s:,.0f} records/s; cp -a + sync {copy_s:.1f} s "
        f"({took_s / copy_s:.1f} x)"
    )
    print(f"nodes {report.nodes_new:,}, observations {report.observations_new:,}, ", end="")
    print(f"edges {report.edges_new:,}, quarantined {report.quarantined:,}")
    for step, step_s in report.duration_s.items():
        print(f"  {step:<9} {step_s:7.1f} s  {step_s / took_s:5.1%}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory {peak / 1024:,.0f} MB")


if __name__ == "__main__":
    main()
