"""Where backups lie: it owns which folders can take a copy now, in which order, and the one lock.

It never writes a backup.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import cast

from sql.core.config import DatabaseConfig
from sql.core.errors import BackupError

COPIES_WANTED = 2
LOCK_NAME = "database-backup.lock"
LOCK_TIMEOUT_S = 60.0
LOCK_POLL_S = 0.1
IDENTITY_NAME = "drystone-disk.json"
"""A disk of the store has this file. An empty mount point has not: it must not take a backup."""


@dataclass(frozen=True, slots=True)
class Target:
    """A folder that can take a copy; `device` is the number of its filesystem."""

    folder: str
    device: int
    free_bytes: int
    on_ssd: bool


def find_targets(config: DatabaseConfig) -> tuple[list[Target], list[str]]:
    """Return where copies can go, best first, and one warning for each folder that cannot."""
    targets: list[Target] = []
    warnings: list[str] = []
    ssd = _device(config.ssd)
    free: dict[int, int] = {}
    for folder in config.backup_folders:
        try:
            _make_usable(folder, config)
            device = os.stat(folder).st_dev
            room = os.statvfs(folder)
        except OSError as error:
            warnings.append(f"{folder} is skipped: {error.strerror or error}")
            continue
        # Once per device: among folders of one device the order is that of the configuration.
        free_bytes = free.setdefault(device, room.f_bavail * room.f_frsize)
        targets.append(Target(folder, device, free_bytes, device == ssd))
    return in_order(targets), warnings


def in_order(targets: Sequence[Target]) -> list[Target]:
    """Order targets: one of each device before a second one, the SSD's late, the emptiest first."""
    seen: Counter[int] = Counter()
    ranked: list[tuple[int, Target]] = []
    for target in sorted(targets, key=lambda one: (one.on_ssd, -one.free_bytes)):
        ranked.append((seen[target.device], target))
        seen[target.device] += 1
    return [target for _, target in sorted(ranked, key=lambda pair: pair[0])]


def warnings_about(chosen: Sequence[Target]) -> list[str]:
    """Say what is not as it should be about the folders that hold the copies."""
    if chosen and all(target.on_ssd for target in chosen):
        return [
            "all copies lie on the device of the SSD: name folders of other disks in drystone.toml"
        ]
    if len(chosen) > 1 and len({target.device for target in chosen}) == 1:
        return ["all copies lie on one device: when it dies, all are gone"]
    return []


def readable_folders(config: DatabaseConfig) -> list[str]:
    """Return the folders that are there now; a listing needs no more."""
    return [folder for folder in config.backup_folders if os.path.isdir(folder)]


@contextlib.contextmanager
def only_one(config: DatabaseConfig) -> Generator[int]:
    """Yield a descriptor that says "a backup of this store is at work".

    The programs that we start inherit it: when we are killed, the next backup waits for them.
    """
    path = os.path.join(config.run_dir, LOCK_NAME)
    os.makedirs(config.run_dir, mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise BackupError(
                        f"another backup or restore is at work (it holds {path}); wait for it"
                    ) from None
                time.sleep(LOCK_POLL_S)
        yield descriptor
    finally:
        os.close(descriptor)


def _make_usable(folder: str, config: DatabaseConfig) -> None:
    parent = os.path.dirname(folder)
    if parent in config.disks:
        _refuse_disk(parent)
    # Only the last part: making a whole path would fill the root filesystem below a mount point.
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    probe = os.path.join(folder, ".tmp-probe")
    with open(probe, "w", encoding="ascii"):
        pass
    os.unlink(probe)


def _refuse_disk(path: str) -> None:
    """OSError for what is no disk of the store now. A damaged identity is the store's affair."""
    try:
        with open(os.path.join(path, IDENTITY_NAME), encoding="utf-8") as file:
            document = json.load(file)
    except FileNotFoundError:
        raise OSError(f"{path} is not a disk of the store now; is it mounted?") from None
    except ValueError:
        return
    if isinstance(document, dict) and cast("dict[str, object]", document).get("retired"):
        raise OSError(f"{path} is a retired disk")


def _device(path: str) -> int:
    try:
        return os.stat(path).st_dev
    except OSError:
        return -1
