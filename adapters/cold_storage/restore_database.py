"""The database out of its package: it owns which one is taken, and what follows from it.

The store comes first: all bytes, then pins and views, then the database that tells of them. Only a
database that nothing has come into is replaced; any other stays as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from adapters.packages.database_package import (
    StoreState,
    described,
    is_database,
    read_database,
)
from adapters.packages.package_read import GENERATED_PREFIX
from adapters.records.errors import PackageError
from base.errors import DrystoneError
from base.text import safe_text
from fsd import Client
from sql import BackupFacts, Database, read_facts, restore_fresh

KEYS_ASKED = 10_000
NAMES_SHOWN_MAX = 10
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FoundDatabase:
    """The newest package of a database among those that were named; every byte was verified."""

    place: str
    facts: BackupFacts
    state: StoreState | None

    def is_known_to(self, database: Database) -> bool:
        """Tell whether a database came out of this package, or made it."""
        return database.cold.knows_backup(self.facts.name)

    def was_purged(self, batch: str) -> bool:
        """Tell whether an ingest batch had been purged by then."""
        return self.state is not None and batch in self.state.purged

    def purged_keys(self, store_batch: str) -> frozenset[str]:
        """Return the contents purged by themselves by then, as far as a batch may have had them.

        None for one that came later, or was on its way: it may have brought them in again.
        """
        state = self.state
        if state is None or store_batch not in state.batches or store_batch in state.open_batches:
            return frozenset()
        return frozenset(state.purged_keys)

    def is_gone(self, group: str, store_batch: str) -> bool:
        """Tell whether the store had let go of what was made, in an older group, by then."""
        if self.state is None or group.removeprefix(GENERATED_PREFIX) > self.state.stamp + "~":
            return False
        return store_batch not in self.state.batches


def find_database(places: list[str], say: Say) -> FoundDatabase | None:
    """Verify the newest package of a database; None when there is none.

    PackageError when it is not whole, or cannot even be read: another one would silently be without
    what people did last. Whoever wants that names the other packages alone.
    """
    found = [place for place in places if is_database(place)]
    if not found:
        return None
    try:
        times = {place: read_time(place) for place in found}
        newest = max(found, key=lambda place: times[place])
        say(f"{os.path.basename(newest)}: verifying the package of the database")
        facts, state = read_database(newest, say)
    except PackageError as error:
        raise PackageError(
            f"{error}\nnothing was restored: name another copy of this package, or, to do without "
            "it, only the other packages"
        ) from error
    for place in found:
        if place != newest:
            say(f"{os.path.basename(place)}: an older package of the database, left out")
    return FoundDatabase(newest, facts, state)


def read_time(place: str) -> str:
    """Return when a package of a database was made, in a form that sorts."""
    facts = read_facts(place)
    if facts is None:
        raise PackageError(
            f"{place!a} is damaged, or of a later version: its backup.json cannot be understood"
        )
    return facts.start_time.isoformat()


def put_in_place(config_path: str, found: FoundDatabase, say: Say) -> list[str]:
    """Replace the fresh database; returns what a person has to do now, a line each."""
    say(f"{os.path.basename(found.place)}: restoring the database")
    restored = restore_fresh(config_path, found.place, say)
    lines = [f"the database is back: {restored.tables} tables, {restored.rows:,} rows"]
    if restored.aside:
        lines.append(f"the empty one that was there lies in {restored.aside}")
    left_out = found.facts.left_out
    if left_out is None:
        return lines
    if left_out.passwords:
        names = ", ".join(left_out.passwords)
        lines.append(
            f"passwords are in no package: set new ones with `drystone gui user password NAME` for "
            f"{safe_text(names)}"
        )
    if left_out.tokens:
        names = "; ".join(left_out.tokens)
        lines.append(
            "API tokens are in no package: make new ones with `drystone gui user token` for "
            f"{safe_text(names)}"
        )
    lines.append(
        "drystone.toml and the files of its secrets (webhooks, mail, workers) are in no package: "
        "write them anew"
    )
    return lines


def bring_back_state(client: Client, state: StoreState) -> list[str]:
    """Pin and publish what was pinned and published; returns a line for each that cannot be."""
    wrong: list[str] = []
    for pin in state.pins:
        try:
            client.pin_manifest(pin.manifest, pin.name)
        except DrystoneError as error:
            wrong.append(f"pin {safe_text(pin.name)}: {error}")
    there = {(view.view_id, view.layout_id) for view in client.views() if view.kind == "exports"}
    for view in state.views:
        if (view.view_id, view.layout_id) in there:
            continue
        try:
            answer = client.export_to_3d(view.manifest, view.view_id, view.layout_id, "view")
            job = client.wait(answer.job_id)
            reason = "" if job.state == "done" else job.error or job.state
        except DrystoneError as error:
            reason = str(error)
        if reason:
            name = f"exports/{safe_text(view.view_id)}/{safe_text(view.layout_id)}"
            wrong.append(f"view {name} is to be made again: {reason}")
    return wrong


def register(database: Database, found: FoundDatabase, outbox: str) -> None:
    """Enter the package that was restored, with its copy."""
    package = described(found.place, found.facts)
    database.cold.add([package])
    if not os.path.isdir(os.path.join(outbox, package.package_id)):
        database.ingests.confirm_package(package.package_id, found.place, is_event=False)


def what_is_left(client: Client, database: Database) -> list[str]:
    """Return what the database knows and no package brought, a line each."""
    missing, example = 0, ""
    keys = (key for key, _size in database.physical_contents())
    while some := list(islice(keys, KEYS_ASKED)):
        gone = set(some) - client.known(some)
        missing += len(gone)
        example = example or min(gone, default="")
    lines: list[str] = []
    if missing:
        lines.append(
            f"{missing:,} files that the database knows were in no package that was named, such as "
            f"{example}: name those packages too (`drystone audit` lists the files)"
        )
    exports = database.cold.exports()
    if exports:
        shown = ", ".join(exports[:NAMES_SHOWN_MAX])
        more = f" and {len(exports) - NAMES_SHOWN_MAX:,} more" if exports[NAMES_SHOWN_MAX:] else ""
        lines.append(
            f"exports in 3d are to be made again (`drystone dataset export`): {shown}{more}"
        )
    return lines
