"""The list of the operations on the database."""

from __future__ import annotations

import functools
from typing import Any

from base.operations.operation import Operation, operations_of


@functools.cache
def sql_operations() -> dict[str, Operation[Any, Any, Any]]:
    """Return every operation on the database by its name; their place of work is a `Place`."""
    from sql.operations import assets, audit, backups, events, groups, nodes, rights, statistics

    modules = (nodes, assets, groups, rights, backups, audit, events, statistics)
    return {one.name: one for one in operations_of(*modules)}
