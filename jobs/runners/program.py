"""Running a program: it owns the worker's side, from a rendered command to how it ended.

The guard (a process of its own) holds all limits; here the worker is kept informed and asked
whether to go on. Never reads what the program wrote: that is the parsers' work.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, cast

from pydantic import ValidationError

from base.logging.ids import environment as ids_environment
from jobs.runners import written
from jobs.runners.docker import DockerRunner
from jobs.runners.k8s import K8sRunner
from jobs.runners.local import PythonRunner, ShellRunner
from jobs.runners.outcome import Cause, RunOutcome, RunProgress, State
from jobs.runners.plan import ProcessPlan, RefusedError, Runner
from jobs.runners.request import RunRequest, read_request
from jobs.runners.settings import RunnerSettings

POLL_S = 0.25
"""How often the worker is asked whether the run is cancelled."""
LEASE_S = 0.5
"""How often the guard is told how long the work is still ours."""
GUARD_END_S = 30.0
PATH = "/usr/local/bin:/usr/bin:/bin"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GUARD = "import sys; sys.path.insert(0, sys.argv[1]); from jobs.runners import guard; guard.main()"

_RUNNERS: dict[str, Runner] = {
    "python": PythonRunner(),
    "shell": ShellRunner(),
    "docker": DockerRunner(),
    "k8s": K8sRunner(),
}


def runner_named(name: str) -> Runner:
    """Return the runner of this name; KeyError when there is none."""
    return _RUNNERS[name]


def run_program(
    rendered: Any,
    *,
    log_path: str,
    heartbeat: Callable[[RunProgress], None],
    cancelled: Callable[[], bool],
    lease_left_s: Callable[[], float] | None = None,
    settings: RunnerSettings | None = None,
) -> RunOutcome:
    """Run one rendered command (see `RunRequest`) to its end.

    `lease_left_s` tells how long the work is surely ours. When that is over and was not told anew
    (this process is frozen, or has lost the database) the program is killed: another attempt may
    begin in the same folders.

    `heartbeat` is called every `settings.heartbeat_s`; `cancelled` several times a second. What
    either raises ends the program at once and is raised here, when no process of it is left. The
    program's words are at `log_path` (an earlier file there is replaced). Whatever else happens is
    an outcome, never an exception.
    """
    settings = settings or RunnerSettings()
    try:
        request = read_request(rendered)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return RunOutcome("failed", "refused", f"the command is wrong at {place}: {first['msg']}")
    runner = runner_named(request.runner)
    problem = _folder_problem(request) or runner.missing(request, settings)
    if problem:
        return RunOutcome("failed", "missing", problem)
    try:
        log_folder = os.path.dirname(os.path.abspath(log_path))
        os.makedirs(log_folder, exist_ok=True)
        scratch = tempfile.mkdtemp(prefix="run-", dir=log_folder)
    except OSError as error:
        return RunOutcome("failed", "free_space", f"no place for its temporary files: {error}")
    with _removed(scratch):
        watched = (request.output_root, scratch)
        if min(map(written.free_bytes, watched)) < settings.free_bytes_min:
            reason = f"less than {settings.free_bytes_min} bytes are free for what it writes"
            return RunOutcome("failed", "free_space", reason)
        try:
            plan = runner.plan(request, settings, environment_of(request, scratch))
        except RefusedError as error:
            return RunOutcome("failed", "refused", str(error))
        worker = _Worker(heartbeat, cancelled, lease_left_s, settings.heartbeat_s)
        orders = _orders(request, plan, settings, os.path.abspath(log_path), scratch)
        ended = _keep({**orders, "lease_until_s": worker.lease_until_s()}, scratch, worker)
    return _outcome(request, ended)


def missing_for(rendered: Any) -> str:
    """Return what this machine lacks for a rendered command, with what to install; or nothing."""
    try:
        request = read_request(rendered)
    except ValidationError:
        return ""  # `run_program` says what is wrong with it.
    return runner_named(request.runner).missing(request, RunnerSettings()) or ""


def _folder_problem(request: RunRequest) -> str | None:
    for folder in (request.input_root, request.output_root, request.cwd):
        if not os.path.isdir(folder):
            return f"the folder {folder} is not on this machine: is the stage area mounted here?"
    return None


@contextmanager
def _removed(scratch: str) -> Generator[None]:
    """Let the program's home, which is its place for temporary files too, vanish with it."""
    try:
        yield
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def environment_of(request: RunRequest, scratch: str) -> dict[str, str]:
    """Return all that the program sees of the environment: a base, the allowed names, the set ones.

    This is the one place where jobs read the process's environment for others; secrets of the
    worker (database, Redis) reach a program only when its contract names them.
    """
    base = {
        "PATH": os.environ.get("PATH", PATH),
        "HOME": scratch,
        "TMPDIR": scratch,
        "LANG": "C.UTF-8",
    }
    allowed = {name: os.environ[name] for name in request.environment_allow if name in os.environ}
    return base | ids_environment() | allowed | request.environment_set


def _orders(
    request: RunRequest, plan: ProcessPlan, settings: RunnerSettings, log_path: str, scratch: str
) -> dict[str, Any]:
    return {
        "argv": plan.argv,
        "environment": plan.environment,
        "cwd": plan.cwd,
        "memory_bytes": plan.memory_bytes,
        "file_bytes_max": plan.file_bytes_max,
        "stdin": plan.stdin,
        "sweep": plan.sweep and asdict(plan.sweep),
        "after": plan.after,
        # docker and kubectl need the worker's own: its home holds their configuration.
        "command_environment": dict(os.environ),
        "output_root": request.output_root,
        "watched": [request.output_root, scratch],
        "output_bytes_max": request.output_bytes_max,
        "timeout_s": request.timeout_s,
        "free_bytes_min": settings.free_bytes_min,
        "grace_s": settings.grace_s,
        "log_path": log_path,
        "log_bytes_max": settings.log_bytes_max,
    }


