"""Batch parts: it owns the record that ties paths to keys, as bytes.

Every commit group of a batch carries one part: the files that the group acknowledges. A part
lists only keys that are durable at or before its own group, so the paths of whatever was
acknowledged survive any crash, and the shards alone are enough to make the batch again.
The head comes first, then each file on a line of its own; bytes of a name that are not UTF-8 are
JSON escapes.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, cast

from fsd.format.errors import CorruptError


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
    # Only a path has anything to escape; an encoder asked for each whole line takes thrice as long.
    lines += [
        f'{{"path": {_encode(path)}, "key": "{key}", "size_bytes": {size_bytes}}}'
        for path, key, size_bytes in listed
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
    # Lines without an escape, which nearly all are, need no JSON decoder: a third of the time.
    plain = cast("list[tuple[str, str, str]]", _PLAIN_LINE.findall(data.decode("ascii", "replace")))
    if len(plain) == len(lines):
        return [PartFile(path, key, int(size_bytes)) for path, key, size_bytes in plain]
    return [PartFile(**json.loads(line)) for line in lines]


def latest(newest_first: Iterable[PartFile]) -> dict[str, PartFile]:
    """Return by path the files that can stand beside all those that were put after them.

    A path may have been a file in one put and a folder in another.
    """
    files: dict[str, PartFile] = {}
    folders = set[str]()
    for file in newest_first:
        path = file.path
        above = list(_folders_above(path))
        if path not in files and path not in folders and files.keys().isdisjoint(above):
            files[path] = file
            folders.update(above)
    return files


def _folders_above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def estimate_bytes(path: str) -> int:
    """Return an upper bound of a file's line in a part."""
    return 160 + 12 * len(path)


_PLAIN_LINE = re.compile(
    r'^\{"path": "([ !#-\[\]-~]*)", "key": "([0-9a-f]{64})", "size_bytes": ([0-9]{1,19})\}\n',
    re.MULTILINE,
)
_encode: Callable[[str], str] = json.JSONEncoder().encode
