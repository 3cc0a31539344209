"""Spans of runs and of the attempts of their tasks, for OpenTelemetry."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from base.errors import DrystoneError
from base.logging import spans

if TYPE_CHECKING:
    from collections.abc import Callable

    from sql import Claim, Database, Run, TracedRun


def add_attempt(
    claim: Claim, state: str, begin_ns: int, database: Callable[[], Database] | None
) -> None:
    """Export the span of an attempt that ended, and that of its run where that ended with it."""
    spans.add(
        spans.Span(
            name=f"{claim.workflow} {claim.step}",
            trace_id=claim.trace_id or spans.trace_id_of(f"run {claim.run_id}"),
            span_id=spans.span_id_of(f"attempt {claim.task_id} {claim.token}"),
            parent_id=spans.span_id_of(f"run {claim.run_id}"),
            begin_ns=begin_ns,
            end_ns=time.time_ns(),
            attributes={
                "drystone.run": claim.run_id,
                "drystone.task": claim.task_id,
                "drystone.attempt": claim.token,
                "drystone.part": claim.part,
                "drystone.queue": claim.queue,
                "drystone.state": state,
            },
            is_error=state == "failed",
        )
    )
    if database is not None:
        add_run_of(claim.task_id, database)


def add_run_of(task_id: int, database: Callable[[], Database]) -> None:
    """Export the span of the run of a task that has just ended, where the run did so with it."""
    # Without the database there is no span of the run: nothing else waits for it.
    with suppress(DrystoneError):
        traced = database().runs.traced_run(task_id)
        if traced is not None:
            _add_run(traced, database().runs.run(traced.run_id))


def _add_run(traced: TracedRun, run: Run) -> None:
    if run.end_time is None:
        return
    request = spans.span_id_of(f"request {traced.request_id}") if traced.request_id else 0
    spans.add(
        spans.Span(
            name=f"run {run.workflow}",
            trace_id=traced.trace_id or spans.trace_id_of(f"run {run.run_id}"),
            span_id=spans.span_id_of(f"run {run.run_id}"),
            parent_id=request,
            begin_ns=int(run.create_time.timestamp() * 1e9),
            end_ns=int(run.end_time.timestamp() * 1e9),
            attributes={"drystone.run": run.run_id, "drystone.state": run.state},
            is_error=run.state == "failed",
        )
    )
