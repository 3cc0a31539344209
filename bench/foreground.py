"""Single cold reads beside everything else a store does, and beside a disk that hangs.

    python -m bench.foreground [--count 60] [--files 12000] [--hang-count 400] [--folder /var/tmp]
                               [--time-scale 1] [--beside scrub ...] [--json]

Four unequal emulated HDDs (see `bench.disks.lab`; needs root), every object on two. Small objects
are read through the API, each for the first time and past the page cache, at 1 and at 5 reads per
second: with nothing else running, then beside a scrub, a verification, the copies of a drain and of
a rebalance, a reindex, an export and a put, each begun again until the reads are done. A ratio is
to the idle reads at the same pace in the same run. Then one disk hangs for as long as the reads
take, and they go through the API, and through the mount. `met` tells whether what we want was
reached: beside background work a mean of at most twice the idle one, beside a hanging disk a p99
below 1 s. Exits with 1 when it was not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import statistics
import sys
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from base.config import CONFIG_NAME
from base.errors import DrystoneError
from bench.disks.lab import Disks
from fsd.cli.daemons import daemon, daemon_mount
from fsd.client.client import Client
from fsd.disks.config import MIB, Config, load_config
from fsd.engine.setup import init_store
from fsd.fixture.corpus import Corpus, make_corpus
from tests.lab import why_not

RATES_PER_S = (1.0, 5.0)
HANG_RATE_PER_S = 20.0
SMALL_BYTES_MAX = 128_000
SHARD_BYTES = 64 * MIB
PUT_BYTES = 150_000_000
WARM_UP_S = 2.0
HUNG_DISK = 1
SLOWER_MAX = 2.0
HUNG_P99_MS_MAX = 1000.0
SEED = 7
SETTINGS = "scrub_rate_bytes_per_s = 0\nscrub_interval_days = 0.000001\n"
"""No scrub but the one that is measured, to which everything is due at once again."""


@dataclass(slots=True)
class World:
    """The store, what is read from it, and what was moved beside the reads."""

    disks: Disks
    config: Config
    client: Client
    corpus: Corpus
    keys: list[str] = field(default_factory=list[str])
    moved_bytes: int = 0
    puts: int = 0

    @property
    def scratch(self) -> str:
        """A folder on the SSD."""
        return self.disks.ssd

    def key(self) -> str:
        """The next small object that nobody has read yet."""
        return self.keys.pop()


@contextlib.contextmanager
def world(given: argparse.Namespace) -> Generator[World]:
    """A filled store on emulated disks; nothing is left of it."""
    with Disks(given.folder, time_scale=given.time_scale) as disks:
        disks.format()
        root = os.path.join(disks.ssd, "store")
        init_store(root, disks.paths, None, min_free_bytes=64 * MIB, shard_size_bytes=SHARD_BYTES)
        path = os.path.join(root, CONFIG_NAME)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("[store]\n", f"[store]\n{SETTINGS}", 1))
        config = load_config(path)
        corpus = make_corpus("mixed", given.files, os.path.join(disks.ssd, "corpus"))
        made = World(disks, config, Client(config.socket_path), corpus)
        daemon.start_engine(config, path)
        try:
            with disks.instantly():
                fill(made)
            yield made
        finally:
            daemon_mount.stop_all_mounts(config)
            daemon.stop_engine(config)


def fill(made: World) -> None:
    """Store the corpus, and choose what will be read: each small object once, in random order."""
    finish(made.client, made.client.batch_write(made.corpus.folder, "first").job_id)
    found = {file.path: file.key for file in made.client.batch_files("first")}
    small = [path for path, size in made.corpus.sizes.items() if size <= SMALL_BYTES_MAX]
    random.Random(SEED).shuffle(small)
    made.keys = [found[path] for path in small]
    manifest = os.path.join(made.scratch, "manifest.jsonl")
    with open(manifest, "w", encoding="ascii") as file:
        file.writelines(
            json.dumps({"path": path, "key": found[path]}) + "\n" for path in made.corpus.sizes
        )
    finish(made.client, made.client.verify().job_id)
    # Every shard file has been opened by the lane of single reads.
    for _ in range(len(made.corpus.sizes) // 60):
        read_api(made)


def finish(client: Client, job_id: str, stop: threading.Event | None = None) -> bool:
    """Wait for a job, or cancel it when nobody needs it any more; whether it is done."""
    while (job := client.job(job_id)).state == "running":
        if stop is not None and stop.wait(0.05):
            client.cancel(job_id)
            client.wait(job_id)
            return False
        time.sleep(0 if stop is not None else 0.02)
    if job.state != "done":
        raise SystemExit(f"the {job.kind} ended {job.state}: {job.error}")
    return True


def read_api(made: World) -> float:
    """Read the next object through the API; returns the seconds it took."""
    key = made.key()
    target = os.path.join(made.scratch, key)
    began = time.perf_counter()
    made.client.read(key, target)
    seconds = time.perf_counter() - began
    os.unlink(target)
    return seconds


def read_mount(made: World) -> float:
    """Read the next object through the mount."""
    key = made.key()
    path = os.path.join(made.config.mount, "objects", key[:2], key[2:4], key)
    began = time.perf_counter()
    with open(path, "rb") as file:
        file.read()
    return time.perf_counter() - began


# What goes on beside the reads: each is called again and again until it is told to stop.


def scrub(made: World, stop: threading.Event) -> None:
    finish(made.client, made.client.scrub().job_id, stop)


def verify(made: World, stop: threading.Event) -> None:
    finish(made.client, made.client.verify().job_id, stop)


def drain(made: World, stop: threading.Event) -> None:
    """Copy all shards of one disk to the others, and go on with the next one."""
    for disk in made.config.disk:
        if stop.is_set():
            return
        finish(made.client, made.client.disk_drain(disk.name).job_id, stop)
        made.client.disk_undrain(disk.name)


def rebalance(made: World, stop: threading.Event) -> None:
    """Empty a disk, and fill it again with what the others have more of."""
    name = made.config.disk[0].name
    finish(made.client, made.client.disk_drain(name).job_id, stop)
    made.client.disk_undrain(name)
    if not stop.is_set():
        finish(made.client, made.client.rebalance().job_id, stop)


def reindex(made: World, stop: threading.Event) -> None:
    finish(made.client, made.client.reindex().job_id, stop)


def export(made: World, stop: threading.Event) -> None:
    made.puts += 1
    manifest = os.path.join(made.scratch, "manifest.jsonl")
    answer = made.client.export_to_3d(manifest, f"e{made.puts}", "plain", "copy")
    finish(made.client, answer.job_id, stop)
    shutil.rmtree(answer.target_root, ignore_errors=True)


def put(made: World, stop: threading.Event) -> None:
    made.puts += 1
    folder = os.path.join(made.scratch, f"put{made.puts}")
    os.makedirs(folder)
    for number in range(PUT_BYTES // 250_000):
        with open(os.path.join(folder, f"{number}"), "wb") as file:
            file.write(os.urandom(250_000))
    job_id = made.client.batch_write(folder, f"put{made.puts}").job_id
    finish(made.client, job_id, stop)
    shutil.rmtree(folder)


Beside = Callable[[World, threading.Event], None]
BESIDE: dict[str, Beside] = {
    "scrub": scrub,
    "verify": verify,
    "drain": drain,
    "rebalance": rebalance,
    "reindex": reindex,
    "export": export,
    "put": put,
}
IN_A_HURRY = ("export", "put")
"""No background work: somebody waits for it as well."""


@contextlib.contextmanager
def running(made: World, work: Beside | None) -> Generator[None]:
    """Do the work again and again within."""
    stop, faults = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            while work is not None and not stop.is_set():
                work(made, stop)
        except (DrystoneError, OSError, SystemExit) as error:
            faults.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if faults:
        raise faults[0]


def paced(read: Callable[[], float], count: int, rate_per_s: float) -> list[float]:
    """Read at random moments, so many a second on average, each in a thread of its own."""
    chance, seconds = random.Random(SEED), list[float]()
    threads: list[threading.Thread] = []
    for _ in range(count):
        threads.append(threading.Thread(target=lambda: seconds.append(read())))
        threads[-1].start()
        time.sleep(chance.expovariate(rate_per_s))
    for thread in threads:
        thread.join()
    if len(seconds) != count:
        raise SystemExit(f"{count - len(seconds)} of {count} reads failed")
    return seconds


def row(seconds: list[float], idle: list[float] | None = None) -> dict[str, float]:
    """The distribution in milliseconds, and how much slower than idle it is."""
    cuts = statistics.quantiles(seconds, n=100)
    found = {
        "reads": len(seconds),
        "mean_ms": statistics.mean(seconds) * 1e3,
        "p50_ms": cuts[49] * 1e3,
        "p90_ms": cuts[89] * 1e3,
        "p99_ms": cuts[98] * 1e3,
        "max_ms": max(seconds) * 1e3,
    }
    if idle is not None:
        before = statistics.quantiles(idle, n=100)
        found["mean_ratio"] = statistics.mean(seconds) / statistics.mean(idle)
        found["p50_ratio"] = cuts[49] / before[49]
        found["p90_ratio"] = cuts[89] / before[89]
    return {name: round(value, 2) for name, value in found.items()}


def moved(made: World, work: Beside | None, read: Callable[[], list[float]]) -> list[float]:
    """Read beside the work; `moved_bytes` is what the drives moved meanwhile, a second."""
    with running(made, work):
        time.sleep(WARM_UP_S)
        before = disk_bytes(made.disks)
        began = time.perf_counter()
        seconds = read()
        made.moved_bytes = int((disk_bytes(made.disks) - before) / (time.perf_counter() - began))
    return seconds


def disk_bytes(disks: Disks) -> int:
    """All that the drives have transferred."""
    found = [drive.control("stats") for drive in disks.drives]
    return sum(one["read_bytes"] + one["written_bytes"] for one in found)


def quiet(given: argparse.Namespace) -> list[float]:
    """Nobody reads for a while."""
    time.sleep(given.count * given.time_scale / max(RATES_PER_S))
    return []


def measure(made: World, given: argparse.Namespace) -> list[dict[str, object]]:
    """One row for every scenario and rate; the rates are those of disks at full speed."""
    rows: list[dict[str, object]] = []
    idle: dict[float, list[float]] = {}

    def read(rate: float) -> list[float]:
        return paced(lambda: read_api(made), given.count, rate / given.time_scale)

    for rate in RATES_PER_S:
        idle[rate] = moved(made, None, lambda rate=rate: read(rate))
        rows.append({"beside": "nothing", "per_s": rate, **row(idle[rate])})
    chosen = {name: work for name, work in BESIDE.items() if name in (given.beside or BESIDE)}
    for name, work in chosen.items():
        moved(made, work, lambda: quiet(given))
        rows.append({"beside": name, "per_s": 0, "moved_mb_per_s": made.moved_bytes // 10**6})
        for rate in RATES_PER_S:
            figures = row(moved(made, work, lambda rate=rate: read(rate)), idle[rate])
            speed: dict[str, object] = {"moved_mb_per_s": made.moved_bytes // 10**6}
            if name not in IN_A_HURRY:
                speed["met"] = verdict(figures["mean_ratio"], SLOWER_MAX)
            rows.append({"beside": name, "per_s": rate, **figures, **speed})
            print(rows[-1], file=sys.stderr)
    if not given.beside or "hang" in given.beside:
        rows += measure_hang(made, given)
    return rows


def measure_hang(made: World, given: argparse.Namespace) -> list[dict[str, object]]:
    """The same disk hangs under the API, then under the mount, until all are answered."""
    daemon_mount.start_mount(made.config)
    rows: list[dict[str, object]] = []
    drive = made.disks.drives[HUNG_DISK]
    for name, read in (("API", read_api), ("mount", read_mount)):
        paced(lambda read=read: read(made), 20, HANG_RATE_PER_S)
        drive.control("hang")
        try:
            seconds = paced(lambda read=read: read(made), given.hang_count, HANG_RATE_PER_S)
        finally:
            drive.control("resume")
        figures = row(seconds)
        met = verdict(figures["p99_ms"], HUNG_P99_MS_MAX)
        beside = f"hung disk, {name}"
        rows.append({"beside": beside, "per_s": HANG_RATE_PER_S, **figures, "met": met})
        print(rows[-1], file=sys.stderr)
        while any(disk.state != "online" for disk in made.client.disks()):
            time.sleep(0.2)
    return rows


def verdict(figure: float, most: float) -> str:
    """Whether a figure is what we want."""
    return "yes" if figure <= most else "NO"


def show(rows: list[dict[str, object]]) -> None:
    """Print a table."""
    heads = ("beside", "per_s", "reads", "mean_ms", "p50_ms", "p90_ms", "p99_ms", "max_ms")
    heads += ("mean_ratio", "p50_ratio", "p90_ratio", "moved_mb_per_s", "met")
    print(f"{heads[0]:18}" + "".join(f"{head:>15}" for head in heads[1:]))
    for one in rows:
        cells = "".join(f"{one.get(head, ''):>15}" for head in heads[1:])
        print(f"{one['beside']:18}{cells}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=60, help="reads per scenario and rate")
    parser.add_argument("--hang-count", type=int, default=400, help="reads while a disk hangs")
    parser.add_argument("--files", type=int, default=12_000)
    parser.add_argument("--folder", default="/var/tmp", help="where the drives' images lie")
    parser.add_argument("--time-scale", type=float, default=1.0, help="slow the drives down by")
    parser.add_argument("--beside", nargs="*", choices=[*BESIDE, "hang"], help="only these")
    parser.add_argument("--json", action="store_true", help="one line of JSON, no table")
    given = parser.parse_args()
    if problem := why_not():
        raise SystemExit(problem)
    with world(given) as made:
        rows = measure(made, given)
    if given.json:
        print(json.dumps(rows))
    else:
        show(rows)
    if any(one.get("met") == "NO" for one in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
