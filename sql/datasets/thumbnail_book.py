"""The book of thumbnails: it owns which images and videos have a small picture in the store.

The pictures are objects of the store; here is only which object is whose, and what has none.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

from sql.core.repository import Repository
from sql.core.statements import statements

if TYPE_CHECKING:
    import psycopg

MISSING_MAX = 10_000

_SQL = statements("thumbnail")


class NodeRange(NamedTuple):
    """Consecutive node ids, and how many of them want a thumbnail."""

    first: int
    last: int
    nodes: int


class Unpictured(NamedTuple):
    """An image, video, sound or PDF without a thumbnail."""

    node_id: int
    key: str
    size_bytes: int
    media_type: str
    extension: str


class MadeThumbnail(NamedTuple):
    """What became of a node: the key of its picture, or else the reason why it has none."""

    node_id: int
    thumbnail_key: str | None
    reason: str = ""


class KnownThumbnail(NamedTuple):
    """A picture by its key in the store; without a key the reason."""

    thumbnail_key: str | None
    reason: str


class ThumbnailBook(Repository):
    """The thumbnails of one database."""

    def _asking(self) -> AbstractContextManager[psycopg.Connection[Any]]:
        return self._database.connection()

    def ranges(self, nodes: int) -> list[NodeRange]:
        """Cut what has no thumbnail into ranges with at most so many nodes, by node id."""
        return self._all(NodeRange, _SQL["ranges"], {"nodes": max(1, nodes)})

    def last_node(self) -> int:
        """Return the largest node id that has bytes; 0 when none has. It costs next to nothing."""
        return self._value(_SQL["last_node"], []) or 0

    def missing(self, first: int, last: int, limit: int) -> list[Unpictured]:
        """Return nodes between two ids (both included) that have none, by node id.

        What was deleted or black-listed wants none.
        """
        given = {"first": first, "last": last, "limit": min(limit, MISSING_MAX)}
        return self._all(Unpictured, _SQL["missing"], given)

    def record(self, made: Iterable[MadeThumbnail]) -> int:
        """Keep what was made; returns how many are new. The store must have the pictures."""
        rows = list(made)
        given = {
            "node_ids": [row.node_id for row in rows],
            "keys": [bytes.fromhex(row.thumbnail_key) if row.thumbnail_key else None
                     for row in rows],
            "reasons": [None if row.thumbnail_key else _printable(row.reason) for row in rows],
        }  # fmt: skip
        return self._change(_SQL["record"], given)

    def of_key(self, key: str) -> KnownThumbnail | None:
        """Return the thumbnail of an object; None when nobody has tried to make one."""
        return self._first(KnownThumbnail, _SQL["of_key"], [key])

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
