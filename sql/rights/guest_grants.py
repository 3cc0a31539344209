"""What a guest grants to others: at most what was granted to that guest, and never further.

A guest names nodes that the right `share` shows, and whom the guest knows: groups that it is in,
and those who are in them. Neither errors nor lists tell of anybody or anything else. What a guest
granted holds only while the guest has it: that is asked of the database at each request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from base.errors import UsageError
from sql.core.errors import GuestError, NotFoundError
from sql.core.repository import value_of
from sql.core.statements import statements
from sql.rights.grant_book import (
    EVERY,
    Grant,
    GrantBook,
    Level,
    NewGrant,
    Staff,
    check,
    find_node,
)  # fmt: skip

if TYPE_CHECKING:
    from sql.core.transactions import Transactions

GIVEN_LEVELS: frozenset[Level] = frozenset(
    {"viewer", "editor", "analyze", "export", "delete", "api"}
)
"""Not share and owner: whoever got something of a guest grants it to nobody."""

_SQL = statements("rights")


class GuestGrants:
    """The grants of one guest, with the methods of a GrantBook that guests have."""

    def __init__(self, database: Transactions, view: Transactions, user_id: int) -> None:
        """`view` shows what the right `share` of the guest does, `database` all."""
        self._database, self._view, self._user_id = database, view, user_id

    def add(self, asked: NewGrant) -> int:
        """Grant something; returns its number. Raises GuestError for more than the guest has."""
        if asked.node is None:
            raise UsageError("guests share nodes and collections: name one of these")
        if asked.with_metadata:
            raise GuestError("guests share no metadata of others: leave with_metadata out")
        check(asked)
        if asked.secret_hash is None:
            self._check_known(asked.account, asked.group)
        with self._view.reading() as connection:
            node_id = find_node(connection, asked.node)
            given = {"node_id": node_id, "level": asked.level}
            has, wanted = connection.execute(_SQL["rights_on"], given).fetchone() or ([], [])
        if asked.level not in GIVEN_LEVELS or not {*wanted, "share"} <= {*has}:
            raise GuestError(
                f"{asked.level} is more than you may share; you have {', '.join(has)} there"
            )
        return GrantBook(self._database).add(
            asked._replace(node=str(node_id), given_by=self._user_id)
        )

    def revoke(self, grant_id: int) -> None:
        """Take back what the guest granted; NotFoundError for all else."""
        self.grant(grant_id)
        with self._database.connection() as connection:
            giver = value_of(connection, _SQL["given_by"], {"grant_id": grant_id})
        if giver != self._user_id:
            raise NotFoundError(f"you granted no {grant_id} that could be taken back")
        GrantBook(self._database).revoke(grant_id)

    def grants(
        self, *, account: str | None = None, group: str | None = None, include_ended: bool = False
    ) -> list[Grant]:
        """Return what is granted to or by the guest, by number."""
        return self._found(account=account, group=group, all=include_ended)

    def grant(self, grant_id: int) -> Grant:
        """Return one of these; NotFoundError for all else."""
        found = self._found(grant_id=grant_id, all=True)
        if not found:
            raise NotFoundError(f"there is no grant {grant_id}; see `grant list`")
        return found[0]

    def who_sees(self, node: str) -> tuple[list[Staff], list[Grant]]:
        """Return those of these grants by which a node that the guest sees is seen."""
        with self._view.reading() as connection:
            node_id = find_node(connection, node)
        return [], self._found(reached=node_id)

    def _found(self, **given: object) -> list[Grant]:
        return GrantBook(self._database).asked({**EVERY, **given, "asker": self._user_id})

    def _check_known(self, account: str | None, group: str | None) -> None:
        given = {"asker": self._user_id, "account": account, "group": group}
        with self._database.connection() as connection:
            is_known = value_of(connection, _SQL["is_mate"], given)
        if not is_known:
            # The same of whoever is not there: who has an account is no matter of guests.
            raise NotFoundError(
                f"you know nobody of the name {account or group or ''!a}: you share with groups "
                "that you are in, and with those who are in them; others get a link"
            )
