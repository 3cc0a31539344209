"""Who sees which bytes, as the database has it at this moment."""

from __future__ import annotations

from collections.abc import Callable

from gui.access.roles import Visitor
from sql import Database, NotFoundError

KEY = r"^[0-9a-f]{64}$"


def check_seen(database: Callable[[], Database], key: str, visitor: Visitor) -> None:
    """Raise NotFoundError for bytes that whoever asks does not see; blocks.

    A labeller sees what tasks are about, a guest what was granted at this moment.
    """
    if visitor.may("viewer"):
        return
    if visitor.role == "guest":
        right = "api" if visitor.token else "view"
        database().seen_by(visitor.user_id, right).check_sees(key)
        return
    if not visitor.may("labeller") or not database().labels.is_asked(key):
        raise NotFoundError("no task is about this")
