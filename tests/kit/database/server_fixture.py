"""A store's database on an embedded server of its own: it owns the folder and the end of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from command import ROOT

from sql import Database, load_config
from sql.database.database import place_of
from sql.server import server
from sql.server import socket as server_socket

CONFIG = """
ssd = "ssd"
mount = "mount"
[store]
store_id = "00112233445566778899aabbccddeeff"
[[disk]]
disk_id = "1"
name = "one"
path = "one"
"""


@dataclass
class EmbeddedStore:
    """A drystone.toml and what belongs to its database; no engine, no disks."""

    root: str

    def __post_init__(self) -> None:
        os.makedirs(os.path.join(self.root, "ssd"))
        self.configure("")

    @property
    def config_path(self) -> str:
        return os.path.join(self.root, "drystone.toml")

    @property
    def data(self) -> str:
        return os.path.join(self.root, "ssd", "database")

    @property
    def place(self) -> server.Place:
        return place_of(load_config(self.config_path))

    def configure(self, section: str) -> None:
        """Write drystone.toml with these lines as its section [database]."""
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(f"{CONFIG}\n[database]\n{section}\n" if section else CONFIG)

    def open(self) -> Database:
        return Database.open(self.config_path)

    def postmaster(self) -> int:
        found = server.find(self.place)
        assert found is not None and found.ready
        return found.pid

    def kill_postmaster(self) -> None:
        """kill -9, and wait until that process is gone; its children may linger."""
        descriptor = os.pidfd_open(self.postmaster())
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while server.find(self.place) is not None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.close(descriptor)

    def end(self) -> None:
        self.configure("")
        server.stop(self.place)
        server_socket.remove(server_socket.choose(self.data, self.place.run_dir))
        shutil.rmtree(self.root)


def run_python(code: str, *arguments: str, **options: object) -> subprocess.Popen:
    """Start Python on some code that imports ours."""
    environment = {**os.environ, "PYTHONPATH": ROOT, **options.pop("env", {})}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )
