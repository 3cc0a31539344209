"""What is done to people's accounts: it owns the steps, for pages, API and command line alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from base.errors import UsageError
from base.operations.operation import GUEST
from gui.access.passwords import hash_of, hash_password, new_token, password_fits
from gui.core.errors import ForbiddenError
from sql import Database, Role, Scope, User

DAY_S = 86_400.0


class MadeToken(NamedTuple):
    """A token, shown once: only its hash is kept."""

    name: str
    secret: str


def add_user(database: Database, name: str, role: Role, password: str) -> User:
    """Add a person. Raises UsageError for a name, role or password that cannot be."""
    return database.users.add(name, role, hash_password(password))


def change_password(
    database: Database,
    name: str,
    password: str,
    *,
    current: str | None = None,
    address: str = "",
    keep_session: bytes | None = None,
) -> None:
    """Set a password; with `current` only when that is right, and it may not be guessed either."""
    if current is not None:
        attempt = database.users.begin_login(name, address)
        if attempt.wait_s > 0:
            raise UsageError("too many attempts; wait some minutes")
        if not password_fits(current, attempt.password_hash):
            raise UsageError("the current password is wrong")
    database.users.set_password(name, hash_password(password), keep_session)


def make_token(
    database: Database,
    name: str,
    token_name: str,
    scopes: Sequence[Scope],
    lifetime_s: float | None = None,
) -> MadeToken:
    """Make a token for a program; the secret is returned once and kept nowhere.

    A guest has one only while something is granted to that guest with the right `api`.
    """
    owner = database.users.user(name)
    if owner.role == GUEST and not database.rights.has_right(owner.user_id, "api"):
        raise ForbiddenError(f"{name} is a guest, to whom nothing is granted with the right api")
    secret = new_token()
    database.users.add_token(name, token_name, scopes, hash_of(secret), lifetime_s)
    return MadeToken(token_name, secret)
