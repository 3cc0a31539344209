"""The embedded Redis for a service manager: it owns a process that lives as long as the server.

    python -m jobs.queue_main --config FILE

Starts the server or takes the one that runs, ends with 1 when it is gone, and stops it on SIGTERM
or SIGINT. With a Redis of somebody else's there is nothing to watch: it waits to be stopped.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys

from base.errors import DrystoneError
from base.logging.daemon import daemon_log
from base.processes.descriptors import wait_readable
from jobs.core.config import load_jobs_config
from jobs.core.errors import RedisUnavailableError
from jobs.queues import redis_server


def main() -> int:
    """Run until the server is gone or a signal comes."""
    parser = argparse.ArgumentParser(description="Run the embedded Redis in the foreground.")
    parser.add_argument("--config", required=True)
    try:
        return _run(parser.parse_args().config)
    except DrystoneError as error:
        print(f"drystone: {error}", file=sys.stderr)
        return error.exit_code


def _run(config_path: str) -> int:
    with daemon_log("queue-service", config_path):
        _keep(os.path.abspath(config_path))
    return 0


def _keep(config_path: str) -> None:
    """Start the server and stay until it is gone or a signal comes."""
    config = load_jobs_config(config_path)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    if not config.embedded:
        wait_readable(ours)
        return

    os.makedirs(config.run_dir, mode=0o700, exist_ok=True)
    redis_server.start(config)
    pid = redis_server.find(config)
    if pid is None:
        raise RedisUnavailableError("Redis ended as soon as it had started; see its log")
    descriptor = os.pidfd_open(pid)
    readable = wait_readable(ours, descriptor)
    os.close(descriptor)
    if descriptor in readable:
        raise RedisUnavailableError("the embedded Redis is gone")
    redis_server.stop(config)


if __name__ == "__main__":
    sys.exit(main())
