"""A sealed shard made anew from its entries and payloads: byte for byte, or not at all."""

from __future__ import annotations

import os
import random

import pytest
import xxhash
from shard_fixture import SHARD_ID, STORE_ID, Shard, build_shard, key_of

from fsd.format.errors import CorruptError
from fsd.format.group import LargeGroup
from fsd.format.record import (
    SHARD_HEADER_BYTES,
    Entry,
    ShardHeader,
    block_checksums,
    pack_footer,
    pack_shard_header,
    unpack_footer_trailer,
    unpack_shard_header,
)
from fsd.format.rewrite import Outline, Payload, group_spans, rewrite

SIZES = (0, 1, 7, 8, 4000, 65_535, 65_536, 65_537, 200_000)


def outline_of(data: bytes | bytearray, entries: list[Entry]) -> Outline:
    footer = unpack_footer_trailer(data)
    return Outline(unpack_shard_header(data), footer, sorted(entries, key=lambda e: e.offset))


def payload_of(shard: Shard, entry: Entry) -> Payload:
    data = shard.payload(entry)
    return block_checksums(data), [data[:100], data[100:]]


@pytest.mark.fault
@pytest.mark.parametrize("seed", range(6))
def test_any_shard_comes_out_byte_for_byte(seed: int):
    chance = random.Random(seed)
    groups = [
        [chance.randbytes(chance.choice(SIZES)) for _ in range(chance.randint(1, 9))]
        for _ in range(chance.randint(1, 5))
    ]
    shard = build_shard(groups)
    sealed = shard.sealed()
    outline = outline_of(sealed, shard.entries)
    spans = group_spans(outline.entries, outline.footer.data_end)
    assert [(span.offset, span.length_bytes) for span in spans] == shard.groups
    assert b"".join(rewrite(outline, lambda entry: payload_of(shard, entry))) == sealed


def test_the_shard_of_a_large_object():
    data = os.urandom(300_000)
    key, table = key_of(data), block_checksums(data)
    position = 0

    def read_into(view: memoryview) -> int:
        nonlocal position
        piece = data[position : position + len(view)]
        view[: len(piece)] = piece
        position += len(piece)
        return len(piece)

    group = LargeGroup(read_into, key, len(data), table, SHARD_ID)
    body = bytearray(group.length_bytes)
    assert group.fill(memoryview(body)) == len(body)
    entry = group.entry._replace(offset=SHARD_HEADER_BYTES + group.entry.offset)
    end = SHARD_HEADER_BYTES + len(body)
    header = pack_shard_header(ShardHeader(SHARD_ID, STORE_ID, 1, "raw", True))
    sealed = header + body + pack_footer(SHARD_ID, [entry], end, [group.digest])
    made = rewrite(outline_of(sealed, [entry]), lambda _entry: (table, [data]))
    assert b"".join(made) == sealed


@pytest.mark.parametrize("wrong", ["payload", "table", "entry", "gap"])
def test_what_the_footer_does_not_bear_out_is_refused(wrong: str):
    shard = build_shard([[os.urandom(5000), os.urandom(700)], [os.urandom(90_000)]])
    entries = list(shard.entries)
    if wrong == "entry":
        entries[1] = entries[1]._replace(key=bytes(32))
    elif wrong == "gap":
        del entries[1]

    def payload(entry: Entry) -> Payload:
        data = bytearray(shard.payload(entry))
        table = block_checksums(bytes(data))
        if wrong == "payload":
            data[17] ^= 1
        elif wrong == "table":
            table = xxhash.xxh3_64_digest(b"") + table[8:]
        return table, [data]

    made = rewrite(outline_of(shard.sealed(), entries), payload)
    with pytest.raises(CorruptError):
        for _ in made:
            pass
