"""A store, a database, workers and pictures: it owns their making for tests of UA_2, no test."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import shutil
import tempfile
import textwrap
from collections.abc import Iterator
from typing import Any

import database_harness
from jobs_harness import Yard, until
from PIL import Image, PngImagePlugin
from store_harness import MIB, Store, with_quota, write_files

from adapters import Signal, run_ingest
from adapters.actions import contract_named
from base.errors import DrystoneError
from fsd.engine.setup import init_store
from sql import Database

JOBS = """
[jobs]
heartbeat_s = 0.3
lease_s = 2.0
space_retry_s = 0.2
stop_timeout_s = 20
thumbnails_on_arrival = false
actions_on_arrival = []

[jobs.runners]
free_bytes_min = 0
grace_s = 0.5

[actions]
folders = ["actions"]
"""
CONTRACT = """
contract: 1
action_id: {number}
name: {name}
type: {kind}
version: 1
description: A program under test
input_selector: {{version: 1, where: {{extension: png}}}}
batch_size_bytes: 1048576
stage_layout:
  layout_id: flat
  files: [{{path: "in/{{node.node_id}}.png"}}]
run_spec:
  runner: shell
  command: [/bin/sh, "{{contract}}/program.sh", "{{input}}/in", "{{output}}"]
  timeout_s: 60
  queue: {queue}
  gate: {gate}
output_parser:
  outputs:
    - name: sizes
      glob: sizes.csv
      format: csv
      input: {{field: file, equals: stem}}
      results: {{size_bytes: size}}
result_schema:
  size_bytes: {{type: bigint, description: Size}}
"""
TAG = """
contract: 1
action_id: {number}
name: {name}
type: AC1
version: 1
description: A tag
input_selector: {{version: 1, where: {{extension: png}}}}
tagging: {{values: {{tag: little}}}}
result_schema:
  tag: {{type: text, description: The tag}}
"""
MEASURE = """
cd "$1"
echo file,size > "$2/sizes.csv"
for name in *.png; do
  echo "${name%.png},$(stat -c %s "$name")" >> "$2/sizes.csv"
