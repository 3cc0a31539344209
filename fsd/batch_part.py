"""Batch parts: it owns the record that ties paths to keys, as bytes.

Every commit group of a batch carries one part: the files that the group acknowledges. A part
lists only keys that are durable at or before its own group, so the paths of whatever was
acknowledged survive any crash, and the shards alone are enough to make the batch again.
The head comes first, then each file on a line of its own; bytes of a name that are not UTF-8 are
JSON escapes.
"""

import json
from collections.abc import Iterable
from typing import NamedTuple

from fsd.errors import CorruptError


class PartHead(NamedTuple):
    """Which batch and part it is, and what the part adds up to."""

    batch: str
    class_name: str
    number: int
    files: int
    size_bytes: int


class PartFile(NamedTuple):
    """One file of a batch: path as scraped, key, size."""

    path: str
    key: str
    size_bytes: int


def format_part(batch: str, class_name: str, number: int, files: Iterable[PartFile]) -> bytes:
    """Return the payload of a part record."""
    listed = list(files)
    head = {
        "batch": batch,
        "class": class_name,
        "part": number,
        "files": len(listed),
        "size_bytes": sum(file.size_bytes for file in listed),
    }
    lines = [json.dumps(head)]
    lines += [
        json.dumps({"path": file.path, "key": file.key, "size_bytes": file.size_bytes})
        for file in listed
    ]
    return ("\n".join(lines) + "\n").encode("ascii")


def parse_head(data: bytes) -> PartHead:
    """Read the first line of a part; CorruptError when it is none."""
    try:
        head = json.loads(data.split(b"\n", 1)[0])
        return PartHead(
            head["batch"], head["class"], head["part"], head["files"], head["size_bytes"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptError(f"a batch part cannot be read: {error}") from error


def parse_files(data: bytes) -> list[PartFile]:
    """Read all files of a part, in the order they were acknowledged."""
    lines = data.split(b"\n")[1:-1]
    return [PartFile(**json.loads(line)) for line in lines]


def estimate_bytes(path: str) -> int:
    """Return an upper bound of a file's line in a part."""
    return 160 + 12 * len(path)
