"""Drystone on the emulated disks: it owns what `bench.disks` makes it do, one work per function.

Every work begins cold: the engine is stopped, the disks are unmounted and mounted, the engine is
started, and only then the clock and the disks' statistics begin.
"""

from __future__ import annotations

import filecmp
import json
import os
import random
import shutil
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from base.config import CONFIG_NAME
from bench.disks.lab import Disks, Span
from bench.disks.place import Placement, read_placement, wanted_by_shard
from fsd.cli.daemons import daemon
from fsd.client.client import Client
from fsd.disks.config import MIB, Config, load_config
from fsd.documents.models import JobStatus
from fsd.engine.setup import init_store
from fsd.fixture.corpus import Corpus

BATCH = "bench"
MIN_FREE_BYTES = 64 * MIB
SMALL_BYTES_MAX = 128_000
SEED = 5
FOREGROUND_PER_S = 5.0


@dataclass(slots=True)
class Work:
    """One finished work: what was measured, what the job said, and what it did it to."""

    span: Span
    result: dict[str, Any]
    wanted_bytes: list[int] = field(default_factory=list[int])
    reads_s: list[float] = field(default_factory=list[float])
    files: int = 0
    placement: Placement | None = None


class StoreUnderTest:
    """A store whose disks are the emulated ones. `close` stops the engine."""

    def __init__(
        self,
        disks: Disks,
        shard_size_bytes: int | None,
        *,
        read_back: bool = True,
        min_free_bytes: int = MIN_FREE_BYTES,
    ) -> None:
        """Format the disks and start a new store on them; without a shard size with its own."""
        self.disks = disks
        disks.format()
        self.root = os.path.join(disks.ssd, "store")
        init_store(
            self.root,
            disks.paths,
            None,
            min_free_bytes=min_free_bytes,
            shard_size_bytes=shard_size_bytes,
        )
        path = os.path.join(self.root, CONFIG_NAME)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            # Nothing but the work that is measured.
            settings = f"scrub_rate_bytes_per_s = 0\nread_back = {str(read_back).lower()}\n"
            file.write(text.replace("[store]\n", f"[store]\n{settings}", 1))
        self.config: Config = load_config(path)
        self.client = Client(self.config.socket_path)
        self.keys: dict[str, str] = {}
        self._exports = 0
        daemon.start_engine(self.config, path)

    def close(self) -> None:
        """Stop the engine and remove what it keeps on the SSD."""
        daemon.stop_engine(self.config)
        shutil.rmtree(self.root)

    def make_cold(self) -> None:
        """Restart the engine on disks that nobody remembers anything of."""
        daemon.stop_engine(self.config)
        self.disks.make_cold()
        with self.disks.instantly():
            daemon.start_engine(self.config, os.path.join(self.root, CONFIG_NAME))

    def placement(self) -> Placement:
        """Tell where all shards lie, on the disks that are left."""
        return read_placement(self.config, self.disks.models, self.disks.lost)

    def calibrate(self) -> dict[str, str]:
        """Let the store measure its disks, as it does by itself when nothing else is to be done.

        Returns the disks that it could not measure, with the reasons.
        """
        job = self.client.wait(self.client.disk_calibrate().job_id)
        if job.state == "failed":
            return {disk.name: str(job.error) for disk in self.config.disk}
        return dict(job.result["skipped"])

    def ingest(self, corpus: Corpus) -> Work:
        """Put the corpus with two copies."""
        with self.disks.measured() as span:
            job = finished(self.client, self.client.batch_write(corpus.folder, BATCH))
        self.keys = {file.path: file.key for file in self.client.batch_files(BATCH)}
        return Work(span, job.result, files=len(corpus.sizes))

    def export(self, corpus: Corpus, paths: list[str]) -> Work:
        """Export the paths as a verified copy on the SSD, compare it, and remove it."""
        self.make_cold()
        manifest = os.path.join(self.root, "manifest.jsonl")
        self._exports += 1
        part = f"export{self._exports}"  # A manifest that is stored already would cost nothing.
        with open(manifest, "w", encoding="ascii") as file:
            for path in paths:
                line = {"path": f"{part}/{path}", "key": self.keys[path]}
                file.write(json.dumps(line) + "\n")
        with self.disks.measured() as span:
            answer = self.client.export_to_3d(manifest, BATCH, "plain", "copy")
            job = finished(self.client, self.client.job(answer.job_id))
        compare(corpus.folder, os.path.join(answer.target_root, part), paths)
        shutil.rmtree(answer.target_root)
        keys = [self.keys[path] for path in paths]
        place = self.placement()
        wanted = wanted_by_shard(self.config, keys, place)
        return Work(span, job.result, wanted, files=len(paths), placement=place)

    def scrub(self) -> Work:
        """Verify everything at full speed, nothing else running."""
        self.make_cold()
        with self.disks.measured() as span:
            job = finished(self.client, self.client.scrub())
        return Work(span, job.result)

    def cold_reads(self, corpus: Corpus, count: int) -> Work:
        """Get single small objects whose shard files are open already."""
        self.make_cold()
        small = [path for path, size in corpus.sizes.items() if size <= SMALL_BYTES_MAX]
        chance = random.Random(SEED)
        warm = chance.sample(small, min(len(small), max(count, len(self.placement().shards) * 4)))
        with self.disks.instantly():
            for path in warm:
                self._get(path)
        reads: list[float] = []
        with self.disks.measured() as span:
            for path in chance.sample(small, count):
                reads.append(self._get(path))
        return Work(span, {}, reads_s=reads, files=count)

    def rebuild(self, corpus: Corpus, lost: int) -> Work:
        """Lose a disk and make all copies whole again, while random objects are read."""
        self.make_cold()
        self.disks.lose(lost)
        small = [path for path, size in corpus.sizes.items() if size <= SMALL_BYTES_MAX]
        pause_s = self.disks.time_scale / FOREGROUND_PER_S
        with self.disks.measured() as span, self._foreground(small, pause_s) as reads:
            job = finished(self.client, self.client.rebuild(self.config.disk[lost].name))
        return Work(span, job.result, reads_s=reads)

    @contextmanager
    def _foreground(self, paths: list[str], pause_s: float) -> Generator[list[float]]:
        """Read random objects, one every `pause_s`; yields the seconds that each took."""
        stop, reads, chance = threading.Event(), list[float](), random.Random(SEED)

        def run() -> None:
            due = time.monotonic()
            while not stop.wait(max(0.0, due - time.monotonic())):
                reads.append(self._get(chance.choice(paths)))
                due += pause_s

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield reads
        finally:
            stop.set()
            thread.join()

    def _get(self, path: str) -> float:
        target = os.path.join(self.root, "one")
        begun = time.perf_counter()
        self.client.read(self.keys[path], target)
        seconds = time.perf_counter() - begun
        with suppress(FileNotFoundError):
            os.unlink(target)
        return seconds


def finished(client: Client, job: JobStatus) -> JobStatus:
    """Wait for a job; SystemExit with its error when it did not end well."""
    ended = client.wait(job.job_id)
    if ended.state != "done":
        raise SystemExit(f"the {ended.kind} ended {ended.state}: {ended.error}")
    return ended


def compare(source: str, target: str, paths: list[str]) -> None:
    """What was timed must also be right: every file equals its source, byte for byte."""
    _, different, missing = filecmp.cmpfiles(source, target, paths, shallow=False)
    if different or missing:
        raise SystemExit(f"{target}: {len(different)} files differ, {len(missing)} are missing")
