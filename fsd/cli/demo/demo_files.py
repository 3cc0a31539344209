"""The demo's files: it owns which real files are taken, and the comparison byte for byte."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

SAMPLE_ROOT = "/usr/share"
SAMPLE_FOLDERS = ("doc", "icons", "pixmaps", "perl5", "perl", "fonts", "locale", "man", "zoneinfo")
SAMPLE_FILES_MAX = 5_000
SAMPLE_SIZE_BYTES_MAX = 150_000_000
SAMPLE_FILE_SIZE_BYTES_MAX = 16_000_000
DIFFERENCES_KEPT_MAX = 5
COMPARE_THREADS = 4


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many files were compared, and the first ones that were not equal to their source."""

    files: int
    size_bytes: int
    different_count: int
    different: tuple[str, ...]


def sample_files() -> list[str]:
    """Return paths below SAMPLE_ROOT of some thousand files that this machine has.

    The folders take turns, so that each is represented; symbolic links and the like are among them,
    because the store has to say what it makes of them.
    """
    roots = [os.path.join(SAMPLE_ROOT, name) for name in SAMPLE_FOLDERS]
    turns = [_entries(root) for root in roots if os.path.isdir(root)]
    chosen: list[str] = []
    size_bytes = 0
    while turns and len(chosen) < SAMPLE_FILES_MAX and size_bytes < SAMPLE_SIZE_BYTES_MAX:
        for turn in list(turns):
            found = next(turn, None)
            if found is None:
                turns.remove(turn)
                continue
            chosen.append(os.path.relpath(found[0], SAMPLE_ROOT))
            size_bytes += found[1]
    return chosen[:SAMPLE_FILES_MAX]


def _entries(root: str) -> Iterator[tuple[str, int]]:
    """Yield path and size of everything below root that is not a folder and not large."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            try:
                found = os.lstat(path)
            except OSError:
                continue
            size_bytes = found.st_size if stat.S_ISREG(found.st_mode) else 0
            if size_bytes <= SAMPLE_FILE_SIZE_BYTES_MAX:
                yield path, size_bytes


def compare(source: str, copy: str, paths: Iterable[str], *, uncached: bool = False) -> Comparison:
    """Compare files of two folders byte for byte; one that cannot be read counts as different.

    `uncached` drops what the kernel still remembers of each file of `copy` first, so that a dead
    disk cannot hide behind the page cache.
    """

    def check(path: str) -> tuple[int, str]:
        try:
            expected = _read(os.path.join(source, path))
            same = expected == _read(os.path.join(copy, path), uncached)
        except OSError as error:
            return 0, f"{path}: {error.strerror}"
        return len(expected), "" if same else f"{path}: differs from its source"

    with ThreadPoolExecutor(COMPARE_THREADS) as threads:
        found = list(threads.map(check, paths))
    different = [reason for _, reason in found if reason]
    size_bytes = sum(size for size, _ in found)
    return Comparison(
        len(found), size_bytes, len(different), tuple(different[:DIFFERENCES_KEPT_MAX])
    )


def _read(path: str, uncached: bool = False) -> bytes:
    with open(path, "rb", buffering=0) as file:
        if uncached:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return file.read()


def list_tree(folder: str) -> tuple[int, list[str]]:
    """Walk a folder; returns how many files are in it and its first few paths."""
    count = 0
    first: list[str] = []
    for parent, folders, names in os.walk(folder):
        folders.sort()
        count += len(names)
        for name in sorted(names)[: max(0, 5 - len(first))]:
            first.append(os.path.relpath(os.path.join(parent, name), folder))
    return count, first
