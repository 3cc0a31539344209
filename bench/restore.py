"""How long a database takes to come back from its logical export.

    python -m bench.restore [--nodes 1000000] [--folder /var/tmp]

Owns a server of its own (our settings and schema, fsync on) with the world of `bench.selectors`,
whose export is made and restored by the same functions as `drystone db backup` and `db restore`
use. The goal is 60 minutes for 10 M nodes on two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import tempfile
import time

from bench.selectors.command import load
from sql import Database
from sql.backup import data as backup_data
from sql.backup import programs as backup_programs
from sql.backup.snapshot import count_rows, snapshot
from sql.core.connections import connect_once
from sql.server import server

GOAL_S = 3600.0


def main() -> int:
    parser = argparse.ArgumentParser(description="Restoring a logical export.")
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--folder", default=None)
    arguments = parser.parse_args()
    root = tempfile.mkdtemp(prefix="ds-restore-", dir=arguments.folder)
    # Whoever PostgreSQL runs as must reach its data.
    os.chmod(root, 0o755)
    places = [
        server.Place(os.path.join(root, name, "data"), os.path.join(root, name, "run"), {})
        for name in ("live", "restored")
    ]
    copy = os.path.join(root, "copy")
    os.makedirs(os.path.join(copy, backup_data.LOGICAL))
    lock = os.open(os.path.join(root, "lock"), os.O_CREAT | os.O_RDWR)
    try:
        server.start(places[0])
        with Database.connect(server.dsn(places[0]), statement_timeout_s=3600) as database:
            load(database, arguments.nodes)
        began = time.perf_counter()
        with snapshot(server.dsn(places[0])) as moment:
            folder = os.path.join(copy, backup_data.LOGICAL)
            backup_programs.dump(server.dsn(places[0]), folder, moment.snapshot_id, lock)
        exported_s = time.perf_counter() - began
        size_bytes = os.path.getsize(os.path.join(folder, backup_programs.DUMP_NAME))
        server.stop(places[0])
        began = time.perf_counter()
        backup_data.make_logical(places[1], copy, lock, print)
        restored_s = time.perf_counter() - began
        with contextlib.closing(connect_once(server.dsn(places[1]))) as connection:
            same = count_rows(connection) == moment.counts
    finally:
        for place in places:
            with contextlib.suppress(Exception):
                server.stop(place)
        shutil.rmtree(root, ignore_errors=True)
    print(
        f"{arguments.nodes:,} nodes, {sum(moment.counts.values()):,} rows: "
        f"export {exported_s:.0f} s, {size_bytes / 1e9:.2f} GB; "
        f"restore {restored_s:.0f} s ({restored_s / GOAL_S:.2f} x the goal); "
        f"rows {'equal' if same else 'DIFFER'}"
    )
    return 0 if same and restored_s <= GOAL_S else 1


if __name__ == "__main__":
    raise SystemExit(main())
