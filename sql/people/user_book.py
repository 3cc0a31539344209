"""People of the browser's side: it owns their rows, and how often a password may be guessed.

Secrets come here as hashes only: making and checking them is the business of whoever logs people
in. What a role may do is decided there too; here a role is a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg import errors

from base.errors import UsageError
from sql.core.errors import NotFoundError
from sql.core.repository import Repository, row_of, rows_of, value_of
from sql.core.statements import statements
from sql.events.event_book import add_event
from sql.people.kept_mark import KeptMark
from sql.people.scopes import (
    ROLES,
    Role,
    Scope,
    checked_scopes,
    lesser_role,
    role_of_scopes,
    scopes_left,
)

if TYPE_CHECKING:
    import psycopg

WINDOW_S = 900
"""So long a wrong password counts."""
FAILURES_PAIR_MAX = 5
"""Of one name from one address: a person mistypes, a program guesses."""
FAILURES_ADDRESS_MAX = 30
"""Of all names from one address."""
FAILURES_NAME_FREE = 100
"""Of one name from all addresses; each after that is slow, and none is refused for it."""
DELAY_S = 3.0
NAME_LENGTH_MAX = 100
BROWSER_LENGTH_MAX = 100

_SQL = statements("user")


class User(NamedTuple):
    """One person."""

    user_id: int
    name: str
    role: Role
    is_disabled: bool
    create_time: datetime
    password_time: datetime


class LoginAttempt(NamedTuple):
    """One attempt: `wait_s` > 0 says to refuse it; `user` is None for a name nobody has."""

    attempt_id: int
    wait_s: float
    delay_s: float
    """So long the answer should be kept back, right or wrong."""
    user: User | None
    password_hash: str | None


class Session(NamedTuple):
    """A browser that is logged in."""

    session_hash: bytes
    user_id: int
    name: str
    role: Role
    create_time: datetime
    seen_time: datetime
    expire_time: datetime
    address: str
    browser: str


class ApiToken(NamedTuple):
    """What a script shows; the secret itself is known to its owner only."""

    token_id: int
    user_name: str
    name: str
    scopes: Sequence[Scope]
    create_time: datetime
    expire_time: datetime | None
    used_time: datetime | None


class TokenOwner(NamedTuple):
    """Who a script works for, and what both the person and the token may."""

    user_id: int
    name: str
    role: Role | None
    """None for one that only takes tasks, or asks the database."""
    scopes: Sequence[Scope]
    token_name: str


class KnownToken(NamedTuple):
    """A token as it is known by: its hash, whose it is, and its end."""

    token_hash: bytes
    owner: TokenOwner
    expire_time: datetime | None


class SavedView(NamedTuple):
    """Filters of a page that somebody gave a name."""

    saved_view_id: int
    user_id: int
    user_name: str
    page: str
    name: str
    query: str
    is_shared: bool


class UserBook(Repository):
    """People, their sessions, tokens and saved views."""

    def _asking(self) -> AbstractContextManager[psycopg.Connection[Any]]:
        return self._database.connection()

    # ---- People ----------------------------------------------------------------------------------

    def add(self, name: str, role: Role, password_hash: str) -> User:
        """Add a person; UsageError when the name is taken or cannot be one."""
        given = {"name": name, "role": role, "password_hash": password_hash}
        with self._database.connection() as connection:
            try:
                found = row_of(connection, User, _SQL["add"], given)
            except errors.CheckViolation as error:
                raise _refused(name, role, error) from error
            except (errors.DataError, UnicodeEncodeError) as error:
                raise UsageError(f"{name!a} cannot be a name") from error
            if found is not None:
                _tell(connection, name, {"change": "added", "role": role})
        if found is None:
            raise UsageError(f"there is a user {name} already; give another name")
        return found

    def users(self) -> list[User]:
        """Return everybody, by name."""
        return self._all(User, _SQL["users"])

    def user(self, name: str) -> User:
        """Return one person; NotFoundError when there is none of this name."""
        found = self._first(User, _SQL["user"], {"name": _clean(name)})
        if found is None:
            raise _unknown(name)
        return found

    def set_role(self, name: str, role: Role) -> None:
        """Give a person another role; UsageError for the last admin."""
        if role not in ROLES:
            raise UsageError(f"there is no role {role!a}; the roles are {', '.join(ROLES)}")
        with self._database.connection() as connection:
            user_id = _locked(connection, name, stays_admin=role == "admin")
            connection.execute(_SQL["set_role"], {"user_id": user_id, "role": role})
            _tell(connection, name, {"change": "role", "role": role})
        self._shut_out()

    def set_disabled(self, name: str, *, is_disabled: bool) -> None:
        """Shut a person out, at once, or let them in again; UsageError for the last admin."""
        with self._database.connection() as connection:
            user_id = _locked(connection, name, stays_admin=not is_disabled)
            given = {"user_id": user_id, "is_disabled": is_disabled, "except_hash": None}
            connection.execute(_SQL["set_disabled"], given)
            if is_disabled:
                connection.execute(_SQL["end_sessions"], given)
            _tell(connection, name, {"change": "disabled" if is_disabled else "enabled"})
        if is_disabled:
            self._shut_out()

    def set_password(
        self, name: str, password_hash: str, keep_session: bytes | None = None
    ) -> None:
        """Set a password and end all sessions of the person, but the one that is kept."""
        with self._database.connection() as connection:
            given = {"name": _clean(name), "password_hash": password_hash}
            user_id = value_of(connection, _SQL["set_password"], given)
            if user_id is None:
                raise _unknown(name)
            ended = {"user_id": user_id, "except_hash": keep_session}
            connection.execute(_SQL["end_sessions"], ended)

    # ---- Logging in ------------------------------------------------------------------------------

    def begin_login(self, name: str, address: str) -> LoginAttempt:
        """Write an attempt down and tell whether it may go on; refuse it when `wait_s` > 0."""
        given: dict[str, Any] = {
            "name": _clean(name)[:NAME_LENGTH_MAX], "address": address, "window_s": WINDOW_S,
        }  # fmt: skip
        with self._database.connection() as connection:
            connection.execute(_SQL["forget_attempts"])
            connection.execute(_SQL["attempts_in_turn"])
            given["attempt_id"] = value_of(connection, _SQL["begin_attempt"], given)
        # Another transaction: attempts that were written at the same moment are seen now.
        with self._database.connection() as connection:
            counts = connection.execute(_SQL["count_attempts"], given).fetchone()
            found = connection.execute(_SQL["password_of"], given).fetchone()
        assert counts is not None
        pair, of_address, of_name, wait_s = counts
        # By address only: who guesses elsewhere slows the right password, and never shuts it out.
        refused = pair >= FAILURES_PAIR_MAX or of_address >= FAILURES_ADDRESS_MAX
        delay_s = DELAY_S if of_name >= FAILURES_NAME_FREE else 0.0
        user = User(*found[:-1]) if found else None
        return LoginAttempt(
            given["attempt_id"], max(1.0, wait_s) if refused else 0.0, delay_s, user,
            found[-1] if found else None,
        )  # fmt: skip

    def open_session(
        self,
        attempt: LoginAttempt,
        session_hash: bytes,
        *,
        address: str,
        browser: str,
        lifetime_s: float,
        idle_s: float,
    ) -> datetime:
        """Open the session of an attempt whose password was right; returns when it expires."""
        if attempt.user is None or attempt.wait_s > 0:
            raise UsageError("this attempt was refused")
        given = {
            "attempt_id": attempt.attempt_id, "user_id": attempt.user.user_id,
            "session_hash": session_hash, "address": address,
            "browser": _clean(browser)[:BROWSER_LENGTH_MAX], "lifetime_s": lifetime_s,
            "idle_s": idle_s,
        }  # fmt: skip
        with self._database.connection() as connection:
            connection.execute(_SQL["forget_sessions"], given)
            expire_time = value_of(connection, _SQL["open_session"], given)
            if expire_time is None:
                raise UsageError("this user is disabled; an admin can change that")
            connection.execute(_SQL["succeed_attempt"], given)
        return expire_time

    def session(self, session_hash: bytes, idle_s: float) -> Session | None:
        """Return a session that is alive, and note that it was used."""
        given = {"session_hash": session_hash, "idle_s": idle_s}
        with self._database.connection() as connection:
            found = row_of(connection, Session, _SQL["session"], given)
            if found is not None:
                connection.execute(_SQL["touch_session"], given)
        return found

    def sessions(self, user_id: int | None = None) -> list[Session]:
        """Return the sessions of a person, or all, the last used first."""
        return self._all(Session, _SQL["sessions"], {"user_id": user_id})

    def end_session(self, session_hash: bytes) -> None:
        """Log a browser out."""
        self._change(_SQL["end_session"], {"session_hash": session_hash})

    # ---- Tokens ----------------------------------------------------------------------------------

    def add_token(
        self, name: str, token_name: str, scopes: Sequence[str], token_hash: bytes,
        lifetime_s: float | None = None,
    ) -> int:  # fmt: skip
        """Make a token of a person known; UsageError when it has one of this name."""
        user, wanted = self.user(name), checked_scopes(scopes)
        if not 1 <= len(token_name) <= NAME_LENGTH_MAX or not token_name.isprintable():
            raise UsageError(f"a token's name has 1 to {NAME_LENGTH_MAX} printable characters")
        if refused := sorted(set(wanted) - set(scopes_left(wanted, user.role))):
            raise UsageError(
                f"{name} is {user.role}: a token cannot have the scope {', '.join(refused)}"
            )
        if lifetime_s is not None and lifetime_s <= 0:
            raise UsageError("the token would have ended already: give an end that is to come")
        given = {
            "name": name, "token_name": token_name, "token_hash": token_hash,
            "lifetime_s": lifetime_s,
        }  # fmt: skip
        with self._database.connection() as connection:
            try:
                token_id = value_of(connection, _SQL["add_token"], given)
            except errors.DatetimeFieldOverflow as error:
                raise UsageError("the token's end is too far away; leave it out") from error
            if token_id is None:
                raise UsageError(f"{name} has a token {token_name!a} already; remove it first")
            connection.execute(_SQL["add_scopes"], {"token_id": token_id, "scopes": list(wanted)})
        return token_id

    def tokens(self, name: str | None = None) -> list[ApiToken]:
        """Return the tokens of a person, or all."""
        found = self._all(ApiToken, _SQL["tokens"], {"name": name})
        return [token._replace(scopes=checked_scopes(token.scopes)) for token in found]

    def remove_token(self, name: str, token_name: str) -> None:
        """Make a token worthless; NotFoundError when there is none of this name."""
        given = {"name": _clean(name), "token_name": _clean(token_name)}
        is_found = self._change(_SQL["remove_token"], given)
        # Also when it is gone: by one, perhaps, that was stopped before it came to this.
        self._shut_out()
        if not is_found:
            raise NotFoundError(f"{name!a} has no token {token_name!a}")

    def _shut_out(self) -> None:
        """Let nothing count that the public port keeps of tokens; behind the commit."""
        if self._database.ssd:
            # Barrier: a crash before this leaves a change that nobody was told of.
            KeptMark(self._database.ssd).remove()

    def token_owner(self, token_hash: bytes) -> TokenOwner | None:
        """Return whose token this is, and note that it was used; None when it is worthless.

        It is so, too, while its scopes and the role of its owner have nothing in common.
        """
        with self._database.connection() as connection:
            row = connection.execute(_SQL["token_owner"], {"token_hash": token_hash}).fetchone()
            if row is None:
                return None
            owner = _owner_of(row)
            if owner is not None:
                connection.execute(_SQL["touch_token"], {"token_id": row[0]})
        return owner

    def known_tokens(self) -> list[KnownToken]:
        """Return the tokens that are worth something now, the oldest first.

        That they are looked at is no use of them.
        """
        with self._database.connection() as connection:
            rows = connection.execute(_SQL["known_tokens"]).fetchall()
        found = ((row, _owner_of(row[:6])) for row in rows)
        return [KnownToken(row[6], owner, row[7]) for row, owner in found if owner is not None]

    # ---- Saved views -----------------------------------------------------------------------------

    def save_view(
        self, user_id: int, page: str, name: str, query: str, *, is_shared: bool = False
    ) -> int:
        """Keep filters under a name, in place of those that had it; returns the id."""
        if not 1 <= len(name) <= NAME_LENGTH_MAX or not name.isprintable():
            raise UsageError(f"a view's name has 1 to {NAME_LENGTH_MAX} printable characters")
        given = {
            "user_id": user_id, "page": page, "name": name, "query": query, "is_shared": is_shared,
        }  # fmt: skip
        with self._database.connection() as connection:
            try:
                return value_of(connection, _SQL["save_view"], given)
            except errors.CheckViolation as error:
                raise UsageError("these filters are too long to be saved") from error

    def views(self, user_id: int, page: str) -> list[SavedView]:
        """Return the views that a person sees on a page: the own ones and the shared ones."""
        return self._all(SavedView, _SQL["views"], {"user_id": user_id, "page": page})

    def view(self, user_id: int, saved_view_id: int) -> SavedView:
        """Return a view that a person may see. Raises NotFoundError."""
        given = {"user_id": user_id, "saved_view_id": saved_view_id}
        found = self._first(SavedView, _SQL["view"], given)
        if found is None:
            raise NotFoundError(
                f"there is no view {saved_view_id} that you may see; ask whoever sent it to save "
                "it with Everybody sees it"
            )
        return found

    def view_named(self, page: str, name: str, user: str) -> str:
        """Return the address of a view of this person, or else of a shared one, by its name."""
        given = {"page": page, "name": name, "user": user}
        query = self._value(_SQL["view_named"], given)
        if query is None:
            raise NotFoundError(f"you have no saved view {name!a}, and nobody shares one")
        return query

    def remove_view(self, user_id: int | None, saved_view_id: int) -> None:
        """Forget a view of this person, or of anybody; NotFoundError when it is another's."""
        given = {"user_id": user_id, "saved_view_id": saved_view_id}
        if not self._change(_SQL["remove_view"], given):
            raise NotFoundError("you have no such view")


