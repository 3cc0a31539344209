"""Getting everything back from TYPE1 packages: it owns the last resort, when all disks are gone.

All packages of a batch are verified, unpacked side by side on the SSD and stored again under the
names that they had; then what UA_1 and the replays told the database is told again. A batch that
fails stops no other. All of it can be repeated: stored content is not written twice, an intent that
was applied is not applied again, and what a repair closed stays closed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field

from adapters.cold_storage.restore_describe import RESTORED_FOLDER, describe
from adapters.cold_storage.restore_plan import (
    Package,
    Plan,
    by_batch,
    find_packages,
    make_plan,
    store_name,
)
from adapters.packages.package_read import BLOCK_BYTES, Entry, read_objects
from adapters.records.errors import AdapterError, PackageError
from adapters.sources.registry import adapter_named
from adapters.work.batch_work import BatchWork, make_own_folder
from adapters.work.store_batch import store_batch, wait_for_former
from base.errors import DrystoneError, UsageError
from base.text import safe_text
from fsd import Client, load_config
from sql import Database

WORK_FOLDER = ".restore"
COMPLETE = ("packed", "confirmed")


@dataclass(slots=True)
class Restored:
    """What came back of one batch; `error` says why nothing, or not all, of it did."""

    batch: str
    packages: list[str] = field(default_factory=list[str])
    files: int = 0
    size_bytes: int = 0
    stored_new: int = 0
    stored_existing: int = 0
    intents: int = 0
    intents_repeated: int = 0
    error: str | None = None
    exit_code: int = 0


def restore(
    config_path: str,
    places: list[str],
    database: Database | None,
    say: Callable[[str], None] = lambda _line: None,
) -> list[Restored]:
    """Bring back the batches of all packages at or right below `places`.

    Without a database only the bytes. What is wrong with a batch is in its report; an engine that
    does not answer, or places without packages, are raised.
    """
    client = Client(load_config(config_path).socket_path)
    client.batches()  # Before hours of reading: is anybody there to store it?
    groups, wrong = by_batch(find_packages(places))
    reports = [
        Restored("", [place], error=str(error), exit_code=error.exit_code)
        for place, error in wrong.items()
    ]
    for batch, packages in sorted(groups.items()):
        report = Restored(batch, [os.path.basename(place) for place in packages])
        reports.append(report)
        try:
            _restore_batch(config_path, packages, client, database, report, say)
        except DrystoneError as error:
            report.error, report.exit_code = safe_text(str(error)), error.exit_code
    return reports


def _restore_batch(
    config_path: str,
    packages: list[str],
    client: Client,
    database: Database | None,
    report: Restored,
    say: Callable[[str], None],
) -> None:
    config = load_config(config_path)
    inbox, batch = config.area_path("3a"), report.batch
    folder = os.path.join(inbox, WORK_FOLDER, batch)
    try:
        with BatchWork(inbox, batch).locked():
            say(f"{batch}: verifying {len(packages):,} packages")
            plan = make_plan(batch, packages)
            report.packages = [one.package_id for part in plan.parts for one in part.packages]
            check_names(plan, client, database)
            wait_for_former(client, plan.sets.keys())
            make_own_folder(os.path.dirname(folder))
            shutil.rmtree(folder, ignore_errors=True)  # Ours: the batch is locked.
            try:
                _unpack(plan, folder, say)
                _store(client, plan, folder, report, say)
                if database is not None:
                    outbox = config.area_path("3b")
                    done = describe(database, plan, folder, outbox, lambda n: say(f"{batch}: {n}"))
                    report.intents, report.intents_repeated = done.intents, done.repeated
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        name = error.filename if isinstance(error.filename, str) else folder
        place = safe_text(name)
        raise AdapterError(
            f"batch {batch} could not be unpacked: {error.strerror or error} ({place}); it needs "
            f"its whole size free on the SSD below {inbox}: make room and restore again"
        ) from error


# ---- May it be called so? --------------------------------------------------------------------


def check_names(plan: Plan, client: Client, database: Database | None) -> None:
    """Raise UsageError when another batch has this name, before any byte is stored."""
    stored = {one.batch: one.sealed for one in client.batches()}
    for name, entries in plan.sets.items():
        if name in stored:
            _check_stored(client, name, stored[name], {e.path: e.key for e in entries})
    if plan.own is None and plan.batch not in stored:
        raise UsageError(
            f"these are packages of a replay of batch {plan.batch}, which the store does not have; "
            "name the packages of the batch itself too"
        )
    if database is not None:
        adapter_named(plan.adapter)
        _check_known(plan, database)


def _check_stored(client: Client, name: str, sealed: bool, ours: dict[str, str]) -> None:
    theirs = {file.path: file.key for file in client.batch_files(name)}
    other = next((path for path, key in theirs.items() if ours.get(path) != key), None)
    if other is None and sealed:
        other = next((path for path in ours if path not in theirs), None)
    if other is not None:
        raise UsageError(
            f"the store has another batch {name}: {safe_text(other)} is not the same in it; "
            "nothing was restored (a name means one batch, for ever): restore into another store"
        )


def _check_known(plan: Plan, database: Database) -> None:
    known = {batch.name: batch for batch in database.ingest_batches()}.get(plan.batch)
    if known is None:
        if plan.own is None:
            raise UsageError(
                f"the database does not know batch {plan.batch}; name its own packages too"
            )
        return
    size = sum(entry.size_bytes for entry in plan.scraped)
    same = plan.own is None or (len(plan.scraped), size) == (known.file_count, known.size_bytes)
    ended = (*COMPLETE, "purged")
    unfinished = known.state not in ended and known.folder != RESTORED_FOLDER
    if not same or unfinished or known.adapter != plan.adapter:
        raise UsageError(
            f"the database has a batch {plan.batch} of {known.file_count:,} files from "
            f"{known.folder} ({known.state}), which is not the one of these packages, or not "
            "complete; nothing was restored. Finish that one, or restore into another database"
        )
    packages = {one.package_id: one for one in database.outbox_packages(waiting_only=False)}
    for package in (one for part in plan.parts for one in part.packages):
        row = packages.get(package.package_id)
        if row is not None and row.key != package.key:
            raise UsageError(
                f"{package.place!a} is not the package {package.package_id} that the database "
                "knows; nothing was restored"
            )


# ---- The bytes -------------------------------------------------------------------------------


def _unpack(plan: Plan, folder: str, say: Callable[[str], None]) -> None:
    for part in plan.parts:
        for package in part.packages:
            say(f"{package.package_id}: unpacking {len(package.entries):,} files")
            _unpack_package(package, folder)


def _unpack_package(package: Package, folder: str) -> None:
    """Write every object once and give it all its paths, verifying it on the way."""
    wanted: dict[str, list[Entry]] = {}
    for entry in package.entries:
        wanted.setdefault(entry.key, []).append(entry)
    for key, stream in read_objects(package.place):
        entries = wanted.pop(key, None)
        if entries is None:
            raise PackageError(f"{package.place!a} holds {key}, which its manifest does not name")
        places = [os.path.join(folder, store_name(package.head, e), e.path) for e in entries]
        for place in places:
            os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
        digest, left = hashlib.sha256(), entries[0].size_bytes
        with open(places[0], "xb") as output:
            # No further than its size: what a header claims must not fill the SSD.
            while block := stream.read(min(BLOCK_BYTES, left + 1)):
                left -= len(block)
                digest.update(block)
                output.write(block)
                if left < 0:
                    break
        if digest.hexdigest() != key or any(e.size_bytes + left != e.size_bytes for e in entries):
            raise PackageError(f"{package.place!a}: the object {key} is damaged")
        if {entry.size_bytes for entry in entries} != {entries[0].size_bytes}:
            raise PackageError(f"{package.place!a}: {key} has two sizes in its manifest")
        for other in places[1:]:
            shutil.copyfile(places[0], other)
    if wanted:
        raise PackageError(
            f"{package.place!a}: {len(wanted):,} objects of its manifest are not inside"
        )


def _store(
    client: Client, plan: Plan, folder: str, report: Restored, say: Callable[[str], None]
) -> None:
    for name, entries in plan.sets.items():
        say(f"{name}: storing {len(entries):,} files")
        paths = sorted(entry.path for entry in entries)
        result = store_batch(client, os.path.join(folder, name), name, paths)
        report.files += len(paths)
        report.size_bytes += sum(entry.size_bytes for entry in entries)
        report.stored_new += result.get("written", 0)
        report.stored_existing += result.get("existing", 0)
