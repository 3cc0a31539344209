"""The canonical form of a manifest: it owns the bytes of checked entries.

This module is pure, as `manifest` is, which owns what an entry is and whether it is right.
"""

import json
from collections.abc import Callable, Iterator
from itertools import starmap

from fsd.format.manifest.manifest_columns import (
    KEY_SIZE_BYTES,
    UNKNOWN_SIZE,
    Columns,
    ManifestEntry,
)

_PLAIN = bytes(range(0x20, 0x7F)).replace(b"\\", b"").replace(b'"', b"")


def format_pieces(ordered: Columns) -> Iterator[bytes]:
    """Yield the canonical bytes of entries that are in canonical order, in pieces.

    Equal sets of entries give equal bytes, so their sha256 names them. Lines sorted by path bytes;
    fields in the order path, key, size_bytes, node_id (or path, text, node_id: a text implies its
    size); compact ASCII JSON; every line ends with a newline. The entries must have passed
    `check_entries` or `parse_manifest`.
    """
    first = 0
    for paths in ordered.path_blocks():
        lines = _format_alike(ordered, first, paths)
        if lines is None:
            lines = list(map(_format_entry, starmap(ordered.entry, enumerate(paths, first))))
        yield "".join(lines).encode("ascii")
        first += len(paths)


def _format_alike(columns: Columns, first: int, paths: list[bytes]) -> list[str] | None:
    """The lines of a block whose paths have no escapes and whose entries have the same fields."""
    behind = first + len(paths)
    joined = b"\0".join(paths)
    sizes, nodes = columns.sizes[first:behind], columns.node_numbers(first, behind)
    if joined.translate(None, _PLAIN) != b"\0" * (len(paths) - 1) or min(sizes) == UNKNOWN_SIZE:
        return None
    if columns.has_text(first, behind) or not (nodes or columns.without_nodes(first, behind)):
        return None
    keys = columns.keys[first * KEY_SIZE_BYTES : behind * KEY_SIZE_BYTES]
    hexes = keys.hex(" ", KEY_SIZE_BYTES).split(" ")
    fields = zip(joined.decode("ascii").split("\0"), hexes, sizes, strict=True)
    if not nodes:
        return [f'{{"path":"{p}","key":"{k}","size_bytes":{s}}}\n' for p, k, s in fields]
    return [
        f'{{"path":"{path}","key":"{key}","size_bytes":{size},"node_id":{node}}}\n'
        for (path, key, size), node in zip(fields, nodes, strict=True)
    ]


def _format_entry(entry: ManifestEntry) -> str:
    path, key, text, size_bytes, node_id = entry
    node = ""
    if node_id is not None:
        # An encoder needs ten times as long for an integer as for a string.
        node = f',"node_id":{_encode(node_id) if isinstance(node_id, str) else node_id}'
    if key is None:
        return f'{{"path":{_encode(path)},"text":{_encode(text)}{node}}}\n'
    size = "" if size_bytes is None else f',"size_bytes":{size_bytes}'
    return f'{{"path":{_encode(path)},"key":"{key.hex()}"{size}{node}}}\n'


# json.dumps would look at its options on every call.
_encode: Callable[[object], str] = json.JSONEncoder().encode
