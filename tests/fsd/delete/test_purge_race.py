"""Purges of batches and objects race with puts of the same bytes, views, compactions and kills.

Whatever was acknowledged, and not purged after, is there. `--crash-seed S` replays the choices of a
run, `--slow` makes it long.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from engine_processes import kill_engine
from purge_checks import everything, quick_store, reindex, store_batch
from store_checks import (
    assert_clean,
    finish,
    key_of,
    keys_of,
    read_object,
    settle,
    until,
    write_manifest,
)
from store_harness import Store, write_files

from base.errors import DrystoneError
from fsd.format.errors import EngineUnavailableError, NotFoundError

STORES = 2
ROUNDS = 4
ROUNDS_SLOW = 60


@pytest.mark.seconds(12)
@pytest.mark.fault
@pytest.mark.timeout(0)
def test_whatever_was_acknowledged_is_there(store, short_tmp, pytestconfig):
    seed = pytestconfig.getoption("--crash-seed") or str(time.time_ns())
    rounds = ROUNDS_SLOW if pytestconfig.getoption("--slow") else ROUNDS
    runs = []
    for number in range(STORES):
        folder = os.path.join(short_tmp, f"work{number}")
        os.makedirs(folder)
        made = quick_store(store, 3, compact_dead_share=0.05)
        runs.append(Race(made, folder, random.Random(f"{seed}-{number}")))
    with ThreadPoolExecutor(STORES) as threads:
        for future in [threads.submit(run.run, rounds) for run in runs]:
            try:
                future.result()
            except BaseException as error:
                raise AssertionError(f"--crash-seed {seed}: {error!r}") from error


class Race:
    """One store, and what it was told to keep."""

    def __init__(self, store: Store, folder: str, rng: random.Random) -> None:
        self.store = store
        self.folder = folder
        self.rng = rng
        self.pool = [rng.randbytes(rng.choice((10, 3000, 60_000, 200_000))) for _ in range(40)]
        self.pool.append(rng.randbytes(1_500_000))
        self.batches: dict[str, dict[str, bytes]] = {}
        self.doubtful: set[str] = set()
        self.views: dict[str, dict[str, bytes]] = {}
        self.chosen: set[str] = set()
        """Keys that were purged by themselves once: batches may have them again, or not."""
        self.number = 0

    def run(self, rounds: int) -> None:
        for _ in range(rounds):
            self.round()
            self.check()
        settle(self.store)
        finish(self.store, self.store.client.compact(0.01).job_id)
        self.check()
        assert_clean(self.store)
        until(self.is_listed, "listings of what was purged by itself, or stored again")
        before = everything(self.store)
        reindex(self.store)
        assert everything(self.store) == before
        self.check()

    def is_listed(self) -> bool:
        client = self.store.client
        return all(
            one.files == len({file.path for file in client.batch_files(one.batch)})
            for one in client.batches()
        )

    def round(self) -> None:
        """Some things at once: purges of old batches, puts of the same bytes, views, a kill."""
        victims = self.rng.sample(sorted(self.batches), min(2, len(self.batches)))
        works: list[Callable[[], None]] = [self._purge(name) for name in victims]
        works += [self._put() for _ in range(3)]
        works += [self._purge_keys()]
        works += [self._view() for _ in range(1 if self.batches else 0)]
        works += [self._compact] if self.rng.random() < 0.6 else []
        if self.rng.random() < 0.5:
            works.append(self._kill(self.rng.uniform(0, 1.5)))
        delays = [self.rng.uniform(0, 0.4) for _ in works]
        failures: list[BaseException] = []

        def work(do: Callable[[], None], delay_s: float) -> None:
            try:
                # The delay is the test: it moves the works against each other.
                time.sleep(delay_s)
                with contextlib.suppress(EngineUnavailableError):
                    do()
            except BaseException as error:
                failures.append(error)

        threads = [
            threading.Thread(target=work, args=one) for one in zip(works, delays, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        self.store.start()

    def _put(self) -> Callable[[], None]:
        self.number += 1
        name = f"b{self.number}"
        chosen = self.rng.sample(self.pool, 15)
        files = {f"f{n}": data for n, data in enumerate(chosen)}
        files["own"] = self.rng.randbytes(5000)
        class_name = self.rng.choice(("raw", "generated"))
        source = write_files(os.path.join(self.folder, name), files)

        def put() -> None:
            # Before the answer: when that is lost, the batch may be there all the same.
            client, acknowledged = self.store.client, self.batches.setdefault(name, {})
            job_id = client.batch_write(source, name, class_name).job_id
            for line in client.report(job_id):
                if line["status"] in ("written", "existing"):
                    acknowledged[line["path"]] = files[line["path"]]
            assert client.wait(job_id).state == "done", client.job(job_id)

        return put

    def _purge(self, name: str) -> Callable[[], None]:
        kept = self.batches.pop(name)

        def purge() -> None:
            # Until it is known how it ended, both ends are right.
            self.doubtful.add(name)
            try:
                job_id = self.store.client.purge(name).job_id
            except NotFoundError:
                assert not kept  # It never came to be.
                return
            ended = self.store.client.wait(job_id)
            self.doubtful.discard(name)
            assert ended.state == "done", (ended, len(kept))

        return purge

    def _purge_keys(self) -> Callable[[], None]:
        keys = tuple(key_of(data) for data in self.rng.sample(self.pool, 3))
        self.chosen.update(keys)

        def purge() -> None:
            ended = self.store.client.wait(self.store.client.purge(keys=keys).job_id)
            assert ended.state == "done", ended

        return purge

    def _view(self) -> Callable[[], None]:
        batch = self.rng.choice(sorted(self.batches))
        files = dict(self.batches[batch])
        self.number += 1
        name = f"v{self.number}"
        manifest = write_manifest(os.path.join(self.folder, f"{name}.jsonl"), keys_of(files))

        def publish() -> None:
            client = self.store.client
            try:
                answer = client.export_to_3d(manifest, name, "plain", mode="view")
            except EngineUnavailableError:
                raise
            except DrystoneError:
                return  # Some of it was purged before.
            if client.wait(answer.job_id).state == "done":
                self.views[name] = files

        return publish

    def _compact(self) -> None:
        self.store.client.wait(self.store.client.compact().job_id)

    def _kill(self, delay_s: float) -> Callable[[], None]:
        def kill() -> None:
            time.sleep(delay_s)
            kill_engine(self.store.config, group=True)

        return kill

    def check(self) -> None:
        """Everything that was acknowledged is listed and read; what was purged is not listed."""
        client = self.store.client
        listed = {one.batch for one in client.batches()}
        assert set(self.batches) - listed <= {n for n, files in self.batches.items() if not files}
        assert listed <= set(self.batches) | self.doubtful, (listed, self.doubtful)
        for name, files in self.batches.items():
            if name in listed:
                found = {file.path: file.key for file in client.batch_files(name)}
                for path, data in files.items():
                    purged = path not in found and key_of(data) in self.chosen
                    assert purged or found.get(path) == key_of(data), (name, path)
                # What is listed is there.
                assert client.known(list(found.values())) == set(found.values()), name
        wanted = {key_of(d): d for files in self.batches.values() for d in files.values()}
        there = client.known(list(wanted))
        assert wanted.keys() - there <= self.chosen
        wanted = {key: wanted[key] for key in there}
        wanted |= {key_of(d): d for files in self.views.values() for d in files.values()}
        for key, data in wanted.items():
            assert read_object(self.store, key) == data, key


@pytest.mark.fault
def test_the_same_bytes_again_and_again(store, short_tmp):
    """One content, purged and put by turns as fast as it goes: it is there after every put."""
    made = quick_store(store, 3)
    files = {"a": b"the same bytes" * 1000}
    stop = threading.Event()
    failures: list[BaseException] = []

    def put(number: int) -> None:
        turn = 0
        try:
            while not stop.is_set():
                turn += 1
                name = f"p{number}-{turn}"
                store_batch(made, short_tmp, name, files)
                assert read_object(made, key_of(files["a"])) == files["a"]
                finish(made, made.client.purge(name).job_id)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    stop.wait(5)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert made.client.health().objects == 0
    assert_clean(made)
