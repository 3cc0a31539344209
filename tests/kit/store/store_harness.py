"""What tests of a whole store share: it owns the store under test and its making, no fixture."""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from base.config import CONFIG_NAME
from base.errors import DrystoneError
from fsd.cli.daemons import daemon, daemon_mount
from fsd.client.client import Client
from fsd.disks.config import Config, load_config
from gui import api_companion
from gui import companion as gui_companion
from jobs import companion as jobs_companion
from sql import companion

MIB = 1 << 20


@dataclass
class Store:
    """A store under test. `client` may be used whenever the engine runs."""

    root: str
    config: Config
    disks: list[str]
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = Client(self.config.socket_path)

    @property
    def config_path(self) -> str:
        return os.path.join(self.root, CONFIG_NAME)

    def start(self) -> None:
        """Start the engine; it is stopped when the test ends."""
        daemon.start_engine(self.config, self.config_path)

    def stop(self) -> None:
        """Unmount and stop, as `drystone down` does."""
        daemon_mount.stop_all_mounts(self.config)
        daemon.stop_engine(self.config)
        # A test may have broken or removed the configuration.
        with contextlib.suppress(DrystoneError):
            companion.stop(self.config_path)
        with contextlib.suppress(DrystoneError):
            jobs_companion.stop(self.config_path)
        with contextlib.suppress(DrystoneError):
            gui_companion.stop(self.config_path)
        with contextlib.suppress(DrystoneError):
            api_companion.stop(self.config_path)

    def mount(self) -> str:
        """Mount the store and return where; skips the test where FUSE is missing."""
        problem = daemon_mount.mount_problem()
        if problem:
            pytest.skip(problem)
        daemon_mount.start_mount(self.config)
        return self.config.mount

    def put(self, folder: str, batch: str) -> dict[str, str]:
        """Store a folder and return the key of every path."""
        job = self.client.wait(self.client.batch_write(folder, batch).job_id)
        assert job.state == "done", job
        return {file.path: file.key for file in self.client.batch_files(batch)}

    def log(self) -> str:
        """Return the engine's log so far, and what came past it."""
        texts: list[str] = []
        log = os.path.join(self.config.log_folder, "engine.jsonl")
        for path in (log, daemon.engine_log(self.config)):
            with (
                contextlib.suppress(FileNotFoundError),
                open(path, encoding="utf-8", errors="replace") as file,
            ):
                texts.append(file.read())
        return "".join(texts)

    def logged(self, event: str, daemon_name: str = "engine") -> list[dict[str, Any]]:
        """Return what a daemon has logged of an event."""
        path = os.path.join(self.config.log_folder, f"{daemon_name}.jsonl")
        with open(path, encoding="ascii") as file:
            documents = [json.loads(line) for line in file]
        return [document for document in documents if document["event"] == event]


def write_files(folder: str, files: dict[str, bytes]) -> str:
    """Write files below a folder; returns the folder."""
    for path, content in files.items():
        full = os.path.join(folder, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(content)
    return folder


def with_few_services(root: str) -> None:
    """Let `up` start one worker and no pages beside a store: for tests of the store alone."""
    with open(os.path.join(root, CONFIG_NAME), "a", encoding="utf-8") as file:
        file.write("\n[gui]\nenabled = false\napi_enabled = false\n")
        file.write('\n[jobs.workers.one]\nqueues = ["default"]\n')


def with_settings(root: str, **settings: object) -> Config:
    """Add settings to the [store] section of a store's drystone.toml; returns the new config."""
    path = os.path.join(root, CONFIG_NAME)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("[store]\n", f"[store]\n{lines}"))
    return load_config(path)


def with_quota(root: str, **sizes_bytes: int) -> Config:
    """Set quotas of a store that `init_store` made, such as `stage_bytes`; 0 is none."""
    path = os.path.join(root, CONFIG_NAME)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for name, size_bytes in sizes_bytes.items():
        text, changed = re.subn(rf"(?m)^{name} = \d+$", f"{name} = {size_bytes}", text)
        assert changed == 1, text
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return load_config(path)
