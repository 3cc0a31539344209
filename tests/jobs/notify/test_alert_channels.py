"""A scheduler that runs while somebody changes whom it tells."""

from __future__ import annotations

import json
import logging
import os
import sys

import pytest
from jobs_harness import Yard

from jobs.core.alert_config import AlertsConfig
from jobs.notify.deliver import Deliverer as Teller
from jobs.queues.queues import Deliverer
from jobs.queues.redis_server import connect
from jobs.scheduler.alert_tasks import schedule_and_alert_tasks
from jobs.scheduler.periodic_task import Watch
from sql import Database


class TellingScheduler:
    """The periodic task of a scheduler that tells."""

    def __init__(self, yard: Yard) -> None:
        queues = Deliverer(connect(yard.config), yard.config.queues)
        self.yard = yard
        self.watch = Watch(yard.config_path, yard.config, yard.database, queues)
        (task,) = [task for task in schedule_and_alert_tasks() if task.name == "alerts"]
        self.tell = task.function

    def fail(self, number: int) -> None:
        self.yard.database.events.add("processing.failed", f"run {number}", {})
        self.tell(self.watch)


def _channel(name: str, log) -> str:
    code = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"
    command = json.dumps([sys.executable, "-c", code, str(log)])
    return f'[[jobs.alerts.channel]]\nname = "{name}"\nkind = "command"\ncommand = {command}\n'


def _planned(yard: Yard) -> list[tuple[str, str]]:
    return sorted((one.subject, one.channel) for one in yard.database.events.deliveries())


def test_a_channel_that_is_added_is_told_without_a_restart(
    yard: Yard, tmp_path, caplog: pytest.LogCaptureFixture
):
    log = tmp_path / "log"
    scheduler = TellingScheduler(yard)
    with open(yard.config_path, encoding="utf-8") as file:
        before = file.read()

    def write(text: str) -> None:
        with open(yard.config_path, "w", encoding="utf-8") as file:
            file.write(before + "\n" + text)

    scheduler.fail(1)
    write(_channel("first", log))
    scheduler.fail(2)
    assert _planned(yard) == [("run 2", "first")]
    # While somebody is writing, or has written nonsense, the channels stay as they were.
    for nonsense in ("[[jobs.alerts.channel]\n", "[jobs.alerts]\nshout = true\n"):
        write(nonsense)
        with caplog.at_level(logging.WARNING):
            scheduler.fail(3)
            scheduler.tell(scheduler.watch)
        assert caplog.text.count("the channels stay as they were") == 1
        caplog.clear()
    assert _planned(yard) == [("run 2", "first"), ("run 3", "first"), ("run 3", "first")]
    write(_channel("second", log))
    scheduler.fail(4)
    assert _planned(yard)[-1] == ("run 4", "second")


def test_a_channel_that_is_repaired_gets_the_rest_of_its_queue(database: Database, tmp_path):
    log, gate = tmp_path / "log", tmp_path / "gate"
    os.mkfifo(gate)
    waits = "import sys; open(sys.argv[1]).read(); sys.exit(1)"
    writes = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"

    def channel(code: str, path) -> AlertsConfig:
        command = [sys.executable, "-c", code, str(path)]
        return AlertsConfig.model_validate(
            {"channel": [{"name": "ops", "kind": "command", "command": command}]}
        )

    for number in range(2):
        database.events.add("processing.failed", f"run {number}", {})
    deliverer = Teller(channel(waits, gate), database, "store")
    deliverer.tick()
    deliverer.use(channel(writes, log))
    gate.write_text("")  # Here the first try is under way, and fails.
    deliverer.join()
    states = sorted((one.state, one.attempts) for one in database.events.deliveries())
    assert states == [("done", 1), ("waiting", 1)]
    assert len(log.read_text().splitlines()) == 1
