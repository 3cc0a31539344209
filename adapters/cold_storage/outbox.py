"""The way out of 3A and 3B: it owns confirming cold copies and freeing what they make needless.

A package leaves 3B when its copy is confirmed; the files of its batch leave 3A when the batch is
packed and every package of it is confirmed (`adapters.work.inbox_free`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from adapters.cold_storage.sums import check_listed
from adapters.ingest.admission import COMPLETE
from adapters.packages.database_package import database_sums, read_database
from adapters.packages.package import write_packages
from adapters.packages.package_read import (
    MANIFEST_NAME,
    OBJECTS_NAME,
    SUMS_NAME,
    package_key,
    read_sums,
    verify_package,
)
from adapters.records.errors import AdapterError, PackageError
from adapters.work.batch_work import BatchWork, locked_batch
from adapters.work.inbox_free import free_inbox
from base.errors import UsageError
from base.files import remove_folder
from base.text import safe_text
from fsd import Client, FsdError, load_config
from sql import ConfirmedBy, Database, OutboxPackage


@dataclass(frozen=True, slots=True)
class Freed:
    """What a confirmation freed."""

    package_id: str
    batch: str | None
    """None for what was made, and for the database."""
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
    the outbox's own or another package. A batch that waits for room to be packed to its end keeps
    its files in 3A. Safe to repeat: what is freed already is not missed.
    """
    package, own = _known(config_path, package_id, database)
    copy = os.path.realpath(copy)
    _check_copy(package, copy, own)
    return _conclude(config_path, package, own, database, (copy, "copy"))


def confirm_by_sums(config_path: str, package_id: str, listing: str, database: Database) -> Freed:
    """As `confirm`, of a copy that cannot be read now: by a listing of its files' checksums.

    Raises PackageError when the listing does not have all files of the package with their hashes.
    A package that is confirmed already is not compared again, only freed.
    """
    package, own = _known(config_path, package_id, database)
    listing = os.path.realpath(listing)

    if package.confirm_time is not None:
        return _conclude(config_path, package, own, database, None)
    _check_sums(package, listing, own)
    return _conclude(config_path, package, own, database, (listing, "sums"))


def confirm_on_trust(config_path: str, package_id: str, database: Database) -> Freed:
    """As `confirm`, because somebody says that there is a copy: nothing is looked at."""
    package, own = _known(config_path, package_id, database)
    evidence = (None, "trust") if package.confirm_time is None else None
    return _conclude(config_path, package, own, database, evidence)


def _known(config_path: str, package_id: str, database: Database) -> tuple[OutboxPackage, str]:
    """Return a package and its folder in the outbox."""
    known = {one.package_id: one for one in database.ingests.packages(waiting_only=False)}
    if package_id not in known:
        raise UsageError(
            f"there is no package {package_id!a}, or a newer one took its place; see `drystone "
            "outbox list`"
        )
    return known[package_id], package_folder(config_path, package_id)


def _conclude(
    config_path: str,
    package: OutboxPackage,
    own: str,
    database: Database,
    evidence: tuple[str | None, ConfirmedBy] | None,
) -> Freed:
    """Record where a copy is and how that is known (None: as before), and free the room."""
    config, name = load_config(config_path), package.package_id
    inbox = config.area_path("3a")
    if package.batch is not None:
        state = database.ingests.batch(package.batch).state
        if state not in (*COMPLETE, "described", "purged"):
            raise UsageError(
                f"batch {package.batch} is {state}; ingest it to its end first, then confirm its "
                "packages"
            )
    try:
        with locked_batch(inbox, package.batch or name):
            # Durable before anything is removed: a crash afterwards is a repeat that only removes.
            if evidence is not None:
                database.ingests.confirm_package(name, *evidence)
            freed = _free(database, package, own, inbox)
        with suppress(FsdError):  # Whoever waits for room in the outbox finds it at once.
            Client(config.socket_path).release_outbox(name)
        return freed
    except OSError as error:
        raise AdapterError(
            f"{name} is confirmed, but not all of it could be freed: "
            f"{error.strerror} ({safe_text(str(error.filename))}); put that right and repeat"
        ) from error


