"""What a route of the public port needs of whoever asks, said once: it is checked, and can be read.

Operations say it themselves; this is for the routes beside them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute

from gui.access.guard import VISITOR_KEY
from gui.access.roles import Visitor, require, require_scope
from sql import Role, Scope


class Needs:
    """A dependency of a route: at least this role, or a token with this scope, or just somebody."""

    def __init__(self, role: Role | None = None, scope: Scope | None = None) -> None:
        self.role: Role | None = role
        self.scope: Scope | None = scope

    def __call__(self, request: Request) -> Visitor:
        """Return who asks. Raises ForbiddenError."""
        visitor: Visitor = request.scope[VISITOR_KEY]
        if self.role is not None:
            require(visitor, self.role)
        if self.scope is not None:
            require_scope(visitor, self.scope)
        return visitor

    def __str__(self) -> str:
        """Say it as a table does."""
        return self.role or (f"a token with the scope {self.scope}" if self.scope else "an account")


SOMEBODY, VIEWER, OPERATOR = Needs(), Needs("viewer"), Needs("operator")


def needs_of(route: Any) -> Needs | None:
    """Return what a route needs; None where it asks for nothing."""

    def asked(dependant: Any) -> Iterable[Any]:
        yield dependant.call
        for one in dependant.dependencies:
            yield from asked(one)

    return next((one for one in asked(route.dependant) if isinstance(one, Needs)), None)


def describe_needs(routes: Iterable[Any]) -> None:
    """Say in OpenAPI what each route needs, as operations say it."""
    for route in routes:
        if isinstance(route, APIRoute) and (needs := needs_of(route)) is not None:
            said = f"the role {needs}" if needs.role else f"{needs}"
            route.description = f"{route.description}\n\nNeeds {said}.".lstrip()


def needing(needs: Needs) -> list[Any]:
    """Return it as the dependencies of a route that does not look at who asks."""
    return [Depends(needs)]
