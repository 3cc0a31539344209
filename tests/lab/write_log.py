"""The log of what reached an emulated disk, and the images that a power cut may leave of it.

A log is a sequence of records: 32 bytes (sequence u64, time u64 in nanoseconds of CLOCK_MONOTONIC,
offset u64, length u32, kind u32; little-endian), followed by the data of a write. Logs of several
disks share the clock, so one moment cuts all of them.

What was flushed before the cut is in the image. Of what was not, `mode` and `seed` decide:

    lost     nothing            prefix   the oldest writes up to a random one
    kept     everything         some     each write or not, at random
    torn     each sector of each write or not, at random

Since an earlier write of a sector may be kept and the later one lost, `some` and `torn` are also
what reordering would leave.
"""

from __future__ import annotations

import mmap
import os
import random
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

RECORD = struct.Struct("<QQQII")
KIND_WRITE, KIND_FLUSH = 1, 2
MODES = ("lost", "kept", "prefix", "some", "torn")
# A sector is written as a whole or not at all; drives of today have 4 KiB of it.
SECTOR_BYTES = 4096

assert RECORD.size == 32


@dataclass(frozen=True, slots=True)
class Record:
    """A write or a flush; a write's data lie at `place` of the log file."""

    sequence: int
    time_ns: int
    offset: int
    length: int
    kind: int
    place: int


def read_records(path: str) -> list[Record]:
    """Return the records of a log; an unfinished one at the end is left out."""
    found: list[Record] = []
    size, place = os.path.getsize(path), 0
    with open(path, "rb") as file:
        while place + RECORD.size <= size:
            file.seek(place)
            sequence, time_ns, offset, length, kind = RECORD.unpack(file.read(RECORD.size))
            place += RECORD.size
            if place + length > size:
                break
            found.append(Record(sequence, time_ns, offset, length, kind, place))
            place += length
    return found


def flush_times(path: str) -> list[int]:
    """Return when each flush was done, in nanoseconds of CLOCK_MONOTONIC."""
    return [record.time_ns for record in read_records(path) if record.kind == KIND_FLUSH]


def split_at(records: Sequence[Record], time_ns: int) -> tuple[list[Record], list[Record]]:
    """Return the writes that are durable at a moment, and those that wait for a flush then."""
    before = [record for record in records if record.time_ns <= time_ns]
    flushes = [number for number, record in enumerate(before) if record.kind == KIND_FLUSH]
    boundary = flushes[-1] + 1 if flushes else 0
    durable = [record for record in before[:boundary] if record.kind == KIND_WRITE]
    return durable, before[boundary:]


def replay(
    log_path: str,
    image: str,
    size_bytes: int,
    time_ns: int,
    seed: int,
    mode: str,
    base: str | None = None,
) -> None:
    """Make the image that a power cut at a moment leaves of a disk.

    `base` is what the disk held when its log began; it was empty by default.
    """
    if base is not None:
        copy_image(base, image)
    with open(image, "ab" if base is not None else "wb") as file:
        file.truncate(size_bytes)
    durable, pending = split_at(read_records(log_path), time_ns)
    apply_pieces(log_path, image, survivors(durable, 0, "kept"))
    apply_pieces(log_path, image, survivors(pending, seed, mode))


def add_survivors(pending_path: str, image: str, seed: int, mode: str) -> None:
    """Apply to a durable image what a power cut keeps of the writes that were not flushed."""
    apply_pieces(pending_path, image, survivors(read_records(pending_path), seed, mode))


Piece = tuple[int, int, int]
"""(place in the log, offset on the disk, length)"""


def survivors(pending: Sequence[Record], seed: int, mode: str) -> list[Piece]:
    """Choose what survives of un-flushed writes, the same for the same seed."""
    chance = random.Random(seed)
    writes = [record for record in pending if record.kind == KIND_WRITE]
    if mode == "prefix":
        writes = writes[: chance.randint(0, len(writes))]
    elif mode == "some":
        writes = [record for record in writes if chance.random() < 0.5]
    elif mode == "lost":
        writes = []
    elif mode not in ("kept", "torn"):
        raise ValueError(f"{mode} is not one of {', '.join(MODES)}")
    if mode != "torn":
        return [piece for record in writes for piece in _whole(record)]
    return [piece for record in writes for piece in _sectors(record) if chance.random() < 0.5]


def _whole(record: Record) -> Iterator[Piece]:
    yield record.place, record.offset, record.length


def _sectors(record: Record) -> Iterator[Piece]:
    done = 0
    while done < record.length:
        offset = record.offset + done
        size = min(record.length - done, SECTOR_BYTES - offset % SECTOR_BYTES)
        yield record.place + done, offset, size
        done += size


def apply_pieces(log_path: str, image: str, pieces: Sequence[Piece]) -> None:
    """Write pieces of a log to an image."""
    if not pieces:
        return
    with (
        open(log_path, "rb") as log,
        open(image, "r+b", buffering=0) as target,
        mmap.mmap(log.fileno(), 0, prot=mmap.PROT_READ) as data,
        memoryview(data) as view,
    ):
        for place, offset, length in pieces:
            with view[place : place + length] as part:
                os.pwrite(target.fileno(), part, offset)


def copy_image(source: str, target: str) -> str:
    """Copy a sparse image; returns the target."""
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", source, target], check=True)
    return target
