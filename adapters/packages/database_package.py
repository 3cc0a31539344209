"""The database as a package for cold storage: its form, written and read.

    _database-<time>/
      logical/database.dump   the export of pg_dump, without passwords, tokens and sessions
      backup.json             what it is: versions, rows of each table, what was left out
      store.json              what the store alone knew: its batches, pins, published views, and
                              which ingest batches were purged by then
      SHA256SUMS              of the files above

It has the form of a copy of a backup, so `drystone db restore FOLDER` takes it too.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapters.packages.package import room_in_outbox
from adapters.packages.package_read import SUMS_NAME, package_key
from adapters.records.errors import PackageError
from base.errors import DrystoneError
from base.files import sync_folder
from fsd import Client
from sql import BackupFacts, Export, NewPackage, seal_export, verified_export

DATABASE_PREFIX = "_database-"
STORE_NAME = "store.json"
FACTS_NAME = "backup.json"
LOGICAL_NAME = "logical"
STORE_BYTES_MAX = 1 << 30
SLACK_BYTES = 1 << 20

Name = Annotated[str, Field(min_length=1, max_length=1_000)]
Key = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class StoredPin(_Document):
    """A manifest that was pinned."""

    name: Name
    manifest: Key


class StoredView(_Document):
    """An export that was published in the mount."""

    view_id: Name
    layout_id: Name
    manifest: Key


class StoreState(_Document):
    """What store.json says; what later versions add to it is not ours to refuse."""

    format: Literal[1] = 1
    stamp: Annotated[str, Field(pattern="^[0-9]{8}T[0-9]{6}Z$")]
    """When; groups of what was made have such a time in their names too."""
    batches: list[Name]
    purged: list[Name]
    pins: list[StoredPin]
    views: list[StoredView]
    purged_keys: Annotated[list[Key], Field(default_factory=list)]
    """Contents that were purged by themselves; earlier versions do not say it."""
    open_batches: Annotated[list[Name], Field(default_factory=list)]
    """Those of `batches` that were not whole yet; earlier versions do not say it."""


def is_database(package: str) -> bool:
    """Tell whether a package is one of a database, also where parts of it are gone."""
    parts = (FACTS_NAME, STORE_NAME, LOGICAL_NAME)
    return any(os.path.lexists(os.path.join(package, part)) for part in parts)


def write_database(client: Client, export: Export, state: StoreState, outbox: str) -> NewPackage:
    """Write the package durably and return it for whoever registers it.

    Its room in the outbox is reserved before; SpaceError when there is none now.
    """
    name = DATABASE_PREFIX + state.stamp
    # As large as the export that was just made, and never much larger.
    size_bytes = sum(export.facts.sizes_bytes.values()) + len(state.model_dump_json())
    with room_in_outbox(client, name, size_bytes + SLACK_BYTES):
        return _write(export, state, outbox, name)


def _write(export: Export, state: StoreState, outbox: str, name: str) -> NewPackage:
    target = os.path.join(outbox, name)
    temporary = target + ".tmp"
    for left in (temporary, target):  # A whole one that was never registered is made again.
        shutil.rmtree(left, ignore_errors=True)
    try:
        os.mkdir(temporary, 0o700)
        facts = export.write(temporary)
        path = os.path.join(temporary, STORE_NAME)
        with open(path, "w", encoding="ascii") as file:
            json.dump(state.model_dump(), file, sort_keys=True)
        seal_export(temporary)
    except BaseException:
        # A full disk is not made better by half a package.
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    # A crash before this line leaves a folder that ends in .tmp, which the next run removes.
    os.rename(temporary, target)
    sync_folder(outbox)
    return described(target, facts)


def described(package: str, facts: BackupFacts) -> NewPackage:
    """Return a whole package as the database registers it, whatever its folder is called now."""
    sizes = [
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(package)
        for name in names
    ]
    state = read_state(package)
    # A copy of a backup of this house has no state, and its own name.
    name = DATABASE_PREFIX + (state.stamp if state else facts.name.partition("-")[0])
    return NewPackage(name, "database", len(sizes), sum(sizes), package_key(package))


def read_database(
    package: str, say: Callable[[str], None] = lambda _: None
) -> tuple[BackupFacts, StoreState | None]:
    """Read all of a package and compare it with its sums; PackageError when it is not whole.

    Also for one that only a later Drystone understands. A copy of a backup is taken too: it has no
    state of the store.
    """
    try:
        facts = verified_export(package, say)
    except DrystoneError as error:
        raise PackageError(str(error)) from error
    except OSError as error:
        raise PackageError(f"{package!a} cannot be read: {error.strerror or error}") from error
    return facts, read_state(package)


def database_sums(package: str) -> dict[str, str]:
    """Return path and hash of every file as SHA256SUMS has them; PackageError when it is none."""
    path = os.path.join(package, SUMS_NAME)
    try:
        with open(path, encoding="ascii") as file:
            return {line[66:].rstrip("\n"): line[:64] for line in file}
    except (OSError, UnicodeDecodeError) as error:
        raise PackageError(f"{package!a} is no package: {SUMS_NAME} cannot be read") from error


def read_state(package: str) -> StoreState | None:
    """Return what store.json says, or None when there is none; PackageError when it is damaged."""
    path = os.path.join(package, STORE_NAME)
    try:
        with open(path, "rb") as file:
            return StoreState.model_validate_json(file.read(STORE_BYTES_MAX))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise PackageError(
            f"{path!a} cannot be understood, or is of a later version; try another copy of the "
            "package, or update Drystone"
        ) from error
