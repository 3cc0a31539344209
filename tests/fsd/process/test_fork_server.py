"""The process that child processes are forks of: what it makes, and what it may do meanwhile."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from command import ROOT
from engine_processes import children, engine_pid, kill_engine
from store_checks import until
from store_harness import Store

from base.errors import DrystoneError
from fsd.disk_io import disk_process
from fsd.process import fork_server
from fsd.process.process import Child
from fsd.process.slots import SlotPool

pytest_plugins = ("child_fixture",)


def state_of(pid: int) -> str:
    """Return the letter of a process's state, nothing when there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def parent_of(pid: int) -> int:
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[1])


@pytest.fixture
def begun(pool: SlotPool) -> Iterator[list[Child]]:
    """Children that are dead when the test has ended."""
    made: list[Child] = []
    yield made
    for child in made:
        child.kill()
        assert child.wait_dead(60)


def start(pool: SlotPool, begun: list[Child], label: str = "d1") -> Child:
    begun.append(Child("fsd.disk_io.disk_process", label, disk_process.LANES, pool))
    assert begun[-1].call("find", "none", []) is None
    return begun[-1]


def test_children_have_one_parent_and_show_who_they_are(pool: SlotPool, begun: list[Child]):
    odd = "a disk with\nlines, \u2603, \udcff" + 100 * "x"
    first, second = (start(pool, begun, label) for label in ("d1", odd))
    assert parent_of(first.pid) == parent_of(second.pid) != os.getpid()
    with open(f"/proc/{second.pid}/cmdline", encoding="utf-8") as file:
        title = file.read().rstrip("\0")
    assert title.startswith("drystone disk_process a disk with\nlines, \u2603, ?xxx")


def test_a_dead_child_is_no_zombie(pool: SlotPool, begun: list[Child]):
    child = start(pool, begun)
    assert not child.wait_dead(0)
    child.kill()
    assert child.wait_dead(60)
    until(lambda: state_of(child.pid) == "", "the fork server to wait for it")


@pytest.mark.fault
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_fork_server_that_is_gone_or_silent_is_replaced(
    pool: SlotPool, begun: list[Child], number: signal.Signals
):
    """What it made before goes on, and its end is seen."""
    before = start(pool, begun)
    old = parent_of(before.pid)
    os.kill(old, number)
    if number == signal.SIGSTOP:
        fork_server._living()._socket.settimeout(0.5)
    else:
        until(lambda: state_of(old) in ("", "Z"), "the fork server to die")
    after = start(pool, begun, "d2")
    assert parent_of(after.pid) not in (old, 1)
    assert state_of(old) == ""
    assert before.alive and before.call("find", "none", []) is None
    before.kill()
    assert before.wait_dead(60)


@pytest.fixture
def group() -> Iterator[str]:
    """A control group whose processes may be limited in number."""
    with open("/proc/self/cgroup", encoding="ascii") as file:
        mine = [line.strip().split(":", 2)[2] for line in file if ":pids:" in line]
    if not mine or not os.access(root := f"/sys/fs/cgroup/pids{mine[0]}", os.W_OK):
        pytest.skip("no group of processes can be made")
    folder = f"{root}/drystone-{os.getpid()}"
    os.mkdir(folder)
    yield folder
    with open(f"{folder}/cgroup.procs", encoding="ascii") as file:
        left = file.read().split()
    for pid in left:
        with suppress(ProcessLookupError):
            write(f"{root}/cgroup.procs", pid)
    os.rmdir(folder)


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def test_no_more_processes_is_an_error_of_the_machine(
    pool: SlotPool, begun: list[Child], group: str
):
    living = parent_of(start(pool, begun).pid)
    write(f"{group}/cgroup.procs", str(living))
    write(f"{group}/pids.max", "1")
    with pytest.raises(BlockingIOError):
        fork_server.fork("fsd.disk_io.disk_process", "d2", [])
    with pytest.raises(DrystoneError, match=r"no process could be started for d2: .*unavailable"):
        start(pool, begun, "d2")
    write(f"{group}/pids.max", "max")
    assert parent_of(start(pool, begun, "d2").pid) == living


@pytest.mark.fault
def test_no_more_descriptors_is_an_error_of_the_machine(pool: SlotPool, begun: list[Child]):
    """And no reason for another fork server, nor for the loss of this one."""
    living = parent_of(start(pool, begun).pid)
    limits = resource.prlimit(living, resource.RLIMIT_NOFILE)
    resource.prlimit(living, resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
            fork_server.fork("fsd.disk_io.disk_process", "d2", [])
        with pytest.raises(
            DrystoneError, match=r"no process could be started for d2: .*open files"
        ):
            start(pool, begun, "d2")
    finally:
        resource.prlimit(living, resource.RLIMIT_NOFILE, limits)
    assert parent_of(start(pool, begun, "d2").pid) == living


def test_a_child_that_nobody_was_told_of_ends(pool: SlotPool, begun: list[Child], monkeypatch):
    """Its fork server made it and could not say so; the second try has a socket of its own."""
    living = parent_of(start(pool, begun).pid)
    ask, lost = fork_server._ForkServer.ask, list[int]()

    def dies(self: Any, order: bytes, fds: list[int]) -> tuple[bytes, list[int]]:
        message, pidfds = ask(self, order, fds)
        if lost:
            return message, pidfds
        os.close(pidfds[0])
        lost.append(json.loads(message)["pid"])
        return b"", []

    monkeypatch.setattr(fork_server._ForkServer, "ask", dies)
    assert parent_of(start(pool, begun, "d2").pid) != living
    until(lambda: state_of(lost[0]) in ("", "Z"), "the end of the one that was lost")


def test_descriptors_above_1023(pool: SlotPool, begun: list[Child]):
    """A fork server that begins late in the life of a large engine has such a socket."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limits[1] < 4096:
        pytest.skip("no more than 4,096 descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, limits[1]))
    many = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        fork_server._forget()
        start(pool, begun)
    finally:
        for descriptor in many:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_what_is_no_child_of_ours_ends_at_once(pool: SlotPool, begun: list[Child]):
    for module, label in (("os", "d1"), ("fsd.ingest.packer", 10_000 * "x")):
        assert fork_server.fork(module, label, []).wait(60)
    start(pool, begun)


def test_it_ends_with_its_process():
    """Also where nobody can tell it: its socket closes."""
    code = (
        "import os\n"
        "from fsd.disk_io import disk_process\nfrom fsd.process import fork_server\n"
        "from fsd.process.process import Child\n"
        "from fsd.process.slots import SlotPool\n"
        "child = Child('fsd.disk_io.disk_process', 'd1', disk_process.LANES, SlotPool(1, 4096))\n"
        "child.call('find', 'none', [])\n"
        "print(fork_server._living()._process.pid, child.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    assert ended.returncode == -signal.SIGKILL
    for pid in map(int, ended.stdout.split()):
        until(lambda pid=pid: state_of(pid) in ("", "Z"), "the end of what it left")


@pytest.mark.fault
def test_with_the_engine_alone_killed_nothing_of_it_stays(store):
    made: Store = store(2)
    engine = engine_pid(made.config)
    left = [child.pid for child in children(made.config)]
    parents = {parent_of(pid) for pid in left}
    assert len(left) == 2 and len(parents) == 1 and engine not in parents
    kill_engine(made.config, group=False)
    for pid in (*left, *parents):
        until(lambda pid=pid: state_of(pid) in ("", "Z"), "the end of its processes")
