"""The way out of 3A and 3B: it owns confirming cold copies and freeing what they make needless.

Only files that were frozen with the batch, unchanged since, are ever removed, and only when the
batch is packed and every package of it has a verified copy elsewhere. Links are never followed. A
folder outside the inbox is the user's own and stays.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass

from adapters.ingest.admission import COMPLETE
from adapters.packages.package import write_packages
from adapters.packages.package_read import MANIFEST_NAME, OBJECTS_NAME, package_key, verify_package
from adapters.records.beneath import open_beneath, unlink_beneath
from adapters.records.durable import remove_folder
from adapters.records.errors import AdapterError
from adapters.work.batch_work import READY_NAME, BatchWork, Listing
from base.errors import UsageError
from base.text import safe_text
from fsd import Client, load_config
from sql import Database, OutboxPackage

NOT_OURS = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.EISDIR, errno.ENXIO)


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
    the outbox's own, another package, or the batch is not packed yet. Safe to repeat: what is freed
    already is not missed.
    """
    config = load_config(config_path)
    known = {
        package.package_id: package for package in database.outbox_packages(waiting_only=False)
    }
    if package_id not in known:
        raise UsageError(f"there is no package {package_id!a}; see `drystone outbox list`")
    package, own = known[package_id], os.path.join(config.area_path("3b"), package_id)
    copy = os.path.realpath(copy)
    _check_copy(package, copy, own)
    work = BatchWork(config.area_path("3a"), package.batch)
    try:
        with work.locked():
            state = database.ingest_batch(package.batch).state
            if state not in (*COMPLETE, "purged"):
                raise UsageError(
                    f"batch {package.batch} is not packed yet ({state}); ingest it to its end "
                    "first, then confirm its packages"
                )
            # Durable before anything is removed: a crash afterwards is a repeat that only removes.
            database.confirm_outbox_package(package_id, copy)
            return _free(database, package, own, work, config.area_path("3a"))
    except OSError as error:
        raise AdapterError(
            f"{package_id} is confirmed, but not all of it could be freed: "
            f"{error.strerror} ({safe_text(str(error.filename))}); put that right and repeat"
        ) from error


def _check_copy(package: OutboxPackage, copy: str, own: str) -> None:
    if not os.path.isdir(copy):
        raise UsageError(f"{copy!a} is not a folder; name the copied folder of the package")
    for name in (OBJECTS_NAME, MANIFEST_NAME):
        if _same_file(os.path.join(copy, name), os.path.join(own, name)):
            raise UsageError(f"{copy!a} is the outbox's own file; name the copy elsewhere")
    verify_package(copy)
    if package_key(copy) != package.key:
        raise UsageError(f"{copy!a} is a whole package, but not {package.package_id}")


def _free(
    database: Database, package: OutboxPackage, own: str, work: BatchWork, inbox: str
) -> Freed:
    freed = _size_of(own)
    remove_folder(own)
    if database.outbox_packages(package.batch):
        return Freed(package.package_id, freed, False, 0, 0)
    files, size = 0, 0
    if os.path.exists(work.listing_path):
        listing = work.read_listing()
        root = os.path.realpath(listing.signal.folder)
        if root.startswith(os.path.realpath(inbox) + os.sep):
            files, size = _remove_frozen(root, listing)
    if database.ingest_batch(package.batch).state != "purged":  # Whose cold copies stay.
        database.set_ingest_state(package.batch, "confirmed", None)
    # Last: the listing says what may be removed.
    work.remove()
    return Freed(package.package_id, freed, True, files, size)


def _remove_frozen(root: str, listing: Listing) -> tuple[int, int]:
    """Remove the frozen files that are still what they were; returns files and bytes."""
    files, size = 0, 0
    folders: set[str] = set()
    for path, entry in listing.files.items():
        folders.add(os.path.dirname(path))
        try:
            descriptor = open_beneath(root, path)
            status = os.fstat(descriptor)
            os.close(descriptor)
            unchanged = (status.st_size, status.st_mtime_ns) == (entry.size_bytes, entry.mtime_ns)
            if unchanged:
                unlink_beneath(root, path)
                files, size = files + 1, size + entry.size_bytes
        except OSError as error:
            # Gone already, or no longer what was frozen: a link, a folder. What is not ours stays.
            if error.errno not in NOT_OURS:
                raise
    ready = os.path.join(root, READY_NAME)
    if os.path.lexists(ready):
        os.unlink(ready)
    _remove_empty(root, folders)
    return files, size


def _remove_empty(root: str, folders: set[str]) -> None:
    """Remove the folders that held frozen files and are empty now, the deepest first."""
    above = {
        "/".join(parts[:count])
        for folder in folders
        for parts in [folder.split("/")]
        for count in range(len(parts) + 1)
    }
    for folder in sorted(above, key=lambda path: -path.count("/") if path else 1):
        place = os.path.join(root, folder)
        if os.path.isdir(place) and not os.path.islink(place) and not os.listdir(place):
            os.rmdir(place)


def remake(
    config_path: str, batch: str, database: Database, say: Callable[[str], None] = lambda _: None
) -> list[str]:
    """Write packages again that wait for their copy and were lost; returns all of the batch.

    Raises UsageError when the batch has none, or its files are no longer in the inbox.
    """
    from adapters.ingest.ingest import read_description

    config = load_config(config_path)
    work = BatchWork(config.area_path("3a"), batch)
    if not database.outbox_packages(batch) or not os.path.exists(work.described_path):
        raise UsageError(f"no package of batch {batch!a} waits for its copy")
    client = Client(config.socket_path)
    with work.locked():
        return write_packages(
            database,
            work,
            work.read_listing(),
            {file.path: file.key for file in client.batch_files(batch)},
            outbox=config.area_path("3b"),
            size_bytes_max=read_description(work)["package_size_bytes"],
            say=say,
            remake=True,
        )


def _size_of(folder: str) -> int:
    if not os.path.isdir(folder):
        return 0
    return sum(entry.stat().st_size for entry in os.scandir(folder) if entry.is_file())


def _same_file(one: str, other: str) -> bool:
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)
