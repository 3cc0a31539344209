"""Operations on saved views: filters of a page that somebody gave a name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from base.model import Document
from base.operations.operation import Caller, Cli, operation
from base.output import say
from jobs.runs.session import Session, opened

__all__ = ["opened"]


class OneView(Document):
    """Which saved view."""

    saved_view_id: Annotated[
        int, Field(ge=1, le=2**31 - 1, description="Its number, as in /explorer?view=ID.")
    ]


@operation(
    "view.remove",
    role="viewer",
    kind="change",
    route="DELETE /views/{saved_view_id}",
    cli=Cli(
        positional=("saved_view_id",),
        metavars={"saved_view_id": "ID"},
        show=lambda gone, _: say(f"the saved view {gone.saved_view_id} is removed"),
    ),
)
def remove_view(session: Session, caller: Caller, asked: OneView) -> OneView:
    """Remove a saved view of one's own; an admin may remove everybody's."""
    users = session.database.users
    owner = None if caller.role == "admin" else users.user(caller.name).user_id
    users.remove_view(owner, asked.saved_view_id)
    return asked
