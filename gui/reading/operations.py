"""The operations that pages and their port know, by their places of work."""

from __future__ import annotations

import functools
from typing import Any

from adapters import adapters_operations
from base.operations.operation import Operation, operations_of
from datasets import datasets_operations
from jobs import jobs_operations
from sql import sql_operations


@functools.cache
def people_operations() -> dict[str, Operation[Any, Any, Any]]:
    """Return every operation on people by its name."""
    from gui.access import operations, token_operations

    return {one.name: one for one in operations_of(operations, token_operations)}


@functools.cache
def database_operations() -> dict[str, Operation[Any, Any, Any]]:
    """Return the operations whose place of work is a database, by their names."""
    return {
        **sql_operations(),
        **adapters_operations(),
        **datasets_operations(),
        **jobs_operations(),
    }