def _owner_of(row: tuple[Any, ...]) -> TokenOwner | None:
    _, user_id, name, user_role, token_name, scopes = row
    left = scopes_left(checked_scopes(scopes), user_role)
    most = role_of_scopes(scopes)
    role = None if most is None else lesser_role(user_role, most)
    return TokenOwner(user_id, name, role, left, token_name) if role or left else None


def _tell(connection: psycopg.Connection[Any], name: str, change: dict[str, str]) -> None:
    document = {"account": name, **change}
    add_event(connection, "permission.changed", f"account {name}", document)


def _locked(connection: psycopg.Connection[Any], name: str, *, stays_admin: bool) -> int:
    """Return the id of a person to change; somebody must always be able to let others in."""
    users = {user.name: user for user in rows_of(connection, User, _SQL["lock_users"])}
    if name not in users:
        raise _unknown(name)
    admins = {user.name for user in users.values() if user.role == "admin" and not user.is_disabled}
    if not stays_admin and admins == {name}:
        raise UsageError(f"{name} is the only admin; make somebody else one first")
    return users[name].user_id


def _clean(text: str) -> str:
    """Return what can be a parameter: PostgreSQL knows neither NUL nor lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(f"there is no user {name!a}; `drystone gui user list` shows them")


def _refused(name: str, role: str, error: errors.CheckViolation) -> UsageError:
    constraint = error.diag.constraint_name or ""
    if "role" in constraint:
        return UsageError(f"there is no role {role!a}; the roles are {', '.join(ROLES)}")
    if "name" in constraint:
        return UsageError(
            f"{name!a} cannot be a name: it has up to 63 of a-z, 0-9, '.', '_' and '-', and begins "
            "with a letter or digit"
        )
    return UsageError("the password hash is none of argon2id")