@dataclass(frozen=True, slots=True)
class _Worker:
    """What is asked of whoever runs the program, and told to it."""

    heartbeat: Callable[[RunProgress], None]
    cancelled: Callable[[], bool]
    lease_left_s: Callable[[], float] | None
    heartbeat_s: float

    def lease_until_s(self) -> float | None:
        """Return until when the work is ours, by a clock that all processes of a machine share.

        No span of time: whoever reads it late must not count from then.
        """
        now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        return now_s + self.lease_left_s() if self.lease_left_s else None


def _keep(orders: dict[str, Any], scratch: str, worker: _Worker) -> dict[str, Any]:
    """Start the guard and stay with it; returns its last message, or one in its place."""
    with tempfile.TemporaryFile() as complaints:
        guard = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", GUARD, ROOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            cwd=scratch,
            start_new_session=True,
        )
        try:
            ended = _talk(guard, orders, worker)
        finally:
            _let_go(guard)
        complaints.seek(0)
        return ended or {"cause": "guard", "reason": _last_line(complaints.read(1 << 16))}


def _talk(
    guard: subprocess.Popen[bytes], orders: dict[str, Any], worker: _Worker
) -> dict[str, Any] | None:
    assert guard.stdin and guard.stdout
    _tell(guard, json.dumps(orders).encode())
    buffer, next_beat, next_lease, asked, pid = b"", 0.0, 0.0, False, 0
    with selectors.DefaultSelector() as selector:
        selector.register(guard.stdout, selectors.EVENT_READ)
        while True:
            if selector.select(POLL_S):
                data = os.read(guard.stdout.fileno(), 1 << 16)
                if not data:
                    _kill_session(pid)
                    return None
                buffer += data
            *lines, buffer = buffer.split(b"\n")
            for message in map(json.loads, lines):
                event = message.pop("event")
                if event == "ended":
                    return message
                if event == "started":
                    pid = message["pid"]
                elif time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + worker.heartbeat_s
                    worker.heartbeat(RunProgress(**message))
            if worker.lease_left_s and time.monotonic() >= next_lease:
                next_lease = time.monotonic() + LEASE_S
                _tell(guard, b"lease %f" % worker.lease_until_s())
            if not asked and worker.cancelled():
                asked = True
                _tell(guard, b"stop")


def _kill_session(pid: int) -> None:
    """Kill what a dead guard kept; the kernel has killed the program itself already."""
    if pid:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _tell(guard: subprocess.Popen[bytes], line: bytes) -> None:
    assert guard.stdin
    with suppress(BrokenPipeError):  # It died; the end of its other pipe says so.
        guard.stdin.write(line + b"\n")
        guard.stdin.flush()


def _let_go(guard: subprocess.Popen[bytes]) -> None:
    """Close the guard's pipe, which makes it kill what is left, and wait until it is gone."""
    assert guard.stdin and guard.stdout
    with suppress(BrokenPipeError):
        guard.stdin.close()
    try:
        guard.wait(GUARD_END_S)
    except subprocess.TimeoutExpired:
        # The guard and its parent; in a session of their own they are a group, too.
        with suppress(ProcessLookupError):
            os.killpg(guard.pid, signal.SIGKILL)
        guard.wait()
    guard.stdout.close()


def _last_line(complaints: bytes) -> str:
    lines = complaints.decode(errors="replace").strip().splitlines()
    return f"the guard of the program died: {lines[-1] if lines else 'it was killed'}"


def _outcome(request: RunRequest, ended: dict[str, Any]) -> RunOutcome:
    state, cause, reason = _judgement(request, ended)
    return RunOutcome(
        state=state,
        cause=cause,
        reason=reason,
        exit_code=ended.get("exit_code"),
        duration_s=ended.get("duration_s", 0.0),
        output_bytes=ended.get("output_bytes", 0),
        output_files=ended.get("output_files", 0),
        memory_bytes_peak=ended.get("memory_bytes_peak", 0),
        log_bytes=ended.get("log_bytes", 0),
        started=ended.get("started", False),
    )


def _judgement(request: RunRequest, ended: dict[str, Any]) -> tuple[State, Cause, str]:
    """Return state, cause and reason; a limit that was passed counts before any exit code."""
    code, cause = ended.get("exit_code"), cast("Cause | None", ended["cause"] or None)
    if cause is not None:
        return ("cancelled" if cause == "cancelled" else "failed"), cause, ended["reason"]
    if "OOMKilled" in ended["said"]:
        return "failed", "memory", f"killed for memory: more than {request.memory_bytes} bytes"
    if code is None:
        return "failed", "guard", "the program's end was not seen"
    if code < 0:
        if code == -signal.SIGXFSZ:
            return "failed", "output_bytes", "one file exceeds the limit of all outputs"
        return "failed", "signal", f"ended by signal {signal.Signals(-code).name}"
    if code in request.success_codes:
        return "done", "exit", "done"
    if code in request.partial_codes:
        return "partial", "exit", f"exit code {code}: some outputs are there"
    return "failed", "exit", f"exit code {code}; its log says why"
