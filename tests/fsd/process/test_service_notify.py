"""What the service manager hears: readiness and the watchdog, through a real socket."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys

import pytest
from command import ROOT
from mount_fixture import WAIT_S_MAX, Mounted

from fsd.format.errors import CorruptError
from fsd.process import service_notify

PAGE_BYTES = 4096


@pytest.fixture
def manager(short_tmp, monkeypatch):
    """A socket that hears what a service says."""
    path = os.path.join(short_tmp, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        receiver.settimeout(WAIT_S_MAX)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        yield receiver


def test_the_engine_says_when_it_answers_and_that_it_still_does(store, manager):
    made = store(started=False)
    command = [sys.executable, "-m", "fsd.engine_main", "--config", made.config_path]
    with subprocess.Popen(command, cwd=ROOT) as engine:
        assert manager.recv(100) == b"READY=1"
        assert [manager.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        # Stopped as a whole it answers nobody, and says so no more.
        engine.send_signal(signal.SIGSTOP)
        manager.settimeout(1)
        with pytest.raises(TimeoutError):
            while True:
                manager.recv(100)
        engine.send_signal(signal.SIGCONT)
        manager.settimeout(WAIT_S_MAX)
        engine.send_signal(signal.SIGTERM)
        while (said := manager.recv(100)) == b"WATCHDOG=1":
            pass
        assert said == b"STOPPING=1"
        assert engine.wait(WAIT_S_MAX) == 0


def test_an_engine_that_answers_with_an_error_lives(store, manager):
    made = store(started=False)
    command = [sys.executable, "-m", "fsd.engine_main", "--config", made.config_path]
    with subprocess.Popen(command, cwd=ROOT) as engine:
        try:
            assert manager.recv(100) == b"READY=1"
            data = os.path.join(made.config.index_root, "1", "data.mdb")
            with open(data, "r+b") as file:
                file.seek(2 * PAGE_BYTES)
                file.write(bytes(os.path.getsize(data) - 2 * PAGE_BYTES))
            with pytest.raises(CorruptError, match="reindex"):
                made.client.health()
            manager.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    manager.recv(100)
            manager.settimeout(WAIT_S_MAX)
            assert [manager.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        finally:
            engine.kill()


@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="no /dev/fuse here")
def test_the_mount_says_when_it_is_there_and_that_its_loop_turns(tmp_path, manager):
    mounted = Mounted(str(tmp_path))
    try:
        mounted.start()
        assert manager.recv(100) == b"READY=1"
        assert os.path.ismount(mounted.point)
        assert [manager.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    finally:
        mounted.stop()


def test_without_a_manager_nothing_is_said(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "soon")
    assert service_notify.notify(service_notify.READY) is False
    assert service_notify.watchdog_interval_s() is None


def test_the_watchdog_of_another_process_is_not_ours(monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getppid()))
    assert service_notify.watchdog_interval_s() is None
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert service_notify.watchdog_interval_s() == 0.5
