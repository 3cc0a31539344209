"""The inbox as a workflow: a run for each signalled folder, once; what is wrong is told once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator

import database_harness
import pytest
from jobs_harness import until
from store_harness import Store, write_files
from test_jobs_workflows import PNG, Plant

from adapters import Receiver, received_state
from base.errors import UsageError
from sql import Run, RunFilter

LATER_S = 1e12
FILES = {"one.png": PNG + b"1", "two.png": PNG + b"2"}


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


def deliver(plant: Plant, name: str, ready: object, files: dict[str, bytes] = FILES) -> str:
    folder = os.path.join(plant.store.config.area_path("3a"), name)
    write_files(folder, files)
    if ready is not None:
        signal(folder, ready)
    return folder


def signal(folder: str, ready: object) -> None:
    # As a copy over the network may leave it: written now, with an older time of modification.
    path = os.path.join(folder, "_READY.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write(ready if isinstance(ready, str) else json.dumps(ready))
    os.utime(path, (1, 1))


def look(plant: Plant) -> list[Run]:
    """Let the inbox be looked at, and all that is started end; returns the runs of ua_1."""
    run, _ = plant.control.start("inbox", {}, requested_by="schedule inbox")
    ended = plant.wait(run.run_id)
    assert ended.state == "done", ended.reason
    found = plant.database.runs.list_runs(RunFilter(workflow="ua_1")).runs
    return sorted((plant.wait(one.run_id) for one in found), key=lambda one: one.run_id)


def refusals(plant: Plant) -> list[str]:
    return sorted(event.subject for event in plant.database.events.events("inbox.refused"))


def test_every_signalled_folder_gets_one_run_and_what_cannot_be_used_is_told_once(plant: Plant):
    deliver(plant, "cats", {"format": "plain-folder", "batch": "cats-11", "user": "ann"})
    deliver(plant, "dogs", {"format": "plain-folder", "batch": "dogs-11"}, {"d.png": PNG + b"3"})
    deliver(plant, "growing", None)
    deliver(plant, "broken", '{"batch": ')
    deliver(plant, "unknown", {"format": "no-such", "batch": "x"})
    for _ in range(2):  # The second time there is nothing new.
        runs = look(plant)
        assert [run.state for run in runs] == ["done", "done"]
        assert refusals(plant) == ["inbox broken", "inbox unknown"]
    assert {run.parameters["batch"] for run in runs} == {"cats-11", "dogs-11"}
    (cats,) = [run for run in runs if run.parameters["batch"] == "cats-11"]
    assert (cats.parameters["source"], cats.parameters["user"]) == ("plain-folder", "ann")
    assert cats.requested_by == "schedule inbox"
    states = {batch.name: batch.state for batch in plant.database.ingests.batches()}
    assert states == {"cats-11": "packed", "dogs-11": "packed"}


def test_a_folder_whose_run_failed_is_tried_again_when_it_is_signalled_anew(plant: Plant):
    ready = {"format": "plain-folder", "batch": "cats"}
    folder = deliver(plant, "cats", ready)
    other = deliver(plant, "other", {**ready, "batch": "cats"})
    # Two folders with one name: the second is told that it needs another, by a run that fails.
    look(plant)
    runs = look(plant)
    assert [run.state for run in runs] == ["done", "failed"]
    assert "give this folder another batch name" in (runs[1].reason or "")
    assert len(look(plant)) == 2
    failed = [event.subject for event in plant.database.events.events("processing.failed")]
    assert len(failed) == 1
    signal(other, {**ready, "batch": "other"})
    assert [run.state for run in look(plant)] == ["done", "failed", "done"]
    assert {batch.folder for batch in plant.database.ingests.batches()} == {folder, other}


def test_the_inbox_may_be_scheduled(plant: Plant):
    from jobs.scheduler.schedules import add_schedule, fire_now, new_schedule, request_at

    deliver(plant, "cats", {"format": "plain-folder", "batch": "cats"})
    request = request_at(plant.store.config_path)
    every = new_schedule(name="inbox", workflow="inbox", cron="*/5 * * * *", zone="UTC")
    add_schedule(plant.database, every, request)
    assert fire_now(plant.database, "inbox", request).outcome == "fired"
    until(lambda: [batch.state for batch in plant.database.ingests.batches()] == ["packed"])


def test_a_run_of_a_folder_reads_its_signal(plant: Plant):
    folder = deliver(plant, "cats", {"format": "plain-folder", "batch": "cats-11", "user": "ann"})
    run, _ = plant.control.start("ua_1", {"folder": folder})
    assert run.parameters == {
        "folder": folder,
        "batch": "cats-11",
        "source": "plain-folder",
        "user": "ann",
    }
    plant.control.cancel(run.run_id)
    # What is said with the request is heard first.
    said = {"folder": folder, "batch": "mine", "source": "manifest", "user": "bob"}
    run, _ = plant.control.start("ua_1", said)
    assert run.parameters == said
    plant.control.cancel(run.run_id)
    bare = deliver(plant, "bare", None)
    with pytest.raises(UsageError, match="say the name of the batch"):
        plant.control.start("ua_1", {"folder": bare})
    broken = deliver(plant, "broken", '{"batch": ')
    with pytest.raises(UsageError, match="cannot be read"):
        plant.control.start("ua_1", {"folder": broken})


def test_what_is_received_comes_in_by_itself(plant: Plant):
    with Receiver(plant.store.config_path) as receiver:
        receipts = []
        for number in range(2):
            receipt, _ = receiver.accept("ann", "pets", b'[{"id": %d}, {"no": 1}]' % number)
            receiver.tick(LATER_S)
            until(lambda one=receipt: received_state(plant.database, one).state == "done")
            receipts.append(receipt)
    batches = {one.name: one.user for one in plant.database.ingests.batches()}
    assert batches == {one.window: "ann" for one in receipts}
