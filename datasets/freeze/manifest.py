"""The manifest of a dataset: it owns its canonical bytes, their order, and names that collide.

The bytes are those of the store's own canonical form (lines by the bytes of their paths, fields in
a fixed order, ASCII JSON), so the hash of this file is the key under which the store knows every
export of it: equal trees, equal keys. Ten million lines are sorted in runs on disk, and collisions
are found by hashes in arrays: neither needs the lines in memory.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import os
from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np

from base.text import safe_text
from datasets.definition.errors import RefusedError
from fsd import check_relative_path, fold_path

RUN_SIZE_BYTES = 64 << 20
"""Lines in memory before they are sorted and written as one run."""
RUNS_MAX = 500
"""Files that are open at once when runs are merged."""
TEXT_SIZE_BYTES_MAX = 1 << 20
PROBLEMS_MAX = 10
_WRITE_BYTES = 1 << 20


class ManifestSummary(NamedTuple):
    """What a manifest adds up to; `key` is the sha256 of its bytes."""

    path: str
    key: str
    entries: int
    size_bytes: int


class ManifestWriter:
    """Takes entries in any order; `finish` writes them. Its files lie below `folder`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._records: list[bytes] = []
        self._waiting_bytes = 0
        self._runs: list[str] = []
        self._problems: list[str] = []
        self._folded = array("q")
        self.entries = 0
        self.size_bytes = 0

    def add_object(self, path: str, key: str, size_bytes: int, node_id: int | None) -> None:
        """Add a file whose bytes are in the store."""
        node = "" if node_id is None else f',"node_id":{node_id}'
        line = f'{{"path":{_quoted(path)},"key":"{key}","size_bytes":{size_bytes}{node}}}\n'
        self._add(path, line, size_bytes)

    def add_text(self, path: str, text: str, node_id: int | None) -> None:
        """Add a small file whose text is in the manifest itself."""
        node = "" if node_id is None else f',"node_id":{node_id}'
        size_bytes = len(text.encode())
        if size_bytes > TEXT_SIZE_BYTES_MAX:
            self._complain(path, f"its text has {size_bytes:,} bytes, more than 1 MiB")
            return
        self._add(path, f'{{"path":{_quoted(path)},"text":{_quoted(text)}{node}}}\n', size_bytes)

    def _add(self, path: str, line: str, size_bytes: int) -> None:
        reason = check_relative_path(path)
        if reason is None and not path.isprintable():
            reason = "the path has characters that cannot be printed"
        if reason is not None:
            self._complain(path, reason)
            return
        self.entries += 1
        self.size_bytes += size_bytes
        self._folded.append(hash(fold_path(path)))
        # NUL is less than every byte of a path, so records sort as their paths do.
        record = path.encode() + b"\0" + line.encode("ascii")
        self._records.append(record)
        self._waiting_bytes += len(record)
        if self._waiting_bytes >= RUN_SIZE_BYTES:
            self._write_run()

    def _complain(self, path: str, reason: str) -> None:
        if len(self._problems) < PROBLEMS_MAX:
            self._problems.append(f"{safe_text(path)}: {reason}")

    def _write_run(self) -> None:
        self._records.sort()
        path = os.path.join(self._folder, f"run-{len(self._runs):04}")
        with open(path, "wb", buffering=_WRITE_BYTES) as file:
            file.writelines(self._records)
        self._runs.append(path)
        self._records, self._waiting_bytes = [], 0

    def finish(self, path: str) -> ManifestSummary:
        """Write the manifest; RefusedError, with the names, when two files would be one."""
        self._refuse()
        self._records.sort()
        while len(self._runs) > RUNS_MAX:
            self._merge_some()
        digest = hashlib.sha256()
        names = _Names(array("q"), array("q"), [])
        with open(path, "wb", buffering=_WRITE_BYTES) as file, ExitStack() as stack:
            for record in heapq.merge(*_opened(self._runs, stack), self._records):
                name, _, line = record.partition(b"\0")
                names.take(name)
                digest.update(line)
                file.write(line)
        for run in self._runs:
            os.unlink(run)
        self._records, self._runs = [], []
        self._problems += names.duplicates
        suspects = names.suspects(self._folded)
        if suspects:
            self._problems += _case_collisions(path, suspects)
        self._refuse()
        return ManifestSummary(path, digest.hexdigest(), self.entries, self.size_bytes)

    def _merge_some(self) -> None:
        """Make one run of the oldest ones."""
        oldest, path = self._runs[:RUNS_MAX], self._runs[0] + "-merged"
        with open(path, "wb", buffering=_WRITE_BYTES) as file, ExitStack() as stack:
            file.writelines(heapq.merge(*_opened(oldest, stack)))
        for run in oldest:
            os.unlink(run)
        self._runs = [*self._runs[RUNS_MAX:], path]

    def _refuse(self) -> None:
        if self._problems:
            raise RefusedError(
                "the layout gives names that cannot be files side by side; nothing was copied:\n  "
                + "\n  ".join(self._problems[:PROBLEMS_MAX])
                + "\nput {key} or {node_id} into the names, or choose another layout"
            )


