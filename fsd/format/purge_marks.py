"""Marks of purged records: it owns how the catalog says which records of a shard are dead; pure.

A record is named by its place, the offset of its header, and never by its key: whoever stores the
same bytes again writes another record, which no mark of an older one can reach. Only in shards that
nobody writes and nobody can look into (all their disks were declared gone) keys are named as well.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from fsd.format.errors import CorruptError

KEY_BYTES = 32
OFFSET_STEP_BYTES = 8
EVERY_RECORD = ""


@dataclass(slots=True)
class Purge:
    """A purge that was begun and neither committed nor given up: what it marks is in doubt.

    One of single objects has their `keys`, and the batches that name them.
    """

    batch: str
    shards: list[str] = field(default_factory=list[str])
    keys: frozenset[bytes] = frozenset()
    named_by: set[str] = field(default_factory=set[str])


def pack_offsets(offsets: Iterable[int]) -> str:
    """Return offsets (multiples of 8, at least one) as text: differences by 7 bits, in base64."""
    packed = bytearray()
    last = 0
    for offset in sorted(set(offsets)):
        step, odd = divmod(offset - last, OFFSET_STEP_BYTES)
        if odd or step < 0:
            raise ValueError(f"a record cannot begin at {offset}")
        last = offset
        while step > 0x7F:
            packed.append(0x80 | step & 0x7F)
            step >>= 7
        packed.append(step)
    if not packed:
        raise ValueError("a mark names one record at least")
    return base64.b64encode(packed).decode("ascii")


def unpack_offsets(text: str) -> frozenset[int]:
    """Read what `pack_offsets` wrote; CorruptError when it is nothing of that kind."""
    offsets: list[int] = []
    offset = step = shift = 0
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise CorruptError(f"a mark of purged records cannot be read: {error}") from error
    for byte in data:
        step |= (byte & 0x7F) << shift
        shift += 7
        if byte & 0x80:
            continue
        offset += step * OFFSET_STEP_BYTES
        offsets.append(offset)
        step = shift = 0
    if shift:
        raise CorruptError("a mark of purged records is cut off")
    return frozenset(offsets)


def pack_keys(keys: Iterable[bytes]) -> str:
    """Return keys as text: one after the other in their order, in base64."""
    return base64.b64encode(b"".join(sorted(keys))).decode("ascii")


def unpack_keys(text: str) -> frozenset[bytes]:
    """Read what `pack_keys` wrote; CorruptError when it is nothing of that kind."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise CorruptError(f"a list of purged keys cannot be read: {error}") from error
    if len(data) % KEY_BYTES:
        raise CorruptError("a list of purged keys is cut off")
    return frozenset(data[at : at + KEY_BYTES] for at in range(0, len(data), KEY_BYTES))


@lru_cache(maxsize=64)
def dead_records(
    marks: tuple[str, ...], all_dead: bool, keys: tuple[frozenset[bytes], ...] = ()
) -> "DeadRecords":
    """Return what some marks add up to; the last ones asked for are remembered."""
    return DeadRecords(marks, all_dead=all_dead, keys=keys)


class DeadRecords:
    """Which records of one shard are dead: all of them, or those at some offsets or of some keys.

    `keys` are rare, see above: a place that the index knows is dead by its offset alone.
    """

    def __init__(
        self,
        marks: Iterable[str],
        *,
        all_dead: bool = False,
        keys: Iterable[frozenset[bytes]] = (),
    ) -> None:
        listed = list(marks)
        self.all_dead = all_dead or EVERY_RECORD in listed
        self.offsets: frozenset[int] = frozenset()
        self.keys: frozenset[bytes] = frozenset()
        if not self.all_dead:
            self.offsets = frozenset[int]().union(*map(unpack_offsets, listed))
            self.keys = frozenset[bytes]().union(*keys)

    def __contains__(self, offset: int) -> bool:
        """Return whether the record at this offset, which the index knows, is dead."""
        return self.all_dead or offset in self.offsets

    def has(self, offset: int, key: bytes) -> bool:
        """Return whether the record of this key at this offset is dead."""
        return offset in self or key in self.keys

    def __bool__(self) -> bool:
        """Return whether any record is dead."""
        return self.all_dead or bool(self.offsets or self.keys)
