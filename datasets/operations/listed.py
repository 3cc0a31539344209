"""The list of the operations of this folder."""

from __future__ import annotations

import functools
from typing import Any

from base.operations.operation import Operation, operations_of


@functools.cache
def datasets_operations() -> dict[str, Operation[Any, Any, Any]]:
    """Return every operation on datasets by its name; their place of work is a `Place`."""
    from datasets.operations import folders, layouts, making, versions

    return {one.name: one for one in operations_of(folders, layouts, making, versions)}