class _Names:
    """What collisions leave behind in sorted names: equal neighbours, and hashes of folders."""

    def __init__(self, folded: array[int], exact: array[int], duplicates: list[str]) -> None:
        self._folders, self._exact = folded, exact
        self.duplicates = duplicates
        self._last = b""
        self._open: list[bytes] = []

    def take(self, name: bytes) -> None:
        """Take the next name."""
        if name == self._last and len(self.duplicates) < PROBLEMS_MAX:
            self.duplicates.append(f"{safe_text(name.decode())}: two files have this name")
        self._last = name
        folders = name.split(b"/")[:-1]
        if folders == self._open:
            return
        # Names below one folder follow each other, so each folder begins once.
        same = 0
        while same < min(len(folders), len(self._open)) and folders[same] == self._open[same]:
            same += 1
        for end in range(same + 1, len(folders) + 1):
            folder = b"/".join(folders[:end]).decode()
            self._folders.append(hash(fold_path(folder)))
            self._exact.append(hash(folder))
        self._open = folders

    def suspects(self, files: array[int]) -> set[int]:
        """Return hashes of folded names that stand for two files or folders, or for both."""
        file_hashes, counts = np.unique(np.array(files, np.int64), return_counts=True)
        twice = file_hashes[counts > 1]
        folders = np.array(self._folders, np.int64)
        folder_hashes, folder_counts = np.unique(folders, return_counts=True)
        found = [
            twice,
            folder_hashes[folder_counts > 1],
            np.intersect1d(file_hashes, folder_hashes),
        ]
        return {int(one) for part in found for one in part[:PROBLEMS_MAX]}


def _case_collisions(manifest: str, suspects: set[int]) -> list[str]:
    """Read the manifest again for the names behind the hashes."""
    seen: dict[str, str] = {}
    problems: list[str] = []
    for entry in entries_of(manifest):
        parts = entry["path"].split("/")
        for end in range(1, len(parts) + 1):
            name = "/".join(parts[:end])
            folded = fold_path(name)
            if hash(folded) not in suspects:
                continue
            what = f"{name}/" if end < len(parts) else name
            other = seen.setdefault(folded, what)
            if other != what and len(problems) < PROBLEMS_MAX:
                problems.append(
                    f"{safe_text(what)}: collides with {safe_text(other)} (upper and lower case, "
                    "accents, or file and folder)"
                )
    return problems


def entries_of(path: str) -> Iterator[dict[str, Any]]:
    """Yield the entries of a manifest that was written here, in their order."""
    with open(path, "rb") as file:
        for line in file:
            yield json.loads(line)


def _opened(runs: list[str], stack: ExitStack) -> list[Iterator[bytes]]:
    return [stack.enter_context(open(run, "rb", buffering=1 << 16)) for run in runs]


_quoted = json.JSONEncoder().encode
