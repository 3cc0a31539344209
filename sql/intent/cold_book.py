"""Packages of what no ingest batch brought: what actions and datasets made, and the database.

Bookkeeping only, as for the packages of ingest batches; every method may be called again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sql.core.errors import UsageError
from sql.core.repository import Repository
from sql.core.statements import statements

_SQL = statements("cold")


@dataclass(frozen=True, slots=True)
class NewPackage:
    """A package that lies in the outbox; `key` is the hash of its SHA256SUMS."""

    package_id: str
    kind: Literal["generated", "database"]
    file_count: int
    size_bytes: int
    key: str
    store_batches: tuple[str, ...] = ()
    """Batches of the store that it has, or has a part of."""


class ColdBook(Repository):
    """See the module."""

    def add(self, packages: Sequence[NewPackage]) -> None:
        """Register packages that belong together, all or none.

        UsageError when the id of one is known with other bytes.
        """
        with self._database.connection() as connection:
            for one in packages:
                key = bytes.fromhex(one.key)
                given = (one.package_id, one.kind, one.file_count, one.size_bytes, key)
                connection.execute(_SQL["add"], given)
                known = connection.execute(_SQL["known"], [one.package_id]).fetchone()
                if known != (one.kind, one.size_bytes, one.key):
                    raise UsageError(f"package {one.package_id} is known with other bytes")
                batches = list(one.store_batches)
                connection.execute(_SQL["add_store_batches"], [one.package_id, batches])

    def store_batches(self) -> set[str]:
        """Return the batches of the store that lie in packages of what was made."""
        with self._database.reading() as connection:
            return {name for (name,) in connection.execute(_SQL["store_batches"])}

    def forget(self, package_ids: Sequence[str]) -> None:
        """Forget packages without a copy that are of no ingest batch: others take their place."""
        with self._database.connection() as connection:
            for name in ("forget_batches", "forget"):
                connection.execute(_SQL[name], [list(package_ids)])

    def is_fresh(self) -> bool:
        """Tell whether nothing has come in yet: no node, batch or dataset."""
        return self._value(_SQL["is_fresh"])

    def knows_backup(self, name: str) -> bool:
        """Tell whether this database made a backup, or came out of it."""
        return self._value(_SQL["knows_backup"], [name])

    def exports(self) -> list[str]:
        """Return the exports of datasets that are copies in 3D, the oldest first."""
        with self._database.reading() as connection:
            return [name for (name,) in connection.execute(_SQL["exports"])]
