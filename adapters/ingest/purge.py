"""Purging batches and single contents: the database hides, the store deletes, the first concludes.

Each step may be interrupted; the same purge again goes on from there. The store alone decides what
other batches, views and pins keep.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adapters.ingest.purged_pictures import remove_purged
from adapters.records.errors import AdapterError
from adapters.records.names import DERIVED_SUFFIX, FIXED_INFIX
from base.errors import DrystoneError, UsageError
from base.text import safe_text
from fsd import Client, EngineUnavailableError, JobStatus, load_config

UNDER_WAY = ("frozen", "stored", "stopped", "described")
"""States of ingest batches of which not all is yet in the database, or in packages."""
STAY_HIDDEN = (
    "the store cannot be asked what it still has: the database goes on hiding these; the same "
    "command again goes on"
)


# Not slotted: the client is made when it is first needed.
@dataclass(frozen=True)
class PurgePlace:
    """A store and its database, which a purge asks by turns; the latter need not be there.

    `say` takes what happens on the way, `follow` waits for the end of a job of the store.
    """

    config_path: str
    say: Callable[[str], None] = lambda _line: None
    follow: Callable[[Client, str], JobStatus] = lambda store, job_id: store.wait(job_id)

    @functools.cached_property
    def store(self) -> Client:
        """The store's engine."""
        settings = load_config(self.config_path)
        return Client(settings.socket_path, settings.run_dir)


def look(place: PurgePlace, batch: str) -> JobStatus:
    """Let the store find out what it would delete of one of its batches; nothing is changed."""
    return _ended(place, place.store.purge(batch, dry_run=True))


def purge(place: PurgePlace, batch: str) -> tuple[list[JobStatus], int | None]:
    """Delete a batch for good; returns the store's jobs, and how many nodes lost their bytes.

    They are None for a batch that the database does not know. Raises AdapterError when the store
    refuses or fails, and UsageError for a batch that was purged.
    """
    known = plan(place, batch)
    if known is not None:
        # Barrier: from here on nobody counts on what may go. A crash leaves the batch `purging`.
        begin(place, batch)
    done: list[JobStatus] = []
    for name in (batch,) if known is None else known:
        begun = place.store.purge(name)
        try:
            done.append(_ended(place, begun))
        except AdapterError as error:
            if known is not None and give_up(place, batch, known):
                place.say("nothing was deleted; the database shows the batch as before")
            if not done:
                raise
            gone = ", ".join(safe_text(job.result["batch"]) for job in done)
            raise AdapterError(
                f"{error}; {gone} is deleted, the same again does the rest"
            ) from None
    # Before the database concludes: the same purge again does this, too.
    remove_purged(load_config(place.config_path).ssd, place.store.known)
    if known is None:
        return done, None
    # Barrier: the store has forgotten them. A crash here leaves what it kept hidden till then.
    return done, finish(place, batch)


def look_at_keys(place: PurgePlace, keys: Sequence[str]) -> JobStatus:
    """Let the store find out what it would delete of single contents; nothing is changed.

    UsageError while a batch that names one of them is still being ingested, which would show it
    again.
    """
    job = _ended(place, place.store.purge(keys=tuple(keys), dry_run=True))
    holders = {
        line["holder"].removeprefix("batch ")
        for line in place.store.report(job.job_id)
        if line["status"] == "named"
    }
    for batch in _batches_under_way(place):
        if names := sorted(name for name in holders if own_batches(batch).fullmatch(name)):
            raise UsageError(
                f"batch {batch} names some of them ({safe_text(names[0])}), and its ingest has not "
                "ended: let it end first (`drystone ingest status`)"
            )
    return job


