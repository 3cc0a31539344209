"""Where child processes come from: it owns the engine's half of the fork server.

A process has one fork server (see `fork_server_main`), started by `prepare` or with its first
child, and started again when it is gone. Its children do not depend on it: they end when their
socket closes, like it.
"""

import atexit
import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress

FORK_TIMEOUT_S = 60.0
"""For an answer that takes milliseconds, or for the first, which waits for imports."""
ANSWER_SIZE_BYTES_MAX = 4096
LABEL_LENGTH_MAX = 200
END_TIMEOUT_S = 1.0

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class ForkedChild:
    """A forked process, whoever its parent is: `pidfd` is this one, also when it has ended."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self._pidfd = pidfd
        # Guards `_pidfd`: no signal goes to a number that was closed. Innermost.
        self._lock = threading.Lock()

    def kill(self) -> None:
        """Send SIGKILL; nothing happens to one that has ended."""
        with self._lock, suppress(ProcessLookupError):
            if self._pidfd >= 0:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Return whether it has ended, waiting for that as long as is said, or for ever."""
        with self._lock:
            if self._pidfd < 0:
                return True
            mine = os.dup(self._pidfd)
        try:
            poll = select.poll()
            poll.register(mine, select.POLLIN)
            return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))
        finally:
            os.close(mine)

    def close(self) -> None:
        """Forget it once it has ended."""
        with self._lock:
            if self._pidfd >= 0:
                os.close(self._pidfd)
            self._pidfd = -1

    def __del__(self) -> None:
        self.close()


class _ForkServer:
    """One fork server: its process and the socket to it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(FORK_TIMEOUT_S)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "fsd.process.fork_server_main", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                cwd="/",
                # numpy's threads, which nothing here uses: starting them takes half of its import.
                env={"OPENBLAS_NUM_THREADS": "1", **os.environ, "PYTHONPATH": _ROOT},
            )

    def ask(self, order: bytes, fds: list[int]) -> tuple[bytes, list[int]]:
        """Send an order and return its answer with descriptors; no bytes when it is gone."""
        socket.send_fds(self._socket, [order], fds)
        message, pidfds, _, _ = socket.recv_fds(
            self._socket, ANSWER_SIZE_BYTES_MAX, 1, socket.MSG_CMSG_CLOEXEC
        )
        return message, pidfds

    def end(self) -> None:
        """Let it go, whatever state it is in."""
        self._socket.close()
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):  # It may hang in the kernel.
            self._process.wait(END_TIMEOUT_S)


# Held from an order to its answer, and guards `_fork_server`: one fork at a time. Innermost.
_lock = threading.Lock()
_fork_server: _ForkServer | None = None


def prepare() -> None:
    """Start the fork server, so that the first child need not wait for its imports."""
    with _lock:
        _living()


def fork(module: str, label: str, fds: list[int]) -> ForkedChild:
    """Return a new child process: `module` of fork_server_main.MODULES, with its descriptors.

    `label` is shown with the processes of the machine. Raises OSError when it cannot be made:
    ConnectionError or TimeoutError when the fork server was gone or silent, and the next call has a
    new one. Then a process may have been made all the same, which nobody knows: close the other
    end of its socket.
    """
    shown = label[:LABEL_LENGTH_MAX].encode("utf-8", "replace").decode()
    order = json.dumps({"module": module, "label": shown}).encode()
    with _lock:
        try:
            message, pidfds = _living().ask(order, fds)
            if not message:
                raise ConnectionResetError("the fork server has ended")
        except BaseException:
            _forget()  # Its answer may still come, and would be taken for that to the next.
            raise
    answer = json.loads(message)
    if "errno" in answer:
        raise OSError(answer["errno"], os.strerror(answer["errno"]))
    if not pidfds:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return ForkedChild(answer["pid"], pidfds[0])


def _living() -> _ForkServer:
    global _fork_server
    if _fork_server is None or _fork_server.owner != os.getpid():
        _fork_server = _ForkServer()
    return _fork_server


@atexit.register
def _forget() -> None:
    global _fork_server
    if _fork_server is not None and _fork_server.owner == os.getpid():
        _fork_server.end()
    _fork_server = None
