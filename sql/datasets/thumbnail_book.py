"""The book of thumbnails: it owns which images and videos have a small picture in the store.

The pictures are objects of the store; here is only which object is whose, and what has none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from sql.core.statements import statements

if TYPE_CHECKING:
    from sql.core.transactions import Transactions

MISSING_MAX = 10_000

_SQL = statements("thumbnail")


class NodeRange(NamedTuple):
    """Consecutive node ids, and how many of them want a thumbnail."""

    first: int
    last: int
    nodes: int


class Unpictured(NamedTuple):
    """An image or video without a thumbnail; `media_type` is one of the two."""

    node_id: int
    key: str
    size_bytes: int
    media_type: str


class MadeThumbnail(NamedTuple):
    """What became of a node: the key of its picture, or else the reason why it has none."""

    node_id: int
    thumbnail_key: str | None
    reason: str = ""


class KnownThumbnail(NamedTuple):
    """A picture by its key in the store; without a key the reason."""

    thumbnail_key: str | None
    reason: str


class ThumbnailBook:
    """The thumbnails of one database; every call is one transaction."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def ranges(self, nodes: int) -> list[NodeRange]:
        """Cut what has no thumbnail into ranges with at most so many nodes, by node id."""
        with self._database.connection() as connection:
            rows = connection.execute(_SQL["ranges"], {"nodes": max(1, nodes)})
            return [NodeRange(*row) for row in rows]

    def missing(self, first: int, last: int, limit: int) -> list[Unpictured]:
        """Return nodes between two ids (both included) that have none, by node id.

        What was deleted or black-listed wants none.
        """
        given = {"first": first, "last": last, "limit": min(limit, MISSING_MAX)}
        with self._database.connection() as connection:
            return [Unpictured(*row) for row in connection.execute(_SQL["missing"], given)]

    def record(self, made: Iterable[MadeThumbnail]) -> int:
        """Keep what was made; returns how many are new. The store must have the pictures."""
        rows = list(made)
        given = {
            "node_ids": [row.node_id for row in rows],
            "keys": [bytes.fromhex(row.thumbnail_key) if row.thumbnail_key else None
                     for row in rows],
            "reasons": [None if row.thumbnail_key else _printable(row.reason) for row in rows],
        }  # fmt: skip
        with self._database.connection() as connection:
            return connection.execute(_SQL["record"], given).rowcount

    def of_key(self, key: str) -> KnownThumbnail | None:
        """Return the thumbnail of an object; None when nobody has tried to make one."""
        with self._database.reading() as connection:
            row = connection.execute(_SQL["of_key"], [key]).fetchone()
        return None if row is None else KnownThumbnail(*row)

    def counts(self) -> tuple[int, int]:
        """Return how many nodes have one, and how many cannot have one."""
        with self._database.reading() as connection:
            row = connection.execute(_SQL["counts"]).fetchone()
        assert row is not None
        return row


def _printable(reason: str) -> str:
    """PostgreSQL has no NUL in texts; what decoders say may hold anything."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in reason[:500])
    return shown or "no picture can be made of it"
