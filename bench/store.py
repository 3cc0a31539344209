"""Real small files into the store and out again, beside what copies files otherwise.

    python -m bench.store [--files 20000] [--runs 5] [--cold] [--folder /var/tmp] [--json]

Owns the corpus (a seeded sample of this machine's own files), the commands it is compared with and
the ratios. All folders lie on one local filesystem, four "disks" among them, so every contender
writes to the same device; each is timed until its files are durable (`sync -f`, or Drystone's own
seal). In a round all take turns, and a ratio is the median of the rounds' own ratios. As root
`--cold` drops the page cache before each turn; Drystone reads its shards past the cache always.

Nothing is deleted before the end: for minutes ext4 steps over the inodes of deleted files one by
one, which made whoever came after a deletion 7 times slower. So wait a while between two runs.
Where others write or delete too, name a filesystem of its own (an image on the same SSD, mounted by
loop): `sync -f` waits for everybody's dirty pages.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from base.config import CONFIG_NAME
from fsd.cli.daemons import daemon
from fsd.client.client import Client
from fsd.disks.config import MIB, Config
from fsd.engine.setup import init_store

CORPUS_ROOTS = ("/usr/share", "/usr/lib", "/usr/include", sys.base_prefix)
FILE_SIZE_BYTES_MAX = 200_000
DISKS = 4
GETS = 500
SEED = 1
BASELINE = "cp -a"
COMMANDS = {
    BASELINE: "cp -a {source}/. {target}",
    "rsync -a": "rsync -a {source}/ {target}",
    "tar | tar": "tar -C {source} -cf - . | tar -C {target} -xf -",
}


@dataclass(frozen=True, slots=True)
class Corpus:
    """The folder of source files and what they add up to."""

    folder: str
    files: int
    size_bytes: int


@dataclass(slots=True)
class Samples:
    """Seconds of every contender by round, and single gets in milliseconds."""

    seconds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    gets_ms: list[float] = field(default_factory=list[float])

    def note(self, name: str, seconds: float) -> None:
        self.seconds.setdefault(name, []).append(seconds)


def make_corpus(folder: str, count: int) -> Corpus:
    """Copy whole folders of small files of this machine below `folder`, in seeded order."""
    sources = list(source_folders())
    random.Random(SEED).shuffle(sources)
    sizes: dict[str, int] = {}
    for path in chain.from_iterable(map(small_files, sources)):
        # An export refuses paths that differ only in case, so the corpus is all lower case.
        target = folder + path.casefold()
        if target not in sizes:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(path, target)
            sizes[target] = os.path.getsize(target)
        if len(sizes) == count:
            break
    return Corpus(folder, len(sizes), sum(sizes.values()))


def source_folders() -> Iterator[str]:
    """All folders below the roots, each once: the roots may contain each other."""
    found = {folder for root in CORPUS_ROOTS for folder, _, _ in os.walk(root)}
    yield from sorted(found)


def small_files(folder: str) -> list[str]:
    """The regular files of one folder below the size limit, by name."""
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if entry.is_file(follow_symlinks=False)]
    sizes = {entry.path: entry.stat(follow_symlinks=False).st_size for entry in found}
    return sorted(path for path, size in sizes.items() if size < FILE_SIZE_BYTES_MAX)


def settle(cold: bool) -> None:
    """Let nobody pay for the write-back of whoever came before."""
    os.sync()
    if cold:
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("3")


def timed(work: Callable[[], object], cold: bool) -> float:
    settle(cold)
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def run_command(command: str, source: str, target: str) -> None:
    line = command.format(source=source, target=target)
    subprocess.run(f"{line} && sync -f {target}", shell=True, check=True)


def copy_turn(command: str, corpus: Corpus, folder: str, cold: bool) -> float:
    target = tempfile.mkdtemp(dir=folder)
    return timed(lambda: run_command(command, corpus.folder, target), cold)


def drystone_turn(corpus: Corpus, folder: str, samples: Samples, cold: bool) -> None:
    """A new store each time, for a file that is stored already would cost nothing."""
    root = tempfile.mkdtemp(dir=folder)
    disks = [os.path.join(root, f"d{number}") for number in range(DISKS)]
    config = init_store(root, disks, None, min_free_bytes=MIB)
    daemon.start_engine(config, os.path.join(root, CONFIG_NAME))
    try:
        client = Client(config.socket_path)
        samples.note("drystone put", timed(lambda: put(client, corpus), cold))
        keys = write_manifest(client, f"{folder}/manifest.jsonl")
        samples.note("drystone export", timed(lambda: export(client, folder), cold))
        check_export(corpus, config)
        samples.gets_ms += list(get_times_ms(client, keys, folder))
    finally:
        daemon.stop_engine(config)


def put(client: Client, corpus: Corpus) -> None:
    job = client.wait(client.batch_write(corpus.folder, "bench").job_id)
    if job.state != "done":
        raise SystemExit(f"the put ended {job.state}: {job.error}")


def export(client: Client, folder: str) -> None:
    answer = client.export_to_3d(f"{folder}/manifest.jsonl", "bench", "plain", "copy")
    job = client.wait(answer.job_id)
    if job.state != "done":
        raise SystemExit(f"the export ended {job.state}: {job.error}")


def write_manifest(client: Client, path: str) -> list[str]:
    keys: list[str] = []
    with open(path, "w", encoding="ascii") as file:
        for stored in client.batch_files("bench"):
            file.write(json.dumps({"path": stored.path, "key": stored.key}) + "\n")
            keys.append(stored.key)
    return keys


def check_export(corpus: Corpus, config: Config) -> None:
    """What was timed must also be right: the export equals the source, byte for byte."""
    final = os.path.join(config.area_path("3d"), "bench", "plain")
    arguments = ["diff", "-rq", "-x", "_JOB.json", "-x", "_SEALED", corpus.folder, final]
    different = subprocess.run(arguments, capture_output=True, text=True, check=False).stdout
    if different:
        raise SystemExit(f"the export is wrong:\n{different[:2000]}")


def get_times_ms(client: Client, keys: list[str], folder: str) -> Iterator[float]:
    target = os.path.join(folder, "one")
    for key in random.Random(SEED).sample(keys, min(GETS, len(keys))):
        started = time.perf_counter()
        client.read(key, target)
        yield (time.perf_counter() - started) * 1e3
        os.unlink(target)


def measure(corpus: Corpus, folder: str, runs: int, cold: bool) -> Samples:
    samples = Samples()
    commands = [name for name in COMMANDS if shutil.which(name.split()[0])]
    for number in range(runs):
        # Each round begins with another contender: nobody is always the one after Drystone.
        turn = number % len(commands)
        for name in commands[turn:] + commands[:turn]:
            samples.note(name, copy_turn(COMMANDS[name], corpus, folder, cold))
        drystone_turn(corpus, folder, samples, cold)
    return samples


def summarise(corpus: Corpus, samples: Samples) -> dict[str, object]:
    rows: dict[str, dict[str, float]] = {}
    for name, seconds in samples.seconds.items():
        pairs = zip(seconds, samples.seconds[BASELINE], strict=True)
        ratios = [mine / baseline for mine, baseline in pairs]
        median_s = statistics.median(seconds)
        rows[name] = {
            "median_s": round(median_s, 3),
            "min_s": round(min(seconds), 3),
            "max_s": round(max(seconds), 3),
            "files_per_s": round(corpus.files / median_s),
            "mb_per_s": round(corpus.size_bytes / 1e6 / median_s, 1),
            "ratio_to_cp": round(statistics.median(ratios), 2),
            "ratio_min": round(min(ratios), 2),
            "ratio_max": round(max(ratios), 2),
        }
    gets = {
        "median_ms": round(statistics.median(samples.gets_ms), 2),
        "p99_ms": round(statistics.quantiles(samples.gets_ms, n=100)[98], 2),
    }
    counts = {"files": corpus.files, "size_bytes": corpus.size_bytes}
    return {**counts, "rows": rows, "get": gets}


def show(figures: dict[str, object], rows: dict[str, dict[str, float]]) -> None:
    print(f"{figures['files']} files, {figures['size_bytes']} bytes")
    heads = ("median s", "min", "max", "files/s", "MB/s", "x cp -a", "min", "max")
    print(f"{'':16}" + "".join(f"{head:>10}" for head in heads))
    for name, row in rows.items():
        print(f"{name:16}" + "".join(f"{value:>10}" for value in row.values()))
    print(f"single get: {figures['get']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cold", action="store_true", help="drop the page cache first (root)")
    parser.add_argument("--folder", default="/var/tmp", help="where to work; not on tmpfs")
    parser.add_argument("--json", action="store_true", help="one line of JSON, no table")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="drystone-bench-") as folder:
        corpus = make_corpus(os.path.join(folder, "source"), given.files)
        samples = measure(corpus, folder, given.runs, given.cold)
    figures = summarise(corpus, samples)
    if given.json:
        print(json.dumps(figures))
    else:
        show(figures, figures["rows"])  # pyright: ignore[reportArgumentType]


if __name__ == "__main__":
    main()
