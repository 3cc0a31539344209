"""What a role may do: it owns the order of the roles and the refusal, and knows no person."""

from __future__ import annotations

from typing import NamedTuple

from base.operations.operation import Caller
from gui.core.errors import ForbiddenError
from sql import ROLES, Role


class Visitor(NamedTuple):
    """Whoever asks: a person in a browser, or a script with a person's token."""

    user_id: int
    name: str
    role: Role
    session_hash: bytes | None = None
    """None for a script."""

    def may(self, role: Role) -> bool:
        """Tell whether this visitor has at least a role; who only labels sees nothing else."""
        return is_enough(self.role, role)


def is_enough(role: str, wanted: str) -> bool:
    """Tell whether a role is at least the one that is wanted."""
    if role == "labeller" and wanted == "viewer":
        return False
    return role in ROLES and ROLES.index(role) >= ROLES.index(wanted)


def require(visitor: Visitor | Caller, role: Role) -> None:
    """Raise ForbiddenError unless the visitor has at least this role."""
    if not is_enough(visitor.role, role):
        raise ForbiddenError(f"this needs the role {role}; {visitor.name} is {visitor.role}")
