"""How fast a file comes in by `POST /api/v1/ingest`, beside `cp` and a sync of the same file.

    python -m bench.receive_files [--size-mb 1000] [--runs 3] [--folder DIR] [--json]

A store of two folders, an embedded PostgreSQL and the public port, all below DIR. A form with one
file is sent by `http.client`, a piece at a time, and is over when it is answered 202: durable on
the SSD. The goal is 0.8 of `cp` and `fsync`, at 64 MB of memory more than the server has at rest.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from fsd.engine.setup import init_store
from gui.access.people import add_user, make_token
from gui.core.config import load_gui_config
from gui.core.server_process import api_process
from sql import Database, companion, scopes_of_role

GOAL_SHARE = 0.8
GOAL_MEMORY_MB = 64
PIECE_BYTES = 1 << 20
BOUNDARY = "part"


def body_of(path: str) -> tuple[int, Iterator[bytes]]:
    """Return the size of a form with one file, and its pieces."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files[]"; filename="f.bin"\r\n\r\n'
    )
    tail = f"\r\n--{BOUNDARY}--\r\n"

    def pieces() -> Iterator[bytes]:
        yield head.encode()
        with open(path, "rb") as file:
            while data := file.read(PIECE_BYTES):
                yield data
        yield tail.encode()

    return len(head) + os.path.getsize(path) + len(tail), pieces()


def sent_s(address: str, token: str, path: str) -> float:
    """Send a file; returns how long that took until it was answered."""
    begun = time.monotonic()
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=600)
    size, pieces = body_of(path)
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        "Content-Length": str(size),
    }
    connection.request("POST", "/api/v1/ingest?source=bench", pieces, headers)
    answer = connection.getresponse()
    told = answer.read()
    if answer.status != 202:
        raise SystemExit(f"{answer.status}: {told.decode()}")
    connection.close()
    return time.monotonic() - begun


def copied_s(path: str, folder: str) -> float:
    """Copy a file as `cp` does, and sync it."""
    begun = time.monotonic()
    to = os.path.join(folder, "copy")
    with open(path, "rb") as source, open(to, "wb") as target:
        shutil.copyfileobj(source, target, PIECE_BYTES)
        target.flush()
        os.fsync(target.fileno())
    took_s = time.monotonic() - begun
    os.unlink(to)
    return took_s


def memory_mb(pid: int, name: str) -> float:
    """Return a figure of a process: VmRSS, its memory now, or VmHWM, the most since cleared."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def cpu_s(pid: int) -> float:
    """Return the processor time that a process had."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def measure(root: str, size_mb: int, runs: int) -> dict[str, Any]:
    """Send a file of random bytes so often, each time beside a copy of it."""
    path = os.path.join(root, "file")
    with open(path, "wb") as file:
        for number in range(size_mb):
            file.write(random.Random(number).randbytes(1 << 20))
    place = os.path.join(root, "store")
    init_store(place, [os.path.join(place, f"d{number}") for number in (1, 2)], None,
               min_free_bytes=1 << 20)  # fmt: skip
    config_path = os.path.join(place, "drystone.toml")
    with open(config_path, "a", encoding="ascii") as file:
        file.write("\n[gui]\nport = 0\n")
    config = load_gui_config(config_path)
    try:
        with Database.open(config_path) as database:
            add_user(database, "bench", "operator", os.urandom(12).hex())
            token = make_token(database, "bench", "bench", scopes_of_role("operator")).secret
            running, _ = api_process(config).start()
            small = os.path.join(root, "small")
            with open(small, "wb") as file:
                file.write(b"x" * PIECE_BYTES)
            sent_s(running.address, token, small)  # What is made at the first request, is made.
            with open(f"/proc/{running.pid}/clear_refs", "w", encoding="ascii") as file:
                file.write("5")
            rest = memory_mb(running.pid, "VmRSS")
            used = cpu_s(running.pid)
            pairs = [
                (copied_s(path, config.run_dir), sent_s(running.address, token, path))
                for _ in range(runs)
            ]
            used = cpu_s(running.pid) - used
            more = memory_mb(running.pid, "VmHWM") - rest
    finally:
        api_process(config).stop()
        companion.stop(config_path)
    copy_s, send_s = (sorted(each)[runs // 2] for each in zip(*pairs, strict=True))
    return {
        "size_mb": size_mb,
        "copy_mb_per_s": round(size_mb / copy_s),
        "upload_mb_per_s": round(size_mb / send_s),
        "share": round(copy_s / send_s, 2),
        "server_cpu_s_per_gb": round(used / runs / size_mb * 1_000, 2),
        "memory_at_rest_mb": round(rest),
        "memory_more_mb": round(more, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size-mb", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", default=None)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    root = tempfile.mkdtemp(prefix="ds-bench-", dir=given.folder)
    os.chmod(root, 0o755)
    try:
        figures = measure(root, given.size_mb, given.runs)
    finally:
        shutil.rmtree(root)
    print(
        json.dumps(figures) if given.json else "\n".join(f"{k:<20}{v}" for k, v in figures.items())
    )
    if figures["share"] < GOAL_SHARE or figures["memory_more_mb"] > GOAL_MEMORY_MB:
        raise SystemExit(f"the goal is {GOAL_SHARE:g} of a copy at {GOAL_MEMORY_MB} MB")


if __name__ == "__main__":
    main()
