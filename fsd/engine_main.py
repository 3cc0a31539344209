"""The engine's process: it owns the start, the socket and the signals."""

import argparse
import contextlib
import ctypes
import gc
import os
import signal
import socket
import sys
import threading
import time

from base.errors import EXIT_USAGE, DrystoneError
from base.logging.daemon import daemon_log
from base.network.http import listen
from fsd.client.client import Client
from fsd.disks.config import load_config
from fsd.format.errors import EngineUnavailableError, FsdError
from fsd.process import fork_server, service_notify
from fsd.process.address_space import address_space_problem

SHUTDOWN_GRACE_S = 5
GARBAGE_THRESHOLDS = (50_000, 20, 100)
"""A put makes hundreds of objects for a chunk of files, and no cycle: with Python's own thresholds
(700, 10, 10) a fifth of the engine's time went into looking for some."""
_MALLOC_OPTIONS = {"M_ARENA_MAX": (-8, 1), "M_MMAP_THRESHOLD": (-3, 256 << 10)}


def main() -> int:
    """Run one engine in the foreground until SIGTERM or a shutdown request."""
    parser = argparse.ArgumentParser(description="Run the engine of one store in the foreground.")
    parser.add_argument("--config", required=True)
    arguments = parser.parse_args()
    if problem := address_space_problem():
        print(f"drystone: {problem}", file=sys.stderr)
        return EXIT_USAGE
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    _keep_memory_small()
    try:
        with daemon_log("engine", arguments.config):
            _run(arguments.config)
    except DrystoneError as error:
        print(f"drystone: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _run(config_path: str) -> None:
    # It imports what the engine's processes need while the engine imports what it needs itself.
    with contextlib.suppress(OSError):  # The first child says it.
        fork_server.prepare()
    # Here, after the thresholds: collections were a tenth of the time that these imports take.
    import uvicorn

    from fsd.engine.engine import Engine
    from fsd.operations.app import make_app
    from fsd.watch.metrics_server import start_metrics
    from fsd.watch.report import warnings, write_status_files

    config = load_config(config_path)
    engine = Engine(config)
    engine.start()
    engine.on_housekeeping = lambda: write_status_files(engine.watch)
    engine.watch.alerts.start(lambda: warnings(engine.watch))
    server: uvicorn.Server | None = None

    def shut_down() -> None:
        if server is not None:
            server.should_exit = True

    listener = _listen(config.socket_path)
    options = uvicorn.Config(
        make_app(engine, shut_down),
        log_config=None,  # What it has to say goes where ours goes.
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
    )
    server = uvicorn.Server(options)
    signal.signal(signal.SIGTERM, lambda _number, _frame: shut_down())
    # The socket listens: whoever comes before the first turn of the server waits for it.
    service_notify.notify(service_notify.READY)
    _keep_watchdog(config.socket_path)
    scraped = start_metrics(engine.watch)
    server.run(sockets=[listener])
    service_notify.notify(service_notify.STOPPING)
    if scraped is not None:
        scraped.stop()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(config.socket_path)
    engine.stop()


def _keep_memory_small() -> None:
    """Make glibc's malloc give back what is freed; to be called before there are threads.

    It would keep a heap for every thread, and buffers of megabytes in them: after a put, 60 of the
    engine's 150 MB were free in there.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        for option, value in _MALLOC_OPTIONS.values():
            set_option(option, value)


def _keep_watchdog(socket_path: str) -> None:
    """Tell the service manager that the engine answers, as long as it does and somebody asked."""
    interval_s = service_notify.watchdog_interval_s()
    if interval_s is None:
        return

    def keep() -> None:
        client = Client(socket_path)
        while True:
            if _answers(client, interval_s):
                service_notify.notify(service_notify.WATCHDOG)
            time.sleep(interval_s)

    threading.Thread(target=keep, name="watchdog", daemon=True).start()


def _answers(client: Client, timeout_s: float) -> bool:
    try:
        client.health(timeout_s=timeout_s)
    except EngineUnavailableError:
        return False
    except DrystoneError:
        # It says what is wrong (its index is damaged); to be killed would not make that right.
        return True
    return True


def _listen(path: str) -> socket.socket:
    """Open the control socket for its owner only; a stale one is replaced (the lock is ours)."""
    try:
        return listen(path)
    except OSError as error:
        raise FsdError(f"the control socket {path} cannot be opened: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
