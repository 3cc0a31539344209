"""The bytes of backups on disks: it owns copying, sums, durability, publication and removal.

A folder of a backup is begun as `.tmp-NAME` and gets its name only when every byte of it has been
read back from the disk and agrees with SHA256SUMS. Whatever is called `.tmp-` is left by a crash.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Generator, Iterator

from base.files import sync_folder
from sql.copies.report import NAME, REPORT_NAME, private

SUMS_NAME = "SHA256SUMS"
TEMPORARY = ".tmp-"
BLOCK_SIZE_BYTES = 1 << 20
_UNSUMMED = (SUMS_NAME, REPORT_NAME, REPORT_NAME + ".tmp")


def temporary_path(folder: str, name: str) -> str:
    """Return where the copy of a backup is begun."""
    return os.path.join(folder, TEMPORARY + name)


def seal(folder: str) -> dict[str, str]:
    """Write SHA256SUMS over all files of a folder and return path -> sum."""
    sums = {path: _sum_of(os.path.join(folder, path)) for path in _files(folder)}
    path = os.path.join(folder, SUMS_NAME)
    with open(path, "w", encoding="utf-8", opener=private) as file:
        file.writelines(f"{sums[path]}  {path}\n" for path in sorted(sums))
    return sums


def copy(source: str, target: str) -> None:
    """Copy a sealed folder with its empty folders; the caller reads it back with `damage_of`."""
    shutil.copytree(source, target, symlinks=True, copy_function=shutil.copyfile)
    for path, _, names in os.walk(target):
        os.chmod(path, 0o700)
        for name in names:
            os.chmod(os.path.join(path, name), 0o600)


def sync_tree(folder: str) -> None:
    """Make every file and folder of a tree durable, and its pages no more than a cache of it."""
    for path, _, names in os.walk(folder, topdown=False):
        for name in names:
            with _opened(os.path.join(path, name), os.O_RDONLY) as descriptor:
                os.fsync(descriptor)
                # So that reading back asks the disk and not our memory.
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        sync_folder(path)


def damage_of(folder: str) -> list[str]:
    """Read a whole copy and return what differs from its SHA256SUMS; nothing when it is whole."""
    try:
        with open(os.path.join(folder, SUMS_NAME), encoding="utf-8") as file:
            wanted = {line[66:].rstrip("\n"): line[:64] for line in file}
    except (OSError, UnicodeDecodeError) as error:
        return [f"{os.path.join(folder, SUMS_NAME)} cannot be read: {error}"]
    if not wanted:
        return [f"{os.path.join(folder, SUMS_NAME)} is empty"]
    found = set(_files(folder))
    problems = [
        f"{os.path.join(folder, path)} is missing" for path in sorted(wanted.keys() - found)
    ]
    problems += [
        f"{os.path.join(folder, path)} is in no sum" for path in sorted(found - wanted.keys())
    ]
    for path in sorted(found & wanted.keys()):
        full = os.path.join(folder, path)
        try:
            if _sum_of(full) != wanted[path]:
                problems.append(f"{full} is not as it was written")
        except OSError as error:
            problems.append(f"{full} cannot be read: {error.strerror}")
    return problems


def publish(folder: str, name: str) -> str:
    """Give a durable, verified copy its name; durable when this returns."""
    target = os.path.join(folder, name)
    # A crash before the rename leaves a .tmp- that nobody lists; after it, a whole backup.
    os.rename(temporary_path(folder, name), target)
    sync_folder(folder)
    return target


def remove(folder: str) -> None:
    """Remove a copy; a crash on the way leaves nothing that is listed."""
    parent, name = os.path.split(folder)
    doomed = temporary_path(parent, name)
    os.rename(folder, doomed)
    sync_folder(parent)
    shutil.rmtree(doomed)


def clean(folder: str) -> list[str]:
    """Remove what an interrupted backup left in a folder; returns the names."""
    removed: list[str] = []
    for name in sorted(os.listdir(folder)):
        # Nothing else that begins so: the folder may be somebody's own.
        if name.startswith(TEMPORARY) and NAME.fullmatch(name.removeprefix(TEMPORARY)):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
            removed.append(name)
    return removed


def size_of(folder: str) -> int:
    """Return the sum of the sizes of all files below a folder."""
    return sum(os.lstat(os.path.join(folder, path)).st_size for path in _files(folder))


def _files(folder: str) -> Iterator[str]:
    for path, _, names in os.walk(folder):
        for name in names:
            relative = os.path.relpath(os.path.join(path, name), folder)
            if relative not in _UNSUMMED:
                yield relative


def _sum_of(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(BLOCK_SIZE_BYTES):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def _opened(path: str, flags: int) -> Generator[int]:
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
