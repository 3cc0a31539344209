"""The server in the background: it owns how it is started, found and stopped.

A lock that the server holds for as long as it lives says whether it runs; run/gui.json says where
and as which process. Every call is idempotent.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Generator
from typing import NamedTuple

from base import process
from base.errors import UsageError
from gui.core.config import GuiConfig
from gui.core.errors import ServerStartError

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
POLL_INTERVAL_S = 0.05


class Running(NamedTuple):
    """A server that runs."""

    address: str
    pid: int


@contextlib.contextmanager
def only_one(config: GuiConfig) -> Generator[None]:
    """Hold the claim of this store's server; UsageError when one runs already."""
    claim = process.claim(_claim_path(config))
    if claim is None:
        raise UsageError("the pages of this store are served already; see `drystone gui status`")
    try:
        yield
    finally:
        os.close(claim)


def find(config: GuiConfig) -> Running | None:
    """Return the server that runs and answers; None when there is none, or not yet."""
    if process.find(_claim_path(config)) is None:
        return None
    try:
        with open(config.address_path, encoding="ascii") as file:
            document = json.load(file)
        return Running(str(document["address"]), int(document["pid"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def start(config: GuiConfig) -> tuple[Running, bool]:
    """Start the server and wait until it answers; False when it ran already."""
    # One at a time: who comes second finds the server of the first.
    with process.turn(os.path.join(config.run_dir, "gui.turn")):
        if found := find(config):
            return found, False
        return _start(config), True


def _start(config: GuiConfig) -> Running:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(config.address_path)
    arguments = [sys.executable, "-m", "gui.gui_main", config.config_path]
    child = process.spawn(arguments, log_path(config))
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        if found := find(config):
            return found
        if child.poll() is not None:
            raise ServerStartError(
                f"the pages are not served; the end of {log_path(config)}:\n"
                + process.log_tail(log_path(config))
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
    return process.stop(_claim_path(config), STOP_TIMEOUT_S, found.pid)


def log_path(config: GuiConfig) -> str:
    """Return the path of the server's log."""
    return os.path.join(config.run_dir, "gui.log")


def _claim_path(config: GuiConfig) -> str:
    return os.path.join(config.run_dir, "gui.lock")
