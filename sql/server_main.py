"""The embedded server for a service manager: it owns a process that lives as long as the server.

    python -m sql.server_main --config FILE

The server itself outlives whoever started it; a service manager wants one process to start, to
watch and to stop. This one starts it (or takes the one that runs), says that it is ready, ends with
1 when the server is gone, and stops it on SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys

from base.config import find_config
from base.errors import DrystoneError
from base.logging.daemon import daemon_log
from base.processes.descriptors import wait_readable
from sql.core.config import load_config
from sql.core.errors import DatabaseUnavailableError
from sql.database.database import Database, place_of
from sql.server import server


def main() -> int:
    """Run until the server is gone or a signal comes."""
    parser = argparse.ArgumentParser(description="Run the embedded database in the foreground.")
    parser.add_argument("--config")
    try:
        return _run(find_config(parser.parse_args().config))
    except DrystoneError as error:
        print(f"drystone: {error}", file=sys.stderr)
        return error.exit_code


def _run(config_path: str) -> int:
    with daemon_log("database-service", config_path):
        _keep(config_path)
    return 0


def _keep(config_path: str) -> None:
    """Start the server and stay until it is gone or a signal comes."""
    config = load_config(config_path)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    # Before the start: a signal in the middle of it is remembered, and the server stopped after it.
    signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    if not config.embedded:
        _say_ready()
        wait_readable(ours)
        return

    with Database.open(config_path):
        running = server.find(place_of(config))
    if running is None:
        raise DatabaseUnavailableError("the database ended as soon as it had started")
    descriptor = os.pidfd_open(running.pid)
    _say_ready()
    readable = wait_readable(ours, descriptor)
    os.close(descriptor)
    if descriptor in readable:
        raise DatabaseUnavailableError("the database is gone; see run/database.log")
    server.stop(place_of(config))


def _say_ready() -> None:
    """Tell the service manager, if there is one, by its own program."""
    program = shutil.which("systemd-notify")
    if os.environ.get("NOTIFY_SOCKET") and program:
        subprocess.run([program, "--ready", f"--pid={os.getpid()}"], check=False)


if __name__ == "__main__":
    sys.exit(main())
