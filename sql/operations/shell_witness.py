"""The witness of commands: the audit log of the store that they are asked about."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from base.config import find_config

if TYPE_CHECKING:
    from sql.database.database import Database
    from sql.people.audit_book import AuditWitness


def shell_witness(config: str | None, place: Any, stack: ExitStack) -> AuditWitness:
    """Return the witness; it asks the database of the command's place of work, or its own."""
    from sql.people.audit_book import AuditWitness

    path, opened = find_config(config), list[Any]()

    def database() -> Database:
        from sql.database.database import Database

        if hasattr(type(place), "database"):
            return place.database
        if not opened:
            opened.append(stack.enter_context(Database.open(path, start=False)))
        return opened[0]

    return AuditWitness(os.path.join(os.path.dirname(path), "run"), database)
