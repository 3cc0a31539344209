"""The folders of remote workers: those of killed ones go, and nobody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import ROOT

from jobs.remote.worker_folder import PREFIX, worker_folder

HOUR_S = "3600"
WORKER = f"""
import os, sys, time
from jobs.remote.worker_folder import worker_folder
with worker_folder(sys.argv[1]) as folder:
    open(os.path.join(folder, "1.log"), "w").close()
    horse = os.fork() if sys.argv[2] == "horse" else -1
    if horse:
        print(folder, horse, flush=True)
    time.sleep({HOUR_S})
"""


class Worker:
    """A worker in a process of its own, which may have forked a horse."""

    def __init__(self, root: Path, kind: str) -> None:
        arguments = [sys.executable, "-c", WORKER, str(root), kind]
        self.process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        with self.process.stdout as told:
            folder, horse = told.readline().split()
        self.folder, self.horse = Path(folder), int(horse)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[dict[str, Worker]]:
    made = {kind: Worker(tmp_path, kind) for kind in ("killed", "alive", "horse")}
    yield made
    for worker in made.values():
        worker.kill()
    os.kill(made["horse"].horse, signal.SIGKILL)


def test_only_what_killed_workers_left_is_removed(tmp_path: Path, workers: dict[str, Worker]):
    """A horse goes on without its worker, and with its log."""
    workers["killed"].kill()
    workers["horse"].kill()
    target = tmp_path / "target"
    target.mkdir()
    (target / "kept").touch()
    link = tmp_path / f"{PREFIX}link"
    link.symlink_to(target)
    (tmp_path / f"{PREFIX}file").touch()
    (tmp_path / "drystone-worker-older").mkdir()
    foreign = tmp_path / f"{PREFIX}foreign"
    foreign.mkdir()
    if os.geteuid() == 0:
        os.chown(foreign, 65534, 65534)
    with worker_folder(str(tmp_path)) as own:
        assert os.path.isdir(own)
        assert not workers["killed"].folder.exists()
        assert (workers["alive"].folder / "1.log").exists()
        assert (workers["horse"].folder / "1.log").exists()
        assert link.is_symlink() and (target / "kept").exists()
        assert (tmp_path / f"{PREFIX}file").exists()
        assert (tmp_path / "drystone-worker-older").exists()
        assert foreign.exists() == (os.geteuid() == 0)
    assert not os.path.exists(own)


def test_a_folder_that_another_worker_removed_before_it_was_locked(tmp_path: Path, monkeypatch):
    from jobs.remote import worker_folder as module

    lock, removed = module._lock, []

    def late(fd: int) -> bool:
        if not removed:
            removed.extend(path for path in tmp_path.iterdir())
            removed[0].rmdir()
        return lock(fd)

    monkeypatch.setattr(module, "_lock", late)
    with worker_folder(str(tmp_path)) as own:
        assert os.listdir(tmp_path) == [os.path.basename(own)]
    assert removed
