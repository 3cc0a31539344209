"""The list of the operations of this folder."""

from __future__ import annotations

import functools
from typing import Any

from base.operations.operation import Operation, operations_of


@functools.cache
def adapters_operations() -> dict[str, Operation[Any, Any, Any]]:
    """Return every operation of the adapters by its name; their place of work is a `Place`."""
    from adapters.operations import (
        actions,
        batches,
        inbox,
        ingest,
        outbox,
        pipelines,
        purge,
        quarantine,
        requests,
        schemas,
        shipped,
    )

    found = operations_of(
        shipped, ingest, purge, inbox, requests, quarantine, outbox, actions, batches, pipelines,
        schemas,
    )  # fmt: skip
    return {one.name: one for one in found}
