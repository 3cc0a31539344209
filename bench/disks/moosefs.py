"""MooseFS with goal 2 on the emulated disks: a master, a chunkserver per disk, one client mount.

It owns their configurations, ports and processes; everything lies below the lab's folder and goes
away with it. The servers keep their defaults, but for the free ports and for the checks of chunks
in the background, which are off.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, suppress

from bench.disks.lab import Disks, unmount
from bench.disks.peers import copy_all, wait_until
from fsd.fixture.corpus import Corpus
from tests.lab import run

PROGRAMS = ("mfsmaster", "mfschunkserver", "mfsmount", "mfssetgoal", "mfscheckfile")
GOAL = 2
JOIN_S_MAX = 30.0
END_S_MAX = 30.0
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
ROLES = {"MATOML": "master", "MATOCS": "chunks", "MATOCL": "clients"}
LEAVE_SPACE = "64MiB"


class MooseFS:
    """Four chunkservers on ext4; every file has two copies on two of them."""

    name = "MooseFS, goal 2"
    install = "apt-get install moosefs-master moosefs-chunkserver moosefs-client"

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._disks: Disks | None = None
        self._folder = self._point = self._address = ""
        self._ports: dict[str, int] = {}
        self._master: subprocess.Popen[bytes] | None = None
        self._others: list[subprocess.Popen[bytes]] = []

    def missing(self) -> str:
        """Name the first program that is not there."""
        if not own_address():
            return "a network address of this machine (its chunkservers refuse 127.0.0.1)"
        return next((name for name in PROGRAMS if not shutil.which(name, path=PATH)), "")

    def start(self, disks: Disks) -> None:
        """Format the disks as ext4, start all servers with empty metadata, mount."""
        disks.format()
        self._disks = disks
        self._folder = os.path.join(disks.ssd, "moosefs")
        self._point = os.path.join(disks.folder, "moosefs")
        os.makedirs(self._folder)
        os.makedirs(self._point, exist_ok=True)
        names = ("master", "chunks", "clients", *(f"server{n}" for n in range(len(disks.paths))))
        self._address = own_address()
        self._ports = dict(zip(names, free_ports(self._address, len(names)), strict=True))
        self._write_configurations()
        self._start_master()
        self._start_others()

    def write(self, corpus: Corpus) -> None:
        """Copy all files in; the client answers when both copies are written."""
        assert self._disks is not None
        run(self._program("mfssetgoal"), "-r", str(GOAL), self._point)
        copy_all(corpus, {path: [self._point] for path in corpus.sizes})
        self._disks.sync()

    def make_cold(self) -> None:
        """Restart the chunkservers on disks that nobody remembers anything of."""
        assert self._disks is not None
        self._stop_others()
        self._disks.make_cold()
        with self._disks.instantly():
            self._start_others()

    def read_root(self) -> str:
        """The client's mount."""
        return self._point

    def stop(self) -> None:
        """End the client, then the servers."""
        if self._disks is None:
            return
        self._stop_others()
        if self._master is not None:
            end(self._master)
            self._master = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _program(self, name: str) -> str:
        found = shutil.which(name, path=PATH)
        assert found is not None
        return found

    def _write_configurations(self) -> None:
        assert self._disks is not None
        for path in [self._data("master"), *map(self._data, self._servers())]:
            os.makedirs(path)
        with open(f"{self._data('master')}/metadata.mfs", "w", encoding="ascii") as file:
            file.write("MFSM NEW")
        self._write("exports.cfg", f"{self._address} / rw,alldirs,maproot=0:0")
        self._write(
            "master.cfg",
            f"DATA_PATH = {self._data('master')}",
            f"EXPORTS_FILENAME = {self._folder}/exports.cfg",
            *(
                f"{role}_LISTEN_{what}"
                for role, port in ROLES.items()
                for what in (f"HOST = {self._address}", f"PORT = {self._ports[port]}")
            ),
        )
        for name, path in zip(self._servers(), self._disks.paths, strict=True):
            self._write(f"{name}.hdd", path)
            self._write(
                f"{name}.cfg",
                f"DATA_PATH = {self._data(name)}",
                f"HDD_CONF_FILENAME = {self._folder}/{name}.hdd",
                f"HDD_LEAVE_SPACE_DEFAULT = {LEAVE_SPACE}",
                "HDD_TEST_SPEED = 0",
                "HDD_REBALANCE_UTILIZATION = 0",
                f"BIND_HOST = {self._address}",
                f"MASTER_HOST = {self._address}",
                f"MASTER_PORT = {self._ports['chunks']}",
                "MASTER_RECONNECTION_DELAY = 1",
                f"CSSERV_LISTEN_HOST = {self._address}",
                f"CSSERV_LISTEN_PORT = {self._ports[name]}",
            )

    def _servers(self) -> list[str]:
        return [name for name in self._ports if name.startswith("server")]

    def _data(self, name: str) -> str:
        return os.path.join(self._folder, f"{name}.data")

    def _write(self, name: str, *lines: str) -> None:
        with open(os.path.join(self._folder, name), "w", encoding="utf-8") as file:
            own = ["WORKING_USER = root", "WORKING_GROUP = root"] if name.endswith("cfg") else []
            file.write("\n".join([*lines, *(own if name != "exports.cfg" else []), ""]))

    def _serve(self, program: str, name: str) -> subprocess.Popen[bytes]:
        arguments = [self._program(program), "-f", "-c", f"{self._folder}/{name}.cfg", "start"]
        return launch(arguments, f"{self._folder}/{name}.log")

    def _start_master(self) -> None:
        self._master = self._serve("mfsmaster", "master")
        port = self._ports["clients"]
        wait_until(lambda: listens(self._address, port), "mfsmaster", self._master)

    def _start_others(self) -> None:
        for name in self._servers():
            process = self._serve("mfschunkserver", name)
            self._others.append(process)
            wait_until(lambda name=name: listens(self._address, self._ports[name]), name, process)
        address = ["-H", self._address, "-P", str(self._ports["clients"])]
        command = [self._program("mfsmount"), self._point, "-f", *address]
        client = launch(command, f"{self._folder}/mount.log")
        self._others.append(client)
        wait_until(lambda: os.path.ismount(self._point), "mfsmount", client)
        self._wait_joined()

    def _wait_joined(self) -> None:
        """Wait until the master knows the space of all disks."""
        assert self._disks is not None
        wanted = 0.8 * sum(map(space_bytes, self._disks.paths))
        deadline = time.monotonic() + JOIN_S_MAX
        while True:
            if space_bytes(self._point) >= wanted:
                return
            if time.monotonic() > deadline:
                raise SystemExit("the chunkservers of MooseFS did not join")
            time.sleep(0.2)

    def _stop_others(self) -> None:
        assert self._disks is not None
        with ExitStack() as kept, self._disks.instantly():
            if os.path.ismount(self._point):
                unmount(self._point)
            for process in self._others:
                kept.callback(end, process)
            for process in self._others:
                process.terminate()
        self._others.clear()


def space_bytes(path: str) -> int:
    """The size of the filesystem that is mounted there."""
    found = os.statvfs(path)
    return found.f_blocks * found.f_frsize


def own_address() -> str:
    """The address of this machine's own that it would send from; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # An address that is reserved for documentation.
        return str(probe.getsockname()[0])
    return ""


def free_ports(address: str, count: int) -> list[int]:
    """Ports of an own address that nobody listens on now."""
    with ExitStack() as kept:
        sockets = [kept.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((address, 0))
        return [one.getsockname()[1] for one in sockets]


def listens(address: str, port: int) -> bool:
    """Tell whether a server answers on a port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((address, port)) == 0


def launch(arguments: list[str], log: str) -> subprocess.Popen[bytes]:
    """Start a server in the background; what it says goes to the log."""
    with open(log, "ab") as file:
        return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=file, stderr=file)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a server to end, and kill it when it does not."""
    process.terminate()
    try:
        process.wait(END_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
