"""A store's jobs under test: it owns their configuration, processes and traces, no fixture."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from base.processes import process
from base.processes.descriptors import wait_readable
from base.processes.process import ProcessError
from jobs.core.config import JobsConfig, load_jobs_config
from jobs.core.marks import scheduler_mark, worker_mark
from jobs.queues import redis_server
from jobs.runs.control import RunControl
from jobs.scheduler import supervise
from jobs.scheduler.supervise import WantedWorker
from sql import Database, Run

HERE = os.path.dirname(os.path.abspath(__file__))
PATIENCE_S = 180.0
POLL_S = 0.05


@dataclass
class Yard:
    """A drystone.toml with a database and jobs of its own, without a store's engine."""

    root: str
    config_path: str
    database: Database
    config: JobsConfig = field(init=False)
    control: RunControl = field(init=False)

    def __post_init__(self) -> None:
        self.config = load_jobs_config(self.config_path)
        self.control = RunControl(self.config_path, self.database, self.config)

    # ---- Processes -------------------------------------------------------------------------------

    def start_redis(self) -> None:
        redis_server.start(self.config)

    def start_worker(self, name: str = "one", *queues: str) -> int:
        """Start a worker on all queues, or these; returns its pid."""
        wanted = WantedWorker(name, queues or self.config.queues)
        supervise.start_worker(self.config, self.config_path, wanted)
        return self.worker_pid(name)

    def start_scheduler(self) -> int:
        supervise.start_scheduler(self.config, self.config_path)
        return process.find(scheduler_mark(self.config)) or 0

    def worker_pid(self, name: str = "one") -> int:
        return process.find(worker_mark(self.config, name)) or 0

    def horses(self, name: str = "one") -> list[int]:
        """Return the pids of a worker's children."""
        pid = self.worker_pid(name)
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(text) for text in file.read().split()]
        return []

    def stop(self) -> None:
        """Kill all that runs; a test that wants a soft end asks for it itself."""
        supervise.set_should_run(self.config, up=False)
        marks = [scheduler_mark(self.config)]
        marks += [worker_mark(self.config, name) for name in supervise.running_workers(self.config)]
        for mark in marks:
            with contextlib.suppress(ProcessError):
                process.kill_session(mark)
        redis_server.stop(self.config)

    # ---- Runs ------------------------------------------------------------------------------------

    def start(self, workflow: str = "trial", **parameters: Any) -> Run:
        folder = os.path.join(self.root, "traces")
        os.makedirs(folder, exist_ok=True)
        run, _ = self.control.start(workflow, {"folder": folder, **parameters})
        return run

    def touch(self, name: str) -> None:
        with open(os.path.join(self.root, "traces", name), "w", encoding="ascii"):
            pass

    def traces(self, what: str) -> list[str]:
        """Return the traces of a step, each `STEP.PART.ATTEMPT.PID`."""
        with contextlib.suppress(FileNotFoundError):
            names = sorted(os.listdir(os.path.join(self.root, "traces")))
            return [name for name in names if name.startswith(what + ".")]
        return []

    def wait(self, run_id: int, *states: str) -> Run:
        """Wait until a run is in one of these states."""
        wanted = states or ("done",)
        until(lambda: self.state(run_id) in wanted, lambda: self.story(run_id))
        return self.database.runs.run(run_id)

    def state(self, run_id: int) -> str:
        return self.database.runs.run(run_id).state

    def task_states(self, run_id: int) -> dict[tuple[str, int], str]:
        tasks = self.database.runs.show(run_id).tasks
        return {(task.step, task.part): task.state for task in tasks}

    def check_done_once(self, run_id: int) -> None:
        """Every task ended exactly once as done, however many attempts there were."""
        detail = self.database.runs.show(run_id)
        ends = Counter(one.task_id for one in detail.attempts if one.outcome == "done")
        assert ends == {task.task_id: 1 for task in detail.tasks}, self.story(run_id)
        assert all(one.end_time is not None for one in detail.attempts), self.story(run_id)

    def story(self, run_id: int) -> str:
        """Return what is known of a run, for the message of a test that fails."""
        lines = [self.database.runs.show(run_id).model_dump_json(indent=1)]
        for name in sorted(os.listdir(self.config.run_dir)):
            if name.endswith(".log"):
                lines += [name, process.log_tail(os.path.join(self.config.run_dir, name))]
        return "\n".join(lines)

    def log(self, name: str) -> str:
        with open(os.path.join(self.config.run_dir, name), encoding="utf-8") as file:
            return file.read()


def make_yard(root: str, dsn: str, **settings: Any) -> Yard:
    """Write a configuration into a folder; settings go into its [jobs] section."""
    given = {
        "heartbeat_s": 0.3,
        "lease_s": 2.0,
        "space_retry_s": 0.2,
        "stop_timeout_s": 20,
        "workflow_modules": ["trial_workflows"],
        **settings,
    }
    lines = [
        f"ssd = {json.dumps(os.path.join(root, 'ssd'))}",
        '[store]\nstore_id = "0"',
        f"[[disk]]\npath = {json.dumps(os.path.join(root, 'd1'))}",
        f"[database]\ndsn = {json.dumps(dsn)}",
        "[jobs]",
        *(f"{name} = {json.dumps(value)}" for name, value in given.items() if name != "tables"),
        given.get("tables", ""),
    ]
    path = os.path.join(root, "drystone.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return Yard(root, path, Database.connect(dsn))


def until(
    condition: Callable[[], object],
    story: Callable[[], str] = lambda: "",
    patience_s: float = PATIENCE_S,
) -> None:
    """Wait until something is so; fails with the story when it never is."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"waited for {patience_s:g} s\n{story()}"
        time.sleep(POLL_S)


@contextlib.contextmanager
def small_disk(folder: str, options: str) -> Iterator[str]:
    """Make a folder a small file system (`size=64k`, `nr_inodes=1`)."""
    os.makedirs(folder, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def full_disk(folder: str, options: str) -> Iterator[str]:
    """Make a folder a small file system that is filled to the last byte."""
    with small_disk(folder, options):
        if options.startswith("size="):
            with contextlib.suppress(OSError), open(os.path.join(folder, "full"), "wb") as file:
                while True:
                    file.write(bytes(4096))
        yield folder


def kill(pid: int) -> None:
    """Kill -9 a process that may be gone, and wait until it is; 0 is none, and not our group."""
    if pid <= 0:
        return
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            ended = wait_readable(descriptor, timeout_s=PATIENCE_S)
        finally:
            os.close(descriptor)
        assert ended, f"process {pid} does not end"


def kill_found(find: Callable[[], int | None]) -> None:
    """Kill what `find` finds, and wait until it is found no more.

    Else whoever looks next takes it for a living one, and starts no other.
    """
    if pid := find():
        kill(pid)
        # A child may hold its mark for a moment longer.
        until(lambda: find() != pid)


def import_trial_workflows() -> None:
    """Let this process and those that it starts find the trial workflows."""
    if HERE not in sys.path:
        sys.path.insert(0, HERE)
    parts = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if HERE not in parts:
        os.environ["PYTHONPATH"] = os.pathsep.join([HERE, *filter(None, parts)])
