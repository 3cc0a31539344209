"""The way out of 3A and 3B: it owns confirming cold copies and freeing what they make needless.

Only files that were frozen with the batch, unchanged since, are ever removed, and only when every
package of the batch has a verified copy elsewhere. A folder outside the inbox is the user's own and
stays.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

from adapters.batch_work import READY_NAME, BatchWork, Listing
from adapters.errors import UsageError
from adapters.package import MANIFEST_NAME, OBJECTS_NAME, read_sums, verify_package
from fsd import load_config
from sql import Database


@dataclass(frozen=True, slots=True)
class Freed:
    """What a confirmation freed."""

    package_id: str
    outbox_bytes: int
    batch_complete: bool
    """Whether all packages of the batch are confirmed now."""
    inbox_files: int
    inbox_bytes: int


def package_folder(config_path: str, package_id: str) -> str:
    """Return where a package of the outbox lies."""
    return os.path.join(load_config(config_path).area_path("3b"), package_id)


def confirm(config_path: str, package_id: str, copy: str, database: Database) -> Freed:
    """Verify the TYPE1 copy of a package by reading all of it, then free 3B, then 3A.

    `copy` is the copied folder. Raises PackageError when it is not whole, UsageError when it is
    the outbox's own. Safe to repeat: what is freed already is not missed.
    """
    config = load_config(config_path)
    known = {
        package.package_id: package for package in database.outbox_packages(waiting_only=False)
    }
    if package_id not in known:
        raise UsageError(f"there is no package {package_id!a}; see `drystone outbox list`")
    package, own = known[package_id], os.path.join(config.area_path("3b"), package_id)
    copy = os.path.realpath(copy)
    if not os.path.isdir(copy):
        raise UsageError(f"{copy!a} is not a folder; name the copied folder of {package_id}")
    for name in (OBJECTS_NAME, MANIFEST_NAME):
        if _same_file(os.path.join(copy, name), os.path.join(own, name)):
            raise UsageError(f"{copy!a} is the outbox's own file; name the copy elsewhere")
    sums = verify_package(copy)
    if sums[OBJECTS_NAME] != package.key:
        raise UsageError(f"{copy!a} is a whole package, but not {package_id}")
    if os.path.isdir(own) and read_sums(own) != sums:
        raise UsageError(f"{copy!a} has another manifest than {package_id} in the outbox")
    # Durable before anything is removed: a crash afterwards is a repeat that only removes.
    database.confirm_outbox_package(package_id, copy)
    freed = _remove_tree(own)
    if database.outbox_packages(package.batch):
        return Freed(package_id, freed, False, 0, 0)
    files, size = _free_inbox(config.area_path("3a"), package.batch)
    database.set_ingest_state(package.batch, "confirmed", None)
    return Freed(package_id, freed, True, files, size)


def _free_inbox(inbox: str, batch: str) -> tuple[int, int]:
    """Remove the frozen files and the work folder of a batch; returns files and bytes."""
    work = BatchWork(inbox, batch)
    if not os.path.exists(work.listing_path):
        return 0, 0
    listing = work.read_listing()
    files, size = 0, 0
    root = os.path.realpath(listing.signal.folder)
    if root.startswith(os.path.realpath(inbox) + os.sep):
        files, size = _remove_frozen(root, listing)
    # Last: the listing says what may be removed.
    shutil.rmtree(work.folder)
    return files, size


def _remove_frozen(root: str, listing: Listing) -> tuple[int, int]:
    files, size = 0, 0
    for path, entry in listing.files.items():
        place = os.path.join(root, path)
        try:
            status = os.lstat(place)
        except FileNotFoundError:
            continue
        if (status.st_size, status.st_mtime_ns) == (entry.size_bytes, entry.mtime_ns):
            os.unlink(place)
            files, size = files + 1, size + entry.size_bytes
    ready = os.path.join(root, READY_NAME)
    if os.path.exists(ready):
        os.unlink(ready)
    for folder, _folders, _names in os.walk(root, topdown=False):
        if not os.listdir(folder):
            os.rmdir(folder)
    return files, size


def _remove_tree(folder: str) -> int:
    if not os.path.isdir(folder):
        return 0
    size = sum(entry.stat().st_size for entry in os.scandir(folder) if entry.is_file())
    shutil.rmtree(folder)
    return size


def _same_file(one: str, other: str) -> bool:
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)
