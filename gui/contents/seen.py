"""Who sees which bytes, as the database has it at this moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from base.operations.operation import GUEST, Right
from gui.access.roles import Visitor
from gui.core.errors import ForbiddenError
from sql import Database, NotFoundError

KEY = r"^[0-9a-f]{64}$"


def seen_by(database: Database, visitor: Visitor, right: Right = "view") -> Database:
    """Return the database as whoever asks sees it: all of it, or what a guest was granted."""
    if visitor.role != GUEST:
        return database
    # What is asked of it is what both can be asked.
    return cast("Database", database.seen_by(visitor.user_id, right))


def check_seen(
    database: Callable[[], Database], key: str, visitor: Visitor, right: Right = "view"
) -> None:
    """Raise NotFoundError for bytes that whoever asks does not see; blocks.

    A labeller sees what tasks are about, a guest what was granted at this moment. Raises
    ForbiddenError for what is seen, but not granted by `right`.
    """
    if visitor.may("viewer"):
        return
    if visitor.role == GUEST:
        view = database().seen_by(visitor.user_id, "api" if visitor.token else "view")
        view.check_sees(key)
        if right not in view.rights_on(key):
            raise ForbiddenError(f"this is shown to you, and no more: it needs the right {right}")
        return
    if not visitor.may("labeller") or not database().labels.is_asked(key):
        raise NotFoundError("no task is about this")
