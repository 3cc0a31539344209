"""Reads of originals in the audit log, where `[gui] audit_reads` wants them: before any byte."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from base.operations.operation import Caller
from base.operations.witness import told
from gui.access.guard import VISITOR_KEY
from gui.access.roles import Visitor
from gui.reading.connections import Connections

READ = "content.read"
LINK = Caller("a link", "guest")
"""Whoever has the secret of one."""


async def note_read(connections: Connections, request: Request, values: Mapping[str, Any]) -> None:
    """Write down that somebody reads; nothing where that is not wanted."""
    if not connections.config.audit_reads:
        return
    visitor: Visitor | None = request.scope.get(VISITOR_KEY)
    address = request.client.host if request.client else ""
    caller = LINK._replace(address=address)
    if visitor is not None:
        caller = Caller(visitor.name, visitor.role, visitor.user_id, visitor.token, address)

    def note() -> None:
        with told(connections.witness, READ, caller, values, "api" if caller.token else "page"):
            pass

    await connections.work(note)
