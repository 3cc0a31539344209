"""What Drystone is compared with on the same emulated disks: it owns how each peer is used, as well
as it can be.

    plain files   every file on two of the disks (chosen by their sizes), read through mergerfs
    btrfs         raid1 of data and metadata over the four raw disks
    MooseFS       goal 2, a chunkserver per disk (see disks_moosefs)

All are written at once, in one order, onto new filesystems, and read by 8 readers in that order,
which is the order of the disk: random order, the order of inodes, and 16 or 32 readers took 1.0 to
2.0 times as long. A peer whose program is missing says so and is left out.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Protocol

import numpy as np

from bench.disks.lab import BTRFS_COMMIT_S, Disks, Span, unmount
from fsd.fixture.corpus import SEED, Corpus
from tests.lab import run

READERS = 8
WRITERS = 8
PIECE_BYTES = 1 << 20
MOUNT_S_MAX = 20.0


class Peer(Protocol):
    """A way to keep every file twice on four disks. All paths are relative to the corpus."""

    name: str
    install: str

    def missing(self) -> str:
        """The first program that is not there, or nothing."""
        ...

    def start(self, disks: Disks) -> None:
        """Make it ready, empty, on disks with nothing on them."""
        ...

    def write(self, corpus: Corpus) -> None:
        """Store all files with two durable copies."""
        ...

    def make_cold(self) -> None:
        """Let nobody keep anything of the disks in memory."""
        ...

    def read_root(self) -> str:
        """Where all files can be read."""
        ...

    def stop(self) -> None:
        """Leave nothing mounted or running; may be called at any time, and twice."""
        ...


class Mergerfs:
    """Plain files on ext4, two copies each; mergerfs picks one of them at random per open."""

    name = "plain files, mergerfs"
    install = "apt-get install mergerfs"

    def __init__(self) -> None:
        """Nothing is mounted yet."""
        self._disks: Disks | None = None
        self._point = ""

    def missing(self) -> str:
        """Name the program that is not there."""
        return "" if shutil.which("mergerfs") else "mergerfs"

    def start(self, disks: Disks) -> None:
        """Format the disks as ext4."""
        disks.format()
        self._disks, self._point = disks, os.path.join(disks.folder, "merged")

    def write(self, corpus: Corpus) -> None:
        """Copy every file to two disks, straight onto their filesystems."""
        disks = self._running
        pairs = two_of_each(corpus, [drive.model.size_bytes for drive in disks.drives])
        targets = {
            path: [disks.paths[number] for number in pair]
            for path, pair in zip(corpus.sizes, pairs, strict=True)
        }
        copy_all(corpus, targets)
        disks.sync()

    def make_cold(self) -> None:
        """Unmount all, mount all."""
        self._unmerge()
        self._running.make_cold()
        os.makedirs(self._point, exist_ok=True)
        branches = ":".join(self._running.paths)
        options = "cache.files=auto-full,func.open=rand,func.getattr=rand,threads=16,allow_other"
        run("mergerfs", "-o", options, branches, self._point)

    def read_root(self) -> str:
        """The union of the disks."""
        return self._point

    def stop(self) -> None:
        """Unmount the union."""
        if self._disks is not None:
            self._unmerge()

    @property
    def _running(self) -> Disks:
        assert self._disks is not None
        return self._disks

    def _unmerge(self) -> None:
        if os.path.ismount(self._point):
            unmount(self._point)


class Btrfs:
    """One btrfs over all disks, data and metadata as raid1; its readers are spread over copies."""

    name = "btrfs raid1"
    install = "apt-get install btrfs-progs"

    def __init__(self) -> None:
        """Nothing is mounted yet."""
        self._disks: Disks | None = None
        self._point = ""

    def missing(self) -> str:
        """Name the program that is not there."""
        return "" if shutil.which("mkfs.btrfs") else "mkfs.btrfs"

    def start(self, disks: Disks) -> None:
        """Make the filesystem."""
        disks.forget()
        self._disks, self._point = disks, os.path.join(disks.folder, "btrfs")
        os.makedirs(self._point, exist_ok=True)
        with disks.instantly():
            run("mkfs.btrfs", "-q", "-f", "-K", "-d", "raid1", "-m", "raid1", *disks.devices)
        self._mount()

    def write(self, corpus: Corpus) -> None:
        """Copy all files in."""
        copy_all(corpus, {path: [self._point] for path in corpus.sizes})
        run("sync", "--file-system", self._point)

    def make_cold(self) -> None:
        """Unmount and mount."""
        assert self._disks is not None
        with self._disks.instantly():
            unmount(self._point)
        self._mount()

    def read_root(self) -> str:
        """Its mount."""
        return self._point

    def stop(self) -> None:
        """Unmount."""
        if self._disks is not None and os.path.ismount(self._point):
            unmount(self._point)

    def _mount(self) -> None:
        assert self._disks is not None
        devices = ",".join(f"device={device}" for device in self._disks.devices)
        options = f"noatime,{self._disks.commit_every(BTRFS_COMMIT_S)},{devices}"
        run("mount", "-t", "btrfs", "-o", options, self._disks.devices[0], self._point)


def two_of_each(corpus: Corpus, sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """Two disks for every file, larger disks more often."""
    # Exponential races draw without replacement.
    rng = np.random.default_rng(SEED)
    races = rng.exponential(1.0, (len(corpus.sizes), len(sizes))) / np.array(sizes)
    return [tuple(row[:2]) for row in np.argsort(races, axis=1).tolist()]


def ingest(peer: Peer, disks: Disks, corpus: Corpus) -> Span:
    """Store the corpus, measured until all of it is durable."""
    with disks.measured() as span:
        peer.write(corpus)
    return span


def export(peer: Peer, disks: Disks, corpus: Corpus, paths: Sequence[str], target: str) -> Span:
    """Copy the paths, cold, to the SSD by several readers, measured until durable there."""
    peer.make_cold()
    os.makedirs(target)
    with disks.measured() as span:
        _copy_paths(peer.read_root(), paths, target)
        run("sync", "--file-system", target)
    wrong = [path for path in paths if os.path.getsize(f"{target}/{path}") != corpus.sizes[path]]
    shutil.rmtree(target)
    if wrong:
        raise SystemExit(f"{peer.name}: {len(wrong)} files came out wrong, such as {wrong[0]}")
    return span


def copy_all(corpus: Corpus, targets: dict[str, list[str]]) -> None:
    """Copy every file of the corpus to its targets (folders), by several writers in its order."""
    for folder in {root for roots in targets.values() for root in roots}:
        for part in {os.path.dirname(path) for path in targets}:
            os.makedirs(os.path.join(folder, part), exist_ok=True)

    def copy(path: str) -> None:
        for root in targets[path]:
            copy_file(f"{corpus.folder}/{path}", f"{root}/{path}")

    in_threads(WRITERS, copy, targets)


def _copy_paths(root: str, paths: Sequence[str], target: str) -> None:
    for folder in sorted({os.path.dirname(path) for path in paths}):
        os.makedirs(os.path.join(target, folder), exist_ok=True)
    in_threads(READERS, lambda path: copy_file(f"{root}/{path}", f"{target}/{path}"), paths)


def copy_file(source: str, target: str) -> None:
    """Copy the bytes of a file."""
    reading = os.open(source, os.O_RDONLY)
    try:
        writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            while piece := os.read(reading, PIECE_BYTES):
                os.write(writing, piece)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def in_threads(count: int, work: Callable[[str], None], items: Iterable[str]) -> None:
    """Do the work on all items, in their order, by `count` threads; the first error is raised."""
    # Going through one iterator is atomic enough: next() of a C iterator holds the GIL.
    left = itertools.chain(items)
    failures: list[BaseException] = []

    def run_one() -> None:
        try:
            for item in left:
                if failures:
                    return
                work(item)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run_one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def wait_until(ready: Callable[[], bool], what: str, process: subprocess.Popen[bytes]) -> None:
    """Wait for a server to be ready; SystemExit when it ends before, or takes too long."""
    deadline = time.monotonic() + MOUNT_S_MAX
    while True:
        with suppress(OSError):
            if ready():
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{what} did not start")
        time.sleep(0.05)
