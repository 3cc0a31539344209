"""Parts of a copy: it owns cutting a job by bytes and remembering which parts are durable.

A part is a run of segments. When all of it is written, one syncfs makes it durable and the
journal says so; a job that starts again skips the parts that are journalled.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from base.files import parse_json, sync_filesystem

JOURNAL_NAME = "_PARTS"


def cut_parts(sizes: Sequence[int], limit_bytes: int) -> list[range]:
    """Cut consecutive segments into parts of at most `limit_bytes` (one segment at least)."""
    parts: list[range] = []
    start = size = 0
    for number, segment_bytes in enumerate(sizes):
        if number > start and size + segment_bytes > limit_bytes:
            parts.append(range(start, number))
            start, size = number, 0
        size += segment_bytes
    if start < len(sizes):
        parts.append(range(start, len(sizes)))
    return parts


class Journal:
    """The durable parts of one temporary folder, valid for one plan of one manifest.

    `plan_digest` names manifest and segments: parts of another plan say nothing about this one.
    """

    def __init__(self, temporary: Path, plan_digest: str) -> None:
        self._path = temporary / JOURNAL_NAME
        self._plan_digest = plan_digest
        self._parts: dict[str, int] = {}
        try:
            document = parse_json(self._path.read_bytes())
            if document["plan"] == plan_digest:
                self._parts = dict(document["parts"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            pass

    @property
    def empty(self) -> bool:
        """Return whether nothing is journalled, so that there is nothing to resume."""
        return not self._parts

    def has(self, part: range) -> bool:
        """Return whether the part was made durable by an earlier attempt."""
        return self._name(part) in self._parts

    def size_bytes(self, part: range) -> int:
        """Return the bytes an earlier attempt wrote for the part."""
        return self._parts[self._name(part)]

    def add(self, part: range, size_bytes: int, filesystem_fd: int) -> None:
        """Journal a part after making everything written so far durable."""
        # Barrier: files before the line that vouches for them.
        sync_filesystem(filesystem_fd)
        self._parts[self._name(part)] = size_bytes
        temporary = self._path.with_name(JOURNAL_NAME + ".tmp")
        with open(temporary, "w", encoding="ascii") as file:
            json.dump({"plan": self._plan_digest, "parts": self._parts}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._path)

    def remove(self) -> None:
        """Delete the journal: it must not be sealed in with the files."""
        self._path.unlink(missing_ok=True)

    @staticmethod
    def _name(part: range) -> str:
        return f"{part.start}-{part.stop}"
