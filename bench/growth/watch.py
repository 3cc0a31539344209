"""What the engine and its helper processes cost: it owns reading /proc, starts nothing."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Generator
from dataclasses import dataclass, field

SAMPLE_S = 0.2
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_ANONYMOUS = re.compile(rb"RssAnon:\s+(\d+) kB")


def children(pid: int) -> list[int]:
    """Return the processes that this one started and that still live."""
    others = map(int, filter(str.isdigit, os.listdir("/proc")))
    return [other for other in others if _stat(other)[1:2] == [b"%d" % pid]]


def descendants(pid: int) -> list[int]:
    """Return the living processes that this one or its fork server started."""
    return [other for child in children(pid) for other in (child, *children(child))]


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and its children, ended ones included."""
    return _own_cpu_s(pid) + sum(map(cpu_s, children(pid)))


def _own_cpu_s(pid: int) -> float:
    # utime, stime and the same of the children that ended.
    return sum(map(int, _stat(pid)[11:15])) / _TICKS_PER_S


def _stat(pid: int) -> list[bytes]:
    """The fields behind the name, which may hold spaces: state, parent and so on."""
    return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def anonymous_bytes(pid: int) -> int:
    """Return the anonymous memory of a process (RssAnon); 0 when it is gone."""
    found = _ANONYMOUS.search(_read(f"/proc/{pid}/status"))
    return int(found[1]) * 1024 if found else 0


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


@dataclass(slots=True)
class Peaks:
    """The most anonymous bytes seen: of the engine, and of the largest of its helpers."""

    engine_bytes: int = 0
    helper_bytes: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def sample(self, pid: int) -> None:
        """Look once."""
        self.engine_bytes = max(self.engine_bytes, anonymous_bytes(pid))
        helpers = map(anonymous_bytes, descendants(pid))
        self.helper_bytes = max(self.helper_bytes, *helpers, 0)

    def follow(self, pid: int) -> None:
        """Look again and again until `stopped`."""
        while not self.stopped.wait(SAMPLE_S):
            self.sample(pid)


@contextlib.contextmanager
def peaks(pid: int) -> Generator[Peaks]:
    """Follow an engine's memory while the block runs."""
    seen = Peaks()
    thread = threading.Thread(target=seen.follow, args=(pid,), daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        seen.sample(pid)
        seen.stopped.set()
        thread.join()
