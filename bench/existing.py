"""What it costs that a put reads back what is stored already.

    python -m bench.existing [--files 8000] [--file-kib 24] [--rounds 5] [--folder /var/tmp]

One store on three folders, cold cache for each round: the same files put again as another batch,
with `read_back` and without, in turns. Figures are seconds, the ratio is the median of the rounds'
own ratios, with its range.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time

from base.config import CONFIG_NAME
from fsd.cli.daemons import daemon
from fsd.client.client import Client
from fsd.disks.config import load_config
from fsd.engine.setup import init_store
from fsd.fixture.corpus import write_files

DROP_CACHES = "/proc/sys/vm/drop_caches"


def main() -> int:
    parser = argparse.ArgumentParser(description="Putting again what is stored already.")
    parser.add_argument("--files", type=int, default=8000)
    parser.add_argument("--file-kib", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", default=None)
    arguments = parser.parse_args()
    root = tempfile.mkdtemp(prefix="ds-existing-", dir=arguments.folder)
    try:
        return measure(root, arguments)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def measure(root: str, arguments: argparse.Namespace) -> int:
    source = os.path.join(root, "source")
    write_files(source, [arguments.file_kib << 10] * arguments.files)
    disks = [os.path.join(root, f"disk{number}") for number in range(3)]
    for folder in (*disks, os.path.join(root, "ssd")):
        os.makedirs(folder)
    place = os.path.join(root, "store")
    init_store(place, disks, os.path.join(root, "ssd"))
    path = os.path.join(place, CONFIG_NAME)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    put(path, source, "first", cold=False)
    figures: dict[bool, list[float]] = {True: [], False: []}
    for number in range(arguments.rounds):
        for read_back in (True, False):
            with open(path, "w", encoding="utf-8") as file:
                setting = f"[store]\nread_back = {str(read_back).lower()}\n"
                file.write(text.replace("[store]\n", setting, 1))
            figures[read_back].append(put(path, source, f"{number}-{read_back}", cold=True))
    ratios = [one / other for one, other in zip(figures[True], figures[False], strict=True)]
    size = arguments.files * arguments.file_kib / 1024
    print(
        f"{arguments.files:,} files, {size:,.0f} MiB, all existing: "
        f"{statistics.median(figures[True]):.2f} s read back, "
        f"{statistics.median(figures[False]):.2f} s not; "
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
    )
    return 0


def put(path: str, source: str, batch: str, *, cold: bool) -> float:
    """Put with an engine of its own; returns seconds."""
    config = load_config(path)
    daemon.start_engine(config, path)
    try:
        client = Client(config.socket_path)
        if cold and os.geteuid() == 0:
            os.sync()
            with open(DROP_CACHES, "w", encoding="ascii") as file:
                file.write("3")
        began = time.perf_counter()
        job = client.wait(client.batch_write(source, batch).job_id)
        if job.state != "done":
            raise SystemExit(f"the put ended as {job.state}")
        return time.perf_counter() - began
    finally:
        daemon.stop_engine(config)


if __name__ == "__main__":
    raise SystemExit(main())
