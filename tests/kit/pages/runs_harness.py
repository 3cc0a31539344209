"""A store with pictures, workers and served pages: it owns their making for tests, no test."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator

import database_harness
import gui_harness

# The house of UA_2's own tests; its folder is on the path only when they are collected too.
from action_house import ActionYard, make_action_yard
from gui_harness import PASSWORD, PEOPLE, Scene
from jobs_harness import import_trial_workflows
from store_harness import MIB, Store

from fsd.engine.setup import init_store
from gui.access.people import add_user

GUI = '\n[gui]\nport = 0\nnames = ["test"]\npoll_interval_s = 0.2\n'


class Workshop(Scene):
    """A served scene whose actions are run by a worker of its own."""

    yard: ActionYard


def _configure(path: str) -> None:
    """Let everybody know the trial workflows, and serve pages."""
    import_trial_workflows()
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = text.replace("[jobs]\n", '[jobs]\nworkflow_modules = ["trial_workflows"]\n')
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + GUI)


@contextlib.contextmanager
def workshop(
    database_server: str, database_template: str, disks: int = 2, pictures: int = 6
) -> Iterator[Workshop]:
    """Make a store with so many pictures, people, Redis, a scheduler, a worker, and its pages."""
    root = tempfile.mkdtemp(prefix="ds-work-")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        url = stack.enter_context(database_harness.new_database(database_server, database_template))
        paths = [os.path.join(root, f"d{number}") for number in range(1, disks + 1)]
        config = init_store(root, paths, None, min_free_bytes=MIB, shard_size_bytes=4 * MIB)
        store = Store(root, config, paths)
        stack.callback(store.stop)
        store.start()
        yard = make_action_yard(store, url, pictures)
        _configure(store.config_path)
        yard.__post_init__()  # Its settings are others now.
        stack.callback(yard.database.close)
        stack.callback(yard.stop)
        yard.start_redis()
        yard.start_scheduler()
        yard.start_worker()
        for name, role in PEOPLE.items():
            add_user(yard.database, name, role, PASSWORD)
        made = Workshop(store, yard.database)
        made.yard = yard
        with gui_harness.served(made):
            yield made
