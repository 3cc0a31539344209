"""What a program wrote: it owns walking an output folder, and opening what lies in it.

The program is never trusted: links are not followed, nothing that is no regular file is opened, and
what cannot be listed costs itself. The listing is taken once, after the program ended; a file that
changes afterwards is refused when it is opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from adapters.actions.contract.stage_model import StagedInput, pack_inputs
from adapters.records.beneath import open_beneath
from adapters.records.errors import LimitError, RecordError
from adapters.records.listing import PATH_BYTES_MAX

OUTPUT_FILES_MAX = 2_000_000
OUTPUT_DEPTH_MAX = 64
OWN_NAME = ".drystone-inputs.jsonl"
"""Our list of the inputs, beside what is set aside; a program's own file of this name is odd."""


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One regular file, as it was when it was listed."""

    path: str
    size_bytes: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class OutputTree:
    """The files below an output folder by their relative paths ('/' between the parts)."""

    root: str
    files: dict[str, OutputFile] = field(default_factory=dict[str, OutputFile])
    odd: dict[str, str] = field(default_factory=dict[str, str])
    """Path to reason, of what is no file or cannot be listed."""

    @contextmanager
    def open(self, path: str) -> Generator[BinaryIO]:
        """Open a listed file; RecordError when it is not what was listed, or unreadable."""
        listed = self.files[path]
        try:
            descriptor = open_beneath(self.root, path)
        except OSError as error:
            raise RecordError(f"cannot be read: {error.strerror}") from error
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            now = (stat.S_ISREG(status.st_mode), _listed(path, status))
            if now != (True, listed):
                raise RecordError("changed after the program had ended")
            try:
                yield file
            except OSError as error:
                raise RecordError(f"cannot be read: {error.strerror}") from error

    def read(self, path: str, limit_bytes: int) -> bytes:
        """Return the whole file; LimitError when it is larger than the limit."""
        size = self.files[path].size_bytes
        if size > limit_bytes:
            raise LimitError(f"{size:,} bytes; at most {limit_bytes:,} are read as one document")
        with self.open(path) as file:
            return file.read(limit_bytes)


def list_outputs(root: str) -> OutputTree:
    """List an output folder; an absent one is empty. LimitError for too many files, or a link."""
    tree = OutputTree(root)
    if os.path.islink(root):
        # What the program left there in its place leads anywhere, and is not its output.
        raise LimitError("the output folder was replaced by a symbolic link; nothing is taken")
    waiting = [("", 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            descriptor = open_beneath(root, folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        except OSError as error:
            tree.odd[folder] = f"a folder that cannot be listed: {error.strerror}"
            continue
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if _enter(tree, path, entry) and depth < OUTPUT_DEPTH_MAX:
                        waiting.append((path, depth + 1))
                    elif path not in tree.files and path not in tree.odd:
                        tree.odd[path] = f"lies deeper than {OUTPUT_DEPTH_MAX} folders"
        finally:
            os.close(descriptor)
    return tree


def leave_out_own(tree: OutputTree, inputs: Iterable[StagedInput]) -> None:
    """Take our list of the inputs off, whole or begun: an attempt that had put it there died."""
    if OWN_NAME not in tree.odd:
        return
    listed = pack_inputs(inputs)
    with suppress(OSError):
        descriptor = open_beneath(tree.root, OWN_NAME)
        try:
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            if is_file and _begins(descriptor, listed):
                del tree.odd[OWN_NAME]
        finally:
            os.close(descriptor)


def _begins(descriptor: int, listed: bytes) -> bool:
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return listed.startswith(file.read(len(listed) + 1))


def list_given(root: str, paths: Iterable[str]) -> OutputTree:
    """List only these files below a folder, which may hold anything else; others are left out."""
    tree = OutputTree(root)
    for path in paths:
        with suppress(OSError, ValueError):
            status = os.stat(os.path.join(root, path), follow_symlinks=False)
            if stat.S_ISREG(status.st_mode) and len(os.fsencode(path)) <= PATH_BYTES_MAX:
                tree.files[path] = _listed(path, status)
    return tree


def _enter(tree: OutputTree, path: str, entry: os.DirEntry[str]) -> bool:
    """Note one entry; returns whether it is a folder."""
    if len(tree.files) + len(tree.odd) >= OUTPUT_FILES_MAX:
        raise LimitError(f"the program wrote more than {OUTPUT_FILES_MAX:,} files")
    if len(os.fsencode(path)) > PATH_BYTES_MAX:
        tree.odd[path] = f"the path is longer than {PATH_BYTES_MAX:,} bytes"
        return False
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        tree.odd[path] = f"cannot be listed: {error.strerror}"
        return False
    if path == OWN_NAME:
        tree.odd[path] = "a name that Drystone keeps for itself"
    elif stat.S_ISDIR(status.st_mode):
        return True
    elif stat.S_ISREG(status.st_mode):
        tree.files[path] = _listed(path, status)
    else:
        tree.odd[path] = f"a {_kind(status.st_mode)}, not a file"
    return False


def _listed(path: str, status: os.stat_result) -> OutputFile:
    return OutputFile(path, status.st_size, status.st_mtime_ns, status.st_ino)


def _kind(mode: int) -> str:
    kinds = (
        (stat.S_ISLNK, "symbolic link"),
        (stat.S_ISFIFO, "FIFO"),
        (stat.S_ISSOCK, "socket"),
    )
    return next((name for test, name in kinds if test(mode)), "device")