def _check_copy(package: OutboxPackage, copy: str, own: str) -> None:
    if not os.path.isdir(copy):
        raise UsageError(f"{copy!a} is not a folder; name the copied folder of the package")
    for name in (SUMS_NAME, OBJECTS_NAME, MANIFEST_NAME):
        if _same_file(os.path.join(copy, name), os.path.join(own, name)):
            raise UsageError(f"{copy!a} is the outbox's own file; name the copy elsewhere")
    if package.kind == "database":
        read_database(copy)
    else:
        verify_package(copy)
    if package_key(copy) != package.key:
        raise UsageError(f"{copy!a} is a whole package, but not {package.package_id}")


def _check_sums(package: OutboxPackage, listing: str, own: str) -> None:
    if not os.path.isdir(own):
        again = f"`drystone outbox remake {package.batch}`" if package.batch else "the next backup"
        raise UsageError(
            f"{package.package_id} is no longer in the outbox, so there is nothing to compare "
            f"with; {again} writes it again"
        )
    if package_key(own) != package.key:
        raise PackageError(f"{own!a} is not what was packed: its {SUMS_NAME} is another")
    sums = database_sums(own) if package.kind == "database" else read_sums(own)
    folder = check_listed(listing, {**sums, SUMS_NAME: package.key})
    if os.path.isabs(folder) and os.path.realpath(folder) == os.path.realpath(own):
        raise UsageError(f"{listing!a} lists the outbox's own files; list those of the copy")


def _free(database: Database, package: OutboxPackage, own: str, inbox: str) -> Freed:
    freed = _size_of(own)
    remove_folder(own)
    if package.batch is None:
        return Freed(package.package_id, None, freed, False, 0, 0)
    # A batch that is still being packed has packages to come: its files are needed for them.
    is_packed = database.ingests.batch(package.batch).state in (*COMPLETE, "purged")
    if not is_packed or database.ingests.packages(package.batch):
        return Freed(package.package_id, package.batch, freed, False, 0, 0)
    work = BatchWork(inbox, package.batch)
    files, size = free_inbox(database, package.batch, work, inbox)
    return Freed(package.package_id, package.batch, freed, True, files, size)


def remake(
    config_path: str, batch: str, database: Database, say: Callable[[str], None] = lambda _: None
) -> list[str]:
    """Write packages again that wait for their copy and were lost; returns all of the batch.

    Raises UsageError when the batch has none, or its files are no longer in the inbox.
    """
    from adapters.ingest.ingest import read_description

    config = load_config(config_path)
    work = BatchWork(config.area_path("3a"), batch)
    if not database.ingests.packages(batch) or not os.path.exists(work.described_path):
        raise UsageError(f"no package of batch {batch!a} waits for its copy")
    client = Client(config.socket_path)
    with work.locked():
        listing = work.read_listing()
        keys = {file.path: file.key for file in client.batch_files(batch)}
        if lost := sorted(listing.files.keys() - keys.keys()):
            raise UsageError(
                f"the store has {len(lost):,} files of batch {batch!a} no more, for example "
                f"{safe_text(lost[0])}: of a batch of which files were purged no package is "
                "written again"
            )
        return write_packages(
            database,
            work,
            listing,
            keys,
            client=client,
            outbox=config.area_path("3b"),
            size_bytes_max=read_description(work)["package_size_bytes"],
            say=say,
            remake=True,
        )


def _size_of(folder: str) -> int:
    if not os.path.isdir(folder):
        return 0
    return sum(
        os.lstat(os.path.join(place, name)).st_size
        for place, _folders, names in os.walk(folder)
        for name in names
    )


def _same_file(one: str, other: str) -> bool:
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)
