"""What people do to runs: it owns starting, cancelling, retrying and letting them through gates.

Every change of a task is followed by `settle`, which derives the state of its run in the same
transaction and writes the event when that is news. The run's row is always locked first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import errors

from base.errors import UsageError
from base.logging.ids import current
from sql.core.clean_text import clean_text
from sql.core.errors import NotFoundError
from sql.core.statements import statements
from sql.events.event_book import add_event
from sql.runs.run_models import (
    DOCUMENT_SIZE_BYTES_MAX,
    PRIORITY_FIRST,
    PRIORITY_LAST,
    NewTask,
    RunState,
    Successors,
    WaitingState,
)

_SQL = statements("run")

EVENTS_OF_STATES = {
    "done": "processing.completed",
    "partial": "processing.partial",
    "failed": "processing.failed",
    "cancelled": "processing.cancelled",
    "waiting": "processing.waiting",
}


def start(
    connection: psycopg.Connection[Any],
    workflow: str,
    parameters: Mapping[str, Any],
    first: NewTask,
    *,
    run_key: str,
    once: bool,
    priority: int,
    is_by_size: bool,
    requested_by: str,
) -> tuple[int, bool]:
    """Make a run with its first task; returns its id and True, or that of the same one and False.

    Two who ask for the same at once wait for each other on the key: one makes it.
    """
    connection.execute(_SQL["lock_key"], [run_key])
    same = connection.execute(_SQL["same_run"], {"run_key": run_key, "once": once}).fetchone()
    if same is not None:
        return same[0], False
    given = {
        "workflow": workflow,
        "run_key": run_key,
        "parameters": to_text(parameters),
        "priority": max(PRIORITY_FIRST, min(PRIORITY_LAST, priority)),
        "is_by_size": is_by_size,
        "requested_by": clean_text(requested_by, 200),
        "request_id": current().get("request_id", ""),
        "trace_id": current().get("trace_id", ""),
    }
    row = connection.execute(_SQL["insert_run"], given).fetchone()
    assert row is not None
    insert_tasks(connection, row[0], [first])
    settle(connection, row[0])
    return row[0], True


def cancel(
    connection: psycopg.Connection[Any], run_id: int, reason: str, rescue: NewTask | None
) -> RunState:
    """Cancel what has not begun and ask what runs to stop; returns the state now.

    `rescue` puts things in order when nothing runs any more; a run that never began needs none.
    """
    state, _, _, begun = lock_run(connection, run_id)[:4]
    if state not in ("queued", "running", "waiting"):
        raise UsageError(f"run {run_id} is {state} already; there is nothing to cancel")
    connection.execute(_SQL["cancel"], [run_id])
    given = {
        "run_id": run_id,
        "reason": clean_text(reason or "cancelled"),
        "rescue": rescue.step if rescue else None,
    }
    connection.execute(_SQL["cancel_tasks"], given)
    if begun and rescue is not None and not _is_open(connection, run_id):
        insert_tasks(connection, run_id, [rescue])
    return settle(connection, run_id)


def retry(
    connection: psycopg.Connection[Any], run_id: int, restart_at: Callable[[str], str | None]
) -> int:
    """Begin anew what failed or was cancelled in a run that ended; returns how many tasks.

    `restart_at(step)` names the step at which a part whose `step` failed begins anew; None for a
    step that puts things in order: it comes by itself when the others have ended, and is begun anew
    only when nothing else failed.
    """
    state = lock_run(connection, run_id)[0]
    if state not in ("partial", "failed", "cancelled"):
        advice = "it can be cancelled" if state != "done" else "start another run"
        raise UsageError(f"run {run_id} is {state}, so there is nothing to retry; {advice}")
    try:
        connection.execute(_SQL["retry_round"], [run_id])
    except errors.UniqueViolation as error:
        raise UsageError(f"the same request as that of run {run_id} is going on already") from error
    failed = connection.execute(_SQL["to_retry"], [run_id]).fetchall()
    restarts = [(restart_at(step), part) for step, part in failed]
    wanted = dict.fromkeys((step, part) for step, part in restarts if step is not None)
    wanted = wanted or dict.fromkeys(failed)
    for step, part in wanted:
        given = {"run_id": run_id, "step": step, "part": part}
        connection.execute(_SQL["requeue"], given)
    settle(connection, run_id)
    if not wanted:
        # Nothing failed as a task of its own (a partial result): the same would come out again.
        raise UsageError(f"run {run_id} is {state} and no task of it failed; start another run")
    return len(wanted)


def approve(connection: psycopg.Connection[Any], run_id: int) -> int:
    """Let the tasks of a run pass the approval gate; returns how many."""
    lock_run(connection, run_id)
    count = connection.execute(_SQL["approve"], [run_id]).rowcount
    if not count:
        raise UsageError(f"nothing of run {run_id} waits for an approval")
    settle(connection, run_id)
    return count


def continue_waiting(connection: psycopg.Connection[Any], run_id: int, state: WaitingState) -> int:
    """Queue the tasks of a run that wait in this state; returns how many."""
    lock_run(connection, run_id)
    count = connection.execute(_SQL["continue_waiting"], [run_id, state]).rowcount
    settle(connection, run_id)
    return count


# ---- What every change is made of ------------------------------------------------------------


def lock_run(connection: psycopg.Connection[Any], run_id: int) -> tuple[Any, ...]:
    """Lock a run; returns state, round, cancelled, begun, workflow, parameters, requested_by."""
    row = connection.execute(_SQL["lock_run"], [run_id]).fetchone()
    if row is None:
        raise NotFoundError(f"there is no run {run_id}; see `drystone run list`")
    return row


def insert_tasks(
    connection: psycopg.Connection[Any],
    run_id: int,
    tasks: Sequence[NewTask],
    state: str | None = None,
) -> int:
    """Make tasks, or begin those of an earlier round anew; returns how many."""
    given = [
        {
            "run_id": run_id,
            "step": task.step,
            "part": task.part,
            "queue": task.queue,
            "gate": task.gate,
            "attempts_max": task.attempts_max,
            "backoff_s": task.backoff_s,
            "spec": to_text(task.spec),
            "state": state,
        }
        for task in tasks
    ]
    if len(given) == 1:
        return connection.execute(_SQL["insert_task"], given[0]).rowcount
    with connection.cursor() as cursor:
        cursor.executemany(_SQL["insert_task"], given)
        return cursor.rowcount


def follow(
    connection: psycopg.Connection[Any], run_id: int, cancelled: bool, successors: Successors
) -> int:
    """Make what follows a task that has just ended; returns how many tasks are new."""
    if not cancelled and successors.next_tasks:
        made = insert_tasks(connection, run_id, successors.next_tasks)
        if made:
            return made
    if _is_open(connection, run_id):
        return 0
    row = connection.execute(_SQL["has_failures"], [run_id]).fetchone()
    if not cancelled and not (row and row[0]):
        return insert_tasks(connection, run_id, [successors.barrier]) if successors.barrier else 0
    barrier, rescue = successors.barrier, successors.rescue
    if cancelled and barrier is not None and barrier != rescue:
        # So that a retry finds it: everything before it is done.
        insert_tasks(connection, run_id, [barrier], "cancelled")
    return insert_tasks(connection, run_id, [rescue]) if rescue else 0


def settle(connection: psycopg.Connection[Any], run_id: int) -> RunState:
    """Derive the state of a run from its tasks, tell it when it is news, and return it."""
    changed = connection.execute(_SQL["derive"], {"run_id": run_id}).fetchone()
    if changed is None:
        row = connection.execute(_SQL["state"], [run_id]).fetchone()
        assert row is not None
        return row[0]
    state, reason, workflow, requested_by = changed
    if kind := EVENTS_OF_STATES.get(state):
        document = {
            "run_id": run_id,
            "workflow": workflow,
            "state": state,
            "reason": reason,
            "requested_by": requested_by,
        }
        add_event(connection, kind, subject_of(run_id, workflow), document)
    return state


def subject_of(run_id: int, workflow: str) -> str:
    """Return what the events of a run are about."""
    return f"run {run_id} ({workflow})"


def to_text(document: Mapping[str, Any]) -> str:
    """Return a document as JSON text; UsageError when it is too large to be kept in a row."""
    text = json.dumps(dict(document))
    if len(text) > DOCUMENT_SIZE_BYTES_MAX:
        raise UsageError(
            f"a document of {len(text):,} bytes; at most {DOCUMENT_SIZE_BYTES_MAX:,} are kept, "
            "put it into a file and name that"
        )
    return text


def _is_open(connection: psycopg.Connection[Any], run_id: int) -> bool:
    row = connection.execute(_SQL["is_open"], [run_id]).fetchone()
    return bool(row and row[0])
