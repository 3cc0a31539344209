"""A worker on another machine: it owns what it knows there, which is an API, a Redis and a folder.

It opens no database and no store. It takes numbers of tasks from Redis, everything about them from
the API, and reads and writes below its own mount of the stage area. The log of an attempt is
written here and travels with the heartbeats.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from redis import Redis
from redis.exceptions import RedisError

from base.errors import DrystoneError, UsageError
from base.logging import spans
from base.logging.daemon import start
from base.logging.ids import about
from jobs import execute
from jobs.core.alert_config import read_secret
from jobs.core.config import JobsConfig
from jobs.core.errors import JobsError
from jobs.queues.redis_server import limits
from jobs.remote.http import RemoteApi, UntrustedError
from jobs.remote.state import PathPrefix, RemoteTaskState
from jobs.remote.worker_folder import worker_folder
from jobs.runs.local_state import log_path, program_log
from jobs.runs.registry import load_extra_workflows
from jobs.worker.worker import PAUSE_S, HouseWorker
from sql import (
    BusyError,
    Claim,
    DatabaseUnavailableError,
    Outcome,
    Progress,
)

if TYPE_CHECKING:
    from jobs.runs.task_state import TaskState

LOG_STEP_BYTES = 64 * 1024
"""So much of a log goes with a heartbeat; the rest goes with the next ones, and at the end."""
LOG_SIZE_BYTES_MAX = 64 << 20
START_PATIENCE_S = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RemotePlace:
    """Where a worker works. Secrets are files: an argument could be seen by everybody."""

    api: str
    token_file: str
    redis_url: str
    stage_root: str
    redis_password_file: str = ""
    ca_file: str = ""


class LogCarrier:
    """A TaskState that takes the logs of this machine's attempts along."""

    def __init__(self, state: TaskState, log_dir: str) -> None:
        self._state = state
        self._log_dir = log_dir
        # By task, token and whether it is the program's: the file, and how much of it was told.
        self._told: dict[tuple[int, int, bool], tuple[str, int]] = {}
        # The heartbeat and the end of a task carry in two threads: no piece twice.
        self._turn = threading.Lock()

    def claim(self, task_id: int, worker: str) -> Claim | None:
        """Take a queued task; see TaskState."""
        claim = self._state.claim(task_id, worker)
        if claim is not None:
            path = os.path.join(self._log_dir, log_path(claim.run_id, claim.task_id, claim.token))
            self._told[task_id, claim.token, False] = path, 0
            self._told[task_id, claim.token, True] = program_log(path), 0
        return claim

    def beat(self, task_id: int, token: int, progress: Progress | None = None) -> bool:
        """Say that the task is alive, and bring some of its log."""
        cancelled = self._state.beat(task_id, token, progress)
        for of_program in (False, True):
            with contextlib.suppress(DrystoneError, OSError):
                self._carry(task_id, token, of_program)
        return cancelled

    def finish(self, task_id: int, token: int, outcome: Outcome) -> None:
        """Bring the rest of the logs, and end the attempt."""
        for of_program in (False, True):
            self._carry_rest(task_id, token, of_program)
        self._state.finish(task_id, token, outcome)
        for of_program in (False, True):
            path, _ = self._told.pop((task_id, token, of_program), ("", 0))
            with contextlib.suppress(OSError):
                os.unlink(path)

    def append_log(self, task_id: int, token: int, text: str, *, of_program: bool = False) -> None:
        """Add text to a log of the attempt; see TaskState."""
        self._state.append_log(task_id, token, text, of_program=of_program)

    def _carry_rest(self, task_id: int, token: int, of_program: bool) -> None:
        try:
            while self._carry(task_id, token, of_program, to_the_end=True):
                pass
        except (DatabaseUnavailableError, BusyError):
            raise  # Nobody is there: the end cannot be told either, and both are tried again.
        except (DrystoneError, OSError) as error:
            # Such as a full disk there: it loses words, not the task.
            _log.warning(
                "the log of task %d is not whole: %s",
                task_id,
                error,
                extra=about("task.log_cut", task=task_id),
            )

    def _carry(
        self, task_id: int, token: int, of_program: bool, *, to_the_end: bool = False
    ) -> bool:
        """Bring a piece of a log; False when there is no more."""
        with self._turn:
            path, offset = self._told.get((task_id, token, of_program), ("", 0))
            if not path or offset >= LOG_SIZE_BYTES_MAX:
                return False
            try:
                with open(path, "rb") as file:
                    file.seek(offset)
                    piece = file.read(LOG_STEP_BYTES)
            except FileNotFoundError:
                return False
            if not piece:
                return False
            if not to_the_end or len(piece) == LOG_STEP_BYTES:
                # Whole lines, where there are any: no character is cut in two.
                piece = piece[: piece.rfind(b"\n") + 1] or piece
            text = piece.decode("utf-8", "backslashreplace")
            self._state.append_log(task_id, token, text, of_program=of_program)
            self._told[task_id, token, of_program] = path, offset + len(piece)
            return True


