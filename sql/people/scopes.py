"""Scopes of tokens: what a program may do at most, and what is left of that with a role.

Pure functions without I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from base.errors import UsageError

Role = Literal["guest", "viewer", "labeller", "operator", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""From the least to the most; a labeller sees what is labelled, a guest what was granted."""
GUEST: Role = "guest"
LABELLER: Role = "labeller"
VIEWER: Role = "viewer"

Scope = Literal["read", "label", "write", "admin", "worker", "database"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_ROLE_OF: dict[str, Role] = {
    "read": "viewer",
    "label": "labeller",
    "write": "operator",
    "admin": "admin",
}
_OWNERS: dict[str, Role] = {**_ROLE_OF, "worker": "operator", "database": "admin"}
"""The least role of an owner whose token may have a scope."""
_SCOPES_OF: dict[str, tuple[Scope, ...]] = {
    "guest": ("read",),
    "viewer": ("read",),
    "labeller": ("label",),
    "operator": ("read", "write"),
    "admin": ("read", "write", "admin"),
}


def checked_scopes(scopes: Iterable[str]) -> tuple[Scope, ...]:
    """Return scopes in their order, each once; UsageError says which there are."""
    given = set(scopes)
    if unknown := sorted(given - set(SCOPES)):
        raise UsageError(f"there is no scope {unknown[0]!a}; the scopes are {', '.join(SCOPES)}")
    if not given:
        raise UsageError(f"a token has a scope: {', '.join(SCOPES)}")
    if given & {"read", "label"} == {"read", "label"} and not given & {"write", "admin"}:
        raise UsageError("who labels and reads is an operator: give the scope write")
    return tuple(one for one in SCOPES if one in given)


def scopes_of_role(role: Role) -> tuple[Scope, ...]:
    """Return the scopes that together may what a role may on pages."""
    return _SCOPES_OF[role]


def role_of_scopes(scopes: Iterable[str]) -> Role | None:
    """Return the role that scopes give at most; None for those of programs alone."""
    given = {_ROLE_OF[scope] for scope in scopes if scope in _ROLE_OF}
    return next((role for role in reversed(ROLES) if role in given), None)


def scopes_left(scopes: Sequence[Scope], owner: Role) -> tuple[Scope, ...]:
    """Return the scopes that an owner of this role may give away."""
    if owner == GUEST:
        return tuple(one for one in scopes if one == "read")
    return tuple(one for one in scopes if lesser_role(owner, _OWNERS[one]) == _OWNERS[one])


def lesser_role(one: Role, other: Role) -> Role | None:
    """Return the role that may do what both of these may; None when that is nothing.

    Who only labels sees nothing else, not even what a viewer does, and a viewer writes nothing.
    """
    if {one, other} == {LABELLER, VIEWER}:
        return None
    return one if ROLES.index(one) < ROLES.index(other) else other
