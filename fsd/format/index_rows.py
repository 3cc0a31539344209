"""The rows of the index: it owns their fields, their checksums and their packing, no transaction.

LMDB has no checksums. A row of JSON ends with one of its own, over table, key and text; those that
an earlier version wrote have none, and are read as they are. A place has none: whatever is read
there is compared with its key.
"""

import json
import struct
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import xxhash

from fsd.format.errors import CorruptError

_LOCATION = struct.Struct("<IIHIH")
LOCATION_FIELDS = (
    ("number", "<u4"),
    ("offset_low", "<u4"),
    ("offset_high", "<u2"),
    ("length_low", "<u4"),
    ("length_high", "<u2"),
)
"""The fields of a packed location, as numpy names their types."""
_LOW_BITS = (1 << 32) - 1
VACATED_MARK = "vacated "
"""What `dead_mark` begins with when every record is dead or elsewhere."""


class Location(NamedTuple):
    """Where an object's record lies: header offset in the shard, payload length."""

    shard_number: int
    offset: int
    length_bytes: int


@dataclass(slots=True)
class ShardRow:
    """One shard as the index knows it; `disks` are the ids that hold a verified replica.

    `dead_bytes` is the payload of purged records; `dead_mark` says which of the catalog's marks
    the index has followed. What lies before `placed_bytes` came into the index with this row.
    """

    number: int
    shard_id: str
    class_name: str
    disks: list[str]
    sealed: bool = False
    large: bool = False
    length_bytes: int = 0
    object_count: int = 0
    payload_bytes: int = 0
    sealed_ns: int = 0
    dead_bytes: int = 0
    dead_mark: str = ""
    placed_bytes: int = 0

    @property
    def vacated(self) -> bool:
        """Return whether the index has followed that nothing in the shard is wanted any more."""
        return self.dead_mark.startswith(VACATED_MARK)


@dataclass(slots=True)
class BatchRow:
    """One ingest batch; its paths are in the part objects, its tree in `tree_file`.

    `purges` counts the batches of this name that were purged before this one was put. `between` are
    parts (hex) that came after the listing was made, and stand before others that it was made of.
    `key_purges` tells how many purges of single objects the listing has followed.
    """

    name: str
    class_name: str
    created_ns: int
    sealed: bool = False
    files: int = 0
    size_bytes: int = 0
    part_count: int = 0
    tree_file: str = ""
    purges: int = 0
    between: list[str] = field(default_factory=list[str])
    key_purges: int = 0


@dataclass(slots=True)
class ViewRow:
    """One published view of a manifest; `kind` is `stage`, `exports` or `browse`."""

    kind: str
    view_id: str
    layout_id: str
    manifest_key: str
    created_ns: int
    tree_file: str = ""
    document: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def name(self) -> str:
        """Return the row's key: the view's path in the mount."""
        return view_name(self.kind, self.view_id, self.layout_id)


@dataclass(slots=True)
class DiskRow:
    """One disk as the engine last saw it; the mount reads shards below `path`."""

    disk_id: str
    name: str
    path: str
    state: str
    reason: str = ""


def pack_row(table: str, key: bytes, value: Any) -> bytes:
    """Return a row of JSON as the index keeps it: text, line feed, xxh3-64 (8 bytes)."""
    text = json.dumps(value).encode()
    return text + b"\n" + _row_digest(table, key, text)


def unpack_row(table: str, key: bytes, data: bytes) -> Any:
    """Read what `pack_row` wrote; CorruptError when it is damaged, or the row of another key."""
    text, digest = data[:-9], data[-8:]
    # JSON on one line has no line feed: without one it is a row of an earlier version.
    if data[-9:-8] != b"\n":
        text = data
    elif digest != _row_digest(table, key, text):
        raise damaged_row(table, key)
    try:
        return json.loads(text)
    except ValueError as error:
        raise damaged_row(table, key) from error


def damaged_row(table: str, key: bytes) -> CorruptError:
    """Return the error for a row that cannot be what was written."""
    name = key.decode("utf-8", "backslashreplace")
    return CorruptError(f"the index is damaged: row {name!r} of its {table}; reindex it")


def part_digest(key: bytes, part: bytes) -> int:
    """Return what one row of `batch_parts` adds (by exclusive or) to the mark of its batch."""
    return xxhash.xxh3_64_intdigest(key + part)


def _row_digest(table: str, key: bytes, text: bytes) -> bytes:
    return xxhash.xxh3_64_digest(b"\0".join((table.encode(), key, text)))


def view_name(kind: str, view_id: str, layout_id: str) -> str:
    """Return the key of a view: its path below the mount."""
    return f"{kind}/{view_id}/{layout_id}" if layout_id else f"{kind}/{view_id}"


def pack_location(location: Location) -> bytes:
    """Return the 16 bytes an object takes in the index besides its key."""
    number, offset, length = location
    return _LOCATION.pack(
        number, offset & _LOW_BITS, offset >> 32, length & _LOW_BITS, length >> 32
    )


def unpack_lengths(data: bytes | bytearray) -> list[int]:
    """Read the payload lengths of many that stand one behind the other."""
    return [low | high << 32 for _, _, _, low, high in _LOCATION.iter_unpack(data)]


def unpack_spans(data: bytes | bytearray) -> list[tuple[int, int]]:
    """Read (offset, payload length) of many that stand one behind the other."""
    return [
        (offset_low | offset_high << 32, low | high << 32)
        for _, offset_low, offset_high, low, high in _LOCATION.iter_unpack(data)
    ]


def unpack_location(data: bytes) -> Location:
    """Read what `pack_location` wrote."""
    try:
        number, offset_low, offset_high, length_low, length_high = _LOCATION.unpack(data)
    except struct.error as error:
        raise CorruptError(f"the index is damaged: a place of {len(data)} bytes") from error
    return Location(number, offset_low | offset_high << 32, length_low | length_high << 32)
