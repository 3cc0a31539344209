"""The list of the store's operations."""

from __future__ import annotations

import functools
from typing import Any

from base.operations.operation import Operation, operations_of


@functools.cache
def store_operations() -> dict[str, Operation[Any, Any, Any]]:
    """Return every operation of the store by its name; their place of work is a `Client`."""
    from fsd.operations import care, deletion, disks, files, jobs, layouts, look

    found = operations_of(look, files, layouts, care, disks, deletion, jobs)
    return {one.name: one for one in found}
