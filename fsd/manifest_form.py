"""The canonical form of a manifest: it owns order, bytes and deduplication of checked entries.

This module is pure, as `manifest` is, which owns what an entry is and whether it is right.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Literal

from fsd.manifest import ManifestEntry
from fsd.paths import encode_path

PIECE_ENTRIES = 4096
_PATH_OF: Callable[[ManifestEntry], str] = itemgetter(0)

DedupMode = Literal["by_sha256", "by_node"]


def canonical_order(entries: Iterable[ManifestEntry]) -> list[ManifestEntry]:
    """The entries sorted by the bytes of their paths."""
    listed = list(entries)
    if all(map(str.isascii, map(_PATH_OF, listed))):
        listed.sort(key=_PATH_OF)  # ASCII sorts as its bytes do.
    else:
        listed.sort(key=lambda entry: encode_path(entry.path))
    return listed


def format_manifest(entries: Iterable[ManifestEntry]) -> bytes:
    """The canonical bytes: equal sets of entries give equal bytes, so their sha256 names them.

    Lines sorted by path bytes; fields in the order path, key, size_bytes, node_id (or path, text,
    node_id: a text implies its size); compact ASCII JSON; every line ends with a newline. The
    entries must have passed `check_entries` or `parse_manifest`.
    """
    return b"".join(format_pieces(canonical_order(entries)))


def format_pieces(ordered: Sequence[ManifestEntry]) -> Iterator[bytes]:
    """Yield the canonical bytes of entries that are in canonical order, in pieces."""
    for start in range(0, len(ordered), PIECE_ENTRIES):
        piece = ordered[start : start + PIECE_ENTRIES]
        yield "".join(map(_format_entry, piece)).encode("ascii")


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


def deduplicate(
    entries: Iterable[ManifestEntry], mode: DedupMode
) -> tuple[list[ManifestEntry], int]:
    """Drop repeated content; returns (the kept entries in canonical order, how many were dropped).

    `by_sha256`: each content once, its first path in canonical order wins. `by_node`: once per
    node and content; an entry without a node id is a node of its own. Texts always stay.
    """
    if mode not in ("by_sha256", "by_node"):
        raise ValueError(f"unknown dedup mode {mode!r}: by_sha256 or by_node")
    ordered = canonical_order(entries)
    keys = [entry.key for entry in ordered if entry.key is not None]
    if len(set(keys)) == len(keys):
        return ordered, 0
    del keys
    # The first node of each content, and the rare further ones: a set of all pairs would take five
    # times the memory.
    first: dict[bytes, str | int | None] = {}
    further: set[tuple[bytes, str | int | None]] = set()
    kept: list[ManifestEntry] = []
    for entry in ordered:
        key, node_id = entry.key, entry.node_id if mode == "by_node" else None
        if key is None or (mode == "by_node" and node_id is None) or key not in first:
            if key is not None and (mode == "by_sha256" or node_id is not None):
                first[key] = node_id
            kept.append(entry)
        elif first[key] != node_id and (key, node_id) not in further:
            further.add((key, node_id))
            kept.append(entry)
    return kept, len(ordered) - len(kept)


# json.dumps would look at its options on every call.
_encode: Callable[[object], str] = json.JSONEncoder().encode