def purge_keys(place: PurgePlace, keys: Sequence[str]) -> tuple[list[JobStatus], int | None]:
    """Delete single contents for good; returns the store's jobs, and how many nodes have none now.

    That is None without a database. AdapterError when the purge fails, and what the store raises
    that refuses it: what it has is shown as before then. Where it cannot be asked all stay hidden.
    """
    look_at_keys(place, keys)
    known = list(dict.fromkeys(keys))
    if not _has_database(place):
        job = _ended(place, place.store.purge(keys=tuple(known)))
        remove_purged(load_config(place.config_path).ssd, place.store.known)
        return [job], None
    from sql import Database

    with Database.open(place.config_path) as database:
        # Barrier: from here on nobody counts on what may go. A crash leaves these nodes hidden.
        database.ingests.begin_purge_of_keys(known)
    try:
        jobs = [_ended(place, place.store.purge(keys=tuple(known)))]
    except EngineUnavailableError:
        # It may have begun, and be cut off: what it has is not certain before the next purge.
        place.say(STAY_HIDDEN)
        raise
    except DrystoneError:
        try:
            with Database.open(place.config_path) as database:
                database.ingests.finish_purge_of_keys(known, place.store.known)
            place.say("what the store still has, the database shows as before")
        except DrystoneError:
            place.say(STAY_HIDDEN)
        raise
    remove_purged(load_config(place.config_path).ssd, place.store.known)
    still = place.store.known(known)
    with Database.open(place.config_path) as database:
        pictures = database.ingests.pictures_of([key for key in known if key not in still])
    if pictures:
        # Before their rows go: the same purge again finds them by these.
        jobs.append(_ended(place, place.store.purge(keys=tuple(pictures))))
    # Barrier: the store has forgotten them. A crash here leaves what it kept hidden till then.
    with Database.open(place.config_path) as database:
        return jobs, database.ingests.finish_purge_of_keys(known, place.store.known)


def named_by(place: PurgePlace, keys: Sequence[str]) -> list[tuple[str, int]]:
    """Return what of the database knows single contents, and how many of them."""
    if not _has_database(place):
        return []
    from sql import Database

    with Database.open(place.config_path) as database:
        return database.ingests.named_by(keys)


def _has_database(place: PurgePlace) -> bool:
    from sql import load_config as load_database_config

    config = load_database_config(place.config_path)
    # Nothing was ever ingested: no database is made only to say so.
    return not config.embedded or os.path.isdir(config.data)


def _batches_under_way(place: PurgePlace) -> list[str]:
    if not _has_database(place):
        return []
    from sql import Database

    with Database.open(place.config_path) as database:
        return [one.name for one in database.ingests.batches() if one.state in UNDER_WAY]


def own_batches(batch: str) -> re.Pattern[str]:
    """Return what the names of the store's batches of an ingest batch look like."""
    return re.compile(
        f"{re.escape(batch)}({re.escape(DERIVED_SUFFIX)}(-[0-9a-f]{{16}})?"
        f"|{re.escape(FIXED_INFIX)}[0-9a-f]{{16}})?"
    )


def _ended(place: PurgePlace, begun: JobStatus) -> JobStatus:
    job = place.follow(place.store, begun.job_id)
    if job.state != "done":
        raise AdapterError(job.error or f"{job.kind} {job.job_id}: {job.state}")
    return job


def plan(place: PurgePlace, batch: str) -> tuple[str, ...] | None:
    """Return the store's batches of an ingest batch; None when the database has no such one.

    UsageError for one that is purged.
    """
    from sql import Database, NotFoundError

    if not _has_database(place):
        return None
    with Database.open(place.config_path) as database:
        try:
            state = database.ingests.batch(batch).state
        except NotFoundError:
            return None
    own = own_batches(batch)
    names = tuple(sorted(one.batch for one in place.store.batches() if own.fullmatch(one.batch)))
    if state == "purged" and not names:
        raise UsageError(f"batch {batch} was purged already; there is nothing left of it")
    return names


def begin(place: PurgePlace, batch: str) -> None:
    """Hide the batch's nodes, durably, before the store is asked to delete anything."""
    from sql import Database

    with Database.open(place.config_path) as database:
        database.ingests.begin_purge(batch)


def give_up(place: PurgePlace, batch: str, store_batches: tuple[str, ...]) -> bool:
    """Undo `begin` when the store refused and has all of them still; False when it has not."""
    from sql import Database

    if not set(store_batches) <= {one.batch for one in place.store.batches()}:
        return False
    with Database.open(place.config_path) as database:
        database.ingests.give_up_purge(batch, place.store.known)
    return True


def finish(place: PurgePlace, batch: str) -> int:
    """Show again what the store kept; returns how many nodes lost their bytes."""
    from sql import Database

    with Database.open(place.config_path) as database:
        return database.ingests.finish_purge(batch, place.store.known)
