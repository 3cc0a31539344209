"""A randomised crash run: it owns one store's random life, its violent ends, and what must hold.

Everything that is chosen comes from one `random.Random`, so that a seed gives the same operations,
the same victims and the same delays again (the moment that a delay hits is the scheduler's).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from engine_processes import ChildProcess, children, kill_engine, kill_fork_server, kill_process
from store_checks import assert_sealed, until
from store_harness import Store, write_files

from base.errors import DrystoneError
from fsd.cli.daemons import daemon_mount

HANG_S_MAX = 120.0
BATCHES_MAX = 7
READS_PER_STEP = 12
OPERATIONS = {
    "put": 8,
    "export": 4,
    "view": 2,
    "unpublish": 1,
    "reindex": 1,
    "rebuild": 1,
    "verify": 1,
    "start": 2,
}
VICTIMS = {"group": 4, "engine": 3, "child": 4, "mount": 1, "fork server": 1}


@dataclass
class Batch:
    """One source folder: what it holds, and what the store acknowledged of it."""

    name: str
    folder: str
    keys: dict[str, str]
    acknowledged: dict[str, str] = field(default_factory=dict)


@dataclass
class Export:
    """One export or view: its manifest, and whether the store said that it is done."""

    name: str
    manifest: str
    files: dict[str, bytes]
    mode: str
    done: bool = False
    doubtful: bool = False


class CrashRun:
    """One store from its first put to its last check."""

    def __init__(self, store: Store, folder: str, rng: random.Random) -> None:
        self.store = store
        self.folder = folder
        self.rng = rng
        self.contents: dict[str, bytes] = {}
        self.shared = [rng.randbytes(rng.choice((0, 1, 900, 20_000))) for _ in range(30)]
        self.shared.append(rng.randbytes(700_000))
        self.batches: list[Batch] = []
        self.exports: list[Export] = []
        self.export_count = 0
        self.typical_s = dict.fromkeys(OPERATIONS, 0.8)
        self.history: list[str] = []
        self.killed_disk: ChildProcess | None = None
        self.mounted = daemon_mount.mount_problem() is None

    # ---- One step: an operation, a kill in the middle of it, a check --------------------------

    def step(self) -> None:
        kind = self._draw(OPERATIONS)
        victim = "group" if kind == "start" else self._draw(VICTIMS)
        work = self._operation(kind)
        delay_s = self.rng.uniform(0, 1.3 * self.typical_s[kind])
        self.history.append(f"{kind}: {victim} after {delay_s:.3f} s")
        failures: list[BaseException] = []
        begun = time.monotonic()
        thread = threading.Thread(target=_run, args=(work, failures))
        thread.start()
        thread.join(delay_s)
        if not thread.is_alive():
            self.typical_s[kind] = max(0.05, time.monotonic() - begun)
        self._kill(victim)
        thread.join(HANG_S_MAX)
        assert not thread.is_alive(), f"{kind} hangs after the kill of {victim}"
        if failures:
            raise failures[0]
        self.store.start()
        # Two disks at once would be one fault too many for two copies.
        self.wait_for_disks()
        self.check_lightly()

    def _draw(self, weights: dict[str, int]) -> str:
        return self.rng.choices(list(weights), list(weights.values()))[0]

    def _kill(self, victim: str) -> None:
        if victim == "mount":
            self._kill_mount()
        elif victim == "fork server":
            kill_fork_server(self.store.config)
        elif victim == "child":
            # Sorted by label, not by process id: the choice must be the seed's.
            found = sorted(children(self.store.config), key=lambda child: (child.label, child.pid))
            if found:
                chosen = self.rng.choice(found)
                self.history[-1] += f" ({chosen.label})"
                kill_process(chosen.pid)
                if chosen.module == "disk_process":
                    self.killed_disk = chosen
        else:
            kill_engine(self.store.config, group=victim == "group")

    def _kill_mount(self) -> None:
        mark = daemon_mount.find_mount(self.store.config) if self.mounted else None
        if mark is not None:
            kill_process(mark.pid)

    # ---- Operations: each returns what to run; a dead engine is no failure of theirs ----------

    def _operation(self, kind: str) -> Callable[[], None]:
        if kind in ("put", "export", "view", "unpublish"):
            return getattr(self, f"_{kind}")()
        if kind == "start":
            kill_engine(self.store.config, group=True)
            return self.store.start
        return lambda: self._wait(getattr(self.store.client, kind)().job_id)

    def _put(self) -> Callable[[], None]:
        if (len(self.batches) < BATCHES_MAX and self.rng.random() < 0.6) or not self.batches:
            self.batches.append(self._make_batch())
        batch = self.rng.choice(self.batches[-2:])
        return lambda: self._write(batch)

    def _write(self, batch: Batch) -> str:
        client = self.store.client
        job = client.batch_write(batch.folder, batch.name)
        for line in client.report(job.job_id):
            if line["status"] in ("written", "existing"):
                batch.acknowledged[line["path"]] = line["key"]
        return self._wait(job.job_id)

    def _wait(self, job_id: str) -> str:
        return self.store.client.wait(job_id).state

    def _make_batch(self) -> Batch:
        name = f"batch{len(self.batches)}"
        files = {
            f"f{number % 5}/{number}": self._content() for number in range(self.rng.randint(5, 90))
        }
        folder = write_files(os.path.join(self.folder, name), files)
        keys = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
        self.contents.update((keys[path], data) for path, data in files.items())
        return Batch(name, folder, keys)

    def _content(self) -> bytes:
        if self.rng.random() < 0.25:
            return self.rng.choice(self.shared)
        sizes = ((0, 8_000), (8_000, 60_000), (60_000, 400_000), (600_000, 2_500_000))
        low, high = self.rng.choices(sizes, (60, 30, 7, 3))[0]
        return self.rng.randbytes(self.rng.randint(low, high))

    def _export(self) -> Callable[[], None]:
        return self._materialise("copy")

    def _view(self) -> Callable[[], None]:
        return self._materialise("view")

    def _materialise(self, mode: str) -> Callable[[], None]:
        again = [export for export in self.exports if export.mode == mode and not export.done]
        if again and self.rng.random() < 0.6:
            export = again[-1]
        else:
            export = self._make_export(mode)
            self.exports.append(export)
        return lambda: self._publish(export)

    def _make_export(self, mode: str) -> Export:
        keys = sorted({key for batch in self.batches for key in batch.acknowledged.values()})
        chosen = self.rng.sample(keys, len(keys) // 2)
        files = {f"g{n % 3}/{n}.bin": self.contents[key] for n, key in enumerate(chosen)}
        lines = [{"path": f"g{n % 3}/{n}.bin", "key": key} for n, key in enumerate(chosen)]
        lines.append({"path": "notes/read me.txt", "text": "a sidecar"})
        files["notes/read me.txt"] = b"a sidecar"
        self.export_count += 1
        name = f"{mode}{self.export_count}"
        manifest = os.path.join(self.folder, f"{name}.jsonl")
        with open(manifest, "w", encoding="ascii") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        return Export(name, manifest, files, mode)

    def _publish(self, export: Export) -> None:
        export.doubtful = True
        answer = self.store.client.export_to_3d(
            export.manifest, export.name, "plain", mode=export.mode
        )
        if self._wait(answer.job_id) == "done":
            export.done, export.doubtful = True, False

    def _unpublish(self) -> Callable[[], None]:
        views = [export for export in self.exports if export.mode == "view" and export.done]
        if not views:
            return lambda: None
        view = self.rng.choice(views)
        self.exports.remove(view)
        # Whether or not the answer arrives, it may be gone or not; no check asks any more.
        return lambda: self.store.client.unpublish("exports", view.name, "plain")

    # ---- What must hold ------------------------------------------------------------------------

    def wait_for_disks(self) -> None:
        killed, self.killed_disk = self.killed_disk, None
        if killed is None:
            return
        until(lambda: killed not in children(self.store.config), "the engine to see it")
        label = killed.label
        until(lambda: label in {c.label for c in children(self.store.config)}, "a new process")
        online = ["online"] * len(self.store.disks)
        until(lambda: [d.state for d in self.store.client.disks()] == online, "all disks")

    def check_lightly(self) -> None:
        """After every kill: nothing acknowledged is lost, nothing is half-sealed."""
        pairs = [
            (batch, path, key) for batch in self.batches for path, key in batch.acknowledged.items()
        ]
        for batch, path, key in pairs:
            assert batch.keys[path] == key, (batch.name, path, key)
        keys = sorted({key for _, _, key in pairs})
        for key in self.rng.sample(keys, min(len(keys), READS_PER_STEP)):
            self.check_object(key)
        self.check_exports()

    def check_object(self, key: str) -> None:
        output = os.path.join(self.folder, "read")
        head = self.store.client.read(key, output)
        with open(output, "rb") as file:
            data = file.read()
        os.unlink(output)
        assert data == self.contents[key] and head.size_bytes == len(data), key

    def check_exports(self) -> None:
        published = {view.name for view in self.store.client.views()}
        for export in self.exports:
            if export.mode == "view":
                assert f"exports/{export.name}/plain" in published or not export.done, export.name
                continue
            target = os.path.join(self.store.config.area_path("3d"), export.name, "plain")
            assert os.path.exists(target) or not export.done, f"{target} is gone"
            if os.path.exists(target):
                assert_sealed(target, export.files)

    def check_fully(self) -> None:
        """At the end: everything is whole again and everything can be finished."""
        self.finish_everything()
        self.settle()
        for key in sorted({key for batch in self.batches for key in batch.keys.values()}):
            self.check_object(key)
            head = self.store.client.head(key)
            assert head.copies >= head.copies_target >= 2, head
        self.check_exports()
        self.check_care()
        if self.mounted:
            self.check_mount()

    def finish_everything(self) -> None:
        """Whatever was begun and not done is asked for again, and must succeed now."""
        client = self.store.client
        for batch in self.batches:
            assert self._write(batch) == "done", list(client.jobs())[-1]
            assert {f.path: f.key for f in client.batch_files(batch.name)} == batch.keys
            assert client.batch(batch.name).sealed
            assert client.batch(batch.name).files == len(batch.keys)
        for export in self.exports:
            self._publish(export)
            assert export.done, (export.name, list(client.jobs())[-1])

    def settle(self) -> None:
        """Wait until every shard is sealed (which verify does) and has all its copies."""
        self.store.client.wait(self.store.client.verify().job_id)
        until(lambda: self.store.client.health().rebuild_queue == 0, "all copies")
        assert self.store.client.health().state == "ok", self.store.client.health()

    def check_care(self) -> None:
        client = self.store.client
        for job in (client.fsck(), client.verify()):
            ended = client.wait(job.job_id)
            assert ended.state == "done", (ended, list(client.report(job.job_id)))
        before = self._everything()
        ended = client.wait(client.reindex().job_id)
        assert ended.state == "done", ended
        assert self._everything() == before

    def _everything(self) -> object:
        client = self.store.client
        batches = {batch.batch: batch for batch in client.batches()}
        files = {name: sorted(client.batch_files(name), key=lambda f: f.path) for name in batches}
        return batches, files, client.views(), client.health().objects

    def check_mount(self) -> None:
        point = self.store.mount()
        for export in self.exports:
            if export.mode == "view":
                assert_sealed(os.path.join(point, "exports", export.name, "plain"), export.files)
        for batch in self.batches:
            for path, key in batch.keys.items():
                with open(os.path.join(point, "batches", batch.name, path), "rb") as file:
                    assert file.read() == self.contents[key], (batch.name, path)


def _run(work: Callable[[], object], failures: list[BaseException]) -> None:
    """Run an operation; only what is not the store's own refusal is a failure of the test."""
    try:
        with contextlib.suppress(DrystoneError):
            work()
    except BaseException as error:
        failures.append(error)
