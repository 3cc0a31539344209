"""The way of tasks into Redis: it owns the form of their jobs, and what Redis should hold.

A job is a task's number and the attempt that it will be, under an id made of both. Nothing else
goes to Redis, only a few tasks of every queue are there at a time, and nothing is ever read from it
that the database does not know better.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from jobs.core.errors import RedisUnavailableError

if TYPE_CHECKING:
    from redis import Redis
    from rq import Queue

    from base.network.breaker import Breaker
    from sql import Database, DueTask

DEPTH = 64
"""So many tasks of a queue are in Redis at a time; priorities count among all others."""
REFILL_BELOW = 16
FAILED_JOB_TTL_S = 3_600
FUNCTION = "jobs.execute.perform"
HIGH = ".high"
"""`io.high` is the high lane of `io` alone: who listens there is kept free for it."""
_JOB_ID = re.compile(r"task-([0-9]{1,18})-[0-9]{1,9}(-high)?", re.ASCII)


class Deliverer:
    """Brings due tasks to Redis."""

    def __init__(self, redis: Redis, queues: Sequence[str]) -> None:
        self.breaker: Breaker | None = None
        self._redis = redis
        self._names = list(queues)

    def queue(self, name: str) -> Queue:
        """Return RQ's view of a queue."""
        from rq import Queue
        from rq.serializers import JSONSerializer

        return Queue(name, connection=self._redis, serializer=JSONSerializer)

    def push_due(self, database: Database, queues: Sequence[str] | None = None) -> int:
        """Push what is due; return how many. RedisUnavailableError: the scheduler does it later."""
        with self._passing():
            self._check_answers()  # Before anything is marked as delivered.
            due = database.runs.due_tasks(queues or self._names, DEPTH)
            self.push(due)
        return len(due)

    def _check_answers(self) -> None:
        from redis.exceptions import RedisError

        try:
            self._redis.ping()
        except (RedisError, OSError) as error:
            raise RedisUnavailableError(f"Redis does not answer: {error}") from error

    def _passing(self) -> AbstractContextManager[None]:
        if self.breaker is None:
            return nullcontext()
        return self.breaker.passing(
            _resting, lambda error: isinstance(error, RedisUnavailableError)
        )

    def push(self, tasks: Sequence[DueTask]) -> None:
        """Push tasks in this order. A crash here leaves tasks that `missing` finds."""
        from redis.exceptions import RedisError

        if not tasks:
            return
        by_queue: dict[str, list[DueTask]] = {}
        for task in tasks:
            by_queue.setdefault(task.queue, []).append(task)
        try:
            for name, chosen in by_queue.items():
                queue = self.queue(name)
                # The last one that is put to the front is the first.
                first = [task for task in reversed(chosen) if task.is_first]
                rest = [task for task in chosen if not task.is_first]
                queue.enqueue_many([_job(queue, task) for task in (*first, *rest)])
                self._offer(name, [task for task in chosen if task.is_high])
        except (RedisError, OSError) as error:
            raise RedisUnavailableError(f"Redis does not answer: {error}") from error

    def offer(self, tasks: Sequence[DueTask]) -> None:
        """Offer what waits in Redis to those who are kept free for it, where they were not told."""
        from redis.exceptions import RedisError

        try:
            for name in {task.queue for task in tasks if task.is_high}:
                self._offer(name, [task for task in tasks if task.is_high and task.queue == name])
        except (RedisError, OSError) as error:
            raise RedisUnavailableError(f"Redis does not answer: {error}") from error

    def _offer(self, name: str, tasks: Sequence[DueTask]) -> None:
        """Put high tasks, which are in their queue, also where some workers take them alone.

        Whoever comes first has it; the other finds it taken.
        """
        if not tasks or not self._redis.scard(f"rq:workers:{name}{HIGH}"):
            return
        queue = self.queue(name + HIGH)
        there = set(queue.get_job_ids())
        jobs = [_job(queue, task, "-high") for task in tasks if f"{job_id(task)}-high" not in there]
        # All of them are busy; what does not fit is offered by the next look.
        queue.enqueue_many(jobs[: max(0, DEPTH - len(there))])

    def refill(self, database: Database, queue: str, made: int) -> None:
        """Push after the end of a task: what it made, and when its queue runs dry."""
        from redis.exceptions import RedisError

        try:
            if made or self._redis.llen(f"rq:queue:{queue}") < REFILL_BELOW:
                self.push_due(database)
        except (RedisError, OSError, RedisUnavailableError):
            return  # Nothing is lost: the scheduler delivers when Redis is back.

    def missing(self, tasks: Sequence[DueTask]) -> list[DueTask]:
        """Return those that are in no queue of Redis, because it was emptied or a job got lost."""
        from redis.exceptions import RedisError

        try:
            held: set[str] = set()
            for name in {task.queue for task in tasks}:
                held.update(self.queue(name).get_job_ids())
        except (RedisError, OSError) as error:
            raise RedisUnavailableError(f"Redis does not answer: {error}") from error
        return [task for task in tasks if job_id(task) not in held]

    def clean(self) -> None:
        """Forget jobs and workers that died; RQ's idle workers may take minutes for it."""
        from redis.exceptions import RedisError
        from rq.registry import StartedJobRegistry
        from rq.serializers import JSONSerializer
        from rq.worker_registration import clean_worker_registry

        try:
            for name in (*self._names, *(f"{name}{HIGH}" for name in self._names)):
                StartedJobRegistry(
                    name, connection=self._redis, serializer=JSONSerializer
                ).cleanup()
                clean_worker_registry(self.queue(name))
        except (RedisError, OSError) as error:
            raise RedisUnavailableError(f"Redis does not answer: {error}") from error


def _resting() -> RedisUnavailableError:
    return RedisUnavailableError("Redis did not answer; it is asked again in a moment")


def job_id(task: DueTask) -> str:
    """Return the id of a task's job; RQ allows letters, digits, - and _."""
    return f"task-{task.task_id}-{task.attempt}"


def task_of(job_id: str) -> int | None:
    """Return the task of a job's id; None when it is no id of ours."""
    match = _JOB_ID.fullmatch(job_id)
    return int(match[1]) if match else None


def _job(queue: Queue, task: DueTask, suffix: str = "") -> Any:
    return queue.prepare_data(
        FUNCTION,
        args=(task.task_id,),
        job_id=job_id(task) + suffix,
        description=f"task {task.task_id}, attempt {task.attempt}",
        # Time limits are the step's; a lease without heartbeats ends everything else.
        timeout=-1,
        result_ttl=0,
        failure_ttl=FAILED_JOB_TTL_S,
        at_front=task.is_first,
    )
