"""Listing a source folder: it owns the policy for links and odd files, reads no content.

Regular files are stored. A symbolic link to a regular file inside the folder is stored as that
file; any other link, and sockets, FIFOs and devices, are skipped and reported. Folders are never
entered through a link. Names are bytes: what is not UTF-8 travels as lone surrogates.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from typing import NamedTuple

CHUNK_FILES_MAX = 256
CHUNK_BYTES_MAX = 64 << 20


class Found(NamedTuple):
    """One entry: relative path, the real path to read, its size, or why it is not stored."""

    path: str
    real_path: str
    size_bytes: int
    skipped: str = ""
    failed: str = ""


def list_folder(folder: str) -> Iterator[Found]:
    """Yield every file below `folder`, folders in name order, without loading a whole tree."""
    root = os.path.realpath(folder)
    pending = [""]
    while pending:
        relative = pending.pop()
        try:
            with os.scandir(os.path.join(root, relative) if relative else root) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            yield Found(relative, "", 0, failed=f"the folder cannot be read: {error.strerror}")
            continue
        folders: list[str] = []
        for entry in entries:
            path = f"{relative}/{entry.name}" if relative else entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
            else:
                yield _classify(root, path, entry.path)
        pending += reversed(folders)


def list_given(folder: str, paths: Iterable[str]) -> Iterator[Found]:
    """Yield the named files below `folder`, under the same policy as `list_folder`."""
    root = os.path.realpath(folder)
    for path in paths:
        parts = path.split("/")
        if path.startswith("/") or ".." in parts or "." in parts or "" in parts or "\0" in path:
            yield Found(path, "", 0, failed="the path leaves the folder or is not in normal form")
        elif _enters_link(root, parts[:-1]):
            yield Found(path, "", 0, skipped="reached through a symbolic link to a folder")
        else:
            yield _classify(root, path, os.path.join(root, path))


def _enters_link(root: str, folders: list[str]) -> bool:
    folder = os.path.join(root, *folders)
    return os.path.realpath(folder) != folder


def _classify(root: str, path: str, full_path: str) -> Found:
    try:
        info = os.lstat(full_path)
        if stat.S_ISLNK(info.st_mode):
            return _classify_link(root, path, full_path)
        if stat.S_ISREG(info.st_mode):
            return Found(path, full_path, info.st_size)
    except OSError as error:
        return Found(path, "", 0, failed=error.strerror or str(error))
    return Found(path, "", 0, skipped=f"a {_kind(info.st_mode)}, not a file")


def _classify_link(root: str, path: str, full_path: str) -> Found:
    target = os.path.realpath(full_path)
    if not target.startswith(root.rstrip("/") + "/"):
        return Found(path, "", 0, skipped="a symbolic link that leads out of the folder")
    try:
        info = os.lstat(target)
    except OSError:
        return Found(path, "", 0, skipped="a symbolic link that leads nowhere")
    if not stat.S_ISREG(info.st_mode):
        return Found(path, "", 0, skipped="a symbolic link to something that is not a file")
    return Found(path, target, info.st_size)


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISSOCK, "socket"),
        (stat.S_ISFIFO, "FIFO"),
        (stat.S_ISDIR, "folder"),
    ):
        if test(mode):
            return name
    return "device"


def chunks(found: Iterable[Found]) -> Iterator[list[Found]]:
    """Group files into chunks of at most 256 files and about 64 MiB."""
    chunk: list[Found] = []
    size = 0
    for entry in found:
        if chunk and (len(chunk) >= CHUNK_FILES_MAX or size + entry.size_bytes > CHUNK_BYTES_MAX):
            yield chunk
            chunk, size = [], 0
        chunk.append(entry)
        size += entry.size_bytes
    if chunk:
        yield chunk
