"""The process of the jobs' API: it owns what is served where.

The unix socket `run/jobs.sock` is for the owner alone, who needs no token. Over TCP every request
bears a token of a file that nobody else may read: that of people, or that of workers, which is good
for tasks only. Beyond this machine, use TLS or a network of your own: tokens travel in the request.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from base.config import find_config
from base.errors import UsageError
from jobs.api.app import make_app
from jobs.api.turns import Turns
from jobs.core.config import load_jobs_config
from jobs.queues.queues import Deliverer
from jobs.queues.redis_server import connect
from jobs.runs.local_state import LocalTaskState
from jobs.runs.registry import load_extra_workflows
from sql import Database, read_token, serve_apps, tcp_listener, unix_listener

SOCKET_NAME = "jobs.sock"
LOOPBACK = "127.0.0.1"


def serve(
    config_path: str | None,
    *,
    host: str | None = None,
    port: int | None = None,
    token_file: str | None = None,
    worker_token_file: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve in the foreground until SIGTERM or SIGINT. UsageError when it cannot begin."""
    if host is not None and port is None:
        raise UsageError("--host is the address of a TCP port: give --tcp-port too")
    if (port is None) != (token_file is None and worker_token_file is None):
        raise UsageError(
            "TCP needs both a port and a token: give --tcp-port with --token-file, "
            "--worker-token-file or both"
        )
    tokens = tuple(read_token(file) if file else "" for file in (token_file, worker_token_file))
    if tokens[0] and tokens[0] == tokens[1]:
        raise UsageError("workers need a token of their own: the two files hold the same")
    path = find_config(config_path)
    config = load_jobs_config(path)
    load_extra_workflows(config)
    host = host or LOOPBACK
    with contextlib.ExitStack() as stack, Database.open(path, start=False) as database:
        deliverer = Deliverer(connect(config), config.queues)
        state = LocalTaskState(
            lambda: database,
            config.log_dir,
            lambda queue, made: deliverer.refill(database, queue, made),
        )
        turns = Turns()
        run_dir = os.path.join(config.root, "run")
        listener = stack.enter_context(unix_listener(run_dir, SOCKET_NAME))
        served = [(make_app(path, database, state, turns=turns), listener)]
        if port is not None:
            tcp = stack.enter_context(tcp_listener(port, host))
            app = make_app(path, database, state, turns=turns, tokens=(tokens[0], tokens[1]))
            served.append((app, tcp))
            say(f"serving {host}:{tcp.getsockname()[1]}")
        say(f"serving {os.path.join(run_dir, SOCKET_NAME)}; Ctrl-C ends it")
        serve_apps(served)
