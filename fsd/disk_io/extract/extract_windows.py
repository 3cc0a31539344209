"""Which reads an extraction makes: it owns the cutting of records into windows, and is pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fsd.disk_io.reading.read_ahead import Range
from fsd.disk_io.shard_file import WINDOW_BYTES
from fsd.format.record import BLOCK_BYTES, SECTOR_BYTES, align, payload_offset, record_bytes

HOLE_BYTES_MAX = 1 << 20


class Item(NamedTuple):
    """One record to extract: header offset, payload length, key, files below the target."""

    offset: int
    length_bytes: int
    key: bytes
    paths: tuple[bytes, ...]


class Window(NamedTuple):
    """Bytes [start, end) of a shard that hold the items [first:last]."""

    start: int
    end: int
    first: int
    last: int


def plan_windows(
    items: Sequence[Item],
    window_bytes: int = WINDOW_BYTES,
    *,
    hole_bytes_max: int = HOLE_BYTES_MAX,
) -> list[Window]:
    """Group items, sorted by offset, into reads of at most `window_bytes`.

    Holes up to `hole_bytes_max` are read through, between windows as within them: on this disk
    they cost less than a seek. A record larger than a window stands alone.
    """
    windows: list[Window] = []
    for position, item in enumerate(items):
        start = item.offset // SECTOR_BYTES * SECTOR_BYTES
        end = align(item.offset + record_bytes(item.length_bytes))
        if windows:
            last = windows[-1]
            if start - last.end <= hole_bytes_max and end - last.start <= window_bytes:
                windows[-1] = Window(last.start, max(end, last.end), last.first, position + 1)
                continue
            if 0 < start - last.end <= hole_bytes_max and end - last.end <= window_bytes:
                # It goes on where the disk stands: what it reads ahead is what is asked for next.
                start = last.end
        windows.append(Window(start, end, position, position + 1))
    return windows


def ranges_of(window: Window, first: Item) -> list[Range]:
    """Return what is read of a window: all at once, or a large record in pieces."""
    if window.end - window.start <= WINDOW_BYTES:
        return [Range(window.start, window.end)]
    pieces = [(at, at + size) for at, size in pieces_of(first.length_bytes)]
    payload = first.offset + payload_offset(first.length_bytes)
    ends = [align(payload + end) for _, end in pieces]
    starts = [window.start]
    starts += [(payload + begin) // SECTOR_BYTES * SECTOR_BYTES for begin, _ in pieces[1:]]
    return [Range(*span) for span in zip(starts, ends, strict=True)]


def pieces_of(length_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield (position in the payload, size) of a large record's pieces.

    The first one is read together with the header and the table.
    """
    first = (WINDOW_BYTES - payload_offset(length_bytes)) // BLOCK_BYTES * BLOCK_BYTES
    position, size = 0, max(BLOCK_BYTES, first)
    while position < length_bytes:
        yield position, min(size, length_bytes - position)
        position, size = position + size, WINDOW_BYTES
