"""The store that grows: it owns its objects, made by number, and how they get in; no figure.

Object `number` has 100 to 300 bytes that follow from the number alone, so a manifest of any of
them can be written without asking the store. Source files lie in a folder that is emptied after
each put: on tmpfs, because ext4 would be slow for minutes after a million deletions.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from itertools import accumulate

from base.config import CONFIG_NAME
from fsd.cli.daemons import daemon
from fsd.client.client import Client
from fsd.disks.config import MIB, Config, load_config
from fsd.documents.models import JobStatus
from fsd.engine.setup import init_store

DISKS = 4
FOLDER_FILES = 1000
BATCH_FILES_MAX = 250_000
SEED = 1
POLL_S = 0.01


def content(number: int) -> bytes:
    """Return the bytes of an object."""
    return hashlib.shake_128(number.to_bytes(8, "little")).digest(100 + number % 201)


def path_of(number: int) -> str:
    """Return the path of an object in its batch."""
    return f"gallery_{number // FOLDER_FILES:06d}/{number * 2654435761 % 2**32:08x}_{number}.jpg"


def write_folder(root: str, numbers: range) -> None:
    """Write the source files of one folder."""
    os.mkdir(os.path.join(root, os.path.dirname(path_of(numbers[0]))))
    for number in numbers:
        fd = os.open(os.path.join(root, path_of(number)), os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(fd, content(number))
        os.close(fd)


def manifest_lines(share: float, numbers: range) -> bytes:
    """Return the manifest lines of a seeded random share of these objects."""
    draw = random.Random(f"{SEED} {share} {numbers.start}").random
    return b"".join(_line(number) for number in numbers if draw() < share)


def _line(number: int) -> bytes:
    key = hashlib.sha256(content(number)).hexdigest()
    return f'{{"path":"{path_of(number)}","key":"{key}","node_id":{number}}}\n'.encode("ascii")


def _slices(numbers: range, size: int) -> Iterator[range]:
    """Cut at multiples of `size`, so that one folder is in one slice."""
    first = numbers.start
    while first < numbers.stop:
        behind = min(numbers.stop, (first // size + 1) * size)
        yield range(first, behind)
        first = behind


def _finish(work: list[Future[None]]) -> None:
    for future in work:
        future.result()


class GrowingStore:
    """A real store on folders of one filesystem, its engine, and how many objects it has."""

    def __init__(self, root: str, sources: str, packers: int | None = None) -> None:
        """Make it; with `packers` so many processes hash and pack in a put."""
        disks = [os.path.join(root, f"d{number}") for number in range(DISKS)]
        self.config: Config = init_store(root, disks, None, min_free_bytes=MIB)
        if packers is not None:
            path = os.path.join(root, CONFIG_NAME)
            with open(path, encoding="utf-8") as file:
                text = file.read()
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace("[store]\n", f"[store]\npacker_processes = {packers}\n"))
            self.config = load_config(path)
        self.disks = disks
        self.client = Client(self.config.socket_path)
        self.objects = 0
        self.batches: list[str] = []
        self._sources = sources
        # Before any thread: its processes are forked.
        self._pool = ProcessPoolExecutor()

    @property
    def pid(self) -> int:
        """The engine's process."""
        pid = daemon.status(self.config).engine_pid
        assert pid is not None
        return pid

    def start(self) -> None:
        """Start the engine; returns when it answers."""
        daemon.start_engine(self.config, os.path.join(self.config.root, CONFIG_NAME))

    def stop(self) -> None:
        """Stop the engine."""
        daemon.stop_engine(self.config)

    def kill(self) -> None:
        """End the engine as a crash would; returns when it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        while daemon.status(self.config).engine_pid is not None:
            time.sleep(POLL_S)

    def close(self) -> None:
        """Stop everything; the folders are the caller's."""
        daemon.stop_engine(self.config)
        self._pool.shutdown()

    def make_sources(self, count: int) -> str:
        """Write the next objects' source files; returns their folder."""
        folder, work = self._begin_sources(self.objects, count)
        _finish(work)
        return folder

    def _begin_sources(self, first: int, count: int) -> tuple[str, list[Future[None]]]:
        folder = os.path.join(self._sources, str(first))
        os.mkdir(folder)
        numbers = range(first, first + count)
        slices = _slices(numbers, FOLDER_FILES)
        return folder, [self._pool.submit(write_folder, folder, numbers) for numbers in slices]

    def put(self, folder: str) -> JobStatus:
        """Put what `make_sources` made, as a batch of its own; returns the job, which is done."""
        batch = f"batch-{len(self.batches):04d}"
        job = self.finish(self.client.batch_write(folder, batch).job_id)
        self.objects += job.done_files
        self.batches.append(batch)
        shutil.rmtree(folder)
        return job

    def grow(self, objects: int) -> int:
        """Put batches until the store has so many objects; returns how many more there are.

        The next source files are made meanwhile: no figure is taken here.
        """
        before = self.objects
        sizes = [BATCH_FILES_MAX] * ((objects - before) // BATCH_FILES_MAX)
        sizes += [rest] if (rest := (objects - before) % BATCH_FILES_MAX) else []
        firsts = accumulate(sizes, initial=before)
        made = (
            self._begin_sources(first, size) for first, size in zip(firsts, sizes, strict=False)
        )
        ahead = next(made, None)
        while ahead is not None:
            (folder, work), ahead = ahead, next(made, None)
            _finish(work)
            self.put(folder)
        return self.objects - before

    def write_manifest(self, path: str, share: float) -> int:
        """Write a manifest of a random share of all objects; returns how many it names."""
        count = 0
        with open(path, "wb") as file:
            slices = _slices(range(self.objects), 10 * FOLDER_FILES)
            for lines in self._pool.map(partial(manifest_lines, share), slices, chunksize=8):
                file.write(lines)
                count += lines.count(b"\n")
        return count

    def finish(self, job_id: str) -> JobStatus:
        """Wait for a job that has to succeed."""
        job = self.client.wait(job_id)
        if job.state != "done":
            raise SystemExit(f"{job.kind} ended {job.state}: {job.error}")
        return job
