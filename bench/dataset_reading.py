"""A dataset exported and read: as a copy, as a view, and as plain files beside them.

    python -m bench.dataset_reading [--files 20000] [--reads 20000] [--rounds 3] [--folder DIR]

Owns a store on four folders of one filesystem with `--files` made-up pictures of 2 to 60 KB, and
the readers. Told are, as the median of the rounds' own ratios: the export of a dataset against the
store's own export of the same manifest (goal: >= 0.95 of its speed), and a random reader as in
training (a shuffled epoch, two processes, each file opened, read whole and closed) over the copy,
the view and a plain `cp -a` of the copy. Before each epoch the page cache is dropped where root may
do so.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from functools import partial
from typing import Any

from adapters import Signal, run_ingest
from datasets import build, export
from fsd import Client, load_config
from fsd.cli.daemons import daemon, daemon_mount
from fsd.engine.setup import init_store
from fsd.fixture.corpus import even_sizes, write_files
from sql import Database
from sql.server import server

SEED = 3
READERS = 2
DEFINITION: dict[str, Any] = {
    "version": 1,
    "name": "bench",
    "selector": {"version": 1, "where": {"extension": "jpg"}},
    "splits": {"fractions": {"train": 0.9, "test": 0.1}},
    "layout": "flat",
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Exporting and reading datasets.")
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--reads", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default=None)
    arguments = parser.parse_args()
    root = tempfile.mkdtemp(prefix="ds-reading-", dir=arguments.folder)
    os.chmod(root, 0o755)  # Whoever PostgreSQL runs as must reach its data.
    place = server.Place(os.path.join(root, "data"), os.path.join(root, "run"), {"fsync": "off"})
    store = os.path.join(root, "store")
    init_store(store, [os.path.join(store, f"d{n}") for n in range(1, 5)], None)
    config_path = os.path.join(store, "drystone.toml")
    config = load_config(config_path)
    try:
        server.start(place)
        daemon.start_engine(config, config_path)
        daemon_mount.start_mount(config)
        with Database.connect(server.dsn(place)) as database:
            figures = measure(config_path, database, arguments)
    finally:
        daemon_mount.stop_all_mounts(config)
        daemon.stop_engine(config)
        server.stop(place)
        shutil.rmtree(root, ignore_errors=True)
    print(json.dumps(figures, indent=1))
    return 0


def measure(config_path: str, database: Database, arguments: argparse.Namespace) -> dict[str, Any]:
    config = load_config(config_path)
    inbox = os.path.join(config.area_path("3a"), "pictures")
    # Bytes that no compression and no duplicate can shorten, with the head of a JPEG.
    write_files(inbox, even_sizes(arguments.files, 2_000, 60_000), head=b"\xff\xd8\xff\xe0")
    run_ingest(config_path, Signal(inbox, "pictures", "plain-folder", "bench"), database=database)
    built = build(config_path, DEFINITION, database=database)
    client = Client(config.socket_path)
    ratios: list[float] = []
    for number in range(arguments.rounds):
        drop_caches()
        own_s = timed(partial(wait, client, built.manifest_key, number))
        drop_caches()
        ours_s = timed(
            lambda n=number: export(
                config_path, "bench", mode="copy", export_id=f"ours-{n}", database=database
            )
        )
        ratios.append(own_s / ours_s)
    copy = os.path.join(config.area_path("3d"), "ours-0", "flat")
    view = export(config_path, "bench", mode="view", database=database).target_root
    plain = os.path.join(config.area_path("3a"), "plain")
    subprocess.run(["cp", "-a", copy, plain], check=True)
    trees = {"plain": plain, "copy": copy, "view": view}
    paths = [
        os.path.relpath(os.path.join(folder, name), copy)
        for folder, _, names in os.walk(copy)
        for name in names
        if name.endswith(".jpg")
    ]
    seconds: dict[str, list[float]] = {name: [] for name in trees}
    for number in range(arguments.rounds):
        order = random.Random(number).choices(paths, k=arguments.reads)
        for name, tree in trees.items():
            drop_caches()
            seconds[name].append(timed(partial(read_all, tree, order)))
    return {
        "files": arguments.files,
        "size_bytes": built.size_bytes,
        "export_speed_beside_the_store": statistics.median(ratios),
        "files_per_s": {
            name: round(arguments.reads / statistics.median(values))
            for name, values in seconds.items()
        },
        "beside_plain_files": {
            name: statistics.median(
                plain / ours for plain, ours in zip(seconds["plain"], values, strict=True)
            )
            for name, values in seconds.items()
        },
    }


def wait(client: Client, manifest_key: str, number: int) -> None:
    answer = client.export_to_3d(manifest_key, f"own-{number}", "flat")
    assert client.wait(answer.job_id).state == "done"


def timed(action: Any) -> float:
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


def read_all(tree: str, paths: list[str]) -> None:
    jobs = [
        multiprocessing.get_context("fork").Process(target=_read, args=(tree, paths[n::READERS]))
        for n in range(READERS)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
        assert job.exitcode == 0


def _read(tree: str, paths: list[str]) -> None:
    for path in paths:
        with open(os.path.join(tree, path), "rb", buffering=0) as file:
            assert file.read(4) == b"\xff\xd8\xff\xe0"
            while file.read(1 << 20):
                pass


def drop_caches() -> None:
    os.sync()
    if os.geteuid() == 0:
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            file.write("3")


if __name__ == "__main__":
    raise SystemExit(main())
