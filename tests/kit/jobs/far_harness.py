"""A machine far from the database: it owns the API's process and the worker's, no test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import warm_start
from command import PROGRAM, ROOT
from jobs_harness import HERE, Yard, import_trial_workflows, until
from store_harness import Store

from gui.access.people import add_user, make_token
from gui.core.config import load_gui_config
from gui.core.server_process import api_process
from gui.reading.connections import Connections
from jobs.runs.registry import load_extra_workflows
from sql import Database, Scope

START_PATIENCE_S = 600.0
"""A port that is no fork imports all that it needs, beside whatever else runs."""
ENDED = (0, -signal.SIGTERM)
"""How a public port ends that was asked to: uvicorn raises the signal again when all is closed."""


def write_secret(path: str, secret: str) -> str:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secret + "\n")
    return path


@contextmanager
def store_yard(store: Store, dsn: str, *modules: str, **given: object) -> Iterator[Yard]:
    """Yield a yard in the folder of a store, whose engine need not run; nothing else runs yet."""
    import_trial_workflows()
    settings = {"heartbeat_s": 0.3, "lease_s": 2.0, "workflow_modules": list(modules), **given}
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in settings.items()]
    with open(store.config_path, "a", encoding="utf-8") as file:
        file.write(f"\n[database]\ndsn = {json.dumps(dsn)}\n\n[jobs]\n{''.join(lines)}")
    with Database.connect(dsn) as database:
        yard = Yard(store.root, store.config_path, database)
        load_extra_workflows(yard.config)
        yield yard
        yard.stop()


@dataclass
class Process:
    """A process of ours with its messages in a file."""

    popen: subprocess.Popen
    log_path: str

    def said(self) -> str:
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        return self.popen.wait(60)

    def children(self) -> list[int]:
        path = f"/proc/{self.popen.pid}/task/{self.popen.pid}/children"
        with open(path, encoding="ascii") as file:
            return [int(text) for text in file.read().split()]


def start(root: str, name: str, *arguments: str, within: Sequence[str] = ()) -> Process:
    """Start `drystone ARGUMENTS` far from any drystone.toml, behind the words of `within`."""
    log_path = os.path.join(root, f"{name}.log")
    # Python's own buffers are part of what is tested: a log has to be whole at the end of a task.
    left_out = ("DRYSTONE_CONFIG", "PYTHONUNBUFFERED")
    environment = {key: value for key, value in os.environ.items() if key not in left_out}
    environment["TMPDIR"] = root
    with open(log_path, "wb") as log:
        popen = subprocess.Popen(
            [*within, sys.executable, PROGRAM, *arguments],
            stdout=log,
            stderr=log,
            cwd="/",
            env={**environment, "PYTHONPATH": os.pathsep.join([HERE, ROOT])},
        )
    return Process(popen, log_path)


def token_of(yard: Yard, *scopes: Scope) -> str:
    """Return a token with these scopes, of an admin who is made when there is none."""
    if not yard.database.users.users():
        add_user(yard.database, "ada", "admin", "correct horse battery staple")
    return make_token(yard.database, "ada", f"test-{os.urandom(4).hex()}", scopes).secret


@contextmanager
def door_over(yard: Yard) -> Iterator[Any]:
    """Yield the public port's application over a yard; no engine and no pages run behind it."""
    from gui.door.door import make_app

    with open(yard.config_path, "a", encoding="utf-8") as file:
        file.write("\n[gui]\nenabled = false\nrequests_per_s = 100000\n")
    connections = Connections(load_gui_config(yard.config_path), remembered_s=0.0)
    yield make_app(connections)
    connections.close()


def start_api(
    yard: Yard, port: str = "0", host: str = "127.0.0.1", within: Sequence[str] = ()
) -> tuple[Process, str]:
    """Serve a yard's public port; returns the process and its address."""
    section = f"\n[gui]\nenabled = false\nhost = {json.dumps(host)}\nport = "
    with open(yard.config_path, encoding="utf-8") as file:
        text = file.read().partition(section)[0]
    with open(yard.config_path, "w", encoding="utf-8") as file:
        file.write(f"{text}{section}{port}\n")
    write_secret(os.path.join(yard.root, "worker-token"), token_of(yard, "worker"))
    if within:
        api = start(yard.root, "api", "api", "--config", yard.config_path, within=within)
    else:
        api = _forked(yard)
    served = api_process(load_gui_config(yard.config_path))
    found: list[str] = []

    def answers() -> bool:
        assert api.popen.poll() is None, api.said()
        running = served.find()
        found[:] = [running.address] if running is not None else []
        return bool(found)

    until(answers, api.said, START_PATIENCE_S)
    return api, found[0]


def _forked(yard: Yard) -> Process:
    log_path = os.path.join(yard.root, "api.log")
    words = [sys.executable, "-m", "gui.api_main", yard.config_path]
    with open(log_path, "wb") as log:
        popen = warm_start.warm.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log.fileno(), stderr=log.fileno(), cwd=ROOT,
            env=dict(os.environ), start_new_session=True,
        )  # fmt: skip
    return Process(popen, log_path)


def start_far_worker(yard: Yard, address: str, stage_root: str, queues: str = "gpu") -> Process:
    redis = f"unix://{yard.config.socket_path}"
    return start(
        yard.root, "far", "worker", "--queues", queues, "--api", address,
        "--token-file", os.path.join(yard.root, "worker-token"),
        "--redis", redis, "--stage-root", stage_root,
    )  # fmt: skip
