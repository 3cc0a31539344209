"""The server in the background: it owns how it is started, found and stopped.

A lock that the server holds for as long as it lives says whether it runs; run/gui.json says where
and as which process. Every call is idempotent.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from typing import NamedTuple

from base.errors import UsageError
from gui.core.config import GuiConfig
from gui.core.errors import ServerStartError

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
POLL_INTERVAL_S = 0.05
TAKE_TRIES = 10
LOG_SIZE_BYTES_MAX = 10_000_000
LOG_TAIL_BYTES = 4_000

# Our own children, kept so that they are reaped.
_children: dict[int, subprocess.Popen[bytes]] = {}

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Running(NamedTuple):
    """A server that runs."""

    address: str
    pid: int


@contextlib.contextmanager
def only_one(config: GuiConfig) -> Generator[None]:
    """Hold the lock of this store's server; UsageError when one runs already."""
    os.makedirs(config.run_dir, mode=0o700, exist_ok=True)
    with open(_lock_path(config), "a", encoding="ascii") as file:
        for _ in range(TAKE_TRIES):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # Perhaps only somebody who looks whether it is held: that takes a moment.
                time.sleep(POLL_INTERVAL_S)
        else:
            raise UsageError(
                "the pages of this store are served already; see `drystone gui status`"
            )
        yield


def find(config: GuiConfig) -> Running | None:
    """Return the server that runs and answers; None when there is none, or not yet."""
    if not _is_locked(config):
        return None
    try:
        with open(config.address_path, encoding="ascii") as file:
            document = json.load(file)
        return Running(str(document["address"]), int(document["pid"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def start(config: GuiConfig) -> tuple[Running, bool]:
    """Start the server and wait until it answers; False when it ran already."""
    os.makedirs(config.run_dir, mode=0o700, exist_ok=True)
    # One at a time: who comes second finds the server of the first.
    with open(os.path.join(config.run_dir, "gui.turn"), "a", encoding="ascii") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if found := find(config):
            return found, False
        return _start(config), True


def _start(config: GuiConfig) -> Running:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(config.address_path)
    child = _launch(config)
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        if found := find(config):
            return found
        if child.poll() is not None:
            raise ServerStartError(
                f"the pages are not served; the end of {log_path(config)}:\n{_log_tail(config)}"
            )
        if time.monotonic() > deadline:
            child.terminate()
            raise ServerStartError(f"the pages are not served yet; see {log_path(config)}")
        time.sleep(POLL_INTERVAL_S)


def stop(config: GuiConfig) -> bool:
    """Stop the server, whoever started it; False when none ran."""
    found = find(config)
    if found is None:
        return False
    try:
        process = os.pidfd_open(found.pid)
    except ProcessLookupError:
        return False
    try:
        # The lock is still held: the number has not become somebody else's.
        if not _is_locked(config):
            return False
        signal.pidfd_send_signal(process, signal.SIGTERM)
        poll = select.poll()
        poll.register(process, select.POLLIN)
        if not poll.poll(STOP_TIMEOUT_S * 1000):
            signal.pidfd_send_signal(process, signal.SIGKILL)
            poll.poll(STOP_TIMEOUT_S * 1000)
    finally:
        os.close(process)
    child = _children.pop(found.pid, None)
    if child is not None:
        child.wait()
    return True


def log_path(config: GuiConfig) -> str:
    """Return the path of the server's log."""
    return os.path.join(config.run_dir, "gui.log")


def _launch(config: GuiConfig) -> subprocess.Popen[bytes]:
    path = log_path(config)
    with contextlib.suppress(FileNotFoundError):
        if os.path.getsize(path) > LOG_SIZE_BYTES_MAX:
            os.replace(path, path + ".1")
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "gui.gui_main", config.config_path],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=_ROOT,
            start_new_session=True,
        )
    finally:
        os.close(log)
    _children[child.pid] = child
    return child


def _is_locked(config: GuiConfig) -> bool:
    try:
        with open(_lock_path(config), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _lock_path(config: GuiConfig) -> str:
    return os.path.join(config.run_dir, "gui.lock")


def _log_tail(config: GuiConfig) -> str:
    try:
        with open(log_path(config), "rb") as file:
            file.seek(max(0, os.path.getsize(log_path(config)) - LOG_TAIL_BYTES))
            return file.read().decode("utf-8", "backslashreplace")
    except OSError:
        return ""
