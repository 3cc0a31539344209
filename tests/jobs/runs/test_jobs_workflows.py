"""The workflows that ship, over a real store with its database, by a real worker."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator

import database_harness
import pytest
from jobs_harness import kill_found, until
from store_harness import Store, with_quota, write_files

from adapters.cold_storage.outbox import confirm
from adapters.records.errors import BatchBusyError
from base.errors import UsageError
from base.processes import process
from jobs import RunControl, load_jobs_config
from jobs.core.marks import worker_mark
from jobs.queues import redis_server
from jobs.scheduler import supervise
from sql import Database, Run, RunTask

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100
OUTBOX_BYTES = 10_000_000
SCRAPE = {"one.png": PNG + b"1", "two.png": PNG + b"2", "program.exe": b"MZ"}


class Plant:
    """A running store, its database, and one worker."""

    def __init__(self, store: Store, dsn: str) -> None:
        with_quota(store.root, outbox_bytes=OUTBOX_BYTES)
        store.start()
        with open(store.config_path, "a", encoding="utf-8") as file:
            file.write(f"\n[database]\ndsn = {json.dumps(dsn)}\n")
            file.write("[jobs]\nheartbeat_s = 0.3\nspace_retry_s = 1\n")
            file.write("thumbnails_on_arrival = false\nactions_on_arrival = []\n")
        self.store = store
        self.database = Database.connect(dsn)
        self.config = load_jobs_config(store.config_path)
        self.control = RunControl(store.config_path, self.database, self.config)
        redis_server.start(self.config)
        supervise.start_scheduler(self.config, store.config_path)
        self.start_worker()

    def start_worker(self) -> None:
        wanted = supervise.WantedWorker("one", ("io", "default"))
        supervise.start_worker(self.config, self.store.config_path, wanted)

    def stop(self) -> None:
        process.kill_session(os.path.join(self.config.run_dir, "keeper.mark"))
        process.kill_session(worker_mark(self.config, "one"))
        redis_server.stop(self.config)
        self.database.close()

    def scrape(self, name: str) -> str:
        return write_files(os.path.join(self.store.config.area_path("3a"), name), SCRAPE)

    def wait(self, run_id: int) -> Run:
        ended = ("done", "partial", "failed", "cancelled")
        until(lambda: self.database.runs.run(run_id).state in ended)
        return self.database.runs.run(run_id)


@pytest.fixture
def plant(
    store: Callable[..., Store], database_server: str, database_template: str
) -> Iterator[Plant]:
    new = database_harness.new_database(database_server, database_template)
    with new as dsn:
        made = Plant(store(started=False), dsn)
        try:
            yield made
        finally:
            made.stop()


def test_a_scraped_folder_comes_in_and_what_is_wrong_is_told(plant: Plant):
    wanted = {"folder": plant.scrape("cats"), "batch": "cats", "source": "plain-folder"}
    run, created = plant.control.start("ua_1", wanted, requested_by="ada")
    same, again = plant.control.start("ua_1", wanted)
    assert (created, again, same.run_id) == (True, False, run.run_id)
    ended = plant.wait(run.run_id)
    assert ended.state == "partial" and "rows in quarantine: 1;" in (ended.reason or "")
    result = plant.database.runs.show(run.run_id).tasks[0].result
    assert (result["files"], result["state"], result["quarantined"]) == (3, "packed", 1)
    assert plant.database.ingests.batch("cats").state == "packed"


def test_an_ingest_that_was_killed_goes_on(plant: Plant):
    wanted = {"folder": plant.scrape("cats"), "batch": "cats", "source": "plain-folder"}
    run, _ = plant.control.start("ua_1", wanted)
    until(lambda: plant.database.runs.show(run.run_id).attempts)
    kill_found(lambda: process.find(worker_mark(plant.config, "one")))
    plant.start_worker()
    assert plant.wait(run.run_id).state == "partial"
    assert len(list(plant.database.quarantine.of_batches("cats"))) == 1


def test_without_room_in_the_outbox_a_run_waits_and_goes_on_when_packages_are_confirmed(
    plant: Plant, tmp_path
):
    files = {f"{number:02d}.png": PNG + bytes([number]) * 1_000_000 for number in range(13)}
    folder = write_files(os.path.join(plant.store.config.area_path("3a"), "large"), files)
    wanted = {"folder": folder, "batch": "large", "source": "plain-folder"}
    run, _ = plant.control.start("ua_1", wanted)
    waited: list[RunTask] = []

    def waits() -> bool:
        waited[:] = plant.database.runs.show(run.run_id).tasks
        return waited[0].state == "waiting_space"

    until(waits)
    assert waited[0].failures == 0
    assert re.search(r"package large-\d+ asks for .* confirmed", waited[0].error or "")
    outbox = plant.store.config.area_path("3b")

    def copied_away() -> bool:
        for package in plant.database.ingests.packages("large"):
            name = package.package_id
            copy = shutil.copytree(os.path.join(outbox, name), tmp_path / name, dirs_exist_ok=True)
            with contextlib.suppress(BatchBusyError):  # The run looks whether there is room by now.
                confirm(plant.store.config_path, name, str(copy), plant.database)
        return plant.database.runs.run(run.run_id).state == "done"

    until(copied_away)
    packages = plant.database.ingests.packages("large", waiting_only=False)
    assert len(packages) > 2 and sum(package.size_bytes for package in packages) > OUTBOX_BYTES


def test_what_could_never_come_in_is_refused_at_once(plant: Plant):
    with pytest.raises(UsageError, match="is not a folder"):
        plant.control.start("ua_1", {"folder": "/no/such", "batch": "x"})
    one, other = plant.scrape("one"), plant.scrape("other")
    plant.database.runs.set_queue("io", paused=True)
    plant.control.start("ua_1", {"folder": one, "batch": "b", "source": "plain-folder"})
    with pytest.raises(UsageError, match="with other parameters"):
        plant.control.start("ua_1", {"folder": other, "batch": "b", "source": "plain-folder"})


def test_a_backup_is_made_and_checked(plant: Plant):
    run, _ = plant.control.start("backup", {"method": "logical"})
    ended = plant.wait(run.run_id)
    assert ended.state == "done", ended.reason
    result = plant.database.runs.show(run.run_id).tasks[0].result
    assert result["state"] == "ok" and len(result["copies"]) == 2
