"""The database under a service manager: one process to watch and to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from command import ROOT
from daemon_logs import without_information

from sql.core.config import load_config
from sql.database.database import place_of
from sql.server import server

START_S_MAX = 60.0


@pytest.fixture
def service(store):
    """A store whose database runs in the foreground; yields the process and its place."""
    made = store(started=False)
    place = place_of(load_config(made.config_path))
    command = [sys.executable, "-m", "sql.server_main", "--config", made.config_path]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + START_S_MAX
        while (found := server.find(place)) is None or not found.ready:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        try:
            yield process, place
        finally:
            process.kill()
            server.stop(place)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_server(service, number):
    process, place = service
    process.send_signal(number)
    assert process.wait(START_S_MAX) == 0
    assert server.find(place) is None


def test_a_server_that_is_gone_ends_it(service):
    process, place = service
    # Once it watches: before that a lost server would be started again.
    while "pidfd" not in _descriptors(process.pid):
        time.sleep(0.02)
    os.kill(server.find(place).pid, signal.SIGKILL)
    _, said = process.communicate(timeout=START_S_MAX)
    assert process.returncode == 1
    said = without_information(said)
    assert said == "drystone: the database is gone; see run/database.log\n"


def _descriptors(pid: int) -> str:
    folder = f"/proc/{pid}/fd"
    found = []
    for name in os.listdir(folder):
        try:
            found.append(os.readlink(os.path.join(folder, name)))
        except FileNotFoundError:
            continue
    return " ".join(found)
