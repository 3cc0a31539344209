"""Shards in memory, by `fsd.format.group` and `fsd.format.record`, for tests of what reads them."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from command import ROOT

from fsd.format.group import GroupWriter
from fsd.format.layout import shard_path
from fsd.format.record import (
    GROUP_HEADER_BYTES,
    SHARD_HEADER_BYTES,
    TRAILER_BYTES,
    Entry,
    ShardHeader,
    iterate_entries,
    pack_footer,
    pack_shard_header,
    record_bytes,
)

SHARD_ID = bytes.fromhex("00112233445566778899aabbccddeeff")
STORE_ID = bytes.fromhex("f0e1d2c3b4a5968778695a4b3c2d1e0f")
CREATED_NS = 1_700_000_000_000_000_000


@dataclass
class Shard:
    """An open shard's bytes; entries in the order they lie, groups as (offset, length)."""

    data: bytearray = field(repr=False)
    entries: list[Entry] = field(default_factory=list)
    groups: list[tuple[int, int]] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)

    @property
    def footer(self) -> bytes:
        return pack_footer(SHARD_ID, self.entries, len(self.data), self.digests)

    def sealed(self) -> bytearray:
        return self.data + self.footer

    def payload(self, entry: Entry) -> bytes:
        end = entry.offset + record_bytes(entry.length_bytes)
        table = (entry.length_bytes + 65535) // 65536 * 8
        start = entry.offset + 80 + table
        assert start + entry.length_bytes <= end
        return bytes(self.data[start : start + entry.length_bytes])

    def counted(self) -> list[range]:
        """Return the bytes that a verification must vouch for; the rest is padding for ever."""
        table = len(self.data), len(self.data) + 48 * len(self.entries)
        end = len(self.data) + len(self.footer)
        return [
            range(64),
            *(range(offset, offset + length) for offset, length in self.groups),
            range(*table),
            range(end - 104, end),
        ]


def key_of(payload: bytes) -> bytes:
    return hashlib.sha256(payload).digest()


def build_group(
    payloads: Sequence[bytes],
    number: int = 0,
    sequence: int = 0,
    shard_id: bytes = SHARD_ID,
    key: bytes | None = None,
) -> tuple[bytes, bytes, bytes]:
    """Return (group, packed entries from the group's start, digest)."""
    room = GROUP_HEADER_BYTES + TRAILER_BYTES + sum(record_bytes(len(data)) for data in payloads)
    buffer = memoryview(bytearray(b"\xaa" * (room + 4096)))
    writer = GroupWriter(buffer, len(buffer), shard_id, number, sequence)
    for data in payloads:
        assert writer.add(key or key_of(data), data) >= 0
    length, digest = writer.close()
    return bytes(buffer[:length]), writer.entries(), digest


def build_shard(groups: Sequence[Sequence[bytes]], *, key: bytes | None = None) -> Shard:
    """Return an open shard; a `key` given is that of all objects, right or wrong."""
    header = ShardHeader(SHARD_ID, STORE_ID, CREATED_NS, "raw", False)
    shard = Shard(bytearray(pack_shard_header(header)))
    assert len(shard.data) == SHARD_HEADER_BYTES
    for number, payloads in enumerate(groups):
        group, entries, digest = build_group(payloads, number, len(shard.entries), key=key)
        base = len(shard.data)
        shard.data += group
        shard.groups.append((base, len(group)))
        shard.digests.append(digest)
        shard.entries += [
            entry._replace(offset=base + entry.offset) for entry in iterate_entries(entries)
        ]
    return shard


def write_file(path: str | os.PathLike[str], data: bytes | bytearray) -> int:
    """Write a file and return a descriptor that reads it; the caller closes it."""
    with open(path, "wb") as file:
        file.write(data)
    return os.open(path, os.O_RDONLY)


def store_shard(disk_path: str, shard: Shard, data: bytes | None = None) -> None:
    """Put a sealed shard, or other bytes under its name, on a disk."""
    path = shard_path(disk_path, SHARD_ID.hex())
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(shard.sealed() if data is None else data)


def dump(data: bytes | bytearray) -> str:
    """Return bytes as text: offset and 32 bytes in hex; rows of zeros are left out."""
    rows = [f"length {len(data)}"]
    for start in range(0, len(data), 32):
        row = data[start : start + 32]
        if any(row):
            rows.append(f"{start:08x}  {row.hex()}")
    return "\n".join(rows) + "\n"


def undump(text: str) -> bytes:
    """Read what `dump` wrote; rows that begin with # are remarks."""
    rows = [row.split() for row in text.splitlines() if row and not row.startswith("#")]
    data = bytearray(int(rows[0][1]))
    for offset, row in rows[1:]:
        piece = bytes.fromhex(row)
        data[int(offset, 16) : int(offset, 16) + len(piece)] = piece
    return bytes(data)


def golden(name: str) -> bytes:
    """Return the bytes of a golden file."""
    path = os.path.join(ROOT, "tests", "fsd", "golden", name)
    with open(path, encoding="ascii") as file:
        return undump(file.read())
