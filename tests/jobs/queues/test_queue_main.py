"""Redis under a service manager, and workers by the name of their unit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from command import ROOT, drystone
from daemon_logs import without_information
from jobs_harness import PATIENCE_S, until

from jobs.queues import redis_server


@pytest.fixture
def service(yards):
    yard = yards()
    command = [sys.executable, "-m", "jobs.queue_main", "--config", yard.config_path]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: redis_server.answers(yard.config))
        yield yard, process
        process.kill()


def test_a_signal_stops_redis(service):
    yard, process = service
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert redis_server.find(yard.config) is None


def test_a_redis_that_is_gone_ends_it(service):
    yard, process = service
    until(lambda: "pidfd" in _descriptors(process.pid))
    os.kill(redis_server.find(yard.config), signal.SIGKILL)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert without_information(said) == "drystone: the embedded Redis is gone\n"


@pytest.mark.parametrize("instance", ["1", "io-1", "1-io-", "1-paint", "x-io"])
def test_a_unit_name_that_names_no_worker(yards, instance):
    refused = drystone("worker", "--instance", instance, "--config", yards().config_path, expect=2)
    assert b"Traceback" not in refused.stderr


def _descriptors(pid: int) -> str:
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:
            continue
    return " ".join(found)
