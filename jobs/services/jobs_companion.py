"""The jobs as a companion of the store: it owns what `up`, `down` and `status` do about them.

Everything is imported where it is needed: the front door loads this module for every command.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from base.errors import DrystoneError


class JobsCompanion:
    """Starts and stops Redis, the scheduler and the workers."""

    name = "jobs"

    def start(self, config_path: str, say: Callable[[str], None] = lambda _: None) -> None:
        """Start what does not run. Raises JobsError."""
        from jobs.core.config import load_jobs_config
        from jobs.queues import redis_server
        from jobs.scheduler import supervise

        config = load_jobs_config(config_path)
        os.makedirs(config.run_dir, mode=0o700, exist_ok=True)
        started = redis_server.start(config, say) if config.embedded else False
        supervise.set_should_run(config, up=True)
        wanted = supervise.wanted_workers(config)
        for worker in wanted:
            new = supervise.start_worker(config, config_path, worker, while_up=True)
            started = new or started
        # Last: it would miss the workers that were not begun yet, and say that they are gone.
        started = supervise.start_scheduler(config, config_path, while_up=True) or started
        say(f"the jobs are up: {len(wanted)} workers" if started else "the jobs were up already")

    def stop(self, config_path: str, say: Callable[[str], None] = lambda _: None) -> None:
        """Stop everything; tasks are ended first, those that take too long are begun again later.

        Raises JobsError.
        """
        from base.processes import process
        from jobs.core.config import load_jobs_config
        from jobs.core.marks import scheduler_mark, worker_mark
        from jobs.queues import redis_server
        from jobs.scheduler import supervise

        config = load_jobs_config(config_path)
        supervise.set_should_run(config, up=False)
        marks = [scheduler_mark(config)]
        marks += [worker_mark(config, name) for name in supervise.running_workers(config)]
        pids = [pid for mark in marks if (pid := process.ask_to_stop(mark)) is not None]
        if len(pids) > 1:
            say(f"{len(pids) - 1} workers end what they do (at most {config.stop_timeout_s:g} s)")
        late = process.wait_for_all(marks, config.stop_timeout_s)
        for mark in late:
            process.kill_session(mark)
        if late:
            say(f"{len(late)} did not end in time and were killed; their tasks are begun again")
        stopped = redis_server.stop(config) if config.embedded else False
        say("the jobs are down" if pids or stopped else "the jobs were down already")

    def status(self, config_path: str) -> tuple[bool, str]:
        """Tell whether everything that should run does, and a line about it."""
        from base.processes import process
        from jobs.core.config import load_jobs_config
        from jobs.core.marks import scheduler_mark
        from jobs.queues import redis_server
        from jobs.scheduler import supervise

        try:
            config = load_jobs_config(config_path)
        except DrystoneError as error:
            return False, str(error)
        redis = redis_server.answers(config)
        scheduler = process.find(scheduler_mark(config))
        workers = supervise.running_workers(config)
        missing = [
            worker.name for worker in supervise.wanted_workers(config) if worker.name not in workers
        ]
        if not redis and not scheduler and not workers:
            return False, "down; start them with `drystone up`"
        parts = [
            "Redis answers" if redis else "Redis does not answer",
            f"scheduler process {scheduler}" if scheduler else "no scheduler",
            f"{len(workers)} workers",
        ]
        if missing:
            parts.append(f"missing: {', '.join(missing)}")
        return redis and bool(scheduler) and not missing, ", ".join(parts)


companion = JobsCompanion()
