"""Processes of ours without Python's start: it owns forking them from one that has imported all.

Most of what a small test of a store costs is an engine, a worker or a mount that imports its
libraries: a second of a processor, some thousand times. Where the tests' own process starts one
of MODULES by `python -m`, it becomes a fork of a process that has imported what these need: a
process of its own all the same, with its own arguments, environment, folder, session and outputs,
that ends as Python ends. The same goes for most runs of the program (command.py). What the
start itself does is tested by those who start it as everywhere else (test_launcher.py, demos).
"""

from __future__ import annotations

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

from base.descriptors import wait_readable

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
MODULES = {
    "fsd.engine_main": (
        "fsd.engine.api",
        "fsd.process.child_main",
        "fsd.client.client",
        "fsd.disk_io.disk_process",
        "fsd.ingest.packer",
        "fsd.compile.compile_process",
        "fsd.watch.report",
        "uvicorn.lifespan.on",
        "uvicorn.loops.auto",
        "uvicorn.protocols.http.auto",
        "uvicorn.protocols.websockets.auto",
    ),
    "fsd.mount": ("fsd.mount.operations", "fsd.mount.loop", "fsd.mount.heal", "mimetypes"),
    "jobs.process_main": (
        "jobs.worker.worker",
        "jobs.scheduler.keeper",
        "jobs.scheduler.supervise",
    ),
    # The program itself; what is needed only by some of its commands they import as ever.
    "drystone": (
        "adapters.cli.app",
        "datasets.cli.app",
        "fsd.cli.app",
        "gui.cli.app",
        "jobs.cli.app",
        "sql.cli.app",
        "sql.database.database",
        "typer",
    ),
}
"""What may be forked, and what is imported for it; never the module itself, which is run."""

MESSAGE_SIZE_BYTES_MAX = 1 << 17
FDS_FREE_FROM = 200
"""Descriptors that were handed over wait above the numbers that a process may ask for."""

_real_popen = subprocess.Popen


class Forked:
    """What Popen returns, of a fork: its parent is the nursery, which tells how it ended."""

    def __init__(self, nursery: Nursery, arguments: list[str], pid: int) -> None:
        self.args = arguments
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        if self.returncode is None:
            self.returncode = self._nursery.ended(self.pid)
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


class Nursery:
    """The tests' half: it starts the process that is forked, and asks it."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._endings: dict[int, int] = {}
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
        """Let the nursery end; what it forked lives on."""
        self._socket.close()
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

    def __init__(self) -> None:
        self._nursery: Nursery | None = None
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
            if self._nursery is None:
                self._nursery = Nursery()
        if not self._nursery.is_ours:
            return _real_popen(arguments, **options)
        files = {1: options.pop("stdout"), 2: options.pop("stderr")}
        if (given := options.pop("stdin")) != subprocess.DEVNULL:
            files[0] = given
        assert set(options) <= {"cwd", "env", "start_new_session", "pass_fds"}, options
        return self._nursery.fork(words, files, **options)

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
        """Let the nursery end, if there is one."""
        if self._nursery is not None and self._nursery.is_ours:
            self._nursery.close()
            self._nursery = None


warm = WarmSubprocess()


def install() -> None:
    """Let the module that starts processes for a test start them warm."""
    importlib.import_module("base.process").subprocess = warm


# The nursery itself. It has one thread, always: a fork has no others, and their locks for ever.


def serve(control: socket.socket) -> NoReturn:
    """Fork what is asked for until nobody is there to ask; never returns."""
    # Before the environment changes, behind which the room for the forks' titles lies.
    setproctitle("drystone tests")
    for needed in MODULES.values():
        for name in needed:
            importlib.import_module(name)
    assert threading.active_count() == 1, threading.enumerate()
    gc.collect()
    gc.freeze()
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    while True:
        ready = wait_readable(control, woken)
        if woken in ready:
            os.read(woken, 4096)
            _tell_endings(control)
        if control in ready:
            message, fds = _next_order(control)
            if not message:
                os._exit(0)
            order = json.loads(message)
            has_begun, begins = os.pipe2(os.O_CLOEXEC)
            pid = os.fork()
            if pid == 0:
                if order["session"]:
                    os.setsid()
                os.close(has_begun)
                os.close(begins)
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for descriptor in (control.detach(), woken, wake):
                    os.close(descriptor)
                _become(order, fds)
            os.close(begins)
            os.read(has_begun, 1)  # Until it has a session of its own.
            for descriptor in (*fds, has_begun):
                os.close(descriptor)
            control.send(json.dumps({"pid": pid}).encode())


def _next_order(control: socket.socket) -> tuple[bytes, list[int]]:
    with contextlib.suppress(ConnectionError):
        message, fds, _, _ = socket.recv_fds(control, MESSAGE_SIZE_BYTES_MAX, 8)
        return message, fds
    return b"", []


def _tell_endings(control: socket.socket) -> None:
    with contextlib.suppress(ChildProcessError, ConnectionError):
        while (ending := os.waitpid(-1, os.WNOHANG))[0]:
            answer = {"ended": ending[0], "code": os.waitstatus_to_exitcode(ending[1])}
            control.send(json.dumps(answer).encode())


def _become(order: dict[str, Any], fds: list[int]) -> NoReturn:
    """Be `python -m MODULE ARGUMENTS` until its end."""
    # Out of the way first: the numbers that are wanted may be among those that came.
    moved = [fcntl_dup(descriptor) for descriptor in fds]
    for descriptor in fds:
        os.close(descriptor)
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
    wished = order["environment"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [folder for folder in wished if folder and folder not in sys.path]
    # Whoever imports it gets one of its own, as ever: the one that runs is called `__main__`.
    for name in (module, f"{module}.__main__"):
        sys.modules.pop(name, None)
    sys.argv = ["-m", *arguments]
    sys.orig_argv = [sys.executable, "-m", module, *arguments]
    if module == "fsd.engine_main":
        importlib.import_module("fsd.process.nursery").subprocess = EngineSubprocess()
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.exit(0)


class EngineSubprocess:
    """`subprocess` as `fsd.process.nursery` of a forked engine sees it: its nursery is a fork."""

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
            importlib.import_module("fsd.process.child_main").main()
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
