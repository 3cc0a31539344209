"""Verifying: it owns the comparison of a tree with the manifest that it was made from."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from array import array
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from base.config import find_config
from datasets.choice.choose import Cancelled, Progress, never, quiet, stop_if
from datasets.definition.errors import NotFoundError
from datasets.freeze.manifest import entries_of
from datasets.versions.exports import client_of
from fsd import load_config

SEAL_FILES = frozenset({"_JOB.json", "_SEALED"})
PROBLEMS_MAX = 1_000
PROGRESS_FILES = 1_000


class Verification(BaseModel):
    """What differs: `problems` has `path: reason` of the first, `problem_count` how many."""

    model_config = ConfigDict(frozen=True)

    folder: str
    manifest_key: str
    files: int
    size_bytes: int
    problem_count: int
    problems: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the tree is exactly what the manifest says."""
        return self.problem_count == 0


def verify(
    config_path: str,
    folder: str,
    *,
    manifest_key: str | None = None,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> Verification:
    """Read every file of a tree and compare it with a manifest: its own unless one is given."""
    key = manifest_key or manifest_of(folder)
    problems: list[str] = []
    count = files = size_bytes = 0

    def complain(path: str, reason: str) -> None:
        nonlocal count
        count += 1
        if len(problems) < PROBLEMS_MAX:
            problems.append(f"{path}: {reason}")

    with stored_manifest(config_path, key) as manifest:
        wanted = _Expected()
        for entry in entries_of(manifest):
            if files % PROGRESS_FILES == 0:
                stop_if(cancelled)
                progress("verifying", files)
            files += 1
            wanted.add(entry["path"])
            read, reason = _compare(os.path.join(folder, entry["path"]), entry)
            size_bytes += read
            if reason:
                complain(entry["path"], reason)
        for path in _walk(folder):
            if path not in SEAL_FILES and not wanted.has(path):
                complain(path, "is not in the manifest")
    return Verification(
        folder=folder,
        manifest_key=key,
        files=files,
        size_bytes=size_bytes,
        problem_count=count,
        problems=tuple(problems),
    )


class _Expected:
    """The paths of a manifest as 8 bytes each: a stranger passes once in 10^12 files."""

    def __init__(self) -> None:
        self._hashes = array("q")
        self._sorted = np.empty(0, np.int64)

    def add(self, path: str) -> None:
        self._hashes.append(hash(path))

    def has(self, path: str) -> bool:
        """Tell whether a path was added; nothing is added after the first question."""
        if len(self._sorted) != len(self._hashes):
            self._sorted = np.sort(np.array(self._hashes, np.int64))
        wanted = hash(path)
        place = int(np.searchsorted(self._sorted, wanted))
        return place < len(self._sorted) and int(self._sorted[place]) == wanted


def manifest_of(folder: str) -> str:
    """Return the key of the manifest that a sealed folder was made from."""
    return job_of(folder)["manifest_sha256"]


def job_of(folder: str) -> dict[str, Any]:
    """Return `_JOB.json` of a sealed folder; NotFoundError when it has none that can be used."""
    try:
        with open(os.path.join(folder, "_JOB.json"), encoding="utf-8") as file:
            document = json.load(file)
        if isinstance(document["manifest_sha256"], str):
            return document
    except FileNotFoundError:
        raise NotFoundError(f"{folder!a} is no export of this store: it has no _JOB.json") from None
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise NotFoundError(
        f"the _JOB.json of {folder!a} is damaged, so nobody can say what it was made from; remove "
        "the folder, and export it again"
    )


@contextmanager
def stored_manifest(config_path: str, key: str) -> Generator[str]:
    """Yield a stored manifest as a file."""
    run_dir = load_config(find_config(config_path)).run_dir
    with tempfile.TemporaryDirectory(prefix="manifest-", dir=run_dir) as folder:
        path = os.path.join(folder, "manifest.jsonl")
        client_of(config_path).read(key, path)
        yield path


def _compare(path: str, entry: dict[str, Any]) -> tuple[int, str]:
    """Return the bytes that were read and what is wrong, or ''."""
    try:
        info = os.lstat(path)
        if not stat.S_ISREG(info.st_mode):
            return 0, "is no file"
        if "text" in entry:
            with open(path, "rb") as file:
                same = file.read() == entry["text"].encode("utf-8", "surrogateescape")
            return info.st_size, "" if same else "has another text"
        if info.st_size != entry["size_bytes"]:
            return 0, f"has {info.st_size:,} bytes in place of {entry['size_bytes']:,}"
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        return info.st_size, "" if found == entry["key"] else "has other bytes"
    except FileNotFoundError:
        return 0, "is missing"
    except OSError as error:
        return 0, f"cannot be read: {error.strerror}"


def _walk(folder: str) -> Iterator[str]:
    for root, _, names in os.walk(folder):
        for name in names:
            yield os.path.relpath(os.path.join(root, name), folder)
