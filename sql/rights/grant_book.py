"""Grants and groups: who may see what, given, taken back, listed and explained."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from base.errors import UsageError
from sql.core.errors import GuestError, NotFoundError
from sql.core.repository import Repository, rows_of, value_of
from sql.core.statements import statements
from sql.events.event_book import add_event
from sql.intent.intent import key_of

if TYPE_CHECKING:
    import psycopg

Level = Literal["viewer", "editor", "owner", "analyze", "export", "delete", "share", "api"]
LEVELS: tuple[Level, ...] = get_args(Level)
LISTED_MAX = 10_000
GIVEN_MAX = 100
"""So many grants of one guest may take room; each has a row for every node below it."""
BIGINT_MAX = 2**63 - 1

_SQL = statements("rights")
EVERY: dict[str, Any] = {
    "grant_id": None, "account": None, "group": None, "reached": None, "all": False,
    "asker": None, "limit": LISTED_MAX,
}  # fmt: skip
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_KEY = re.compile(r"[0-9a-fA-F]{64}")


class AccountGroup(NamedTuple):
    """A group, who is in it, and how much is granted to it now."""

    name: str
    accounts: list[str]
    grants: int


class Grant(NamedTuple):
    """What was granted to whom: exactly one of account, group and link, of node and batch."""

    grant_id: int
    account: str | None
    group: str | None
    is_link: bool
    node: str | None
    description: str
    batch: str | None
    level: Level
    with_metadata: bool
    granted_by: str
    granted_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    is_live: bool
    """Not of what a guest granted who has it no more."""
    is_complete: bool
    """Whether all that it reaches is reached already."""

    @property
    def whom(self) -> str:
        """Who has it, in words."""
        return self.account or (f"group {self.group}" if self.group else "whoever has the link")

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        return f"batch {self.batch}" if self.batch else self.description or self.node or ""


class NewGrant(NamedTuple):
    """A grant to be: one of account, group and secret, and one of node and batch."""

    level: Level
    granted_by: str
    account: str | None = None
    group: str | None = None
    secret_hash: bytes | None = None
    node: str | None = None
    batch: str | None = None
    expires_at: datetime | None = None
    with_metadata: bool = False
    given_by: int | None = None
    """The guest who grants it; it holds no longer than what that one has."""


class Staff(NamedTuple):
    """Somebody who sees a node by the role."""

    account: str
    role: str


class GrantBook(Repository):
    """Grants and groups; every change is one transaction."""

    def _asking(self) -> AbstractContextManager[psycopg.Connection[Any]]:
        return self._database.connection()

    # ---- Groups ----------------------------------------------------------------------------------

    def add_group(self, group: str) -> bool:
        """Make an empty group; False when there is one of this name. UsageError for no name."""
        if not _NAME.fullmatch(group):
            raise UsageError(
                f"{group!a} cannot be a name: it has up to 63 of a-z, 0-9, '.', '_' and '-', and "
                "begins with a letter or digit"
            )
        return self._change(_SQL["add_group"], {"group": group}) > 0

    def remove_group(self, group: str) -> None:
        """Remove a group with all that was granted to it."""
        with self._database.connection() as connection:
            given = {"group": group, "group_id": _group(connection, group)}
            # Whoever notes what its grants reach ends before; none is left behind.
            connection.execute(_SQL["lock_progress"])
            connection.execute(_SQL["forget_group"], given)
            connection.execute(_SQL["remove_group"], given)
            _tell(connection, f"group {group}", {"group": group, "change": "removed"})

    def groups(self) -> list[AccountGroup]:
        """Return all groups, by name."""
        return self._all(AccountGroup, _SQL["groups"])

    def add_member(self, group: str, account: str) -> bool:
        """Put an account into a group; False when it is in it."""
        with self._database.connection() as connection:
            _group(connection, group)
            _account(connection, account)
            given = {"group": group, "account": account}
            is_new = connection.execute(_SQL["add_member"], given).rowcount > 0
            if is_new:
                _tell(connection, f"account {account}", given | {"change": "joined"})
            return is_new

    def remove_member(self, group: str, account: str) -> None:
        """Take an account out of a group; NotFoundError when it is not in it."""
        given = {"group": group, "account": account}
        with self._database.connection() as connection:
            if not connection.execute(_SQL["remove_member"], given).rowcount:
                raise NotFoundError(f"{account!a} is not in the group {group!a}")
            _tell(connection, f"account {account}", given | {"change": "left"})

    # ---- Grants ----------------------------------------------------------------------------------

    def add(self, asked: NewGrant) -> int:
        """Grant something; returns the grant's number.

        The same again changes its end; when that is past, it is granted anew. Raises UsageError
        and NotFoundError for what cannot be granted, GuestError when a guest has granted GIVEN_MAX
        others, and BusyError while the batch is being written.
        """
        check(asked)
        with self._database.connection() as connection:
            connection.execute(_SQL["lock_giver"], {"given_by": asked.given_by})
            given = asked._asdict() | {
                "user_id": _account(connection, asked.account) if asked.account else None,
                "group_id": _group(connection, asked.group) if asked.group else None,
                "node_id": find_node(connection, asked.node) if asked.node else None,
                "ingest_batch_id": _batch(connection, asked.batch) if asked.batch else None,
            }
            connection.execute(_SQL["replace_ended"], given)
            grant_id = value_of(connection, _SQL["add"], given)
            if value_of(connection, _SQL["count_given"], given) > GIVEN_MAX:
                raise GuestError(
                    f"guests grant at most {GIVEN_MAX} things at a time: take back some of yours, "
                    "see `grant list`; what was taken back or has ended counts until its room is "
                    "free, for up to an hour or so"
                )
            if given["node_id"] is not None:
                begun = {"grant_id": grant_id, "node_id": given["node_id"]}
                connection.execute(_SQL["begin_reach"], begun)
            _tell_grant(connection, grant_id, "granted")
        return grant_id

    def revoke(self, grant_id: int) -> None:
        """Take a grant back; it holds for nobody's next request."""
        given = {"grant_id": min(grant_id, BIGINT_MAX)}
        with self._database.connection() as connection:
            if not connection.execute(_SQL["revoke"], given).rowcount:
                raise NotFoundError(
                    f"there is no grant {grant_id} to be taken back; see `grant list`"
                )
            _tell_grant(connection, grant_id, "revoked")

    def grants(
        self, *, account: str | None = None, group: str | None = None, include_ended: bool = False
    ) -> list[Grant]:
        """Return grants, by number: those of an account, also by its groups, of a group, or all."""
        return self.asked({**EVERY, "account": account, "group": group, "all": include_ended})

    def asked(self, given: Mapping[str, Any]) -> list[Grant]:
        """Return the grants that EVERY, with some of it said, asks for."""
        return self._all(Grant, _SQL["grants"], dict(given))

    def has_right(self, user_id: int, right: str) -> bool:
        """Tell whether an account has a right on anything at this moment."""
        return self._value(_SQL["has_right"], {"user_id": user_id, "right": right})

    def grant(self, grant_id: int) -> Grant:
        """Return one grant; NotFoundError when there is none of this number."""
        given = {**EVERY, "grant_id": min(grant_id, BIGINT_MAX), "all": True}
        found = self._first(Grant, _SQL["grants"], given)
        if found is None:
            raise NotFoundError(f"there is no grant {grant_id}; see `grant list`")
        return found

    def who_sees(self, node: str) -> tuple[list[Staff], list[Grant]]:
        """Return who sees a node by the role, and the grants by which others do."""
        with self._database.connection() as connection:
            node_id = find_node(connection, node)
            staff = rows_of(connection, Staff, _SQL["staff"], {"node_id": node_id})
            given = {**EVERY, "reached": node_id}
            return staff, rows_of(connection, Grant, _SQL["grants"], given)


