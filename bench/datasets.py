"""How long a dataset takes to be built, and a view of one to be published.

    python -m bench.datasets [--files 1000000] [--view-files 1000000] [--folder /var/tmp]
                             [--sources /dev/shm] [--json]

Owns a store on folders and a database server of its own with `--files` labelled pictures of a few
bytes (they are never read by a build, but have to be there), in posts of about three; three splits,
a hundred classes of unequal size, the layout `flat`. Told are the seconds of each phase and the
greatest memory of this process and of the engine. A second build of the same finds the first.

A view is published of `--view-files` paths over 10,000 objects that are in the store. The goal is
less than 10 s for a million, and no bytes in the exports area.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
from typing import Any

from datasets.choice.choose import never, quiet
from datasets.freeze.building import build
from datasets.freeze.manifest import ManifestWriter
from datasets.versions.exports import materialise
from fsd import Client, load_config
from fsd.cli.daemons import daemon
from fsd.engine.setup import init_store
from sql import Column, Database, DeclaredTable
from sql.server import server

VIEW_OBJECTS = 10_000
PUT_FILES_MAX = 100_000
FOLDER_FILES = 1000
VIEW_GOAL_S = 10.0
GIB = 1 << 30
TABLE = DeclaredTable(
    kind="action",
    name="kind",
    version=1,
    comment="Labels of the bench",
    columns=(Column(name="label", type="text", comment="The class"),),
)
DEFINITION: dict[str, Any] = {
    "version": 1,
    "name": "bench",
    "selector": {"version": 1, "where": {"media_type": "image"}},
    "labels": {
        "from": {"result": {"action": "kind", "column": "label"}},
        "unlabelled": "drop",
    },
    "splits": {"fractions": {"train": 0.8, "val": 0.1, "test": 0.1}, "seed": 1},
    "layout": "flat",
}
_WORLD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "datasets.sql")


def main() -> int:
    parser = argparse.ArgumentParser(description="Building datasets, publishing views.")
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--view-files", type=int, default=1_000_000)
    parser.add_argument("--folder", default=None)
    parser.add_argument("--sources", default="/dev/shm", help="for the pictures; best on tmpfs")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    root = tempfile.mkdtemp(prefix="ds-datasets-", dir=arguments.folder)
    os.chmod(root, 0o755)  # Whoever PostgreSQL runs as must reach its data.
    place = server.Place(os.path.join(root, "data"), os.path.join(root, "run"), {"fsync": "off"})
    store = os.path.join(root, "store")
    disks = [os.path.join(store, f"d{number}") for number in (1, 2, 3)]
    init_store(store, disks, None, min_free_bytes=GIB, shard_size_bytes=256 << 20)
    config_path = os.path.join(store, "drystone.toml")
    config = load_config(config_path)
    figures: dict[str, Any] = {"files": arguments.files}
    try:
        server.start(place)
        daemon.start_engine(config, config_path)
        try:
            if arguments.files:
                store_pictures(config_path, arguments.files, arguments.sources)
                with Database.connect(server.dsn(place), statement_timeout_s=3600) as database:
                    load(database, arguments.files)
                    figures |= measure_build(config_path, database)
            if arguments.view_files:
                figures |= measure_view(config_path, arguments.view_files)
        finally:
            daemon.stop_engine(config)
            server.stop(place)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    report(figures, as_json=arguments.json)
    return 0 if figures.get("view_s", 0.0) < VIEW_GOAL_S * max(1, arguments.view_files / 1e6) else 1


def store_pictures(config_path: str, files: int, sources: str) -> None:
    """Put what the rows of `datasets.sql` name: of each file the bytes that its hash is made of."""
    client = Client(load_config(config_path).socket_path)
    numbers = range(files // 3 + 1, files // 3 + files + 1)
    for start in range(0, files, PUT_FILES_MAX):
        with tempfile.TemporaryDirectory(dir=sources, prefix="drystone-bench-") as folder:
            for number in numbers[start : start + PUT_FILES_MAX]:
                inside = os.path.join(folder, str(number // FOLDER_FILES))
                os.makedirs(inside, exist_ok=True)
                with open(os.path.join(inside, str(number)), "w", encoding="ascii") as file:
                    file.write(f"file {number}")
            job = client.wait(client.batch_write(folder, f"pictures-{start}").job_id)
            assert job.state == "done", job


def load(database: Database, files: int) -> None:
    """Fill the tables; checks between them are off while this lasts."""
    database.actions.declare_action(10, "kind", "AC2")
    database.declare(TABLE)
    with database.connection() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET work_mem = '256MB'")
        with open(_WORLD, encoding="utf-8") as file:
            connection.execute(file.read().replace("{files}", str(files)).encode())
        connection.execute("SET session_replication_role = origin")
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")
        connection.autocommit = False


def measure_build(config_path: str, database: Database) -> dict[str, Any]:
    """Build, and build again; returns the seconds of each phase."""
    phases: dict[str, float] = {}
    before, since = "", time.perf_counter()

    def progress(phase: str, _rows: int) -> None:
        nonlocal before, since
        now = time.perf_counter()
        if before:
            phases[before] = phases.get(before, 0.0) + now - since
        before, since = phase, now

    started = time.perf_counter()
    result = build(config_path, DEFINITION, progress, database=database)
    built_s = time.perf_counter() - started
    progress("", 0)
    assert all(
        not count
        for matrix in result.report.leakage.values()
        for place, row in enumerate(matrix)
        for other, count in enumerate(row)
        if place != other
    )
    started = time.perf_counter()
    assert not build(config_path, DEFINITION, database=database).created
    return {
        "members": result.files,
        "groups": result.report.groups,
        "manifest_bytes": Client(load_config(config_path).socket_path)
        .head(result.manifest_key)
        .size_bytes,
        "build_s": built_s,
        "again_s": time.perf_counter() - started,
        "phases_s": phases,
        "memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "shares": {name: one.share for name, one in result.report.splits.items()},
    }


def measure_view(config_path: str, files: int) -> dict[str, Any]:
    """Store small objects, and publish a view of very many paths to them."""
    config = load_config(config_path)
    client = Client(config.socket_path)
    folder = os.path.join(config.root, "objects")
    os.makedirs(folder)
    for number in range(VIEW_OBJECTS):
        with open(os.path.join(folder, f"{number:05}.txt"), "w", encoding="ascii") as file:
            file.write(f"object {number}\n")
    job = client.wait(client.batch_write(folder, "objects").job_id)
    assert job.state == "done", job
    objects = [(one.key, one.size_bytes) for one in client.batch_files("objects")]
    shutil.rmtree(folder)
    os.makedirs(folder)
    writer = ManifestWriter(folder)
    for number in range(files):
        key, size = objects[number % VIEW_OBJECTS]
        path = f"train/class {number % 100}/{number // 1000:05}/{number:08}.jpg"
        writer.add_object(path, key, size, number)
    manifest = os.path.join(folder, "manifest.jsonl")
    key = writer.finish(manifest).key
    stored = client.wait(
        client.batch_write(folder, "manifest", "generated", ["manifest.jsonl"]).job_id
    )
    assert stored.state == "done", stored
    before = _used(config.area_path("3d"))
    started = time.perf_counter()
    materialise(config_path, key, "bench", "flat", "view", quiet, never)
    view_s = time.perf_counter() - started
    return {
        "view_files": files,
        "view_s": view_s,
        "view_area_bytes": _used(config.area_path("3d")) - before,
    }


def _used(folder: str) -> int:
    return sum(
        os.lstat(os.path.join(root, name)).st_blocks * 512
        for root, _, names in os.walk(folder)
        for name in names
    )


def report(figures: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(figures))
        return
    if "build_s" in figures:
        print(
            f"{figures['members']:,} members of {figures['files']:,} files in "
            f"{figures['groups']:,} groups: built in {figures['build_s']:.1f} s, again in "
            f"{figures['again_s']:.1f} s; memory {figures['memory_bytes'] / 1e6:,.0f} MB; manifest "
            f"{figures['manifest_bytes'] / 1e6:,.0f} MB"
        )
        for phase, spent_s in figures["phases_s"].items():
            print(f"  {phase:24} {spent_s:8.1f} s")
        print("  " + ", ".join(f"{name} {share:.4%}" for name, share in figures["shares"].items()))
    if "view_s" in figures:
        print(
            f"view of {figures['view_files']:,} files published in {figures['view_s']:.1f} s "
            f"(goal < {VIEW_GOAL_S:g} s for a million), {figures['view_area_bytes']} bytes of the "
            "exports area"
        )


if __name__ == "__main__":
    raise SystemExit(main())
