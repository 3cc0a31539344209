"""Where child processes come from: it owns this process's half of the nursery, see child_main.

A process has one nursery, started with its first child and started again when it is gone. Its
children do not depend on it: they end when their socket closes, like it.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import weakref
from contextlib import suppress

FORK_TIMEOUT_S = 60.0
"""For an answer that takes milliseconds, or for the first, which waits for imports."""
ANSWER_SIZE_BYTES_MAX = 4096
TRIES = 2

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Offspring:
    """A forked process, whoever its parent is: `pidfd` is this one, also when it has ended."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self._pidfd = pidfd
        weakref.finalize(self, os.close, pidfd)

    def kill(self) -> None:
        """Send SIGKILL; nothing happens to one that has ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Return whether it has ended, waiting for that as long as is said, or for ever."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))


class _Nursery:
    """One nursery: its process and the socket to it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(FORK_TIMEOUT_S)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "fsd.child_main", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                cwd="/",
                # numpy's threads, which nothing here uses: starting them takes half of its import.
                env={"OPENBLAS_NUM_THREADS": "1", **os.environ, "PYTHONPATH": _ROOT},
            )

    def fork(self, order: bytes, fds: list[int]) -> Offspring:
        """Ask for a child; OSError when the machine has no more, ConnectionError when it is gone.

        TimeoutError when it does not answer.
        """
        socket.send_fds(self._socket, [order], fds)
        message, pidfds, _, _ = socket.recv_fds(self._socket, ANSWER_SIZE_BYTES_MAX, 1)
        if not message:
            raise ConnectionResetError("the nursery has ended")
        answer = json.loads(message)
        if "errno" in answer:
            raise OSError(answer["errno"], os.strerror(answer["errno"]))
        return Offspring(answer["pid"], pidfds[0])

    def end(self) -> None:
        """Let it go, whatever state it is in."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


_lock = threading.Lock()
_nursery: _Nursery | None = None


def prepare() -> None:
    """Start the nursery, so that the first child need not wait for its imports."""
    with _lock:
        _living()


def fork(module: str, label: str, fds: list[int]) -> Offspring:
    """Return a new child process: `module` of child_main.MODULES, with its descriptors.

    `label` is shown with the processes of the machine. Raises OSError when it cannot be made.
    """
    order = json.dumps({"module": module, "label": label}).encode()
    with _lock:
        for tries_left in reversed(range(TRIES)):
            try:
                return _living().fork(order, fds)
            except (ConnectionError, TimeoutError):
                _forget()  # Its answer may still come, and would be taken for that to the next.
                if not tries_left:
                    raise
    raise AssertionError("it returns or raises above")


def _living() -> _Nursery:
    global _nursery
    if _nursery is None or _nursery.owner != os.getpid():
        _nursery = _Nursery()
    return _nursery


@atexit.register
def _forget() -> None:
    global _nursery
    if _nursery is not None and _nursery.owner == os.getpid():
        _nursery.end()
    _nursery = None
