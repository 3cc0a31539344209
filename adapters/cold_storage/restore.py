"""Getting everything back from TYPE1 packages: it owns the last resort, when all disks are gone.

All packages of a batch are verified, unpacked side by side on the SSD and stored again under the
names that they had. What actions and datasets made comes back the same way. Then the database: out
of its own package where one was named and nothing has come into the database yet, and what UA_1 and
the replays told it of later batches is told again. A batch that fails stops no other. All of it can
be repeated: stored content is not written twice, an intent that was applied is not applied again,
what a repair closed stays closed, and a database with something in it is not replaced.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field

from adapters.cold_storage.restore_database import (
    FoundDatabase,
    bring_back_state,
    find_database,
    put_in_place,
    register,
    what_is_left,
)
from adapters.cold_storage.restore_describe import (
    RESTORED_FOLDER,
    confirm_copies,
    describe,
    register_generated,
)
from adapters.cold_storage.restore_plan import (
    Package,
    Plan,
    by_batch,
    find_packages,
    make_plan,
    store_name,
)
from adapters.packages.database_package import is_database
from adapters.packages.package_read import BLOCK_BYTES, Entry, read_objects
from adapters.records.errors import AdapterError, PackageError
from adapters.schemas.config import load_schemas_config
from adapters.sources.registry import adapter_of_stored
from adapters.work.batch_work import LISTING_NAME, locked_batch, make_own_folder
from adapters.work.batch_work import WORK_FOLDER as INGEST_FOLDER
from adapters.work.store_batch import store_batch, wait_for_former
from base.errors import DrystoneError, UsageError
from base.text import safe_text
from fsd import Client, load_config
from sql import Database

WORK_FOLDER = ".restore"
COMPLETE = ("packed", "confirmed")


@dataclass(slots=True)
class Restored:
    """What came back of one batch; `error` says why nothing, or not all, of it did.

    `notes` are what a person should know or do. The package of a database has a report too.
    """

    batch: str
    packages: list[str] = field(default_factory=list[str])
    files: int = 0
    size_bytes: int = 0
    stored_new: int = 0
    stored_existing: int = 0
    intents: int = 0
    intents_repeated: int = 0
    notes: list[str] = field(default_factory=list[str])
    error: str | None = None
    exit_code: int = 0


@dataclass(slots=True)
class _Run:
    """What the batches of one restore share."""

    config_path: str
    inbox: str
    outbox: str
    client: Client
    found: FoundDatabase | None
    say: Callable[[str], None]

    def unwanted(self, plan: Plan) -> set[str]:
        """Return what the packages have and the store had let go of, in its own time."""
        if self.found is None or plan.adapter is not None:
            return set()
        return {name for name in plan.sets if self.found.is_gone(plan.batch, name)}

    def is_later(self, batch: str) -> bool:
        """Tell whether the package of the database knows nothing of a batch."""
        state = None if self.found is None else self.found.state
        return state is not None and batch not in state.batches

    def purged_keys(
        self, wanted: dict[str, list[Entry]], database: Database | None
    ) -> dict[str, set[str]]:
        """Return by batch of the store the contents that were purged by themselves, and stay so.

        The store says it of itself, the package of the database of the store that it was made with.
        What is not certain to have been purged comes back.
        """
        sealed = {one.batch for one in self.client.batches() if one.sealed}
        hidden = frozenset(() if database is None else database.ingests.hidden_keys())
        found: dict[str, set[str]] = {}
        for name, entries in wanted.items():
            keys = {entry.key for entry in entries}
            packed = frozenset[str]() if self.found is None else self.found.purged_keys(name)
            purged = keys & packed
            if name in sealed:
                # It is as it is: what it lacks for another reason is refused.
                listed = {file.key for file in self.client.batch_files(name)}
                purged = (keys & (packed | hidden)) - listed
            else:
                purged -= self.client.known(sorted(purged))
            found[name] = purged | self.client.purged(sorted(keys), name)
        return found

    def adopts(self, batch: str, database: Database | None) -> bool:
        """Tell whether a batch that is not finished can only be finished by its packages.

        So it is where the database came out of a package, and the frozen listing was lost before.
        """
        if database is None or self.found is None or not self.found.is_known_to(database):
            return False
        folder = os.path.join(self.inbox, INGEST_FOLDER, batch)
        return not os.path.exists(os.path.join(folder, LISTING_NAME))


def restore(
    config_path: str,
    places: list[str],
    database: Database | None,
    say: Callable[[str], None] = lambda _line: None,
) -> list[Restored]:
    """Bring back all packages at or right below `places`.

    Without a database only the bytes. What is wrong with a batch is in its report; an engine that
    does not answer, places without packages, and a package of a database that is not whole are
    raised, before anything is stored.
    """
    config = load_config(config_path)
    client = Client(config.socket_path)
    client.batches()  # Before hours of reading: is anybody there to store it?
    packages = find_packages(places)
    areas = (config.area_path("3a"), config.area_path("3b"))
    run = _Run(config_path, *areas, client, find_database(packages, say), say)
    groups, wrong = by_batch([place for place in packages if not is_database(place)])
    reports = [
        Restored("", [place], error=str(error), exit_code=error.exit_code)
        for place, error in wrong.items()
    ]
    # What came in again, after the database was packed, is there again for the others too.
    ordered = sorted(groups.items(), key=lambda one: (not run.is_later(one[0]), one[0]))
    batches = [(Restored(name, list(named)), named) for name, named in ordered]
    reports += [report for report, _named in batches]
    # Until its own package is in place, nothing is told to a database that will be replaced.
    is_due = database is not None and run.found is not None and database.cold.is_fresh()
    for report, named in batches:
        _attempt(run, report, named, None if is_due else database)
    if run.found is not None:
        own = Restored(os.path.basename(run.found.place), [run.found.place])
        reports.append(own)
        _restore_database(run, own, batches, database, is_due=is_due)
    return reports


def _attempt(run: _Run, report: Restored, packages: list[str], database: Database | None) -> None:
    if run.found is not None and run.found.was_purged(report.batch):
        report.notes = [
            f"{report.batch} had been purged, and stays so; to have it back all the same, name its "
            "packages alone"
        ]
        return
    try:
        _restore_batch(run, packages, database, report)
    except DrystoneError as error:
        report.error, report.exit_code = safe_text(str(error)), error.exit_code


def _restore_database(
    run: _Run,
    report: Restored,
    batches: list[tuple[Restored, list[str]]],
    database: Database | None,
    *,
    is_due: bool,
) -> None:
    """Put the database in place, after all bytes, and tell it what it does not know yet."""
    assert run.found is not None
    if database is None:
        report.notes = ["the database was not asked for"]
        return
    try:
        if is_due:
            # The store first: a crash after this leaves pins of what is there.
            if run.found.state is not None:
                report.notes += bring_back_state(run.client, run.found.state)
            report.notes += put_in_place(run.config_path, run.found, run.say)
            # A crash from here on: the same again tells the rest, to a database that stays.
            register(database, run.found, run.outbox)
            for one, packages in batches:
                if one.error is None and not _is_known(run, one, packages, database):
                    _attempt(run, one, packages, database)
        elif run.found.is_known_to(database):
            register(database, run.found, run.outbox)
            report.notes.append("the database is the one of this package, and stays as it is")
        else:
            report.notes.append(
                "the database knows things already, and stays as it is; to replace it: `drystone "
                f"db restore {safe_text(run.found.place)} --replace`"
            )
        report.notes += what_is_left(run.client, database)
    except DrystoneError as error:
        report.error, report.exit_code = safe_text(str(error)), error.exit_code


def _is_known(run: _Run, report: Restored, packages: list[str], database: Database) -> bool:
    """Tell whether a database knows all of these packages; then they only get their copies."""
    known = {one.package_id: one for one in database.ingests.packages(waiting_only=False)}
    if not set(report.packages) <= known.keys():
        return False
    batch = known[report.packages[0]].batch
    if batch is not None and database.ingests.batch(batch).state not in (*COMPLETE, "purged"):
        return False
    confirm_copies(database, batch, report.packages, packages, run.outbox)
    # No other package waits: as after the last `outbox confirm`.
    is_packed = batch is not None and database.ingests.batch(batch).state == "packed"
    if batch is not None and is_packed and not database.ingests.packages(batch):
        database.ingests.set_state(batch, "confirmed", None)
    return True


def _restore_batch(
    run: _Run, packages: list[str], database: Database | None, report: Restored
) -> None:
    inbox, batch = run.inbox, report.batch
    folder = os.path.join(inbox, WORK_FOLDER, batch)
    try:
        with locked_batch(inbox, batch):
            run.say(f"{batch}: verifying {len(packages):,} packages")
            plan = make_plan(batch, packages)
            ordered = [one for part in plan.parts for one in part.packages]
            report.packages = [one.package_id for one in ordered]
            packages[:] = [one.place for one in ordered]
            wanted = {k: v for k, v in plan.sets.items() if k not in run.unwanted(plan)}
            wanted, left_out = _without(wanted, run.purged_keys(wanted, database))
            if left_out:
                report.notes.append(f"{len(left_out):,} of its contents had been purged: left out")
            is_adopted = run.adopts(batch, database)
            check_names(plan, wanted, run.client, database, is_adopted=is_adopted)
            wait_for_former(run.client, wanted.keys())
            make_own_folder(os.path.dirname(folder))
            shutil.rmtree(folder, ignore_errors=True)  # Ours: the batch is locked.
            try:
                _unpack(plan, folder, run.say)
                _store(run.client, plan, wanted, folder, report, run.say)
                if database is not None:
                    _tell(run, plan, folder, database, report)
                    # Its intents may be told for the first time: what they say of these is over.
                    gone = left_out - run.client.known(sorted(left_out))
                    database.ingests.begin_purge_of_keys(sorted(gone))
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        name = error.filename if isinstance(error.filename, str) else folder
        place = safe_text(name)
        raise AdapterError(
            f"batch {batch} could not be unpacked: {error.strerror or error} ({place}); it needs "
            f"its whole size free on the SSD below {inbox}: make room and restore again"
        ) from error


def _without(
    wanted: dict[str, list[Entry]], purged: dict[str, set[str]]
) -> tuple[dict[str, list[Entry]], set[str]]:
    """Return what is wanted less what was purged by itself, and the keys of that."""
    kept = {name: [e for e in some if e.key not in purged[name]] for name, some in wanted.items()}
    return {name: some for name, some in kept.items() if some}, set[str]().union(*purged.values())


def _tell(run: _Run, plan: Plan, folder: str, database: Database, report: Restored) -> None:
    if plan.adapter is None:
        register_generated(database, plan, run.outbox)
        return
    schemas = load_schemas_config(run.config_path)
    done = describe(
        database, plan, folder, run.outbox, schemas, lambda n: run.say(f"{plan.batch}: {n}")
    )
    report.intents, report.intents_repeated = done.intents, done.repeated


# ---- May it be called so? --------------------------------------------------------------------


def check_names(
    plan: Plan,
    wanted: dict[str, list[Entry]],
    client: Client,
    database: Database | None,
    *,
    is_adopted: bool,
) -> None:
    """Raise UsageError when another batch has this name, before any byte is stored."""
    stored = {one.batch: one.sealed for one in client.batches()}
    for name, entries in wanted.items():
        if name in stored:
            _check_stored(client, name, stored[name], {e.path: e.key for e in entries})
    if plan.own is None and plan.batch not in stored:
        raise UsageError(
            f"these are packages of a replay of batch {plan.batch}, which the store does not have; "
            "name the packages of the batch itself too"
        )
    if database is not None and plan.adapter is not None:
        adapter_of_stored(plan.adapter)
        _check_known(plan, database, is_adopted=is_adopted)


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


def _check_known(plan: Plan, database: Database, *, is_adopted: bool) -> None:
    """Refuse another batch, and one that ingest is to finish, unless nobody can: `is_adopted`."""
    known = {batch.name: batch for batch in database.ingests.batches()}.get(plan.batch)
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
    unfinished = known.state == "purging" or (unfinished and not is_adopted)
    if not same or unfinished or known.adapter != plan.adapter:
        raise UsageError(
            f"the database has a batch {plan.batch} of {known.file_count:,} files from "
            f"{known.folder} ({known.state}), which is not the one of these packages, or not "
            "complete; nothing was restored. Finish that one, or restore into another database"
        )
    packages = {one.package_id: one for one in database.ingests.packages(waiting_only=False)}
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
    client: Client,
    plan: Plan,
    wanted: dict[str, list[Entry]],
    folder: str,
    report: Restored,
    say: Callable[[str], None],
) -> None:
    report.files = report.size_bytes = 0
    for name, entries in wanted.items():
        say(f"{name}: storing {len(entries):,} files")
        paths = sorted(entry.path for entry in entries)
        class_name = "generated" if plan.adapter is None else "raw"
        result = store_batch(client, os.path.join(folder, name), name, paths, class_name)
        report.files += len(paths)
        report.size_bytes += sum(entry.size_bytes for entry in entries)
        report.stored_new += result.get("written", 0)
        report.stored_existing += result.get("existing", 0)
