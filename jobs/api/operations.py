"""The list of the operations of this folder."""

from __future__ import annotations

import functools
from typing import Any

from base.operations.operation import Operation, operations_of


@functools.cache
def jobs_operations() -> dict[str, Operation[Any, Any, Any]]:
    """Return every operation of the scheduler by its name; their place of work is a `Session`."""
    from jobs.api import views
    from jobs.runs import (
        alert_operations,
        label_operations,
        operations,
        queue_operations,
        webhook_operations,
    )
    from jobs.scheduler import operations as schedule_operations

    found = operations_of(
        operations,
        alert_operations,
        label_operations,
        queue_operations,
        schedule_operations,
        views,
        webhook_operations,
    )
    return {one.name: one for one in found}
