"""What people and schedules do to runs: it owns the checks of a request, and the push to Redis.

The database is changed first and is all that counts. The push makes it quick: when Redis is away
the scheduler does it later.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from base.errors import UsageError
from base.logging.ids import about
from jobs.core.config import JobsConfig, load_jobs_config
from jobs.core.errors import RedisUnavailableError
from jobs.queues.queues import Deliverer
from jobs.queues.redis_server import connect
from jobs.runs.registry import load_extra_workflows, workflow_named
from sql import PRIORITY_FIRST, PRIORITY_LOW, PRIORITY_NORMAL, RunRequest, priority_of_size

if TYPE_CHECKING:
    from base.network.breaker import Breaker
    from jobs.runs.workflow import Workflow
    from sql import Database, NewTask, Run, RunState

_log = logging.getLogger(__name__)


class RunControl:
    """The runs of a store, for whoever may change them. The database stays the caller's."""

    def __init__(
        self,
        config_path: str,
        database: Database,
        config: JobsConfig | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        self._config_path = config_path
        self._database = database
        self._config = config or load_jobs_config(config_path)
        load_extra_workflows(self._config)
        self._deliverer = Deliverer(connect(self._config), self._config.queues)
        self._deliverer.breaker = breaker

    def start(
        self,
        workflow: str,
        parameters: Mapping[str, Any],
        *,
        priority: int | None = None,
        requested_by: str = "",
    ) -> tuple[Run, bool]:
        """Start a run; or return the same one that is going on (or was done once for ever), False.

        Raises UsageError for an unknown workflow or wrong parameters, one line for each.
        """
        request = make_request(self._config_path, workflow, parameters, requested_by, priority)
        run, created = self._database.runs.start_run(
            request.workflow,
            request.parameters,
            request.first_task,
            run_key=request.run_key,
            once=request.once,
            priority=request.priority,
            is_by_size=request.is_by_size,
            requested_by=requested_by,
        )
        if not created and run.parameters != request.parameters:
            raise UsageError(
                f"run {run.run_id} does the same with other parameters and is {run.state}; wait "
                "for it, cancel it, or change what names this one"
            )
        if created:
            told = about("run.asked_for", run=run.run_id, workflow=workflow, by=requested_by)
            _log.info("run %d (%s) was asked for", run.run_id, workflow, extra=told)
        self.push()
        return run, created

    def cancel(self, run_id: int, reason: str = "") -> RunState:
        """Cancel a run: what runs stops at its next border. Returns the state now."""
        run = self._database.runs.run(run_id)
        rescue = workflow_named(run.workflow).rescue(run.parameters)
        state = self._database.runs.cancel_run(run_id, reason or "cancelled", rescue)
        _log.info("run %d was cancelled", run_id, extra=about("run.cancelled", run=run_id))
        self.push()
        return state

    def retry(self, run_id: int) -> int:
        """Begin anew what failed or was cancelled; returns how many tasks."""
        workflow = workflow_named(self._database.runs.run(run_id).workflow)
        count = self._database.runs.retry_run(run_id, workflow.restart_at)
        _log.info("run %d is begun again", run_id, extra=about("run.retried", run=run_id))
        self.push()
        return count

    def approve(self, run_id: int) -> int:
        """Let what waits for an approval go on; returns how many tasks."""
        count = self._database.runs.approve(run_id)
        self.push()
        return count

    def labels_came(self, run_id: int) -> int:
        """Let what waits for labels look again; returns how many tasks."""
        count = self._database.runs.continue_waiting(run_id, "waiting_labels")
        self.push()
        return count

    def gpu_ready(self, host: str | None = None, reason: str = "by hand") -> int:
        """Open the gate of a GPU machine (the configured one); returns how many tasks moved."""
        count = self._database.runs.set_gpu(host or self._config.gpu_host, "ready", reason)
        self.push()
        return count

    def gpu_done(self, host: str | None = None, reason: str = "by hand") -> int:
        """Close the gate of a GPU machine; what runs there goes on."""
        return self._database.runs.set_gpu(host or self._config.gpu_host, "asleep", reason)

    def set_queue(
        self, queue: str, *, paused: bool | None = None, draining: bool | None = None, by: str = ""
    ) -> None:
        """Pause, drain or resume a queue; UsageError when no such queue is configured."""
        self._check_queue(queue)
        self._database.runs.set_queue(queue, paused=paused, draining=draining, by=by)
        self.push()

    def limit_queue(self, queue: str, running_max: int | None, *, by: str = "") -> None:
        """Let at most so many tasks of a queue run at once; None for no limit."""
        self._check_queue(queue)
        self._database.runs.limit_queue(queue, running_max, by=by)
        self.push()

    def push(self) -> bool:
        """Push what is due to Redis; False when Redis is away, and the scheduler does it later."""
        try:
            self._deliverer.push_due(self._database)
        except RedisUnavailableError:
            return False
        return True

    def _check_queue(self, queue: str) -> None:
        if queue not in self._config.queues:
            raise UsageError(
                f"there is no queue {queue!a}; there are {', '.join(self._config.queues)} "
                "(queues in [jobs] of drystone.toml)"
            )


def make_request(
    config_path: str,
    workflow: str,
    parameters: Mapping[str, Any],
    requested_by: str = "",
    priority: int | None = None,
) -> RunRequest:
    """Check a request and return the run that it asks for. Raises UsageError."""
    found = workflow_named(workflow)
    checked = check_parameters(config_path, workflow, parameters)
    known = None
    if priority is None and found.said_priority is not None:
        known = found.said_priority(config_path, checked)
    if priority is None and known is None and found.size_bytes is not None:
        size_bytes = found.size_bytes(config_path, checked)
        known = None if size_bytes is None else priority_of_size(size_bytes)
    return RunRequest(
        workflow=workflow,
        run_key=f"{workflow}:{found.key(checked)}" if found.key else _hash(workflow, checked),
        parameters=checked,
        first_task=_first_task(config_path, found, checked),
        once=found.once,
        requested_by=requested_by,
        priority=known or _priority(found, priority),
        is_by_size=priority is None and not found.is_bulk,
    )


def _first_task(config_path: str, workflow: Workflow, parameters: dict[str, Any]) -> NewTask:
    task = workflow.first_task(parameters)
    tries = workflow.tries(config_path, parameters) if workflow.tries else None
    if tries is None:
        return task
    attempts_max, backoff_s = tries
    return task.model_copy(update={"attempts_max": attempts_max, "backoff_s": backoff_s})


def _priority(workflow: Workflow, asked: int | None) -> int:
    least = PRIORITY_LOW if workflow.is_bulk else PRIORITY_FIRST
    return max(asked or PRIORITY_NORMAL, least)


def check_parameters(
    config_path: str, workflow: str, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Return parameters as the workflow wants them; UsageError with a line for each mistake."""
    found = workflow_named(workflow)
    try:
        checked = found.parameters.model_validate(dict(parameters)).model_dump(mode="json")
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, item['loc'])) or 'parameters'}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False)
        ]
        raise UsageError(
            f"the request of {workflow} is refused:\n  " + "\n  ".join(lines)
        ) from None
    return found.prepare(config_path, checked) if found.prepare else checked


def dry_run(config_path: str, workflow: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a request would do, and start nothing."""
    found = workflow_named(workflow)
    checked = check_parameters(config_path, workflow, parameters)
    told = found.dry_run(config_path, checked) if found.dry_run else {}
    steps = [step.name for step in found.steps]
    return {"workflow": workflow, "parameters": checked, "steps": steps, **told}


def _hash(workflow: str, parameters: dict[str, Any]) -> str:
    canonical = json.dumps(parameters, sort_keys=True, separators=(",", ":"))
    return f"{workflow}:{hashlib.sha256(canonical.encode()).hexdigest()}"
