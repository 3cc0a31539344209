"""What a good backup sends to cold storage: what was made since the last time, and the database.

First what actions and datasets made, then the database that tells of it: whoever has the newest
package of a database has had all that it names. Packages that wait for their copy are not doubled:
a newer package of the database takes the place of one that nobody copied yet.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from adapters.ingest.config import IngestConfig, load_ingest_config, package_size_bytes_max
from adapters.packages.database_package import (
    DATABASE_PREFIX,
    StoredPin,
    StoredView,
    StoreState,
    write_database,
)
from adapters.packages.generated_package import (
    group_name,
    grouped,
    unpacked_batches,
    write_group,
)
from adapters.packages.package_read import GENERATED_PREFIX
from base.errors import DrystoneError
from base.text import safe_text
from fsd import Client, EngineUnavailableError, load_config
from sql import Database, Export, OutboxPackage, Packaged

DUE_EARLY = timedelta(hours=1)
"""A backup of every day begins a little earlier now and then."""
Say = Callable[[str], None]


def packager(config_path: str) -> Callable[[Export, Say], Packaged]:
    """Return what makes the packages of a backup of this store."""

    def package(export: Export, say: Say) -> Packaged:
        settings = load_ingest_config(config_path)
        if not settings.packages:
            return Packaged()
        names: list[str] = []
        problems: list[str] = []
        try:
            Client(load_config(config_path).socket_path).health()
        except EngineUnavailableError:
            # Nothing is made while it is down; the next backup packs what people did meanwhile.
            return Packaged(warnings=("no package was made: the engine is down",))
        except DrystoneError as error:
            return Packaged(problems=(safe_text(str(error)),))
        try:
            with Database.open(config_path) as database:
                _send(config_path, settings, database, export, names, problems, say)
        except DrystoneError as error:
            problems.append(safe_text(str(error)))
        except OSError as error:
            where = safe_text(str(error.filename or "the outbox"))
            problems.append(f"{where}: {error.strerror or error}")
        return Packaged(tuple(names), tuple(problems))

    return package


def _send(
    config_path: str,
    settings: IngestConfig,
    database: Database,
    export: Export,
    names: list[str],
    problems: list[str],
    say: Say,
) -> None:
    config = load_config(config_path)
    client, outbox = Client(config.socket_path), config.area_path("3b")
    size_bytes_max = package_size_bytes_max(settings, config.quota.outbox_bytes)
    _sweep(database, outbox)
    stamp = _stamp(database)
    try:
        _send_generated(client, database, size_bytes_max, outbox, stamp, names, say)
    except DrystoneError as error:
        # The database goes all the same: it is small, and what people did.
        problems.append(safe_text(str(error)))
    if not _is_due(database, settings):
        return
    say("packing the database")
    package = write_database(client, export, _state(client, database, stamp), outbox)
    # A crash before this line leaves a package that nobody waits for, which the next run removes.
    database.cold.add([package])
    names.append(package.package_id)
    _drop_older(database, outbox, package.package_id)


def _send_generated(
    client: Client,
    database: Database,
    size_bytes_max: int,
    outbox: str,
    stamp: str,
    names: list[str],
    say: Say,
) -> None:
    batches = unpacked_batches(client, database.cold.store_batches())
    for number, group in enumerate(grouped(batches, size_bytes_max), 1):
        written = write_group(
            client,
            group_name(stamp, number),
            group,
            outbox=outbox,
            size_bytes_max=size_bytes_max,
            say=say,
        )
        # A crash before this line leaves packages that nobody waits for, as above.
        database.cold.add(written)
        names += [one.package_id for one in written]


def _sweep(database: Database, outbox: str) -> None:
    """Remove what was never registered, and forget what is gone: it is packed again."""
    waiting = {one.package_id: one for one in _ours(database) if one.confirm_time is None}
    known = {one.package_id for one in _ours(database)}
    for name in os.listdir(outbox):
        is_ours = name.startswith((GENERATED_PREFIX, DATABASE_PREFIX, ".tmp-package-"))
        if is_ours and name not in known:
            shutil.rmtree(os.path.join(outbox, name))
    gone = [name for name in waiting if not os.path.isdir(os.path.join(outbox, name))]
    if gone:
        database.cold.forget(gone)


def _drop_older(database: Database, outbox: str, newest: str) -> None:
    older = [
        one.package_id
        for one in _ours(database)
        if one.kind == "database" and one.confirm_time is None and one.package_id != newest
    ]
    # A crash after this leaves folders that the next run removes.
    database.cold.forget(older)
    for name in older:
        shutil.rmtree(os.path.join(outbox, name), ignore_errors=True)


def _is_due(database: Database, settings: IngestConfig) -> bool:
    made = [one.create_time for one in _ours(database) if one.kind == "database"]
    interval = timedelta(days=settings.database_package_days) - DUE_EARLY
    return not made or datetime.now(UTC) - max(made) >= interval


def _stamp(database: Database) -> str:
    """Return a time that no package of ours has yet: also two of one second have two names."""
    now = datetime.now(UTC)
    known = " ".join(one.package_id for one in _ours(database))
    while (stamp := f"{now:%Y%m%dT%H%M%SZ}") in known:
        now += timedelta(seconds=1)
    return stamp


def _ours(database: Database) -> list[OutboxPackage]:
    return [one for one in database.ingests.packages(waiting_only=False) if one.batch is None]


def _state(client: Client, database: Database, stamp: str) -> StoreState:
    # Before the keys: what comes in again later comes with a batch that is not among them.
    batches = client.batches()
    return StoreState(
        stamp=stamp,
        batches=sorted(one.batch for one in batches),
        open_batches=sorted(one.batch for one in batches if not one.sealed),
        purged=sorted(
            one.name for one in database.ingests.batches() if one.state in ("purging", "purged")
        ),
        purged_keys=sorted(client.purged(database.ingests.hidden_keys())),
        pins=[StoredPin(name=one.name, manifest=one.manifest) for one in client.pins()],
        views=[
            StoredView(view_id=one.view_id, layout_id=one.layout_id, manifest=one.manifest_key)
            for one in client.views()
            if one.kind == "exports"
        ],
    )
