"""Operations on the audit log: who changed what, with which rights, from where."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from base.model import Document
from base.operations.operation import Caller, Cli, operation
from base.output import write_table
from sql.operations.place import Place, opened

__all__ = ["opened"]

LIMIT_MAX = 500
TEXT_LENGTH_MAX = 100
Text = Annotated[str | None, Field(max_length=TEXT_LENGTH_MAX)]


class AuditRequest(Document):
    """Which entries to list."""

    name: Annotated[Text, Field(description="Only what this account, or owner, asked for.")] = None
    operation: Annotated[Text, Field(description="Only this operation, as run.start.")] = None
    before: Annotated[
        int | None, Field(ge=1, le=2**63 - 1, description="Only older ones than this number.")
    ] = None
    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX, description="At most so many.")] = 100


class AuditLine(Document):
    """A change that somebody asked for."""

    number: int
    time: datetime
    name: str
    role: str
    token: str
    way: str
    """api, page or shell."""
    address: str
    operation: str
    request: str
    request_id: str
    outcome: str
    """done, refused or failed; empty while it goes on, or where its process ended in between."""
    detail: str


class AuditPage(Document):
    """Entries, the newest first; `next` is the `before` of the page after it, null at the end."""

    entries: list[AuditLine]
    next: int | None


def _show(page: AuditPage, _asked: AuditRequest) -> None:
    write_table(
        ("time", "who", "role", "way", "from", "operation", "outcome", "with"),
        [
            (
                one.time.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
                f"{one.name} ({one.token})" if one.token else one.name,
                one.role,
                one.way,
                one.address,
                one.operation,
                one.outcome or "?",
                one.detail or one.request[:80],
            )
            for one in page.entries
        ],
    )


@operation(
    "change.list",
    role="admin",
    kind="question",
    route="GET /audit-log",
    cli=Cli(command="audit-log list", show=_show),
)
def list_changes(place: Place, _caller: Caller, asked: AuditRequest) -> AuditPage:
    """List the audit log: who changed what, with which rights, from where, the newest first."""
    found = place.database.audit.entries(
        before=asked.before, name=asked.name, operation=asked.operation, limit=asked.limit
    )
    lines = [
        AuditLine(
            number=one.audit_entry_id,
            time=one.begin_time,
            name=one.name,
            role=one.role,
            token=one.token_name,
            way=one.way,
            address=one.address,
            operation=one.operation,
            request=one.request,
            request_id=one.request_reference,
            outcome=one.outcome,
            detail=one.detail,
        )
        for one in found
    ]
    return AuditPage(entries=lines, next=lines[-1].number if len(lines) == asked.limit else None)
