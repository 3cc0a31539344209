"""The block checksums of one large record: it owns finding the right ones, whatever is damaged.

A record's table has no checksum of its own. Where two replicas have the same, it is right. Else a
checksum is right when a block bears it out, or when all there is of a block is the same; and where
neither helps, the sha256 of the whole record says which of the blocks that there are is the one.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import xxhash

from fsd.format.record import RECORD_HEADER_BYTES, SECTOR_BYTES, Entry, block_count

CHECKSUM_BYTES = 8
CHOICES_MAX = 64
"""Ways to put a record together that are tried at once: so many times it is hashed."""
Blocks = Callable[[int], Iterable[bytes | bytearray | memoryview]]
"""Gives a block, by number, as each place has it, each valid until it is asked again."""
Read = Callable[[int, int], memoryview | None]
"""Gives bytes (offset, length) of a replica's file, or None where it cannot be read."""


@dataclass(slots=True)
class Table:
    """A table as one replica has it; `holes` are the numbers of what cannot be read there."""

    data: bytearray
    holes: set[int] = field(default_factory=set[int])

    def says(self, number: int) -> set[bytes]:
        """Return the checksum of a block, if there is one."""
        place = CHECKSUM_BYTES * number
        return set() if number in self.holes else {bytes(self.data[place : place + 8])}


def read_table(read: Read, entry: Entry, piece_bytes: int) -> Table:
    """Return a replica's table, read in pieces; a bad sector hides what lies in it alone."""
    start, size = (
        entry.offset + RECORD_HEADER_BYTES,
        CHECKSUM_BYTES * block_count(entry.length_bytes),
    )
    table = Table(bytearray(size))
    for begin in range(0, size, piece_bytes):
        end = min(begin + piece_bytes, size)
        if not _fill(table, read, start, begin, end):
            position = begin
            while position < end:
                stop = min(end, position + SECTOR_BYTES - (start + position) % SECTOR_BYTES)
                if not _fill(table, read, start, position, stop):
                    table.holes.update(range(position // CHECKSUM_BYTES, stop // CHECKSUM_BYTES))
                position = stop
    return table


def _fill(table: Table, read: Read, start: int, begin: int, end: int) -> bool:
    view = read(start + begin, end - begin)
    if view is None:
        return False
    table.data[begin:end] = view
    return True


def right_table(entry: Entry, tables: Sequence[Table], blocks: Blocks) -> bytes:
    """Return the table that the tables of the replicas and the blocks bear out together.

    Whoever wants to be sure compares the sha256: a block that is sound nowhere has no checksum.
    """
    whole = [table for table in tables if not table.holes]
    if len(whole) > 1 and all(table.data == whole[0].data for table in whole):
        return bytes(whole[0].data)
    found = bytearray()
    doubts: dict[int, list[bytes]] = {}
    for number in range(block_count(entry.length_bytes)):
        said = [one for table in tables for one in table.says(number)]
        if len(said) > 1 and len(set(said)) == 1:
            found += said[0]
            continue
        seen = _borne_out(blocks(number), said)
        # What lies elsewhere in the store was verified there, and comes last.
        found += seen[-1] if seen else bytes(CHECKSUM_BYTES)
        if len(seen) > 1:
            doubts[number] = seen
    if doubts and math.prod(map(len, doubts.values())) <= CHOICES_MAX:
        for number, right in zip(doubts, _proven(entry, found, doubts, blocks), strict=False):
            found[CHECKSUM_BYTES * number : CHECKSUM_BYTES * (number + 1)] = right
    return bytes(found)


def _borne_out(
    blocks: Iterable[bytes | bytearray | memoryview], said: Sequence[bytes]
) -> list[bytes]:
    """Return the checksum that a block bears out, else those of all blocks that there are."""
    seen: dict[bytes, None] = {}
    for block in blocks:
        checksum = _checksum(block)
        if checksum in said:
            return [checksum]
        seen[checksum] = None
    return list(seen)


def _proven(
    entry: Entry, table: bytearray, doubts: dict[int, list[bytes]], blocks: Blocks
) -> tuple[bytes, ...]:
    """Return the checksums of the doubtful blocks with which the sha256 is right; () if none is."""
    states: list[tuple[hashlib._Hash, tuple[bytes, ...]]] = [(hashlib.sha256(), ())]  # pyright: ignore[reportPrivateUsage]
    for number in range(block_count(entry.length_bytes)):
        place = CHECKSUM_BYTES * number
        wanted = doubts.get(number) or [bytes(table[place : place + CHECKSUM_BYTES])]
        there = {_checksum(block): block for block in blocks(number)}
        forks: list[tuple[hashlib._Hash, tuple[bytes, ...]]] = []  # pyright: ignore[reportPrivateUsage]
        for checksum in wanted:
            if checksum not in there:
                return ()
            for state, chosen in states:
                fork = state.copy()
                fork.update(there[checksum])
                forks.append((fork, (*chosen, checksum) if number in doubts else chosen))
        states = forks
    return next((chosen for state, chosen in states if state.digest() == entry.key), ())


def _checksum(block: bytes | bytearray | memoryview) -> bytes:
    return xxhash.xxh3_64_intdigest(block).to_bytes(CHECKSUM_BYTES, "little")