done
"""


class ActionYard(Yard):
    """A yard with a running store."""

    store: Store
    dsn: str

    def add_action(
        self, name: str, program: str = MEASURE, *, number: int = 900, **settings: str
    ) -> None:
        """Write an action beside the shipped ones."""
        folder = os.path.join(self.root, "actions", name)
        os.makedirs(folder, exist_ok=True)
        given = {"kind": "AC2", "queue": "cpu", "gate": "none", **settings}
        with open(os.path.join(folder, "contract.yaml"), "w", encoding="utf-8") as file:
            file.write(CONTRACT.format(name=name, number=number, **given))
        with open(os.path.join(folder, "program.sh"), "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(program))

    def add_tag(self, name: str, number: int = 901) -> None:
        """Write an action of SQL alone beside the shipped ones."""
        folder = os.path.join(self.root, "actions", name)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "contract.yaml"), "w", encoding="utf-8") as file:
            file.write(TAG.format(name=name, number=number))

    def add_question(self, number: int) -> tuple[str, str]:
        """Write the shipped question under another name; returns that and the first class."""
        shipped = contract_named(self.config_path, "human_classification")
        with open(os.path.join(shipped.folder, "contract.yaml"), encoding="utf-8") as file:
            text = file.read().replace("name: human_classification", f"name: try_{number}")
        folder = os.path.join(self.root, "actions", f"try_{number}")
        os.makedirs(folder)
        with open(os.path.join(folder, "contract.yaml"), "w", encoding="utf-8") as file:
            file.write(re.sub("action_id: [0-9]+", f"action_id: {number}", text))
        task = shipped.contract.label_task
        assert task is not None
        return f"try_{number}", task.classes[0]

    def act(self, action: str, **parameters: Any) -> int:
        """Ask for an action; returns the run."""
        run, _ = self.control.start("ua_2", {"action": action, **parameters})
        return run.run_id

    def rows(self, query: str) -> list[tuple]:
        with self.database.connection() as connection:
            return connection.execute(query).fetchall()

    def rows_change(self, statement: str) -> None:
        with self.database.connection() as connection:
            connection.execute(statement)

    def hurry(self, run_id: int, *states: str) -> None:
        """Wait for a run that fails twice at most, and does not pause in between."""
        wanted = states or ("done", "partial", "failed", "cancelled")

        def ended() -> bool:
            self.rows_change("UPDATE run_task SET not_before = now() WHERE not_before > now()")
            self.rows_change("UPDATE run_task SET attempts_max = 2 WHERE attempts_max > 2")
            return self.state(run_id) in wanted

        until(ended, lambda: self.story(run_id))

    def staged(self) -> list[str]:
        """What lies in 3C, by its folders, when all that was released is gone."""
        # The engine may be down: then what lies there lies.
        with contextlib.suppress(DrystoneError):
            for job in self.store.client.jobs():
                if job.kind == "release":
                    self.store.client.wait(job.job_id)
        found = []
        for folder, _, names in os.walk(self.store.config.area_path("3c")):
            found += [os.path.join(folder, name) for name in names]
        return found


def make_action_yard(
    store: Store, dsn: str, pictures: int = 6, padding_bytes: int = 0
) -> ActionYard:
    """Tie a running store to a database and fill both with so many pictures."""
    with open(store.config_path, "a", encoding="utf-8") as file:
        file.write(f"\n[database]\ndsn = {json.dumps(dsn)}\n{JOBS}")
    os.makedirs(os.path.join(store.root, "actions"), exist_ok=True)
    yard = ActionYard(store.root, store.config_path, Database.connect(dsn))
    yard.store, yard.dsn = store, dsn
    if not pictures:
        return yard
    shades = random.Random(7)
    files = {f"{number}.png": _picture(number, shades, padding_bytes) for number in range(pictures)}
    inbox = write_files(os.path.join(store.config.area_path("3a"), "pictures"), files)
    signal = Signal(inbox, "pictures", "plain-folder", "tester")
    run_ingest(store.config_path, signal, database=yard.database)
    return yard


@contextlib.contextmanager
def lasting_yard(
    database_server: str, database_template: str, **quota_bytes: int
) -> Iterator[ActionYard]:
    """Make a store with six pictures, Redis, a scheduler and a worker, for a module's tests."""
    with contextlib.ExitStack() as stack:
        root = tempfile.mkdtemp(prefix="ds-")
        stack.callback(shutil.rmtree, root)
        paths = [os.path.join(root, f"d{number}") for number in range(2)]
        init_store(root, paths, None, min_free_bytes=MIB, shard_size_bytes=4 * MIB)
        store = Store(root, with_quota(root, **quota_bytes), paths)
        url = stack.enter_context(database_harness.new_database(database_server, database_template))
        stack.callback(store.stop)
        store.start()
        made = make_action_yard(store, url)
        stack.callback(made.database.close)
        stack.callback(made.stop)
        made.start_redis()
        made.start_scheduler()
        made.start_worker()
        yield made


def _picture(number: int, shades: random.Random, padding_bytes: int = 0) -> bytes:
    image = Image.new("RGB", (40 + number, 30))
    image.putdata([(shades.randrange(256), 0, number) for _ in range((40 + number) * 30)])
    file, padding = io.BytesIO(), PngImagePlugin.PngInfo()
    padding.add_text("padding", "x" * padding_bytes)
    image.save(file, "PNG", pnginfo=padding)
    return file.getvalue()


def event_of(yard: ActionYard, run_id: int) -> str:
    """Return a condition on action_event_id: the events of a run."""
    return (
        "action_event_id IN (SELECT action_event_id FROM action_event_detail WHERE "
        f"run_reference = 'run:{run_id}' OR run_reference LIKE 'run:{run_id}.%')"
    )


def statuses(yard: ActionYard, run_id: int) -> list[str]:
    """Return how the events of a run ended, in their order."""
    found = yard.rows(
        "SELECT status FROM action_event JOIN action_event_detail ON id = action_event_id "
        f"WHERE {event_of(yard, run_id)} ORDER BY id"
    )
    return [status for (status,) in found]
