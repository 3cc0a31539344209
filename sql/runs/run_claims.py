"""What workers do to tasks: it owns claims, heartbeats and ends, and their fencing.

A claim raises the attempt, which is the token of everything that follows. Whoever comes back with
an older one (a worker that was thought dead) gets StaleAttemptError and has changed nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import psycopg

from sql.core.clean_text import clean_text
from sql.core.errors import StaleAttemptError
from sql.core.statements import statements
from sql.events.event_book import add_event
from sql.runs.run_models import Claim, Outcome, Progress, Successors
from sql.runs.run_requests import follow, lock_run, settle, subject_of, to_text

_SQL = statements("run_task")

PAUSE_S_MAX = 600.0
"""Between two attempts of a task that fails."""
ENDED = ("done", "partial", "failed", "cancelled")

Following = Callable[[Claim, Outcome], Successors]
"""What follows a task, given how it ended; the workflow knows."""


def claim(
    connection: psycopg.Connection[Any],
    task_id: int,
    worker: str,
    log_path: Callable[[int, int, int], str] | None = None,
) -> Claim | None:
    """Take a task; None when it is not there to be taken.

    `log_path(run_id, task_id, attempt)` names the log of the attempt.
    """
    row = connection.execute(_SQL["run_of"], [task_id]).fetchone()
    if row is None:
        return None
    run_id = row[0]
    _, _, _, begun, workflow, parameters, requested_by = lock_run(connection, run_id)
    if not _queue_allows(connection, task_id, begun=begun):
        connection.execute(_SQL["undeliver"], [task_id])
        return None
    given = {"task_id": task_id, "worker": clean_text(worker, 200)}
    taken = connection.execute(_SQL["claim"], given).fetchone()
    if taken is None:
        return None
    attempt, step, part, round_, queue, spec, failures, attempts_max = taken
    path = log_path(run_id, task_id, attempt) if log_path else None
    connection.execute(_SQL["insert_attempt"], {**given, "attempt": attempt, "log_path": path})
    connection.execute(_SQL["begin_run"], [run_id])
    if not begun:
        document = {"run_id": run_id, "workflow": workflow, "requested_by": requested_by}
        add_event(connection, "processing.started", subject_of(run_id, workflow), document)
    request_id, trace_id = connection.execute(_SQL["ids_of_run"], [run_id]).fetchone() or ("", "")
    return Claim(
        task_id=task_id,
        run_id=run_id,
        token=attempt,
        workflow=workflow,
        step=step,
        part=part,
        round=round_,
        queue=queue,
        parameters=json.loads(parameters),
        spec=json.loads(spec),
        requested_by=requested_by,
        failures=failures,
        attempts_max=attempts_max,
        request_id=request_id,
        trace_id=trace_id,
    )


def beat(
    connection: psycopg.Connection[Any], task_id: int, token: int, progress: Progress | None
) -> bool:
    """Say that a task is alive; True when its run was cancelled."""
    # Losing a beat with the server costs nothing: no reason to wait for the disk.
    connection.execute(_SQL["no_wait"])
    text = None
    if progress is not None:
        cleaned = progress.model_copy(update={"text": clean_text(progress.text, 500)})
        text = cleaned.model_dump_json()
    given = {"task_id": task_id, "token": token, "progress": text}
    row = connection.execute(_SQL["beat"], given).fetchone()
    if row is None:
        raise StaleAttemptError(task_id, token)
    return row[0]


def finish(
    connection: psycopg.Connection[Any],
    task_id: int,
    token: int,
    outcome: Outcome,
    following: Following,
) -> int:
    """End an attempt and make what follows; returns how many tasks can be begun because of it.

    The same end told twice (the first answer was lost) is no error.
    """
    row = connection.execute(_SQL["run_of"], [task_id]).fetchone()
    if row is None:
        raise StaleAttemptError(task_id, token)
    run_id = row[0]
    _, _, cancelled, _, workflow, parameters, requested_by = lock_run(connection, run_id)
    found = connection.execute(_SQL["task_to_end"], [task_id]).fetchone()
    assert found is not None
    state, attempt, failures, attempts_max, step, part, round_, spec, queue = found
    if attempt != token or state != "running":
        if attempt == token and _was_told(connection, task_id, token):
            return 0
        raise StaleAttemptError(task_id, token)

    if _comes_back(outcome, failures, attempts_max, cancelled=cancelled):
        _give_back(connection, task_id, token, outcome)
        settle(connection, run_id)
        return 0
    claimed = Claim(
        task_id=task_id,
        run_id=run_id,
        token=token,
        workflow=workflow,
        step=step,
        part=part,
        round=round_,
        queue=queue,
        parameters=json.loads(parameters),
        spec=json.loads(spec),
        requested_by=requested_by,
        failures=failures,
        attempts_max=attempts_max,
    )
    final = outcome
    if outcome.state not in ENDED:
        final = outcome.model_copy(update={"state": "cancelled"})
    successors = following(claimed, final)
    if cancelled and successors.next_tasks:
        # What follows is not made, so a retry has to come past here again.
        final = final.model_copy(update={"state": "cancelled"})
    _end(connection, task_id, token, final)
    made = follow(connection, run_id, cancelled, successors)
    settle(connection, run_id)
    return made


def take_back(
    connection: psycopg.Connection[Any], task_id: int, token: int, reason: str, following: Following
) -> bool:
    """End an attempt whose worker is gone; False when it has ended meanwhile."""
    try:
        finish(connection, task_id, token, Outcome(state="failed", error=reason), following)
    except StaleAttemptError:
        return False
    connection.execute(_SQL["lost"], [task_id, token])
    return True


# ---- The pieces ------------------------------------------------------------------------------


def _queue_allows(connection: psycopg.Connection[Any], task_id: int, *, begun: bool) -> bool:
    row = connection.execute(_SQL["queue"], [task_id]).fetchone()
    if row is None:
        return True
    paused, draining, running_max = row
    if paused or (draining and not begun):
        return False
    if running_max is None:
        return True
    connection.execute(_SQL["lock_queue"], [task_id])
    count = connection.execute(_SQL["running_in_queue"], [task_id]).fetchone()
    return count is not None and count[0] < running_max


def _comes_back(outcome: Outcome, failures: int, attempts_max: int, *, cancelled: bool) -> bool:
    if cancelled or outcome.state in ("done", "partial", "cancelled"):
        return False
    if outcome.state == "failed":
        return outcome.retry and failures + 1 < attempts_max
    return True


def _give_back(
    connection: psycopg.Connection[Any], task_id: int, token: int, outcome: Outcome
) -> None:
    failed = outcome.state == "failed"
    waits = outcome.state.startswith("waiting")
    given = {
        "task_id": task_id,
        "token": token,
        "state": outcome.state if waits else None,
        "error": clean_text(outcome.error) or None,
        "result": to_text(outcome.result) if outcome.result else None,
        "failed": int(failed),
        "pause_s": outcome.retry_in_s if outcome.retry_in_s is not None or failed else 0.0,
        "pause_s_max": PAUSE_S_MAX,
        "outcome": "retry" if failed else outcome.state,
        "reason": clean_text(outcome.error) or None,
    }
    connection.execute(_SQL["give_back"], given)
    connection.execute(_SQL["end_attempt"], given)


def _end(connection: psycopg.Connection[Any], task_id: int, token: int, outcome: Outcome) -> None:
    given = {
        "task_id": task_id,
        "token": token,
        "state": outcome.state,
        "outcome": outcome.state,
        "result": to_text(outcome.result),
        "error": clean_text(outcome.error) or None,
        "reason": clean_text(outcome.error) or None,
        "failed": int(outcome.state == "failed"),
    }
    connection.execute(_SQL["end_task"], given)
    connection.execute(_SQL["end_attempt"], given)


def _was_told(connection: psycopg.Connection[Any], task_id: int, token: int) -> bool:
    """Tell whether this very attempt ended by its own word, and was not taken back."""
    row = connection.execute(_SQL["outcome"], [task_id, token]).fetchone()
    return row is not None and row[0] not in (None, "lost")
