"""Servers in the background: how the public port's and the pages' are started, found and stopped.

A lock that a server holds for as long as it lives says whether it runs; a document in the run
folder says where and as which process. Every call is idempotent.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import NamedTuple

from base.errors import UsageError
from base.processes import process
from gui.core.config import GuiConfig
from gui.core.errors import ServerStartError

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
POLL_INTERVAL_S = 0.05


class Running(NamedTuple):
    """A server that runs."""

    address: str
    pid: int


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """One server of a store."""

    config: GuiConfig
    name: str
    """As people call it: `the pages`."""
    module: str
    lock_name: str
    address_path: str
    log_name: str

    @contextlib.contextmanager
    def only_one(self) -> Generator[None]:
        """Hold the claim of this store's server; UsageError when one runs already."""
        claim = process.claim(self._claim_path)
        if claim is None:
            raise UsageError(
                f"{self.name} of this store are served already; see `drystone gui status`"
            )
        try:
            yield
        finally:
            os.close(claim)

    @contextlib.contextmanager
    def announced(self, address: str) -> Generator[None]:
        """Say in the block that the server answers, and where."""
        temporary = f"{self.address_path}.{os.getpid()}.tmp"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump({"address": address, "pid": os.getpid()}, file)
        os.replace(temporary, self.address_path)
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.address_path)

    def find(self) -> Running | None:
        """Return the server that runs and answers; None when there is none, or not yet."""
        if process.find(self._claim_path) is None:
            return None
        try:
            with open(self.address_path, encoding="utf-8") as file:
                document = json.load(file)
            return Running(str(document["address"]), int(document["pid"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def start(self) -> tuple[Running, bool]:
        """Start the server and wait until it answers; False when it ran already."""
        # One at a time: who comes second finds the server of the first.
        with process.turn(os.path.join(self.config.run_dir, f"{self.lock_name}.turn")):
            if found := self.find():
                return found, False
            return self._start(), True

    def _start(self) -> Running:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.address_path)
        arguments = [sys.executable, "-m", self.module, self.config.config_path]
        child = process.spawn(arguments, self.log_path)
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            if found := self.find():
                return found
            if child.poll() is not None:
                raise ServerStartError(
                    f"{self.name} are not served; the end of {self.log_path}:\n"
                    + process.log_tail(self.log_path)
                )
            if time.monotonic() > deadline:
                child.terminate()
                raise ServerStartError(f"{self.name} are not served yet; see {self.log_path}")
            time.sleep(POLL_INTERVAL_S)

    def stop(self) -> bool:
        """Stop the server, whoever started it; False when none ran."""
        return process.stop(self._claim_path, STOP_TIMEOUT_S)

    @property
    def log_path(self) -> str:
        """The file of what comes past the server's log."""
        return os.path.join(self.config.run_dir, self.log_name)

    @property
    def _claim_path(self) -> str:
        return os.path.join(self.config.run_dir, f"{self.lock_name}.lock")


def pages_process(config: GuiConfig) -> ServerProcess:
    """Return the server of the pages, on a unix socket."""
    ready = os.path.join(config.run_dir, "pages.json")
    return ServerProcess(config, "the pages", "gui.gui_main", "gui", ready, "gui.log")


def api_process(config: GuiConfig) -> ServerProcess:
    """Return the server of the public port."""
    name = "the API and the pages"
    return ServerProcess(config, name, "gui.api_main", "api", config.address_path, "api.log")
