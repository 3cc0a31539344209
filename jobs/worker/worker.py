"""A worker: it owns the RQ worker of this house, and what a worker and its horses share.

The worker forks a horse, which does tasks until its queues are empty or it is old, and then exits:
a fork and a connection cost more than a small task. A step that crashes takes its horse with it,
never the worker, which says so at once to the database. The worker holds no connection to the
database while it forks: a child that closed an inherited one would end it for its parent.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import random
import select
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, NoReturn

from redis.exceptions import RedisError
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.serializers import JSONSerializer
from rq.worker import Worker

from base.errors import DrystoneError
from base.logging import spans
from base.logging.ids import about
from jobs import execute
from jobs.core.errors import JobsError
from jobs.queues.queues import Deliverer, task_of
from jobs.queues.redis_server import connect
from jobs.runs.local_state import LocalTaskState, following
from jobs.runs.registry import load_extra_workflows
from sql import Database

if TYPE_CHECKING:
    from types import FrameType

    from redis import Redis
    from rq.job import Job
    from rq.queue import Queue

    from jobs.core.config import JobsConfig

HORSE_TASKS_MAX = 100
HORSE_AGE_S_MAX = 30.0
"""A horse takes no further task when it has done so many or is so old: what leaks goes with it."""
WORKER_TTL_S = 60
MONITORING_INTERVAL_S = 10
PAUSE_S = 1.0
FORGOTTEN = (RedisError, InvalidJobOperation, NoSuchJobError)
"""What clearing up a job may raise: Redis is away, or was emptied and knows no such job."""

_log = logging.getLogger(__name__)


class HouseWorker(Worker):
    """RQ's forking worker with horses that carry on. `on_lost_horse` is told when one dies."""

    max_connection_wait_time = 2.0
    log_result_lifespan = False

    def __init__(
        self,
        queues: Sequence[str],
        redis: Redis,
        name: str,
        on_lost_horse: Callable[[str], None],
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(
            list(queues),
            name=name,
            connection=redis,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL_S,
            job_monitoring_interval=MONITORING_INTERVAL_S,
            log_job_description=False,
        )
        self._on_lost_horse = on_lost_horse
        self._on_idle = on_idle
        # Shared with horses: the parent was asked to stop; the queues' order, by their places.
        self._stopping = mmap.mmap(-1, 1)
        self._order = mmap.mmap(-1, len(self.queues))
        self._order[:] = bytes(range(len(self.queues)))

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return bool(self._stopping[0])

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """End after the current task: of the horse, too."""
        self._stopping[0] = 1
        super().request_stop(signum, frame)

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """Go on waiting for the task: who is in a hurry kills, and the task is begun again."""

    def set_shutdown_requested_date(self) -> None:
        """Say in Redis that it stops, if Redis is there."""
        with contextlib.suppress(RedisError):
            super().set_shutdown_requested_date()

    def run_maintenance_tasks(self) -> None:
        """Do nothing to Redis, which the scheduler cleans; only say that this worker is idle."""
        self._on_idle()

    @property
    def should_run_maintenance_tasks(self) -> bool:
        """Whether it is idle once more: asked before every wait for a job."""
        return True

    def monitor_work_horse(self, job: Job, queue: Queue) -> None:
        """Wait for the end of the horse; Redis may be away meanwhile."""
        pid = self._horse_pid
        descriptor = os.pidfd_open(pid)
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            while not poll.poll(MONITORING_INTERVAL_S * 1000):
                with contextlib.suppress(RedisError):
                    self.heartbeat()
        finally:
            os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        self._horse_pid = 0
        self._ordered_queues = [self.queues[place] for place in self._order[:]]
        if status != 0:
            # At once, so that nobody has to wait for a lease to end.
            self._on_lost_horse(f"its process ended badly (status {status})")
            with contextlib.suppress(*FORGOTTEN):
                job.delete()

    def main_work_horse(self, job: Job, queue: Queue) -> NoReturn:
        """Do tasks until there are none, in the forked process; never returns."""
        random.seed()
        self.setup_work_horse_signals()
        self._is_horse = True
        born, parent, done = time.monotonic(), os.getppid(), 0
        status = 1
        try:
            taken: tuple[Job, Queue] | None = (job, queue)
            while taken is not None:
                if done:
                    self.prepare_execution(taken[0])
                self.perform_job(*taken)
                done += 1
                if (
                    self._stopping[0]
                    or os.getppid() != parent
                    or done >= HORSE_TASKS_MAX
                    or time.monotonic() - born > HORSE_AGE_S_MAX
                ):
                    break
                taken = self._next_job()
            status = 0
        except BaseException:
            _log.exception("a horse failed", extra=about("worker.horse_failed"))
        finally:
            try:
                spans.close()
            finally:
                os._exit(status)

    def perform_job(self, job: Job, queue: Queue) -> bool:
        """Do the task whose number is in the job's id.

        Nothing else of a job is believed: whoever can write to Redis could name any function.
        """
        task_id = task_of(job.id)
        if task_id is None:
            _log.warning(
                "a job that is not ours is thrown away: %s",
                ascii(job.id)[:100],
                extra=about("queue.strange_job"),
            )
        try:
            if task_id is not None:
                with contextlib.suppress(*FORGOTTEN):
                    self.prepare_job_execution(job, len(self.queues) == 1)
                self._line_up(queue, in_vain=execute.perform(task_id) == "waiting_space")
        except DrystoneError as error:
            # The task stays where it is: whoever keeps finds it.
            _log.warning("%s: %s", job.id, error, extra=about("task.put_off"))
        finally:
            with contextlib.suppress(*FORGOTTEN):
                self._forget(job)
        return True

    def _line_up(self, queue: Queue, *, in_vain: bool) -> None:
        """Put a queue behind all others whose task found no space; else all as they were given.

        Who gives space back may be in one of those; looking again and again would keep it waiting.
        """
        names = [one.name for one in self.queues]
        order = list(range(len(names)))
        if in_vain:
            last = names.index(queue.name)
            order = [*(place for place in self._order[:] if place != last), last]
        self._order[:] = bytes(order)
        self._ordered_queues = [self.queues[place] for place in order]

    def _forget(self, job: Job) -> None:
        with self.connection.pipeline() as pipeline:
            self.cleanup_execution(job, pipeline=pipeline)
            job.delete(pipeline=pipeline, remove_from_queue=False)
            pipeline.execute()

    def _next_job(self) -> tuple[Job, Queue] | None:
        return self.queue_class.dequeue_any(
            self._ordered_queues,
            None,
            connection=self.connection,
            job_class=self.job_class,
            serializer=self.serializer,
            death_penalty_class=self.death_penalty_class,
        )


def work(
    config: JobsConfig,
    config_path: str,
    queues: Sequence[str],
    name: str,
    on_idle: Callable[[], None] = lambda: None,
) -> None:
    """Work until SIGTERM; then the task that runs is ended first. Redis may come and go."""
    full_name = f"{os.uname().nodename}-{name}-{os.getpid()}"
    load_extra_workflows(config)
    spans.configure("worker", config_path)
    execute.set_workplace(_workplace(config, config_path, full_name))
    _load_early()
    redis = connect(config)

    def on_lost_horse(reason: str) -> None:
        # A connection of its own, closed again before the next fork.
        with (
            contextlib.suppress(DrystoneError),
            Database.open(config_path, start=False) as database,
        ):
            freed = database.runs.take_back_of(full_name, reason, following)
            _log.warning("took %d task(s) back: %s", freed, reason, extra=about("task.taken_back"))

    for number in count(1):
        # A new name each time: Redis may remember the former one as alive.
        worker = HouseWorker(queues, redis, f"{full_name}-{number}", on_lost_horse, on_idle)
        try:
            worker.work(logging_level="WARNING")
        except (RedisError, OSError) as error:
            _log.warning("Redis does not answer: %s", error, extra=about("redis.silent"))
        except Exception:
            # Whatever RQ stumbled over, the next worker of this process begins afresh.
            _log.exception("a worker failed", extra=about("worker.failed"))
        if worker.stopping:
            return
        # RQ gives up on what it does not expect, such as Redis dying in the middle of a command.
        time.sleep(PAUSE_S)


def _workplace(config: JobsConfig, config_path: str, name: str) -> execute.Workplace:
    """Return a workplace whose database is opened by the process that needs it."""
    opened: dict[int, Database] = {}

    def database() -> Database:
        if os.getpid() not in opened:
            opened.clear()
            opened[os.getpid()] = Database.open(config_path, start=False)
        return opened[os.getpid()]

    deliverer = Deliverer(connect(config), config.queues)

    def on_finish(queue: str, made: int) -> None:
        deliverer.refill(database(), queue, made)

    return execute.Workplace(
        config_path=config_path,
        state=LocalTaskState(database, config.log_dir, on_finish),
        worker=name,
        log_dir=config.log_dir,
        database=database,
        beat_s=config.heartbeat_s,
        lease_s=config.lease_s,
        space_retry_s=config.space_retry_s,
    )


def _load_early() -> None:
    """Import in the parent what every horse needs: a fork shares it."""
    import adapters
    import sql

    for face, names in (
        (sql, ("Database", "Outcome")),
        (adapters, ("EngineUnavailableError", "SpaceError")),
    ):
        for name in names:
            if not hasattr(face, name):
                raise JobsError(f"{face.__name__} has no {name}")
