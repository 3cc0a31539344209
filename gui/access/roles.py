"""What a role may do: it owns the order of the roles and the refusal, and knows no person."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from base.operations.operation import GUEST, Caller, Operation
from gui.core.errors import ForbiddenError
from sql import ROLES, Role, Scope


class Visitor(NamedTuple):
    """Whoever asks: a person in a browser, or a script with a person's token."""

    user_id: int
    name: str
    role: Role | Literal[""]
    """Empty for a token that only takes tasks, or asks the database."""
    session_hash: bytes | None = None
    """None for a script."""
    token: str = ""
    """The name of the token that a script showed."""
    scopes: tuple[Scope, ...] = ()

    def may(self, role: Role) -> bool:
        """Tell whether this visitor has at least a role; who only labels sees nothing else."""
        return is_enough(self.role, role)


def is_enough(role: str, wanted: str) -> bool:
    """Tell whether a role is at least the one that is wanted."""
    if role == "labeller" and wanted in ("guest", "viewer"):
        return False
    return role in ROLES and ROLES.index(role) >= ROLES.index(wanted)


def require(visitor: Visitor | Caller, role: Role) -> None:
    """Raise ForbiddenError unless the visitor has at least this role."""
    if not is_enough(visitor.role, role):
        has = f"is {visitor.role}" if visitor.role else "has a token of other scopes"
        raise ForbiddenError(f"this needs the role {role}; {visitor.name} {has}")


def may_ask(asking: Visitor | Caller, one: Operation[Any, Any, Any]) -> bool:
    """Tell whether somebody may ask for an operation: by the role, or as a guest in a browser by
    its right, which is then asked for on each node."""
    is_by_right = asking.role == GUEST and one.right is not None and not asking.token
    return is_by_right or is_enough(asking.role, one.role)


def require_for(caller: Caller, one: Operation[Any, Any, Any]) -> None:
    """Raise ForbiddenError unless the caller may ask for an operation."""
    if not may_ask(caller, one):
        require(caller, one.role)


def require_scope(visitor: Visitor, scope: Scope) -> None:
    """Raise ForbiddenError unless a token has this scope of programs, or an admin asks."""
    if scope not in visitor.scopes and visitor.role != "admin":
        raise ForbiddenError(f"this needs a token with the scope {scope}")