def work_remotely(place: RemotePlace, queues: Sequence[str], name: str) -> None:
    """Work until SIGTERM; then the task that runs is ended first. Redis and the API may go away.

    Raises UsageError for what is wrong with the place.
    """
    start(f"worker-{name}", "")  # On stderr alone: there is no store here.
    api = RemoteApi(place.api, _secret(place.token_file), place.ca_file)
    redis = _redis(place)
    # What a program makes below the stage is removed by the store's account, of the same group.
    os.umask(os.umask(0o077) & ~0o070)
    prefix, store_id, beat_s, lease_s = _join(api, place.stage_root)
    spans.configure_elsewhere("worker", store_id)
    full_name = f"{os.uname().nodename}-{name}-{os.getpid()}"
    with worker_folder() as log_dir:
        state = LogCarrier(RemoteTaskState(api, prefix), log_dir)
        execute.set_workplace(
            execute.Workplace(
                config_path="",
                state=state,
                worker=full_name,
                log_dir=log_dir,
                beat_s=beat_s,
                lease_s=lease_s,
                is_remote=True,
            )
        )

        def on_lost_horse(reason: str) -> None:
            with contextlib.suppress(DrystoneError):
                api.ask("POST", "/worker/lost", {"worker": full_name, "reason": reason[:1_000]})

        for number in count(1):
            # A new name each time: Redis may remember the former one as alive.
            worker = HouseWorker(queues, redis, f"{full_name}-{number}", on_lost_horse)
            try:
                worker.work(logging_level="WARNING")
            except (RedisError, OSError) as error:
                _log.warning(
                    "Redis does not answer: %s", type(error).__name__, extra=about("redis.silent")
                )
            except Exception:
                _log.exception("a worker failed", extra=about("worker.failed"))
            if worker.stopping:
                return
            time.sleep(PAUSE_S)


def _join(api: RemoteApi, stage_root: str) -> tuple[PathPrefix, str, float, float]:
    """Ask where the stage area lies there, for which store, and the times of heartbeat and lease.

    It may be that the API is only about to start.
    """
    root = os.path.abspath(stage_root)
    if not os.path.isdir(root):
        raise UsageError(f"there is no folder {root}; mount the stage area and name it")
    deadline = time.monotonic() + START_PATIENCE_S
    while True:
        try:
            answer = api.ask("GET", "/worker/place")
            modules = tuple(answer["workflow_modules"])
            load_extra_workflows(JobsConfig(root=root, workflow_modules=modules))
            times = float(answer["heartbeat_s"]), float(answer["lease_s"])
            # A server of the last version tells no store: then no spans are exported here.
            store_id = str(answer.get("store_id", ""))
            return PathPrefix(answer["stage_root"], root), store_id, *times
        except UntrustedError as error:
            raise UsageError(str(error)) from error
        except DatabaseUnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_S)
        except (KeyError, TypeError) as error:
            raise JobsError("the server runs another version of Drystone; update both") from error


def _secret(path: str) -> str:
    try:
        return read_secret(path).decode("ascii")
    except UnicodeDecodeError:
        raise UsageError(f"the secret in {path} must be ASCII") from None


def _redis(place: RemotePlace) -> Redis:
    password = _secret(place.redis_password_file) if place.redis_password_file else None
    try:
        return Redis.from_url(place.redis_url, password=password, **limits())
    except (ValueError, RedisError) as error:
        raise UsageError(
            f"--redis is not usable ({type(error).__name__}); write it as redis://HOST:PORT/NUMBER"
        ) from error