def check(asked: NewGrant) -> None:
    """Raise UsageError for a grant that cannot be, whatever there is."""
    whom = (asked.account, asked.group, asked.secret_hash)
    if sum(one is not None for one in whom) != 1:
        raise UsageError("say to whom: give an account or a group, one of these")
    if sum(one is not None for one in (asked.node, asked.batch)) != 1:
        raise UsageError("say what is granted: a node, a collection or a batch, one of these")
    if asked.expires_at is not None:
        if asked.expires_at.tzinfo is None:
            raise UsageError("the end of a grant has a zone, such as 2027-01-31T12:00:00Z")
        if asked.expires_at <= datetime.now(UTC):
            raise UsageError(f"{asked.expires_at.isoformat()} is past; name an end to come")


def _tell_grant(connection: psycopg.Connection[Any], grant_id: int, change: str) -> None:
    given = {**EVERY, "grant_id": grant_id, "all": True}
    (grant,) = rows_of(connection, Grant, _SQL["grants"], given)
    kind = "account" if grant.account else "group" if grant.group else "grant"
    document = {
        "change": change, "grant_id": grant_id, "account": grant.account, "group": grant.group,
        "node": grant.node, "batch": grant.batch, "level": grant.level,
        "granted_by": grant.granted_by,
        "expires_at": grant.expires_at.astimezone(UTC).isoformat() if grant.expires_at else None,
    }  # fmt: skip
    told = {name: value for name, value in document.items() if value is not None}
    _tell(connection, f"{kind} {grant.account or grant.group or grant_id}", told)


def _tell(connection: psycopg.Connection[Any], subject: str, document: Mapping[str, Any]) -> None:
    add_event(connection, "permission.changed", subject, document)


def find_node(connection: psycopg.Connection[Any], name: str) -> int:
    """Return the node with this key, node_id or description; NotFoundError without one."""
    node_id, key = None, None
    if _KEY.fullmatch(name):
        key = name.lower()
    elif name.isascii() and name.isdecimal() and int(name[:20]) <= BIGINT_MAX:
        node_id = int(name[:20])
    else:
        try:
            key = key_of(name)
        except UnicodeEncodeError:
            raise UsageError(f"{name!a} is no valid text") from None
    given = {"node_id": node_id, "sha256": bytes.fromhex(key) if key else None}
    found = value_of(connection, _SQL["node"], given)
    if found is None:
        raise NotFoundError(
            f"there is no node {name!a}; name one by its key (64 hex digits), its node_id or its "
            "description, such as twitter:user:783214"
        )
    return found


def _account(connection: psycopg.Connection[Any], name: str) -> int:
    found = value_of(connection, _SQL["account_id"], {"account": name})
    if found is None:
        raise NotFoundError(f"there is no user {name!a}; `drystone gui user list` shows them")
    return found


def _group(connection: psycopg.Connection[Any], name: str) -> int:
    found = value_of(connection, _SQL["group_id"], {"group": name})
    if found is None:
        raise NotFoundError(f"there is no group {name!a}; `drystone group list` shows them")
    return found


def _batch(connection: psycopg.Connection[Any], name: str) -> int:
    found = value_of(connection, _SQL["lock_batch"], {"batch": name})
    if found is None:
        raise NotFoundError(f"there is no ingest batch {name!a}")
    return found
