"""Telling the database again what packages say: it owns the order of that, and no bytes.

The batch first, then each of its replays: intents, then where the objects lie and that the package
has a copy, then what is set aside. The state of the batch comes last: a crash before it leaves one
that the same command completes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from adapters.cold_storage.restore_plan import Package, Part, Plan
from adapters.ingest.declaring import Declarer
from adapters.ingest.quarantine import close_understood, set_aside
from adapters.packages.package import location_intents
from adapters.packages.package_read import read_intents
from adapters.records.errors import PackageError
from adapters.records.items import Problem
from adapters.records.names import derived_batch
from adapters.schemas.config import SchemasConfig
from adapters.schemas.propose import take_up
from adapters.sources.registry import adapter_of_stored
from adapters.work.batch_work import PROBLEMS_NAME
from sql import Database, NewPackage

RESTORED_FOLDER = "restored from packages"
ENDED = ("packed", "confirmed", "purged")


@dataclass(slots=True)
class Told:
    """How many intents there were, and how many of them the database had."""

    intents: int = 0
    repeated: int = 0


def _storable(text: str) -> str:
    text.encode()  # A lone surrogate is a ValueError here.
    if "\0" in text:
        raise ValueError("NUL cannot be stored")
    return text


class _Problem(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    path: str
    number: Annotated[int, Field(ge=-1, lt=1 << 31)]
    reason: Annotated[str, AfterValidator(_storable)]


class _Aside(BaseModel):
    model_config = ConfigDict(strict=True)

    problems: list[_Problem]
    archives: list[str]


def describe(
    database: Database,
    plan: Plan,
    folder: str,
    outbox: str,
    schemas: SchemasConfig,
    say: Callable[[str], None],
) -> Told:
    """Apply everything that the packages of a batch say; `folder` has its unpacked files."""
    assert plan.adapter is not None
    declarer = Declarer(database, adapter_of_stored(plan.adapter))
    known = {batch.name: batch for batch in database.ingests.batches()}
    ours = plan.batch not in known or known[plan.batch].folder == RESTORED_FOLDER
    if plan.own is not None and not ours:
        # Nobody finishes one whose frozen listing is not here: who restores has looked.
        ours = known[plan.batch].state not in ENDED
    if plan.batch not in known:
        size = sum(entry.size_bytes for entry in plan.scraped)
        count = len(plan.scraped)
        database.ingests.open(plan.batch, plan.adapter, plan.user, RESTORED_FOLDER, count, size)
    was_purged = plan.batch in known and known[plan.batch].state == "purged"
    told = Told()
    stored: set[str] = set()
    keys = {entry.path: entry.key for entry in plan.scraped}
    for part in plan.parts:
        nodes = _apply(database, declarer, part, told, say)
        stored |= nodes
        for package in part.packages:
            _register(database, plan.batch, package, nodes, outbox)
        _set_aside(database, plan.batch, part, folder, keys)
    take_up(database, plan.batch, schemas, say)
    if was_purged:
        # Its intents were applied long ago; the store has the bytes again.
        database.ingests.show_kept(plan.batch, lambda keys: [key for key in keys if key in stored])
    if ours or was_purged:
        waiting = database.ingests.packages(plan.batch)
        database.ingests.set_state(plan.batch, "packed" if waiting else "confirmed", None)
    return told


def _apply(
    database: Database, declarer: Declarer, part: Part, told: Told, say: Callable[[str], None]
) -> set[str]:
    """Apply the intents of a part; returns the keys of its physical nodes."""
    nodes: set[str] = set()
    for package in part.packages:
        for intent in read_intents(package.place, package.sums):
            declarer.declare(intent)
            result = database.apply_intent(intent)
            nodes.update(node.key for node in intent.physical_nodes)
            told.intents += 1
            told.repeated += result.repeated
            say(f"{told.intents:,} intents")
    return nodes


def _register(
    database: Database, batch: str, package: Package, nodes: set[str], outbox: str
) -> None:
    """Enter a package as ingest does: where its objects lie, then the package, then its copy."""
    name = package.package_id
    known = {one.package_id for one in database.ingests.packages(batch, waiting_only=False)}
    if name not in known:
        for number, intent in enumerate(location_intents(name, package.entries, nodes)):
            database.apply_intent(intent.model_copy(update={"intent_id": f"01b:{name}:{number}"}))
        database.ingests.add_package(
            name, batch, len(package.entries), package.size_bytes, package.key
        )
    confirm_copies(database, batch, [name], [package.place], outbox)


def register_generated(database: Database, plan: Plan, outbox: str) -> None:
    """Enter the packages of what actions and datasets made, with their copies."""
    packages = [one for part in plan.parts for one in part.packages]
    new = [
        NewPackage(
            package_id=one.package_id,
            kind="generated",
            file_count=len(one.entries),
            size_bytes=one.size_bytes,
            key=one.key,
            store_batches=tuple(dict.fromkeys(entry.batch for entry in one.entries)),
        )
        for one in packages
    ]
    database.cold.add(new)
    places = [one.place for one in packages]
    confirm_copies(database, None, [one.package_id for one in packages], places, outbox)


def confirm_copies(
    database: Database, batch: str | None, packages: list[str], places: list[str], outbox: str
) -> None:
    """Say of packages that wait that these places are their copies."""
    waiting = {one.package_id for one in database.ingests.packages(batch)}
    for name, place in zip(packages, places, strict=True):
        # What lies in the outbox itself still waits for its copy.
        if name in waiting and not os.path.isdir(os.path.join(outbox, name)):
            database.ingests.confirm_package(name, place, is_event=False)


def _set_aside(
    database: Database, batch: str, part: Part, folder: str, keys: dict[str, str]
) -> None:
    """Set aside again what was; a replay also closes what it understood."""
    path = os.path.join(folder, derived_batch(batch, part.replay), PROBLEMS_NAME)
    if not os.path.exists(path):
        raise PackageError(f"batch {batch}: no package has {PROBLEMS_NAME}")
    problems, archives = _read_aside(path, batch)
    if part.replay is not None:
        close_understood(database, batch, problems)
    set_aside(database, batch, problems, archives, keys)


def _read_aside(path: str, batch: str) -> tuple[list[Problem], list[str]]:
    try:
        with open(path, encoding="ascii") as file:
            aside = _Aside.model_validate(json.load(file))
    except (ValueError, RecursionError) as error:
        raise PackageError(f"batch {batch}: {PROBLEMS_NAME} is not ours: {error}") from error
    return [Problem(one.path, one.number, one.reason) for one in aside.problems], aside.archives
