"""Fixtures that all tests share: a real store on folders in a temporary place, with its engine."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import command
import pytest

from fsd import daemon, daemon_mount
from fsd.client import Client
from fsd.config import CONFIG_NAME, Config, load_config
from fsd.setup import init_store

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
        """Return the engine's log so far."""
        try:
            with open(daemon.engine_log(self.config), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""


@pytest.fixture
def short_tmp() -> Iterator[str]:
    """A temporary folder with a short path: a unix socket's path has at most 107 bytes."""
    folder = tempfile.mkdtemp(prefix="ds-")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def store(short_tmp: str) -> Iterator[Callable[..., Store]]:
    """A function that makes a store with N folder disks and starts its engine.

    All options of `init_store` may be given. `started=False` leaves the engine off.
    """
    made: list[Store] = []

    def make(disks: int = 3, *, started: bool = True, **options: object) -> Store:
        root = os.path.join(short_tmp, f"store{len(made)}")
        paths = [os.path.join(root, f"d{number}") for number in range(1, disks + 1)]
        settings = {"min_free_bytes": MIB, "shard_size_bytes": 4 * MIB, **options}
        config = init_store(root, paths, None, **settings)
        made.append(Store(root, config, paths))
        if started:
            made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def source(tmp_path) -> str:
    """A folder with `command.FILES`, one of which has a hostile name."""
    return write_files(str(tmp_path / "source"), command.FILES)


@pytest.fixture
def filled(store, source) -> Store:
    """A running store whose batch `pets` holds `command.FILES`."""
    made = store()
    made.put(source, "pets")
    return made


def write_files(folder: str, files: dict[str, bytes]) -> str:
    """Write files below a folder; returns the folder."""
    for path, content in files.items():
        full = os.path.join(folder, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(content)
    return folder


def with_settings(root: str, **settings: object) -> Config:
    """Add settings to the [store] section of a store's drystone.toml; returns the new config."""
    path = os.path.join(root, CONFIG_NAME)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("[store]\n", f"[store]\n{lines}"))
    return load_config(path)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--crash-points", type=int, default=240, help="kills in the crash test")
    parser.addoption("--crash-seed", default="", help="replay the crash test with this seed")
    parser.addoption("--slow", action="store_true", help="also tests that measure by the clock")
    parser.addoption("--power-cuts", type=int, default=6, help="cuts in the power cut test")
    parser.addoption("--power-seed", default="", help="replay the power cut test with this seed")
