"""The logs of all daemons of a store, read as one: in the order of time, and followed."""

from __future__ import annotations

import glob
import heapq
import json
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import IO, Any

SUFFIX = ".jsonl"
FOLLOW_INTERVAL_S = 0.25
_MOVED = re.compile(r"\.jsonl\.(\d+)$")

Document = dict[str, Any]


def daemons_of(folder: str) -> list[str]:
    """Return the names of the daemons that have a log there."""
    paths = glob.glob(os.path.join(glob.escape(folder), f"*{SUFFIX}"))
    return sorted(os.path.basename(path).removesuffix(SUFFIX) for path in paths)


def read_logs(folder: str, daemons: Iterable[str]) -> Iterator[Document]:
    """Yield what these daemons logged, oldest first."""
    streams = [_of_daemon(folder, daemon) for daemon in daemons]
    yield from heapq.merge(*streams, key=_time)


def newest(documents: Iterable[Document], count: int) -> Iterable[Document]:
    """Return the last so many; 0 is all."""
    return deque(documents, count) if count else documents


class Follower:
    """Yields what daemons log from now on; a file that is moved aside is read to its end first."""

    def __init__(self, folder: str, daemons: Callable[[], Iterable[str]]) -> None:
        """`daemons` is asked again and again: one may be started meanwhile."""
        self._folder, self._daemons = folder, daemons
        self._open: dict[str, IO[bytes]] = {}
        self._rest: dict[str, bytes] = {}
        self._stack = ExitStack()
        for daemon in daemons():
            self._reopen(daemon).seek(0, os.SEEK_END)

    def close(self) -> None:
        """Close its files."""
        self._stack.close()

    def __iter__(self) -> Iterator[Document]:
        """Yield for ever; whoever has enough closes it."""
        while True:
            found = [one for daemon in self._daemons() for one in self._new_of(daemon)]
            yield from sorted(found, key=_time)
            time.sleep(FOLLOW_INTERVAL_S)

    def _new_of(self, daemon: str) -> Iterator[Document]:
        file = self._open.get(daemon) or self._reopen(daemon)
        yield from self._lines_of(daemon, file)
        mine = os.fstat(file.fileno())
        path = os.path.join(self._folder, daemon + SUFFIX)
        if not os.path.exists(path) or os.path.samestat(os.stat(path), mine):
            return
        yield from self._lines_of(daemon, file)
        file.close()
        newer: list[str] = []
        for moved in reversed(_moved(path)):
            if os.path.samestat(os.stat(moved), mine):
                break
            newer.insert(0, moved)
        for moved in newer:
            with open(moved, "rb") as between:
                yield from self._lines_of(daemon, between)
        yield from self._lines_of(daemon, self._reopen(daemon))

    def _lines_of(self, daemon: str, file: IO[bytes]) -> Iterator[Document]:
        *lines, self._rest[daemon] = (self._rest.get(daemon, b"") + file.read()).split(b"\n")
        return _documents(lines)

    def _reopen(self, daemon: str) -> IO[bytes]:
        path = os.path.join(self._folder, daemon + SUFFIX)
        opened = open(path, "rb")  # noqa: SIM115 Closed with the stack.
        self._open[daemon] = self._stack.enter_context(opened)
        return opened


def _of_daemon(folder: str, daemon: str) -> Iterator[Document]:
    path = os.path.join(folder, daemon + SUFFIX)
    with ExitStack() as stack:
        # All at once: one that is moved aside meanwhile is neither missed nor read twice.
        files = [stack.enter_context(open(one, "rb")) for one in (*_moved(path), path)]
        for file in files:
            yield from _documents(file)


def _moved(path: str) -> list[str]:
    """Return the files that a log was moved aside to, the oldest first."""
    moved = [one for one in glob.glob(glob.escape(path) + ".*") if _MOVED.search(one)]
    return sorted(moved, key=lambda one: -int(one.rpartition(".")[2]))


def _documents(lines: Iterable[bytes]) -> Iterator[Document]:
    for line in lines:
        try:
            document = json.loads(line)
        except ValueError:
            continue  # The last words of a disk that was full.
        if isinstance(document, dict):
            yield document


def _time(document: Document) -> str:
    return str(document.get("time", ""))
