"""Figures of the index for the reports: it owns counting there, also where some rows are damaged.

Whoever counts must not fail of one damaged row: the engine's health would not be told any more.
Damage of the tables themselves is a CorruptError here as well.
"""

from fsd.format.errors import CorruptError
from fsd.format.index_rows import ShardRow, unpack_row
from fsd.repair.projection import HIDDEN_PREFIX
from fsd.store.index import Index, IndexReader


def count_batches(reader: IndexReader) -> int:
    """Return how many batches there are, hidden ones not counted; reads no row."""
    return sum(not name.startswith(HIDDEN_PREFIX) for name in names_of_batches(reader))


def names_of_batches(reader: IndexReader) -> list[str]:
    """Return the names of all batches, hidden ones too; reads no row."""
    cursor = reader.transaction.cursor(db=reader.tables["batches"])
    return [bytes(key).decode() for key in cursor.iternext(values=False)]


def count_views(reader: IndexReader) -> int:
    """Return how many views there are; reads no row."""
    return int(reader.transaction.stat(reader.tables["views"])["entries"])


def sound_shards(index: Index) -> tuple[list[ShardRow], int]:
    """Return the rows of shards that are what was written, and how many others there are."""
    rows: list[ShardRow] = []
    damaged = 0
    with index.read() as reader:
        for key, value in reader.transaction.cursor(db=reader.tables["shards"]):
            try:
                data = unpack_row("shards", bytes(key), bytes(value))
            except CorruptError:
                damaged += 1
            else:
                rows.append(ShardRow(number=int.from_bytes(bytes(key), "big"), **data))
    return rows, damaged
