"""How fast the mount is, beside a trivial C libfuse filesystem and plain ext4 in the same run.

    python bench/mount.py [--folder DIR] [--object-mib 512] [--small 5000] [--entries 1000000]

Needs root (it drops the page cache), cc, libfuse3-dev and about 3 x the object's size in DIR. The
JSON goes to stdout, a table to stderr. Each figure is the median of the rounds; in a round the
three filesystems take turns.
"""

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, *(os.path.join(ROOT, "tests", "kit", name) for name in ("store", "run"))]

from store_fixture import StoreFixture  # noqa: E402  # pyright: ignore[reportMissingImports]

from fsd.format.tree import TreeEntry  # noqa: E402

MOUNT_S_MAX = 20
READ_BYTES = 1 << 20
CLIENTS = 4


def drop_caches() -> None:
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")


@contextlib.contextmanager
def mounted(command: list[str], point: str, environment: dict[str, str]) -> Generator[str]:
    os.makedirs(point)
    process = subprocess.Popen(command, env=os.environ | environment, cwd=ROOT)
    try:
        deadline = time.monotonic() + MOUNT_S_MAX
        while not os.path.ismount(point):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command[0]} did not mount")
            time.sleep(0.05)
        raise_read_ahead(point)
        yield point
    finally:
        subprocess.run(["fusermount3", "-uz", point], check=False)
        process.wait(10)


def raise_read_ahead(point: str) -> None:
    """Give the yardstick what the mount gives itself: requests of 1 MiB."""
    device = os.stat(point).st_dev
    path = f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb"
    with open(path, "w") as file:
        file.write("1024")


def fill(folder: str, given: argparse.Namespace) -> StoreFixture:
    """Write the same files twice: plain below `plain`, and as shards with two views."""
    generator = random.Random(1)
    store = StoreFixture(folder)
    entries: list[TreeEntry] = []
    plain = os.path.join(folder, "plain")
    for start in range(0, given.small, 500):
        sizes = [
            min(1 << 20, max(200, int(generator.lognormvariate(10.1, 1.0))))
            for _ in range(min(500, given.small - start))
        ]
        payloads = [generator.randbytes(size) for size in sizes]
        for number, (key, payload) in enumerate(zip(store.add(payloads), payloads, strict=True)):
            path = f"small/{(start + number) % 97:02d}/{start + number:06d}.jpg"
            entries.append(TreeEntry(path, key, len(payload)))
            write(os.path.join(plain, path), payload)
    large = b"".join(generator.randbytes(1 << 20) for _ in range(given.object_mib))
    entries.append(TreeEntry("large.bin", store.add([large])[0], len(large)))
    write(os.path.join(plain, "large.bin"), large)
    store.publish_view("stage", "1", "small", entries)
    many = (TreeEntry(f"{n:07d}.jpg", entries[0].key, 1000) for n in range(given.entries))
    store.publish_view("stage", "1", "many", many)
    store.make_current()
    return store


def write(path: str, payload: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(payload)


def files_per_s(folder: str, count: int, seed: int, clients: int) -> float:
    """Read all small files once, cold, in random order."""
    names = [f"{n % 97:02d}/{n:06d}.jpg" for n in range(count)]
    random.Random(seed).shuffle(names)

    def read(mine: list[str]) -> None:
        for name in mine:
            descriptor = os.open(f"{folder}/small/{name}", os.O_RDONLY)
            while os.read(descriptor, READ_BYTES):
                pass
            os.close(descriptor)

    drop_caches()
    threads = [threading.Thread(target=read, args=(names[n::clients],)) for n in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count / (time.perf_counter() - started)


def large_mb_per_s(folder: str) -> tuple[float, float]:
    """Read the large file to its end, cold; then again through the same open file, warm."""
    buffer = bytearray(READ_BYTES)
    drop_caches()
    descriptor = os.open(f"{folder}/large.bin", os.O_RDONLY)
    rates: list[float] = []
    for _ in range(2):
        os.lseek(descriptor, 0, os.SEEK_SET)
        size, started = 0, time.perf_counter()
        while count := os.readv(descriptor, [buffer]):
            size += count
        rates.append(size / 1e6 / (time.perf_counter() - started))
    os.close(descriptor)
    return rates[0], rates[1]


def listing(folder: str, count: int) -> tuple[float, float]:
    """Return (ms to the first entry, entries per s) of a cold listing."""
    drop_caches()
    started = time.perf_counter()
    with os.scandir(folder) as entries:
        next(entries)
        first_ms = (time.perf_counter() - started) * 1e3
        found = 1 + sum(1 for _ in entries)
    assert found == count + 2  # _JOB.json and _SEALED
    return first_ms, count / (time.perf_counter() - started)


def measure(folders: dict[str, str], given: argparse.Namespace) -> dict[str, dict[str, float]]:
    samples: dict[str, dict[str, list[float]]] = {}

    def note(name: str, system: str, value: float) -> None:
        samples.setdefault(name, {}).setdefault(system, []).append(value)

    for number in range(given.rounds):
        for system, folder in folders.items():
            for clients in (1, CLIENTS):
                rate = files_per_s(folder, given.small, number, clients)
                note(f"cold small files/s, {clients} client(s)", system, rate)
            cold, warm = large_mb_per_s(folder)
            note("sequential cold MB/s", system, cold)
            note("open file, warm MB/s", system, warm)
        first_ms, rate = listing(given.many, given.entries)
        note("first entry of the listing, ms", "drystone", first_ms)
        note("listing entries/s", "drystone", rate)
    return {
        name: {system: round(statistics.median(values), 1) for system, values in systems.items()}
        for name, systems in samples.items()
    }


def show(result: dict[str, dict[str, float]], out: Callable[[str], object]) -> None:
    out(f"{'':34}{'plain':>10}{'C':>10}{'drystone':>10}{'/ plain':>9}{'/ C':>7}\n")
    for name, row in result.items():
        plain, trivial, ours = row.get("plain"), row.get("c"), row["drystone"]
        out(f"{name:34}{plain or '':>10}{trivial or '':>10}{ours:>10}")
        out(f"{ours / plain:>9.2f}{ours / trivial:>7.2f}\n" if plain and trivial else "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", help="where to work: a folder on ext4, not on tmpfs")
    parser.add_argument("--object-mib", type=int, default=512)
    parser.add_argument("--small", type=int, default=5000)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    source = os.path.join(ROOT, "bench", "trivial_fuse.c")
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="drystone-bench-") as folder:
        program = os.path.join(folder, "trivial_fuse")
        flags = subprocess.check_output(["pkg-config", "fuse3", "--cflags", "--libs"], text=True)
        subprocess.check_call(["cc", "-O2", source, *flags.split(), "-o", program])
        store = fill(folder, given)
        plain = os.path.join(folder, "plain")
        trivial = [program, "-f", "-o", "ro", os.path.join(folder, "c")]
        ours = [sys.executable, "-m", "fsd.mount", "--index-root", store.index_root]
        ours += ["--status-dir", store.status_dir, os.path.join(folder, "m")]
        with mounted(trivial, trivial[-1], {"TRIVIAL_ROOT": plain}), mounted(ours, ours[-1], {}):
            views = os.path.join(ours[-1], "stage", "1")
            folders = {"plain": plain, "c": trivial[-1], "drystone": f"{views}/small"}
            given.many = f"{views}/many"
            result = measure(folders, given)
        store.close()
    show(result, sys.stderr.write)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
