"""The fork server: the process that child processes are forks of. It owns their start.

It has imported what they all need: a child costs a few milliseconds instead of a tenth of a second
of a processor, and shares that memory with the others. It has one thread, always: a fork has no
others, and would keep their locks for ever. Its other half is `fsd.process.fork_server`.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import NoReturn

from setproctitle import setproctitle

MODULES = ("fsd.disk_io.disk_process", "fsd.ingest.packer", "fsd.compile.compile_process")
ORDER_SIZE_BYTES_MAX = 4096
FDS_MAX = 250
"""The kernel passes 253 at a time."""


def main() -> None:
    """Fork the modules that are asked for on the inherited socket, until its other end closes."""
    # Ctrl-C in a terminal reaches the whole group; the engine decides when this ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    orders = socket.socket(fileno=int(sys.argv[1]))
    setproctitle("drystone fork server")
    for name in MODULES:
        importlib.import_module(name)
    # Out of the collector's sight, so that it does not write to pages that are shared.
    gc.freeze()
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    # Not select, which knows no descriptors above 1,023: the socket has the engine's number.
    poll = select.poll()
    poll.register(orders, select.POLLIN)
    poll.register(woken, select.POLLIN)
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if woken in ready:
            os.read(woken, 4096)
            _reap()
        if orders.fileno() not in ready:
            continue
        message, fds = _next_order(orders)
        if not message:
            return
        if _fork(orders) == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in (orders.detach(), woken, wake):
                os.close(descriptor)
            _become(json.loads(message), fds)
        for descriptor in fds:
            os.close(descriptor)


def _next_order(orders: socket.socket) -> tuple[bytes, list[int]]:
    with contextlib.suppress(ConnectionError):
        message, fds, _, _ = socket.recv_fds(
            orders, ORDER_SIZE_BYTES_MAX, FDS_MAX, socket.MSG_CMSG_CLOEXEC
        )
        return message, fds
    return b"", []


def _fork(orders: socket.socket) -> int:
    """Fork and tell the engine whom, or why not; returns 0 in the child."""
    pid = 0
    try:
        pid = os.fork()
        if pid:
            # Nobody has waited for it yet: this is it, and never another with its number.
            pidfd = os.pidfd_open(pid)
            try:
                socket.send_fds(orders, [json.dumps({"pid": pid}).encode()], [pidfd])
            finally:
                os.close(pidfd)
    except OSError as error:
        if pid:
            os.kill(pid, signal.SIGKILL)  # Nobody would know it.
        with contextlib.suppress(OSError):
            orders.send(json.dumps({"errno": error.errno}).encode())
        return pid or -1
    return pid


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _become(order: dict[str, str], fds: list[int]) -> NoReturn:
    """Be the module that is asked for, with its descriptors, see `start_child`."""
    module, label = order["module"], order["label"]
    if module not in MODULES:
        raise SystemExit(f"{module} is no child process of Drystone")
    setproctitle(f"drystone {module.rpartition('.')[2]} {label}")
    importlib.import_module(module).main(fds)
    sys.exit(0)


if __name__ == "__main__":
    main()
